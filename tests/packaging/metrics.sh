# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What metrics look like, for test-prometheus.sh and the scenario 835-metrics.sh.

METRICS_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# metrics_valid FILE: promtool has nothing to say about it; besides, there is something in it, it ends with a newline,
# and no sample is there twice or has a time, of all of which promtool says nothing and for which the node exporter
# refuses a file.
metrics_valid()
{
        local promtool complaints twice times

        promtool=$("$METRICS_DIR/get-promtool") || return
        complaints=$("$promtool" check metrics <"$1" 2>&1) || complaints+="status $?"
        twice=$(grep -v '^#' "$1" | sed 's/ [^ ]*$//' | sort | uniq -d)
        times=$(grep -v '^#' "$1" | sed 's/{.*} / /' | awk 'NF != 2')
        printf '%s\n' "$complaints" "$twice" "$times" | grep .
        [[ -z $complaints$twice$times && -s $1 && -z $(tail -c 1 "$1") ]]
}

# metrics_of_text FILE, metrics_of_page FILE: "NAME LABEL… TYPE" of each family, sorted; labels as samples have them.
metrics_of_text()
{
        sed -E -e '/^#/!s/="([^"\\]|\\.)*"//g' "$1" | awk '
                /^# TYPE / { type[$3] = $4; next }
                /^#/ { next }
                {
                        name = $1
                        sub(/\{.*/, "", name)
                        labels = $1 ~ /\{/ ? $1 : ""
                        gsub(/.*\{|\}.*/, "", labels)
                        if (!(name in type)) {
                                sub(/_(bucket|sum|count)$/, "", name)
                                sub(/,?le$/, "", labels)
                        }
                        gsub(/,/, " ", labels)
                        print name (labels == "" ? "" : " " labels) " " type[name]
                }' | sort -u
}

metrics_of_page()
{
        sed -nE -e 's/^\*(tgswitch_[a-z_]+)\*(\{([^}]*)\})? (gauge|counter|histogram)$/\1 \3 \4/p' "$1" |
                sed -e 's/[_,]* _/ /g; s/_ / /g; s/  */ /g' | sort -u
}
