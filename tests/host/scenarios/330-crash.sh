#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The daemon is killed in every phase, and told to stop in several: the cutover goes on by itself and ends at the local
# server. Defends L5, and L1 to L4 and L6 across it.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

killed=(check drain stop_workers spool log_out log_in restore_webhook publish start_workers confirm)
stopped=(t_drain t_spool t_log_out t_log_in t_start_workers)

# phase_of BOT: the phase it is named after. Two are over so soon that they may never be told of: their next will do.
phase_of()
{
        local phase=${1#t_}

        case $phase in
        restore_webhook | publish) echo "(${phase//_/-}|start-workers)" ;;
        *) echo "${phase//_/-}" ;;
        esac
}

# Answers for the bot take their time, so that a phase is still there when we have heard of it. Those of getUpdates
# don't: a daemon that is killed while the last one is on its way can't keep the updates in it.
slow_down()
{
        local method

        for method in getMe getWebhookInfo logOut; do
                telegram_fault "{\"role\":\"*\",\"bot\":${BOT_IDS[$1]},\"method\":\"$method\",\"times\":0,
                        \"kind\":\"delay\",\"ms\":150}"
        done
}

# interrupt BOT COMMAND…: begins the move, and runs the command as soon as the bot has reached its phase.
interrupt()
{
        local mark bot=$1
        shift

        slow_down "$bot"
        mark=$(bus_mark)
        check "$bot: its move begins" bot_switch "$bot"
        check "$bot: its phase is reached" phase_wait "$mark" "$bot" "$(phase_of "$bot")" &&
                "$@"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF
for bot in "${killed[@]}" "${stopped[@]}"; do
        bot_add "$bot" </dev/null
done
host_boot
check "all workers start on the cloud" telegram_wait event=worker-start count=$((${#killed[@]} + ${#stopped[@]}))
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null
seq=$(telegram_seq)

for bot in "${killed[@]}"; do
        # The bot before it need not have arrived: the kill meets that one somewhere, too.
        interrupt "$bot" daemon_kill
done
for bot in "${killed[@]}"; do
        check_moved "$bot" "$seq"
done

# An orderly stop finishes the request in flight and records its answer: nothing is left to be found out.
for bot in "${stopped[@]}"; do
        interrupt "$bot" check "$bot: the daemon restarts in good order" host_run systemctl restart tgswitchd.service
done
for bot in "${stopped[@]}"; do
        check_moved "$bot" "$seq"
        check_equal "$bot: one logOut was enough" 1 \
                "$(telegram_count event=request method=logout bot="${BOT_IDS[$bot]}")"
done

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
