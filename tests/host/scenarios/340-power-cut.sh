#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The host loses its power in the middle of cutovers. At the next boot the workers, which are enabled, and the daemon
# start at once; the local server, which is not enabled, is started by the daemon where a bot needs it. Each bot ends at
# the local server with nobody's help (L5), and no worker ran anywhere before (L4).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# power_cut BOT…: and back, with everything that Telegram was told to do wrong forgotten meanwhile. The updates that
# arrive in between wait at whatever server has the bot.
power_cut()
{
        host_power_cut
        # To the judge it is a daemon that may have forgotten what it heard last.
        telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
        seq=$(telegram_seq)
        telegram DELETE /faults >/dev/null
        host_boot
        for bot; do
                check_moved "$bot" "$seq"
        done
        check "the daemon started the local server" host_run systemctl is-active telegram-bot-api.service
}

# fault BOT ROLE METHOD KIND: until the power comes back.
fault()
{
        telegram_fault "{\"bot\":${BOT_IDS[$1]},\"role\":\"$2\",\"method\":\"$3\",\"kind\":\"$4\",\"times\":0}"
}

# begin BOT PHASE: the move, until it has come to the phase.
begin()
{
        local mark

        mark=$(bus_mark)
        bot_switch "$1"
        check "$1: the phase $2 is reached" phase_wait "$mark" "$1" "$2"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
LogInTimeoutSec=2
EOF
bots=(spool applied unapplied log_in publish start_workers)
for bot in "${bots[@]}"; do
        bot_add "$bot" </dev/null
done
host_boot
check "all workers start on the cloud" telegram_wait event=worker-start count=${#bots[@]}
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null

# Before logOut; logOut applied, and not applied, without an answer; before the login. All at once.
fault applied cloud logOut hang-after
fault unapplied cloud logOut hang
fault log_in local getMe hang
begin applied log-out
begin unapplied log-out
begin log_in log-in
mark=$(bus_mark)
bot_switch spool 1 hold-at s log-out
check "spool: it holds before logOut" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
check "the cloud has applied the one logOut" telegram_wait event=logout-applied bot="${BOT_IDS[applied]}"
check "the cloud has got the other" telegram_wait event=request method=logout bot="${BOT_IDS[unapplied]}"
check "the local server has got the login" telegram_wait event=request method=getme role=local \
        bot="${BOT_IDS[log_in]}"
power_cut applied unapplied log_in

check "spool: it holds again" phase_wait 0 spool spool
check_equal "spool: no worker was started anywhere" 0 \
        "$(telegram_count event=worker-start bot="${BOT_IDS[spool]}" since="$seq")"
check "spool: it goes on when told to" host_run tgswitchctl proceed "$(bot_property spool Job | json 0)"
check_moved spool "$seq"
check_equal "the window of a bot whose logOut was told is still closed" 1 \
        "$(($(bot_property log_in CloudAllowedUSec) > ${EPOCHREALTIME/./}))"
check_equal "and it began no later than the logOut" 1 \
        "$(($(bot_property log_in CloudAllowedUSec) < ${EPOCHREALTIME/./} + 606000000))"

# At once in phases that nothing can hold open: wherever exactly they are met, the end is the same.
begin publish '(publish|start-workers)'
power_cut publish
begin start_workers start-workers
power_cut start_workers

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
