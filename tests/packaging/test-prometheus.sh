#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The metrics and the alerts as Prometheus understands them: promtool reads the text, the rules and what the rules are
# for; the text, tgswitch-metrics(7) and the rules name the same metrics and alerts; and tgswitchctl takes the commands
# that the rules quote. What a real daemon tells is the matter of the scenario 835-metrics.sh. Prints TAP.
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

# with_gap FILE: the tests in it, with a minute in the middle of what they are about in which the file has no bot, as
# while tgswitchd is restarted.
with_gap()
{
        sed -E '/^ *- series: tgswitch_(bot|held|last|local)/{n; s/ ([0-9]+)x([0-9]+)$/ \1 stale \1x\2/}' "$1"
}

# forgetful RULES: with only the moment's value of everything.
forgetful()
{
        sed -E 's/last_over_time\((tgswitch_[a-z_]+(\{[^}]*\})?)\[5m\]\)/\1/' "$1"
}

# expressions RULES; momentary RULES: their metrics of which the moment's value is asked; waiting RULES: the alerts with
# "for:" that are about bots.
expressions()
{
        sed '/^ *annotations:/,/^ *- alert/d; /^ *#/d' "$1"
}

momentary()
{
        expressions "$1" | sed -E 's/last_over_time\([^)]*\[5m\]\)//g' | grep -oE '\btgswitch_[a-z_]+\b'
}

waiting()
{
        awk '/- alert: / { name = $3 } /^ *for: / && name != "TgswitchDown" { print name }' "$1" | sort
}

# commands_run RULES: tgswitchctl understands each of its commands that are quoted, names for labels put in; it gets as
# far as to miss the bus.
commands_run()
{
        local commands command status=0

        commands=$(sed -n '/^ *annotations:/,/^ *- alert/p' "$1" | tr -s ' \n' ' ' | grep -oE '"tgswitchctl [^"]+"' |
                tr -d '"' | sed -E 's/\{\{ [^}]*\}\}/shop/g; s/ JOB$/ 7/; s/^tgswitchctl //' | sort -u)
        [[ -n $commands ]] || return
        while read -r command; do
                # shellcheck disable=SC2086
                DBUS_SYSTEM_BUS_ADDRESS=unix:path=$dir/none "$BUILD/tgswitchctl" $command </dev/null >"$dir/said" 2>&1
                [[ $? == 9 ]] || { echo "tgswitchctl $command:"; cat "$dir/said"; status=1; }
        done <<<"$commands"
        return "$status"
}

promtool=$(tests/packaging/get-promtool)
check "promtool understands the rules" "$promtool" check rules "$rules"
check "and they do what they are for" "$promtool" test rules packaging/prometheus/*.test.yml
mkdir "$dir/rules"
cp packaging/prometheus/*.yml "$dir/rules"
with_gap packaging/prometheus/tgswitch.rules.test.yml >"$dir/rules/gap.test.yml"
check "also where tgswitchd is restarted meanwhile" "$promtool" test rules "$dir/rules/gap.test.yml"
check "the commands that they quote can be given" commands_run "$rules"
check_equal "each alert has a test in which it comes" "$(alerts "$rules")" "$(tested packaging/prometheus/*.test.yml)"
check_equal "and one in which it does not" "$(alerts "$rules")" "$(kept_quiet packaging/prometheus/*.test.yml)"
check_equal "the page has all of them" "$(alerts "$rules")" "$(documented "$page")"
count=$(alerts "$rules" | wc -l)
for key in severity summary description; do
        check_equal "each has its $key" "$count" "$(grep -c "^ *$key:" "$rules")"
done
check_equal "of tgswitch_up alone the moment counts" tgswitch_up "$(momentary "$rules")"
check_equal "they are about metrics that there are" "" \
        "$(expressions "$rules" | grep -oE '\btgswitch_[a-z_]+' | sort -u |
                comm -23 - <(metrics_of_page "$page" | cut -d ' ' -f 1 | sort))"

# A rule that says nothing any more, one that says too much, one that forgets, and commands that nobody can give.
sed 's/\(tgswitch_bot_stale_session.*\) == 1/\1 == 2/' "$rules" >"$dir/rules/tgswitch.rules.yml"
check "an alert that does not come is found" fails "$promtool" test rules "$dir"/rules/tgswitch.rules.test.yml
sed 's/for: 5m/for: 0m/' "$rules" >"$dir/rules/tgswitch.rules.yml"
check "one that comes too early is found" fails "$promtool" test rules "$dir"/rules/tgswitch.rules.test.yml
forgetful "$rules" >"$dir/rules/tgswitch.rules.yml"
begun_anew=$("$promtool" test rules "$dir/rules/gap.test.yml" 2>&1 |
        sed -nE 's/^ *alertname: ?([A-Za-z]+),.*/\1/p' | sort -u)
check_equal "those that a restart would begin anew are found" "$(waiting "$rules" | grep -vx TgswitchHeldForLong)" \
        "$begun_anew"
check "and the one that waits for a week" fails "$promtool" test rules "$dir/rules/tgswitch.rules.week.test.yml"
check_match "another metric of which it does is found" tgswitch_held "$(momentary "$dir/rules/tgswitch.rules.yml")"
for text in 'switch cloud' 'state shop' 'wait JOB --all'; do
        sed "s/tgswitchctl switch cloud --all/tgswitchctl $text/" "$rules" >"$dir/rules/tgswitch.rules.yml"
        check "a command that is none is found: $text" fails commands_run "$dir/rules/tgswitch.rules.yml"
done
tap_done
