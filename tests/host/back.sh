# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034 # TARGET is read by points.sh.
#
# The way back: windows, and the time that has to pass until they are over; and the death of the local server. Sourced
# after points.sh. What is about time needs faults_install.

# shellcheck source=tests/host/webhooks.sh
source "$HOST_DIR/webhooks.sh"

# ---- Time ----

TIME_PASSED_SEC=0       # for Telegram, and on both clocks of the daemon
CLOCK_WRONG_SEC=0       # what the daemon's CLOCK_REALTIME shows besides

# time_pass SECONDS: at once, for Telegram and for a daemon that runs. For Telegram first: so what the daemon then sends
# is not early.
time_pass()
{
        TIME_PASSED_SEC=$((TIME_PASSED_SEC + $1))
        telegram POST /settings "{\"ahead_ms\":$((TIME_PASSED_SEC * 1000))}" >/dev/null
        fault_put clock "$((TIME_PASSED_SEC + CLOCK_WRONG_SEC)) $TIME_PASSED_SEC"
}

# clock_set SECONDS: the daemon's CLOCK_REALTIME is wrong by so much, now and after its next start.
clock_set()
{
        CLOCK_WRONG_SEC=$1
        fault_put clock "$((TIME_PASSED_SEC + CLOCK_WRONG_SEC)) $TIME_PASSED_SEC"
}

# daemon_now_usec: its CLOCK_REALTIME.
daemon_now_usec()
{
        echo $((${EPOCHREALTIME/./} + (TIME_PASSED_SEC + CLOCK_WRONG_SEC) * 1000000))
}

# window_left BOT cloud|local: seconds, as published.
window_left()
{
        local until

        until=$(bot_property "$1" "${2^}AllowedUSec")
        echo $((until == 0 ? 0 : (until - $(daemon_now_usec)) / 1000000))
}

# check_window BOT cloud|local FROM TO: the window that is published ends in so many seconds.
check_window()
{
        local left

        left=$(window_left "$1" "$2")
        check "$1: the $2 server takes it again in $left s, from $3 to $4 were expected" \
                test "$left" -ge "$3" -a "$left" -le "$4"
}

# check_away BOT FROM TO: for so many milliseconds of Telegram's clock nothing went to the cloud when the bot was last
# logged out there.
check_away()
{
        local away

        away=$(telegram GET /verdict | jq --argjson bot "${BOT_IDS[$1]}" \
                '[.. | objects | select(.bot? == $bot and has("away_ms"))][0].away_ms | last // -1')
        check "$1: was away from the cloud for $away ms, from $2 to $3 were expected" \
                test "$away" -ge "$2" -a "$away" -le "$3"
}

# ---- Moves ----

# Bots whose updates are handled where their server delivers them, not by a worker that tells of it.
declare -A HANDLED_BY=()

# move_to cloud|local BOT [N KEY TYPE VALUE…]: as move_begin, to either server.
move_to()
{
        local TARGET=$1
        shift

        move_begin "$@"
}

# check_arrived BOT cloud|local [SECONDS]: the bot gets there by itself, its job is done, nothing is left in the spool,
# and what comes in is handled there.
check_arrived()
{
        local TARGET=$2 seq entry

        check "$1: arrives at the $2 server" move_arrives "$1" "${3:-30}"
        seq=$(telegram_seq)
        telegram_inject "$1" 0 1
        entry=$(telegram_wait "event=${HANDLED_BY[$1]:-worker-handled}" bot="${BOT_IDS[$1]}" since="$seq")
        check_match "$1: what comes in is handled there" "\"role\":\"$2\"|\"root\":\"${SEAT_ROOT[$2]}\"" "$entry"
}

# cloud_requests SEQ [BOT]: how many the cloud got since.
cloud_requests()
{
        telegram_count event=request role=cloud since="$1" ${2:+"bot=${BOT_IDS[$2]}"}
}

# ---- Webhooks ----

# bot_add_webhook NAME [SEAT [UNIT…]]: as bot_add, after telegram_start; with a webhook that takes every update.
bot_add_webhook()
{
        web_server_start
        HANDLED_BY[$1]=update-delivered
        # Behind that webhook nobody tells what has been posted there, so what is spooled goes to the worker.
        bot_add "$@" <<<$'WebhookSecret=no\nSpoolTo='"${3:-$1-worker.service}"
        webhook_set "$1" "$HOOK_URL" "$(webhook_certificate "$1" | jq '. + {max_connections: 7}')"
}

# ---- The local server ----

SERVER="telegram-bot-api.service"

# server_dies: at once and for good.
server_dies()
{
        local since

        since=$(telegram_seq)
        host_run systemctl mask --runtime --quiet "$SERVER"
        host_run systemctl kill --signal=KILL "$SERVER"
        telegram_wait event=server-stop since="$since" >/dev/null || host_bail "the local server does not die"
}

server_returns()
{
        host_run systemctl unmask --runtime --quiet "$SERVER"
        # Only one that somebody knows can be reset.
        host_run systemctl reset-failed "$SERVER" 2>/dev/null
        host_run systemctl start "$SERVER"
}

# server_restarts: killed, and started again by systemd.
server_restarts()
{
        local since

        since=$(telegram_seq)
        host_run systemctl kill --signal=KILL "$SERVER" && telegram_wait event=server-start since="$since" >/dev/null
}

# server_probed N: returns when the daemon begins to look after the server for the N-th time from now; what it has seen
# the times before, it has considered.
server_probed()
{
        bus_messages "$(bus_mark)" "$1" \
                '"path":"/org/freedesktop/systemd1/unit/telegram_2dbot_2dapi_2eservice".*"member":"GetAll".*\[""\]' >/dev/null
}

# bus_messages MARK N REGEX [SECONDS]: prints the first N messages after MARK that match, once they are there; fails
# where they don't come.
bus_messages()
{
        local found

        found=$(timeout "${4:-60}" grep -m "$2" -E -e "$3" \
                < <(exec tail -n "+$(($1 + 1))" -f "$HOST_DISK/bus.log" 2>/dev/null))
        printf '%s\n' "$found"
        (($(wc -l <<<"$found") == $2))
}
