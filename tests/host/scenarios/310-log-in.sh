#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The bot is logged out of the cloud, and the local server does not take it: each row of the table of log-in's outcomes,
# one bot a row. The cutover waits forward, tells cause and cure, sends nothing to the cloud and starts no worker; when
# what was wrong is mended, it goes on by itself. Defends L1, L2, L4 and L5.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

rows=()
declare -A words

# row NAME WORDS FAULT: the bot NAME, whose logins meet the FAULT until it is taken away, and what LastError says then.
row()
{
        rows+=("$1")
        words[$1]=$2
        bot_add "$1" <<<"LogInTimeoutSec=2"
        hinder "$1" "$3"
}

# hinder BOT FAULT: its login at the local server.
hinder()
{
        telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[$1]},\"method\":\"getMe\",\"times\":0,$2}"
}

# check_told BOT WORDS: LastError gets them.
check_told()
{
        check "$1: LastError names cause and cure" bus_wait 0 \
                "/bot/$1\".*\"LastError\":\{\"type\":\"s\",\"data\":\"The bot is logged out,.*$2"
}

# check_waits BOT: it is nowhere, and so are its workers.
check_waits()
{
        check_equal "$1: it waits in log-in" log-in "$(bot_property "$1" Phase)"
        check_equal "$1: its seat is none" none "$(bot_property "$1" Seat)"
        check_equal "$1: no worker has an endpoint" "" "$(bot_property "$1" Endpoint)"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF

row api_id   "Telegram refuses the server's API id or hash: correct TELEGRAM_API_ID" '"kind":"bad-api"'
row revoked  'does not accept the token: if it was revoked, put the new one' '"kind":"unauthorized"'
row filtered 'not meant for this bot: check the --filter= option' '"kind":"misdirected"'
row flood    'too many logins: nothing to do, it is tried again' '"kind":"flood","retry_after":2'
row locked   'still locks the bot out after its last logOut: .* wait' '"kind":"logged-out"'
row closing  'closing the bot or stopping: if this lasts, look at its journal' '"kind":"restart"'
row silent   'did not answer: check that it runs' '"kind":"hang"'
row dropped  'did not answer: check that it runs' '"kind":"drop-before"'
row odd      'check the address of the server and what stands in front' '"kind":"not-json"'
row gateway  'HTTP 502.*check the address of the server' '"kind":"bad-gateway"'
row other    'answered for another bot than the token' \
        '"kind":"status","status":200,"body":"{\"ok\":true,\"result\":{\"id\":17,\"is_bot\":true,\"first_name\":\"x\"}}"'
bot_add stopped </dev/null
bot_add killed </dev/null
bot_add real_id </dev/null
host_boot
check "all workers start on the cloud" telegram_wait event=worker-start count=$((${#rows[@]} + 3))
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null

for bot in "${rows[@]}"; do
        bot_switch "$bot"
done
for bot in "${rows[@]}"; do
        check_told "$bot" "${words[$bot]}"
done
seq=$(telegram_seq)
for bot in "${rows[@]}"; do
        check_waits "$bot"
done
# Started by hand it waits, too; --no-block because it would wait for that.
host_run systemctl --no-block start closing-worker.service
check "the refusal has been met again" telegram_wait event=request role=local method=getme \
        bot="${BOT_IDS[dropped]}" since="$seq"
check_equal "meanwhile no worker of these started" 0 "$(telegram_count event=worker-start since="$seq")"
telegram DELETE /faults >/dev/null
for bot in "${rows[@]}"; do
        check_moved "$bot" "$seq"
        check_equal "$bot: nothing went to the cloud" 0 \
                "$(telegram_count event=request role=cloud bot="${BOT_IDS[$bot]}" since="$seq")"
        check_equal "$bot: all is well again" "" "$(bot_property "$bot" LastError)"
done

# The server goes away while it holds the login: by an administrator's hand, and by a crash.
for bot in stopped killed; do
        seq=$(telegram_seq)
        hinder "$bot" '"kind":"hang"'
        bot_switch "$bot"
        check "$bot: the server holds the login" telegram_wait event=request role=local method=getme \
                bot="${BOT_IDS[$bot]}" since="$seq"
        telegram DELETE /faults >/dev/null
        seq=$(telegram_seq)
        if [[ $bot == stopped ]]; then
                host_run systemctl stop telegram-bot-api.service
        else
                host_run systemctl kill --signal=KILL telegram-bot-api.service
        fi
        check "$bot: the server starts again" telegram_wait event=server-start role=local since="$seq"
        check_moved "$bot" "$seq"
done

# The API id goes bad after the login path was proven, and the server keeps Telegram's refusal until it is restarted.
mark=$(bus_mark)
bot_switch real_id 1 hold-at s log-out
check "real_id: it holds before logOut" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
telegram POST /settings '{"api_id":"2"}' >/dev/null
seq=$(telegram_seq)
host_run tgswitchctl proceed "$(bot_property real_id Job | json 0)" >/dev/null
check_told real_id "${words[api_id]}"
check_waits real_id
telegram POST /settings '{"api_id":"1"}' >/dev/null
host_run systemctl restart telegram-bot-api.service
check_moved real_id "$seq"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
