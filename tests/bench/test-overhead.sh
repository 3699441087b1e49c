#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What overhead.jq makes of stamps that are made up. Prints TAP.
# Usage: test-overhead.sh BUILD-DIRECTORY, of which nothing is needed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

# The kinds of stamp-preload.c.
RECEIVED=2 SENDS=3 LOG_OUT=4 GET_ME=5 SYNC=6 SYNCED=7 MESSAGE=9
# Threads and descriptors.
LOOP=1 DISK=2 OTHER=3 CLOUD=10 POLL=11 LOCAL=12

# s MICROSECONDS THREAD KIND DESCRIPTOR PORT: one stamp.
s()
{
        echo "[$(($1 * 1000)),$2,$3,$4,$5,100]"
}

# moves: of the stamps on standard input, one line each.
moves()
{
        jq -cs -f tests/bench/overhead.jq
}

one()
{
        s 100 $LOOP $GET_ME $CLOUD 443 # a check
        s 150 $LOOP $SENDS $POLL 443
        s 200 $LOOP $LOG_OUT $CLOUD 443
        s 300 $LOOP $GET_ME $LOCAL 8081 # opens the connection
        s 900 $LOOP $RECEIVED $CLOUD 443
        s 1000 $LOOP $RECEIVED $CLOUD 443 # the last byte
        s 1010 $DISK $SYNC 5 0
        s 1020 $LOOP $RECEIVED $POLL 443 # the long poll is answered later
        s 1110 $DISK $SYNCED 5 0
        s 1130 $LOOP $MESSAGE 3 0
        s 1500 $LOOP $GET_ME $LOCAL 8081
        s 1700 $LOOP $RECEIVED $LOCAL 8081
        s 1800 $LOOP $GET_ME $LOCAL 8081 # of nobody's interest
}

move=$(one | moves)
check_equal "from the last byte of the reply to the first request" 500 "$(jq .us <<<"$move")"
check_equal "of that, in fsync()" 100 "$(jq .sync_us <<<"$move")"
check_equal "what lies in between" '["received","fsync begins","received","fsync ends","message","sends getMe"]' \
        "$(jq -c '[.steps[].what]' <<<"$move")"

# Two threads that wait side by side wait once, and what ends later counts up to getMe alone.
move=$({
        s 0 $LOOP $LOG_OUT $CLOUD 443
        s 50 $DISK $SYNC 5 0
        s 100 $LOOP $RECEIVED $CLOUD 443
        s 150 $OTHER $SYNC 6 0
        s 200 $DISK $SYNCED 5 0
        s 250 $OTHER $SYNCED 6 0
        s 280 $DISK $SYNC 5 0
        s 300 $LOOP $GET_ME $LOCAL 8081
        s 900 $DISK $SYNCED 5 0
} | moves)
check_equal "side by side counts once, before and after not at all" 170 "$(jq .sync_us <<<"$move")"
check_equal "each fsync() is known as a whole" '[100,150,620]' "$(jq -c '.syncs | sort' <<<"$move")"

two()
{
        one
        s 2000 $LOOP $LOG_OUT $POLL 443
        s 2100 $LOOP $RECEIVED $POLL 443
        s 2107 $LOOP $GET_ME $LOCAL 8081
}
check_equal "a move for each logOut" '[500,7]' "$(two | moves | jq -cs 'map(.us)')"
check_equal "no move without a login" '' "$(s 1 $LOOP $LOG_OUT $CLOUD 443 | moves)"
check_equal "threads may write a little out of turn" 500 "$(one | tac | moves | jq .us)"
tap_done
