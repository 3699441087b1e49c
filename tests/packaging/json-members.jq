# SPDX-License-Identifier: MIT
#
# Of the schema of tgswitchctl --json all members, as tgswitch-json(5) writes them.
# One line for each member: verb or type, path, type, and whether it may be missing.
def kind($root):
    if has("$ref") then (."$ref" | ltrimstr("#/$defs/")) as $name
        | if $name == "Time" then "time or null"
          elif $name == "Moment" then "time"
          elif $root[$name] | has("properties") then $name | ascii_downcase
          else $root[$name] | kind($root) end
    elif has("anyOf") then [.anyOf[] | kind($root)] | join(" or ")
    elif has("enum") then [.enum[] | type] | unique | sort_by(. == "null") | join(" or ")
    elif has("const") then .const | type
    elif .type == "array" then "array of " + (.items | kind($root))
    else [.type] | flatten | join(" or ") end;
def members($root; $path):
    . as $object
    | .properties | to_entries[]
    | select(.key != "schema")
    | .key as $key
    | "\($path)\(.key) \(.value | kind($root))" + (if $object.required | index($key) then "" else ", optional" end),
      (.value.items? | select(has("properties")?) | members($root; "\($path)\($key)[]."));
."$defs" as $root | $root | to_entries[] | select(.value | has("properties"))
    | (if .key | test("^[A-Z]") then "TYPES " else "VERBS " end + (.key | ascii_downcase)) as $section
    | .value | members($root; "") | "\($section): \(.)"
