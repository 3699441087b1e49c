#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What becomes of the measurements: the tables of tables.sh and the verdicts of judge.sh, of figures that are made up.
# Prints TAP.
# Usage: test-tables.sh BUILD-DIRECTORY, of which nothing is needed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export RESULTS=$scratch/results README=$scratch/README.md PAGE=$scratch/page.md

# cutover WAY DOWN BLIND [WIPED [MISSING]]: three moves at 50 ms and 20 updates a second, with these medians.
cutover()
{
        local i

        for i in -400 0 7000; do
                echo "{\"way\":\"$1\",\"latency_ms\":50,\"rate\":20,\"down_us\":$(($2 + i)),\"blind_us\":$(($3 + i)),
                        \"injected\":9,\"lost\":1,\"wiped_race\":1,\"wiped_other\":${4:-0},\"missing\":${5:-0}}"
        done >>"$RESULTS/cutover.jsonl"
}

# overhead SETTING US
overhead()
{
        echo "{\"setting\":\"$1\",\"latency_ms\":0,\"us\":$2,\"sync_us\":300,\"syncs\":[100,140,900]}" >>"$RESULTS/overhead.jsonl"
}

# many WAY BOTS MS: to the local server.
many()
{
        printf '{"way":"%s","to":"local","latency_ms":50,"concurrency":4,"bots":%s,"ms":%s,"waits_ms":7,"cpu_ms":%s,"host_cpu_ms":%s}\n' \
                "$1" "$2" "$3" $(($2 * 5)) $(($2 * 50)) >>"$RESULTS/many.jsonl"
}

# results: of a day on which all is met, and nothing by much.
results()
{
        rm -rf "$RESULTS"
        mkdir "$RESULTS"
        echo '{"date":"2001-02-03","cores":2,"cpu":"Abacus","memory_mib":64,"kernel":"2.4","systemd":"252","load":0.25}' \
                >"$RESULTS/machine.json"
        cutover recipe 130000 120000
        cutover floor 100000 110000
        cutover tgswitch 110000 120000
        overhead disk 2000
        overhead memory 300
        cat >"$RESULTS/size.jsonl" <<'EOF'
{"bots":1,"moved":false,"start_ms":50,"rss_kib":11000,"private_dirty_kib":2000,"bare_rss_kib":10000}
{"bots":1,"moved":true,"start_ms":50,"rss_kib":13000,"private_dirty_kib":3072,"wakeups_per_min":2}
{"bots":1000,"moved":false,"start_ms":500,"rss_kib":15000,"private_dirty_kib":5996}
EOF
        many floor 10 1000
        many tgswitch 10 1200
        many floor 1000 100000
        many tgswitch 1000 120000
        echo '{"bots":1,"call":"bot GetAll","bytes":700,"us":150.04,"p90_us":170,"cpu_us":50}' >"$RESULTS/bus.jsonl"
}

readme()
{
        printf '%s\n' before '<!-- bench: begin -->' "an old table" '<!-- bench: end -->' after >"$README"
}

verdicts()
{
        tests/bench/judge.sh
}

# check_table: the files that are written.
check_tables()
{
        results
        readme
        check "the tables are made" tests/bench/tables.sh
        check_equal "the README keeps what stands around the marks" \
                $'before\n<!-- bench: begin -->\n<!-- bench: end -->\nafter' \
                "$(sed '/bench: begin/,/bench: end/{/bench:/!d}' "$README")"
        check "its old table is gone" fails grep -q "an old table" "$README"
        check "the README has the machine and the day" grep -qF \
                "Measured 2001-02-03 on 2 cores (Abacus), 64 MiB of memory, Linux 2.4, systemd 252; load before: 0.25." "$README"
        check "medians, losses, and what the floor is exceeded by" grep -qxF \
                "| 50 | 20 | 130 | 120 | 6 of 27 | - | 100 | 110 | 110 | 120 | 6 of 27 | 1.1 | 1.09 |" "$README"
        check "the page has the spread of each way" grep -qxF \
                "| 50 | 20 | tgswitch | 3 | 110 | 110 | 117 | 120 | 120 | 127 | 27 | 3 | 3 | 0 |" "$PAGE"
        check "overhead" grep -qxF "| disk | 0 | 1 | 2000 | 2000 | 2000 | 300 | 140 | 100 | 900 |" "$README"
        check "a column for each number of bots" grep -qxF "| rss kib | 11000 | 13000 | 15000 |" "$README"
        check "what was measured of one alone" grep -qxF "| wakeups per min | - | 2 | - |" "$README"
        check "many bots" grep -qxF "| local | 50 | 4 | 1000 | 100000 | 120000 | 1.2 | 7 | 120 | 5 | 50 | 50 |" "$README"
        check "the exponent of a straight line is 1" grep -qF "to the power of 1 (between the two greatest 1), the floor's of 1." "$README"
        check "the bus" grep -qxF "| bot GetAll | 150 | 50 | 700 |" "$README"
        check "all figures are in one file" jq -e '.machine.cores == 2 and (.cutover | length == 9) and (.many | length == 4)' \
                "$RESULTS/bench.json"
        cp "$README" "$scratch/first"
        check "once more" tests/bench/tables.sh
        check "makes the same" cmp "$README" "$scratch/first"
}

# check_gaps: what is not there.
check_gaps()
{
        results
        readme
        rm "$RESULTS"/{many,cutover}.jsonl
        check "two measurements are missing" tests/bench/tables.sh
        check_equal "both are said to be" 2 "$(grep -cxF "Not measured in this run." "$README")"
        check "the others are there" grep -qF "| bot GetAll |" "$README"
        check "a requirement that was not measured is not met" fails verdicts
        check_match "and said to be so" "not measured +downtime at most" "$(verdicts)"

        printf 'no marks\n' >"$README"
        check "a README without marks is refused" fails tests/bench/tables.sh
        check_equal "and stays as it is" "no marks" "$(<"$README")"
        printf '%s\n' '<!-- bench: begin -->' "no end" >"$README"
        check "one with half of them, too" fails tests/bench/tables.sh
        check_match "and stays as it is, too" "no end" "$(<"$README")"

        rm "$RESULTS/machine.json"
        readme
        check "figures of an unknown machine are refused" fails tests/bench/tables.sh
}

# check_missed WHAT COMMAND…: the requirement, and no other, is missed after the command.
check_missed()
{
        local what=$1
        shift

        results
        readme
        "$@"
        tests/bench/tables.sh >/dev/null || tap_fail "$what: tables"
        check "$what: the judge says no" fails verdicts
        check_match "$what: it is this one" "$what" "$(verdicts | grep ^missed)"
        check_equal "$what: and this one alone" 1 "$(verdicts | grep -cv ^met | xargs expr -1 +)"
}

# in_file FILE FROM TO: replaces a figure.
in_file()
{
        sed -i "s/$2/$3/" "$RESULTS/$1.jsonl"
}

slower()
{
        rm "$RESULTS/cutover.jsonl"
        cutover recipe 130000 140000
        cutover floor 100000 110000
        cutover tgswitch "$@"
}

beside_recipe()
{
        in_file cutover '"way":"recipe","latency_ms":50,"rate":20,"down_us":130000,"blind_us":120000' \
                '"way":"recipe","latency_ms":50,"rate":20,"down_us":130000,"blind_us":119000'
}

# From 10 to 1,000 bots it is below 1, from 100 on it is not.
curved()
{
        many floor 100 10000
        many tgswitch 100 10500
}

# few: 1,000 bots were not measured, so nothing is said of them.
few()
{
        sed -i '/"bots":1000/d' "$RESULTS/many.jsonl"
        many floor 100 10000
        many tgswitch 100 10500
        tests/bench/tables.sh >/dev/null || echo "no tables"
        verdicts
}

check_judge()
{
        results
        readme
        tests/bench/tables.sh >/dev/null
        check "all is met" verdicts
        check_equal "each requirement has a line" 15 "$(verdicts | grep -c ^met)"

        results
        check_match "without 1,000 bots there is no exponent" "^verdict.*not measured +exponent" "$(few)"

        check_missed "downtime at most" slower 110100 120000
        check_missed "blind time at most 1.1" slower 110000 121100
        check_missed "blind time at most the recipe" beside_recipe
        check_missed "wiped outside the race" slower 110000 120000 1
        check_missed "updates missing" slower 110000 120000 0 1
        check_match "and it is said how many are" "fsync on.* 2001 \(0 ms\) +1 of 1" "$(
                results
                in_file overhead '"us":2000' '"us":2001'
                tests/bench/tables.sh >/dev/null
                verdicts)"
        check_missed "fsync on" in_file overhead '"us":2000' '"us":2001'
        check_missed "without fsync" in_file overhead '"us":300' '"us":301'
        check_missed "private dirty, 1 bot" in_file size '"private_dirty_kib":3072' '"private_dirty_kib":3073'
        check_missed "RSS" in_file size '"rss_kib":13000' '"rss_kib":13001'
        check_missed "for each further bot" in_file size '"private_dirty_kib":5996' '"private_dirty_kib":5997'
        check_missed "wake-ups" in_file size '"wakeups_per_min":2' '"wakeups_per_min":3'
        check_missed "READY=1, 1 bot" in_file size '"moved":true,"start_ms":50' '"moved":true,"start_ms":51'
        check_missed "READY=1, 1,000 bots" in_file size '"start_ms":500' '"start_ms":501'
        check_missed "1.2 x floor" in_file many '"ms":100000' '"ms":99900'
        check_missed "exponent" in_file many '"ms":1200,' '"ms":900,'
        check_missed "exponent" curved
}

check_tables
check_gaps
check_judge
tap_done
