# SPDX-License-Identifier: MIT
#
# The members that org.tgswitch1(5) describes, in the form of bus-members.awk.

# "*Id* u, *Bot*, *Target* s, constant": a name without a type has that of the next which has one.
function properties(line, names, n, i, part, parts, more) {
        more = sub(/, constant$/, "", line) ? ", constant" : ""
        n = split(line, parts, ", ")
        names = ""
        for (i = 1; i <= n; i++) {
                split(parts[i], part, " ")
                names = names " " part[1]
                if (part[2] != "") {
                        print_each(names, part[2] more)
                        names = ""
                }
        }
        if (names != "")
                print_each(names, "without a type")
}

function print_each(names, type, n, i, parts) {
        n = split(names, parts, " ")
        for (i = 1; i <= n; i++)
                print interface, "property", parts[i], type
}

/^# / { interface = $0 == "# THE MANAGER" ? "Manager" : $0 == "# A BOT" ? "Bot" : $0 == "# A JOB" ? "Job" : "" }
/^## / { what = $2 == "METHODS" ? "method" : $2 == "SIGNALS" ? "signal" : "property" }
/^\*/ && interface != "" {
        gsub(/\*/, "")
        # the underscores around a name, and not those in it
        gsub(/ _/, " ")
        gsub(/_ /, " ")
        gsub(/_,/, ",")
        gsub(/_\)/, ")")
        sub(/_$/, "")
        sub(/,$/, "")
        # what a caller needs
        sub(/ \((manage|switch-to-[^()]*)\)$/, "")
        if (what == "property")
                properties($0)
        else
                print interface, what, $0
}
