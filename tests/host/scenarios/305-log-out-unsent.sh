#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The row of the table of logOut's outcomes in which nothing was sent: the connection for it cannot be made. It is tried
# again for a while and then rolled back; the cloud never gets a logOut that was not meant (L3, L9).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# until_not_sent BOT: moves it up to logOut, for which there is no connection any more. The one that the daemon has is
# taken by the long poll, and the cloud resets each new one before its handshake.
until_not_sent()
{
        local mark

        mark=$(bus_mark)
        bot_switch "$1" 1 hold-at s stop-workers
        check "$1: it holds before its workers stop" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
        telegram_fault '{"role":"cloud","kind":"reset-at-accept","times":0}'
        mark=$(bus_mark)
        check "$1: it goes on" host_run tgswitchctl proceed "$(bot_property "$1" Job | json 0)"
        check "$1: logOut was not sent" bus_wait "$mark" "/bot/$1\".*\"LastError\".*not logged out"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
SpoolTimeoutSec=10
LogOutTimeoutSec=3
EOF
bot_add again </dev/null
bot_add back </dev/null
host_boot
bus_watch
check "the workers start" telegram_wait event=worker-start count=2

until_not_sent again
telegram DELETE /faults >/dev/null
check_moved_without_updates()
{
        check "$1: the move ends" bot_wait "$1" Phase ""
        check_equal "$1: at the local server" local "$(bot_property "$1" Seat)"
        check_equal "$1: the job is done" 'done' "$(bot_property "$1" LastResult)"
}
check_moved_without_updates again
check_equal "again: one logOut arrived" 1 "$(telegram_count event=request method=logout bot="${BOT_IDS[again]}")"

seq=$(telegram_seq)
until_not_sent back
check "back: the move ends" bot_wait back Phase ""
check_equal "back: the bot is at the cloud" cloud "$(bot_property back Seat)"
check_equal "back: the job has failed" failed "$(bot_property back LastResult)"
check_equal "back: no logOut arrived" 0 "$(telegram_count event=request method=logout bot="${BOT_IDS[back]}")"
check_equal "back: there is no window" 0 "$(bot_property back CloudAllowedUSec)"
telegram DELETE /faults >/dev/null
telegram_inject back 10 10
check "back: its worker runs as before" telegram_wait event=worker-handled bot="${BOT_IDS[back]}" \
        root=https://api.telegram.org since="$seq" count=10

check "every update is accounted for" telegram_finish
check_verdict
tap_done
