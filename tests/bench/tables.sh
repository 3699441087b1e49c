#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Makes the tables of what the other scripts have measured: gathers their lines in bench.json, writes the page of
# all figures, and the short tables into the README, between its two marks.
#
#       tables.sh       RESULTS=BUILDROOT/release/bench README=README.md PAGE=packaging/doc/bench.md
#
# A measurement that is not there is said to be missing in the tables.
set -euo pipefail

bench=$(cd "$(dirname "$0")" && pwd)
cd "$bench/../.."
results=${RESULTS:-${BUILDROOT:-build}/${CONFIG:-release}/bench}
readme=${README:-README.md}
page=${PAGE:-packaging/doc/bench.md}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [[ ! -e $results/machine.json ]]; then
        echo "There is no machine.json in $results: tests/bench/run writes it, with everything else." >&2
        exit 1
fi
for measurement in cutover overhead size many bus; do
        lines=$results/$measurement.jsonl
        [[ -e $lines ]] || lines=/dev/null
        jq -s --arg name "$measurement" '{ ($name): . }' "$lines"
done | jq -s --slurpfile machine "$results/machine.json" '{ machine: $machine[0] } + add' >"$results/bench.json"

for part in readme page; do
        jq -r -L "$bench" --arg part $part -f "$bench/tables.jq" "$results/bench.json" >"$scratch/$part"
done

# The README keeps what stands around the marks; without both of them it stays as it is.
if ! awk -v tables="$scratch/readme" '
        $0 == "<!-- bench: end -->" { inside = 0; ended++ }
        !inside { print }
        $0 == "<!-- bench: begin -->" {
                inside = 1
                begun++
                print ""
                while ((getline line <tables) > 0)
                        print line
        }
        END { exit !(begun == 1 && ended == 1) }' "$readme" >"$scratch/new"; then
        echo "$readme lacks the lines '<!-- bench: begin -->' and '<!-- bench: end -->', once each: put them where the" \
                "tables shall be." >&2
        exit 1
fi
cat "$scratch/new" >"$readme"
cat "$scratch/page" >"$page"
cat "$scratch/page"
