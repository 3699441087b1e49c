#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What may be wrong with the local server before a move: "active" proves nothing. Defends L3 and L9: a refusal names
# cause and cure, no worker was stopped, no logOut was sent, and the server's unit is as it was found.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

SERVER="telegram-bot-api.service"
MISTAKE=/etc/systemd/system/$SERVER.d/60-mistake.conf

unit_now()
{
        host_run systemctl show --property=ActiveState,SubState,MainPID,NRestarts "$1"
}

# check_refused MISTAKE REGEX…: a move is refused with words that match each, and changes nothing.
check_refused()
{
        local mistake=$1 server worker mark said regex
        shift

        server=$(unit_now "$SERVER")
        worker=$(unit_now shop-worker.service)
        mark=$(bus_mark)
        said=$(host_run tgswitchctl switch local --yes shop 2>&1)
        check_equal "$mistake: the move fails" 1 $?
        for regex; do
                check_match "$mistake: $regex" "$regex" "$said"
        done
        # One that was started for the check may still be stopping.
        [[ $server == "$(unit_now "$SERVER")" ]] || server_stops "$mark"
        check_equal "$mistake: the server's unit is as before" "$server" "$(unit_now "$SERVER")"
        check_equal "$mistake: the worker was not touched" "$worker" "$(unit_now shop-worker.service)"
        check_equal "$mistake: the bot's seat is the cloud" cloud "$(bot_property shop Seat)"
}

# spoil_server LINES: one more drop-in of its unit.
spoil_server()
{
        host_put "$MISTAKE" <<<"$1"
        host_run systemctl daemon-reload
}

mend_server()
{
        rm "$HOST_ROOT$MISTAKE"
        host_run systemctl daemon-reload
}

host_create
host_install
telegram_start
bot_add shop <<<"SettleSec=1"
host_boot
telegram_inject shop 20
check "the worker handles updates" telegram_wait event=worker-handled count=5

# ---- its unit ----

mv "$HOST_ROOT/usr/lib/systemd/system/$SERVER" "$HOST_DISK"
host_run systemctl daemon-reload
check_refused "no unit" "no usable unit $SERVER" "Install the local Bot API server"

host_put "/usr/lib/systemd/system/$SERVER" <"$HOST_DISK/$SERVER"
host_run systemctl --quiet mask "$SERVER"
check_refused "a masked unit" "$SERVER.* is masked" "systemctl unmask $SERVER"
host_run systemctl --quiet unmask "$SERVER"

mv "$HOST_ROOT/etc/tgswitch/telegram-bot-api.env" "$HOST_DISK"
check_refused "no api id" "$SERVER did not start" "systemctl status $SERVER"
host_put /etc/tgswitch/telegram-bot-api.env 600 <"$HOST_DISK/telegram-bot-api.env"

spoil_server $'[Unit]\nConditionPathExists=/nonexistent'
check_refused "an unmet condition" "a condition of the unit is not met" "systemctl status $SERVER"
mend_server

# ---- its program ----

spoil_server $'[Service]\nExecStart=\nExecStart=/bin/false'
check_refused "a program that fails" "was started and is not running" "systemctl status $SERVER"
mend_server

# What never comes need not be awaited for long.
printf '[Manager]\nServerStartTimeoutSec=2\n' | host_put /etc/tgswitch/tgswitch.conf.d/10-test.conf
host_run systemctl reload tgswitchd.service
spoil_server $'[Service]\nExecStart=\nExecStart=/bin/sleep infinity'
check_refused "a program that does not listen" "is running, but nothing that is a Bot API server answers" \
        "LocalServer=http://127.0.0.1:8081" "--http-port"
mend_server

check "an administrator starts the server" host_run systemctl start "$SERVER"
telegram_fault '{"role":"local","kind":"silent"}'
check_refused "a server that is silent" "is running, but nothing that is a Bot API server answers" \
        "journalctl -u $SERVER"
telegram DELETE /faults >/dev/null
check "the administrator stops it" host_run systemctl stop "$SERVER"
rm "$HOST_ROOT/etc/tgswitch/tgswitch.conf.d/10-test.conf"
host_run systemctl reload tgswitchd.service

# ---- its way to Telegram ----

printf 'TELEGRAM_API_ID=1\nTELEGRAM_API_HASH=wrong\n' | host_put /etc/tgswitch/telegram-bot-api.env 600
check_refused "a wrong api id" "answers, but cannot log bots in" "correct TELEGRAM_API_ID and TELEGRAM_API_HASH"
host_put /etc/tgswitch/telegram-bot-api.env 600 <"$HOST_DISK/telegram-bot-api.env"

# ---- and when all is mended ----

check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"
check_equal "no worker was stopped" 0 "$(telegram_count event=worker-stop)"
check_equal "the local server never heard of the bot" 0 \
        "$(telegram_count event=request role=local bot="${BOT_IDS[shop]}")"
check "every update is accounted for" telegram_finish
check "the move succeeds" host_run tgswitchctl switch local --yes shop
telegram_inject shop 0 5
check "and the worker goes on there" telegram_wait event=worker-handled root=http://127.0.0.1:8081 count=5
check "with every update accounted for" telegram_finish
check_verdict
tap_done
