#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The row of the table of logOut's outcomes in which nothing was sent: the connection for it cannot be made. It is tried
# again for a while and then rolled back; the cloud never gets a logOut that was not meant (L3, L9).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# until_not_sent BOT: moves it up to logOut, for which there is no connection. The check gets the only one, which the long
# poll takes; the cloud resets each further one before its handshake.
until_not_sent()
{
        local mark

        telegram_fault '{"role":"cloud","kind":"reset-at-accept","after":1,"times":0}'
        mark=$(bus_mark)
        bot_switch "$1"
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
EOF
bot_add again </dev/null
bot_add back <<<"LogOutTimeoutSec=3"
host_boot
# Their connections have to be there before connections are counted.
for bot in again back; do
        check "$bot: its worker polls" telegram_wait event=request role=cloud method=getupdates bot="${BOT_IDS[$bot]}"
done

until_not_sent again
telegram DELETE /faults >/dev/null
check "again: the move ends" bot_wait again Phase ""
check_equal "again: the bot is at the local server" local "$(bot_property again Seat)"
check_equal "again: the job is done" 'done' "$(bot_property again LastResult)"
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
