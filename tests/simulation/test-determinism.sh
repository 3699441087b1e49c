#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A seed stands for one run and no other: the same fingerprints a second time, after other seeds, and in other processes.
#
#       tests/simulation/test-determinism.sh BUILD
set -uo pipefail

simulate=$1/tests/simulation/simulate
seeds=120

fingerprints()
{
        "$simulate" --from=1 --seeds="$seeds" --fingerprints "$@" | grep -E '^[0-9]+ [0-9a-f]{16}$' | sort -n
}

first=$(fingerprints)

# verdict NUMBER NAME: by the status of the command before
verdict()
{
        local status=$?

        ((status == 0)) && echo "ok $1 - $2" || echo "not ok $1 - $2"
}

# By itself, and with all that happened written down.
replay()
{
        local seed fingerprint

        while read -r seed fingerprint; do
                "$simulate" --replay="$seed" | grep -q "SEED=$seed fingerprint $fingerprint" || { echo "# SEED=$seed"; return 1; }
        done < <(awk 'NR % 12 == 0' <<<"$first")
}

echo 1..3
(($(cut -d' ' -f2 <<<"$first" | sort -u | wc -l) == seeds))
verdict 1 "each of $seeds seeds is a run of its own"
diff <(echo "$first") <(fingerprints --jobs=3)
verdict 2 "they are the same runs a second time, in other processes"
replay
verdict 3 "and when they are replayed"
