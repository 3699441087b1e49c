#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Says of each thing that the measurements have to show whether they do. Ends with 1 where one does not, or was not
# measured.
#
#       judge.sh        RESULTS=BUILDROOT/release/bench: where tables.sh has written bench.json
set -uo pipefail

bench=$(cd "$(dirname "$0")" && pwd)
cd "$bench/../.." || exit
results=${RESULTS:-${BUILDROOT:-build}/${CONFIG:-release}/bench}
verdicts=$(jq -r -L "$bench" -f "$bench/judge.jq" "$results/bench.json") || exit
column -t -s $'\t' -N verdict,requirement,worst,missed <<<"$verdicts"
! grep -qv ^met <<<"$verdicts"
