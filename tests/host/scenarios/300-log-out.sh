#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every row of the table of logOut's outcomes: as the answer to the first attempt, and after one whose outcome is not
# known. One bot a row, each with a worker and with updates that keep coming. Defends L1 to L4, L6
# and L9 where the cloud says the oddest things.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

rows=()
declare -A expected_result expected_window expected_attempts expected_words

# row NAME RESULT WINDOW ATTEMPTS WORDS [FAULT…]: the bot NAME, whose attempts to log out meet the FAULTs one by one, and
# what has to come of it: the job's RESULT, how many seconds the window is long, how many logOuts the cloud gets, and
# WORDS that stand in LastError on the way.
row()
{
        local name=$1 fault

        rows+=("$name")
        expected_result[$name]=$2
        expected_window[$name]=$3
        expected_attempts[$name]=$4
        expected_words[$name]=$5
        shift 5
        bot_add "$name" </dev/null
        for fault; do
                telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[$name]},\"method\":\"logOut\",$fault}"
        done
}

# window_sec BOT: from logOut to the moment at which the cloud may have the bot back; 0 where there was none.
window_sec()
{
        local allowed out

        allowed=$(bot_property "$1" CloudAllowedUSec)
        out=$(bot_property "$1" LoggedOutUSec)
        # Two readings of the clock stand between the two.
        echo $(((allowed - out + 500000) / 1000000))
}

# was_said BOT WORDS: LastError had them at some time.
was_said()
{
        grep -qE "\"path\":\"/org/tgswitch1/bot/$1\".*\"LastError\":\{\"type\":\"s\",\"data\":\"[^\"]*$2" \
                "$HOST_DISK/bus.log"
}

row_check()
{
        local name=$1 seat=local seq=0

        check_equal "$name: the job ends as ${expected_result[$name]}" "${expected_result[$name]}" \
                "$(job_wait 0 "$name" 120)"
        if [[ ${expected_result[$name]} == failed ]]; then
                seat=cloud
                seq=$(telegram_seq)
        fi
        check_equal "$name: the seat is $seat" "$seat" "$(bot_property "$name" Seat)"
        check_equal "$name: the window is right" "${expected_window[$name]}" "$(window_sec "$name")"
        check_equal "$name: so many logOuts went out" "${expected_attempts[$name]}" \
                "$(telegram_count event=request method=logout role=cloud bot="${BOT_IDS[$name]}")"
        [[ -z ${expected_words[$name]} ]] ||
                check "$name: LastError said why" was_said "$name" "${expected_words[$name]}"
        check "$name: its worker handles updates at the $seat server" telegram_wait event=worker-handled \
                bot="${BOT_IDS[$name]}" root="${roots[$seat]}" since="$seq"
}

declare -A roots=([cloud]=https://api.telegram.org [local]=http://127.0.0.1:8081)
lost=605        # ten minutes and the margin
long=1805       # a repeat that was answered "true" has logged the bot in anew, so Telegram's lock is the long one

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF

unknown='It may have been applied, so it is repeated'
drop='"kind":"drop-before"'

# Waits for 40 s, so it begins first.
row hung         'done' $long 2 "no reply.*$unknown" '"kind":"hang"'

# The first attempt: conclusive answers.
row plain        'done' $lost 1 ''
row leaving      'done' $lost 1 '' '"kind":"already-logging-out","apply":true'
row left         'done' $lost 1 '' '"kind":"logged-out","apply":true'
row revoked      failed 0     1 'logOut.*401 Unauthorized.*revoked: put the new one' '"kind":"unauthorized"'
row flood        'done' $lost 2 '429 .*not logged out' '"kind":"flood","retry_after":1'
row flood_long   failed 0     1 '429 .*not logged out' '"kind":"flood","retry_after":3000'

# The first attempt: anything else may have been applied.
row lost_before  'done' $long 2 "no reply.*$unknown" "$drop"
row lost_after   'done' $lost 2 "no reply.*$unknown" '"kind":"drop-after"'
row truncated    'done' $lost 2 "$unknown" '"kind":"truncate"'
row huge         'done' $long 2 "too large.*$unknown" '"kind":"huge"'
row redirected   'done' $long 2 "HTTP 302.*$unknown" '"kind":"redirect"'
row not_found    'done' $long 2 "404 Not Found.*$unknown" '"kind":"not-found"'
row misdirected  'done' $long 2 "421 Misdirected.*$unknown" '"kind":"misdirected"'
row restarting   'done' $long 2 "500 Internal.*$unknown" '"kind":"restart"'
row gateway      'done' $long 2 "HTTP 502.*$unknown" '"kind":"bad-gateway"'
row not_json     'done' $long 2 "HTTP 200.*$unknown" '"kind":"not-json"'
row not_true     'done' $long 2 "HTTP 200.*$unknown" '"kind":"not-true"'
row empty        'done' $long 2 "HTTP 400.*$unknown" '"kind":"empty-400"'
row proxy_401    'done' $long 2 "HTTP 401.*$unknown" '"kind":"status","status":401,"body":"<html>Who are you?</html>"'
row proxy_429    'done' $long 2 "HTTP 429.*$unknown" '"kind":"status","status":429,"body":"<html>Slower!</html>"'

# After an attempt with unknown outcome. What was applied then, only the answer of the server itself can tell.
row then_leaving 'done' $lost 2 "$unknown" '"kind":"drop-after"' '"kind":"already-logging-out"'
row then_401     'done' $lost 2 "$unknown" '"kind":"drop-after"' '"kind":"unauthorized"'
row then_flood   'done' $long 3 "$unknown" "$drop" '"kind":"flood","retry_after":1'
row then_odd     'done' $long 6 "$unknown" "$drop" '"kind":"redirect"' '"kind":"not-found"' '"kind":"misdirected"' \
        '"kind":"restart"'
row then_odder   'done' $long 6 "$unknown" "$drop" '"kind":"bad-gateway"' '"kind":"not-json"' '"kind":"not-true"' \
        '"kind":"empty-400"'
row then_lost    'done' $long 4 "$unknown" "$drop" "$drop" '"kind":"truncate"'
# These have the daemon's connections for themselves: the spool and the repeat after it take the same one, and a slow one
# stays slow for whoever comes after.
row then_stale   'done' $long 3 "$unknown" "$drop" '"kind":"flood","retry_after":6'
row trickled     'done' $lost 1 '' '"kind":"trickle","interval_ms":5'

host_boot
check "all workers start on the cloud" telegram_wait event=worker-start root="${roots[cloud]}" count=${#rows[@]}
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null
check "and handle updates" telegram_wait event=worker-handled count=$((2 * ${#rows[@]}))

# A few at a time, so that the load of a whole host that moves does not blur who was first at the cloud.
last=$((${#rows[@]} - 3))
for ((i = 0; i <= last; i++)); do
        bot_switch "${rows[i]}"
        ((i < 3)) || row_check "${rows[i - 2]}"
done
row_check "${rows[last - 1]}"
row_check "${rows[last]}"
bot_switch then_stale
row_check then_stale
row_check hung
bot_switch trickled
row_check trickled

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
