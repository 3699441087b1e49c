# SPDX-License-Identifier: MIT
#
# The members of the interfaces in an introspection of sd-bus, one a line, as org.tgswitch1(5) writes them.

function attribute(name) {
        if (!match($0, " " name "=\"[^\"]*\""))
                return ""
        return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4)
}

function flush_member() {
        if (what == "method")
                print interface, what, member "(" arguments ")" (results == "" ? "" : " → " results)
        else if (what == "signal")
                print interface, what, member "(" arguments ")"
        else if (what == "property")
                print interface, what, member, type (access == "read" ? "" : ", " access) more
        what = ""
}

/<interface name="org\.tgswitch1\./ { interface = attribute("name"); sub(/.*\./, "", interface) }
/<interface name="org\.freedesktop\./ { interface = "" }
interface == "" { next }
/<(method|signal|property) / {
        what = $1
        sub(/</, "", what)
        member = attribute("name")
        type = attribute("type")
        access = attribute("access")
        arguments = results = more = ""
}
/<arg / {
        argument = attribute("type") " " attribute("name")
        if (attribute("direction") == "out")
                results = results (results == "" ? "" : ", ") argument
        else
                arguments = arguments (arguments == "" ? "" : ", ") argument
}
/EmitsChangedSignal" value="const"/ { more = ", constant" }
/EmitsChangedSignal" value="(false|invalidates)"/ { more = ", without a signal" }
/annotation name="org\.freedesktop\.(DBus\.Deprecated|systemd1\.Privileged)"/ { more = more ", " attribute("name") }
/<\/(method|signal|property)>/ { flush_member() }
