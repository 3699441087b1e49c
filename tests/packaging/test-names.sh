#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What has a name in several places has it in all of them: verbs and options in --help and the manual pages, the members
# of the bus, their options and errors in the program, in the installed XML and in org.tgswitch1(5), keys of the
# configuration, phases, results and exit statuses. What is missing is told as the line of a diff: "<" stands before
# what the program has, ">" before what a page has. test-completion.sh and test-json.sh go on from here. Prints TAP.
# Usage: test-names.sh BUILD-DIRECTORY
set -uo pipefail

build=$(realpath "${1:?usage: test-names.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source tests/adapter/fake-daemon.sh

man=packaging/man

# check_same DESCRIPTION PROGRAM PAGE: two lists, a line each, the order of which does not matter. One that is empty
# could not be made.
check_same()
{
        local difference

        if [[ -z $2 || -z $3 ]]; then
                tap_fail "$1" "nothing was found: program: ${2:0:60} page: ${3:0:60}"
                return
        fi
        difference=$(diff <(sort -u <<<"$2") <(sort -u <<<"$3") | grep '^[<>]')
        check_equal "$1" "" "$difference"
}

# section PAGE NAME: the lines below that heading.
section()
{
        awk -v name="# $2" '/^# / { on = $0 == name; next } on' "$man/$1.scd"
}

# bold: the words in standard input that are printed bold, one a line.
bold()
{
        grep -oE '\*[A-Za-z-]+\*' | tr -d '*'
}

# ---- options ----

# help_options PROGRAM [VERB]: "-y, --yes" or "--hold-at=PHASE", one a line.
help_options()
{
        "$build/$1" "${@:2}" --help | sed -nE 's/^ +((-., )?) *(--[a-z0-9-]+(=[^ ]+)?) .*/\1\3/p'
}

# page_options PAGE: the same from its OPTIONS.
page_options()
{
        section "$1" OPTIONS | grep '^\*-' | tr -d '*_' | sed -E 's/; /\n/g; s/(--[^ ,]+), /\1\n/g'
}

check_same "tgswitchctl(1) has the options of --help" "$(help_options tgswitchctl)" "$(page_options tgswitchctl.1)"
check_same "tgswitchd(8) has the options of --help" "$(help_options tgswitchd)" "$(page_options tgswitchd.8)"
check_same "tgswitch-exec(1) has the options of --help" "$(help_options tgswitch-exec)" \
        "$(page_options tgswitch-exec.1)"

# ---- verbs ----

verbs=$("$build/tgswitchctl" --help | sed -nE '/^Verbs:/,/^$/s/^  ([a-z-]+) .*/\1/p')

# without_options: of lines like "hold BOT... [--for=SPAN|--until=TIME]" what is to be given in any case.
without_options()
{
        sed -E 's/ \[--[^]]*\](\.\.\.)?//g; s/\|--[a-z=A-Z-]+//g; s/ --[a-z=A-Z-]+//g'
}

help_verbs()
{
        local verb

        for verb in $verbs; do
                "$build/tgswitchctl" "$verb" --help | sed -nE '1{ s/^tgswitchctl //; s/ \[OPTION\.\.\.\]//; p; }'
        done | without_options | sed 's/ *$//'
}

page_verbs()
{
        section tgswitchctl.1 VERBS | grep '^\*' | tr -d '*_' | without_options
}

# Which option goes with which verb, "--for hold", or "--json" for one that goes with all.
help_goes_with()
{
        local verb

        for verb in $verbs; do
                help_options tgswitchctl "$verb" | grep -oE -e '--[a-z-]+' | sed "s/\$/ $verb/"
        done | awk -v n="$(wc -l <<<"$verbs")" '
                { goes[$1] = goes[$1] " " $2; count[$1]++ }
                END {
                        for (option in goes) {
                                if (count[option] == n) {
                                        print option
                                        continue
                                }
                                k = split(goes[option], all, " ")
                                for (i = 1; i <= k; i++)
                                        print option, all[i]
                        }
                }'
}

# In the page each option says "Of *hold*" or "Of *switch* and *hold*" of those.
page_goes_with()
{
        section tgswitchctl.1 OPTIONS | awk '
                function finish(i, k, n, line, option, all, found) {
                        n = 0
                        while (match(text, /Of \*[a-z-]+\*((,| and|, and) \*[a-z-]+\*)*/)) {
                                line = substr(text, RSTART, RLENGTH)
                                text = substr(text, RSTART + RLENGTH)
                                gsub(/Of |,| and|\*/, " ", line)
                                k = split(line, all, " ")
                                for (i = 1; i <= k; i++)
                                        found[++n] = all[i]
                        }
                        k = split(options, option, " ")
                        for (i = 1; i <= k; i++) {
                                if (n == 0)
                                        print option[i]
                                for (j = 1; j <= n; j++)
                                        print option[i], found[j]
                        }
                        options = text = ""
                }
                /^\*-/ {
                        finish()
                        gsub(/\*/, "")
                        while (match($0, /--[a-z-]+/)) {
                                options = options " " substr($0, RSTART, RLENGTH)
                                $0 = substr($0, RSTART + RLENGTH)
                        }
                        next
                }
                { sub(/^\t/, ""); text = text " " $0 }
                END { finish() }' | grep -vE '^--(help|version)$'
}

check_same "tgswitchctl(1) has the verbs of --help, and what they take" "$(help_verbs)" "$(page_verbs)"
check_same "tgswitchctl(1) says which option goes with which verb" \
        "$(help_goes_with | grep -vE '^--(help|version)$')" "$(page_goes_with)"
check_same "tgswitchctl(1) has the exit statuses of the program" \
        "$(sed -n 's/^        CTL_[A-Z_]* = \([0-9]*\),$/\1/p' daemon/ctl/ctl.h; printf '%s\n' 130 143)" \
        "$(section tgswitchctl.1 "EXIT STATUS" | grep '^[[|]' | grep -oE '[0-9]+')"

# ---- the bus ----

interfaces=(Manager Bot Job)

xml_members()
{
        awk -f tests/packaging/bus-members.awk "${interfaces[@]/#/$build/dbus/org.tgswitch1.}" 2>/dev/null
}
interfaces=("${interfaces[@]/%/.xml}")

# live_members PATH
live_members()
{
        busctl --system --xml-interface introspect org.tgswitch1 "$1" | awk -f tests/packaging/bus-members.awk
}

# known MESSAGE WORD: the words of a sentence like "known are a, b and c."
known()
{
        sed -nE "s/.*$2 (.*)\./\1/p" <<<"$1" | sed -E 's/(,| and| or) /\n/g'
}

# switch_with TYPE-AND-VALUE…: what is said of an option that is wrong.
switch_with()
{
        busctl --system call org.tgswitch1 /org/tgswitch1/bot/shop org.tgswitch1.Bot SwitchToLocal 'a{sv}' 1 "$@" 2>&1
}

# history_with TYPE-AND-VALUE…: the same of a filter.
history_with()
{
        busctl --system call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager GetHistory 'a{sv}' 1 "$@" 2>&1
}

history_of_all()
{
        busctl --system --json=short call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager GetHistory 'a{sv}' 0
}

# keys_with_types CALL: "hold-at s" for each key that CALL knows, by the type that it asks for when it gets another.
keys_with_types()
{
        local key

        for key in $(known "$("$1" nonsense s x)" "known are"); do
                "$1" "$key" y 1 | sed -nE "s/.* takes a string\.$/$key s/p; s/.* takes a boolean\.$/$key b/p
                        s/.*\(type ([a-z]+)\)\.$/$key \1/p"
        done
}

# page_keys_with_types SECTION: the same of lines like "*since*, *until* t".
page_keys_with_types()
{
        section org.tgswitch1.5 "$1" | grep '^\*[a-z]' | dictionary
}

# dictionary: "id u" for each key in text like "*id* u, *target*, *result* s"; one without a type has that of the next
# which has one.
dictionary()
{
        grep -oE '\*[a-z-]+\*( [a-z]+(\{[a-z]+\})?)?' | tr -d '*' | tac | awk '
                $2 != "" { type = $2 }
                { print $1, type }'
}

check_bus()
{
        local page

        page=$(awk -f tests/packaging/bus-page.awk "$man/org.tgswitch1.5.scd")
        check_same "org.tgswitch1(5) has every method, signal and property, with names and types" "$(live)" "$page"
        check_same "the installed XML is what the daemon says" "$(live)" "$(xml_members)"
        check "it can be read as XML" xmllint --noout --nonet "${interfaces[@]/#/$build/dbus/org.tgswitch1.}"
        check "a member that is missing is found" fails \
                diff <(sort <<<"$page" | sed '/Bot method Hold/d') <(live | sort)

        check_same "org.tgswitch1(5) has the keys of a move's options, with their types" \
                "$(keys_with_types switch_with)" "$(page_keys_with_types OPTIONS)"
        check_same "org.tgswitch1(5) has the keys of a filter, with their types" \
                "$(keys_with_types history_with)" "$(page_keys_with_types FILTERS)"
        check_same "org.tgswitch1(5) has the keys of an entry of the history, with their types" \
                "$(history_of_all |
                        jq -r '.data[0][0] | to_entries[] | "\(.key) \(.value.type)"')" \
                "$(page_dictionary '*GetHistory*(a{sv} _filter_) → aa{sv} _entries_' 'THE MANAGER')"
        check_same "the completion has the words of hold-at" "$(known "$(switch_with hold-at s x)" takes)" \
                "$(sed -n '/--hold-at)/{n; s/.*%s\\n. //p; }' packaging/completion/bash/tgswitchctl | tr ' ' '\n')"
        check_same "and those of on-undrained" "$(known "$(switch_with on-undrained s x)" takes)" \
                "$(sed -n '/--on-undrained)/{n; s/.*%s\\n. //p; }' packaging/completion/bash/tgswitchctl | tr ' ' '\n')"
}

live()
{
        live_members /org/tgswitch1
        live_members /org/tgswitch1/bot/shop
        live_members /org/tgswitch1/job/7
}

# page_dictionary LINE SECTION: the keys that org.tgswitch1(5) names below that line.
page_dictionary()
{
        property "$1" "$2" | tr '\n' ' ' | tr -d '\t' | dictionary
}

# property LINE SECTION: what org.tgswitch1(5) says below that line.
property()
{
        section org.tgswitch1.5 "$2" | awk -v line="$1" '$0 == line { on = 1; next } on && /^(\*|#)/ { exit } on'
}

start_bus
start_daemon --resumed
check_bus
stop_daemon
start_daemon --ended
check_same "org.tgswitch1(5) has the keys of LastJob, with their types" \
        "$(busctl --system --json=short get-property org.tgswitch1 /org/tgswitch1/bot/shop org.tgswitch1.Bot LastJob |
                jq -r '.data | to_entries[] | "\(.key) \(.value.type)"')" "$(page_dictionary '*LastJob* a{sv}' 'A BOT')"
check_same "org.tgswitch1(5) has the errors of the daemon" \
        "$(sed -n 's/^#define BUS_ERROR_[A-Z_]* *BUS_ERROR_PREFIX "\(.*\)"$/\1/p' daemon/bus/bus-names.h)" \
        "$(section org.tgswitch1.5 ERRORS | grep '^[[|]' | bold)"
check_equal "each of which is used" "" "$(grep -oE '\bBUS_ERROR_[A-Z_]+' daemon/bus/bus-names.h | sort -u |
        while read -r name; do
                [[ $name == BUS_ERROR_PREFIX ]] || grep -qrw "$name" daemon/bus/*.c || echo "$name"
        done)"
check_same "and those of D-Bus itself" \
        "$(grep -rhoE '\bSD_BUS_ERROR_[A-Z_]+' daemon/bus daemon/io/polkit.c | grep -v '_NULL$' |
                sed 's/^SD_BUS_ERROR_//' | tr -d '_' | tr '[:upper:]' '[:lower:]')" \
        "$(section org.tgswitch1.5 ERRORS | sed -n '/^Beside these/,$p' | bold | tr '[:upper:]' '[:lower:]')"

# ---- configuration ----

# config_keys SECTIONS: the keys that the parser takes in these.
config_keys()
{
        sed -nE "s/^ +KEY\(\"([A-Za-z]+)\", IN_($1)\(.*/\1/p" daemon/io/config-parse.c
}

# page_keys PAGE SECTION
page_keys()
{
        section "$1" "$2" | grep '^\*' | grep -oE '\*[A-Za-z]+=\*' | tr -d '*='
}

# file_keys FILE SECTION: those that stand in it, commented out or not.
file_keys()
{
        awk -v name="[$2]" '{ sub(/^#\[/, "[") } /^\[/ { on = $0 == name; next } on' "$1" |
                sed -nE 's/^#?([A-Z][A-Za-z]+)=.*/\1/p'
}

check_same "tgswitch.conf(5) has the keys of the parser" "$(config_keys MANAGER)" \
        "$(page_keys tgswitch.conf.5 '[MANAGER]')"
check_same "tgswitch-bot(5) has the keys of the parser" "$(config_keys 'BOT|BOTH')" \
        "$(page_keys tgswitch-bot.5 '[BOT]')"
check_same "tgswitch.conf(5) says which of them are no defaults" "$(config_keys BOT)" \
        "$(section tgswitch.conf.5 '[BOTDEFAULTS]' | tr '\n' ' ' | sed 's/\..*//' | grep -oE '_[A-Za-z]+=_' | tr -d '_=')"
check_same "the installed tgswitch.conf shows all keys" "$(config_keys MANAGER)" \
        "$(file_keys conf/tgswitch.conf Manager)"
check_same "the example of a bot shows all keys" "$(config_keys 'BOT|BOTH')" "$(file_keys conf/bots.d/example.conf Bot)"
check_equal "and no default is one that is unknown" "" \
        "$(comm -13 <(config_keys BOTH | sort) <(file_keys conf/tgswitch.conf BotDefaults | sort))"

# ---- the words of the protocol ----

phases=$(sed -nE 's/^ +FACTS\([A-Z_]+, +"[^"]*", +"([^"]+)".*/\1/p' daemon/core/cutover.c)
seats=$(sed -n '/seat_names\[/,/};/p' daemon/core/seat.c | grep -oE '"[a-z]+"' | tr -d '"')
results=$(grep -rhoE '\[JOB_RESULT_[A-Z]+\] *= *"[a-z]+"' daemon/core | grep -v NONE | cut -d '"' -f 2)

check_same "org.tgswitch1(5) has all phases" "$phases" "$(property '*Phase* s, *PhaseStartedUSec* t' 'A JOB' | bold)"
check_same "the schema has all phases" "$phases" \
        "$(jq -r '."$defs".Phase.enum[] | select(. != "")' packaging/schema/tgswitchctl.json)"
check_same "tgswitch-json(5) has all phases" "$phases" \
        "$(awk '/^##/ { job = $2 == "job" } /^\*/ { on = job && $1 == "*phase*"; next } on' "$man/tgswitch-json.5.scd" |
                bold | grep -v '^tgswitch$')"
check_same "org.tgswitch1(5) has all seats" "$seats" "$(property '*Seat* s' 'A BOT' | bold)"
check_same "the schema has all seats" "$seats" "$(jq -r '."$defs".Seat.enum[]' packaging/schema/tgswitchctl.json)"
check_same "org.tgswitch1(5) has all results of a job" "$results" \
        "$(awk '/^\*JobRemoved\*/ { getline; print; exit }' "$man/org.tgswitch1.5.scd" | bold)"
check_same "the schema has all results of a job, and the one of which nobody knows" "$results"$'\nunknown' \
        "$(jq -r '."$defs".Result.enum[]' packaging/schema/tgswitchctl.json)"
check_same "and those of one that is over" "$results" \
        "$(jq -r '."$defs".history.properties.history.items.properties.result.enum[]' packaging/schema/tgswitchctl.json)"
check_same "the schema has all that a server says of a token" \
        "$(sed -nE 's/^ *\[TOKEN_SAID_[A-Z_]+\] = "([a-z-]+)",$/\1/p' daemon/ctl/ctl-daemon.c)" \
        "$(jq -r '."$defs".Server.enum[] | values' packaging/schema/tgswitchctl.json)"

tap_done
