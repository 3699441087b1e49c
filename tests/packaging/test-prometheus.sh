#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The metrics and the alerts as Prometheus understands them: promtool reads the text, the rules and what the rules are
# for; and the text, tgswitch-metrics(7) and the rules name the same metrics and alerts. What a real daemon tells is the
# matter of the scenario 835-metrics.sh. Prints TAP.
# Usage: test-prometheus.sh BUILD-DIRECTORY
set -uo pipefail

BUILD=$(realpath "${1:?usage: test-prometheus.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
BUILDROOT=$(dirname "$BUILD")
export BUILDROOT

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh
# shellcheck source=tests/packaging/metrics.sh
source tests/packaging/metrics.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
rules=packaging/prometheus/tgswitch.rules.yml
page=packaging/man/tgswitch-metrics.7.scd
text=$dir/text

# ---- the text ----

check "promtool is there" tests/packaging/get-promtool || tap_done
"$BUILD/tests/unit/test-metrics" --print >"$text"
check "promtool has nothing to say about the metrics" metrics_valid "$text"
check_equal "the page has each metric, with its labels and type" "" \
        "$(diff <(metrics_of_text "$text") <(metrics_of_page "$page"))"

# Each of the checks against a text that it has to find.
grep -v '^# HELP tgswitch_held ' "$text" >"$dir/other"
check "a metric without a help text is found" fails metrics_valid "$dir/other"
sed 's/^\(# TYPE tgswitch_api_requests_total\) counter/\1 gauge/' "$text" >"$dir/other"
check "a name that does not fit the type is found" fails metrics_valid "$dir/other"
sed 's/^tgswitch_up 1$/& 1700000000000/' "$text" >"$dir/other"
check "a time is found" fails metrics_valid "$dir/other"
{ cat "$text"; echo 'tgswitch_up 1'; } >"$dir/other"
check "a sample that is there twice is found" fails metrics_valid "$dir/other"
head -c -1 "$text" >"$dir/other"
check "a line without an end is found" fails metrics_valid "$dir/other"
check "no metrics at all are found" fails metrics_valid /dev/null
sed '/^\*tgswitch_held\*/d' "$page" >"$dir/other"
check "one that the page lacks is found" fails diff <(metrics_of_text "$text") <(metrics_of_page "$dir/other")

# ---- the alerts ----

# alerts FILE, tested FILE…, documented FILE: sorted names.
alerts()
{
        sed -n 's/^ *- alert: //p' "$1" | sort
}

# Those of which a test expects that they come.
tested()
{
        sed -n 's/^ *- alertname: //p' "$@" | sort -u
}

# Those of which a test expects that they don't, on a day on which nothing is wrong.
kept_quiet()
{
        sed -n 's/^ *- { alertname: \([A-Za-z]*\),.*exp_alerts: \[\] }$/\1/p' "$@" | sort -u
}

documented()
{
        sed -n '/^# ALERTS$/,/^# EXAMPLES$/s/^[[|]\[ \*\(Tgswitch[A-Za-z]*\)\*$/\1/p' "$1" | sort
}

promtool=$(tests/packaging/get-promtool)
check "promtool understands the rules" "$promtool" check rules "$rules"
check "and they do what they are for" "$promtool" test rules packaging/prometheus/*.test.yml
check_equal "each alert has a test in which it comes" "$(alerts "$rules")" "$(tested packaging/prometheus/*.test.yml)"
check_equal "and one in which it does not" "$(alerts "$rules")" "$(kept_quiet packaging/prometheus/*.test.yml)"
check_equal "the page has all of them" "$(alerts "$rules")" "$(documented "$page")"
count=$(alerts "$rules" | wc -l)
for key in severity summary description; do
        check_equal "each has its $key" "$count" "$(grep -c "^ *$key:" "$rules")"
done
check_equal "they are about metrics that there are" "" \
        "$(grep -oE '\btgswitch_[a-z_]+' <(sed '/^ *annotations:/,/^ *- alert/d; /^ *#/d' "$rules") | sort -u |
                comm -23 - <(metrics_of_page "$page" | cut -d ' ' -f 1 | sort))"

# A rule that says nothing any more, and one that says too much.
mkdir "$dir/rules"
cp packaging/prometheus/*.yml "$dir/rules"
sed 's/tgswitch_bot_stale_session == 1/tgswitch_bot_stale_session == 2/' "$rules" >"$dir/rules/tgswitch.rules.yml"
check "an alert that does not come is found" fails "$promtool" test rules "$dir"/rules/tgswitch.rules.test.yml
sed 's/for: 5m/for: 0m/' "$rules" >"$dir/rules/tgswitch.rules.yml"
check "one that comes too early is found" fails "$promtool" test rules "$dir"/rules/tgswitch.rules.test.yml
tap_done
