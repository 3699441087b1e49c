#!/bin/bash
# SPDX-License-Identifier: MIT
#
# L5: tgswitchd is killed in every phase of a move, and each bot still settles: at the local server where a logOut may
# have gone out, there or at the cloud before that. L1 to L4 and L6 hold meanwhile.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# The names of bots have no "-" in them.
phases=(check drain stop-workers spool log-out log-in publish start-workers confirm)

host_create
host_install
telegram_start --latency-ms 50 --login-ms 200
host_put /etc/tgswitch/tgswitch.conf.d/tests.conf <<EOF
[BotDefaults]
DrainTimeoutSec=1
SettleSec=1
EOF
for phase in "${phases[@]}"; do
        bot_add "in_${phase/-/_}" </dev/null
done
host_boot
bus_watch

for phase in "${phases[@]}"; do
        bot=in_${phase/-/_}
        telegram_inject "$bot" 5
        check "$bot: its worker handles updates" telegram_wait event=worker-handled "bot=${BOT_IDS[$bot]}" count=3
        mark=$(bus_mark)
        host_run tgswitchctl switch local "$bot" --yes --no-wait >"$HOST_DISK/switch.log" 2>&1
        check "$bot: gets to $phase" phase_wait "$mark" "$bot" "$phase"
        check "$bot: tgswitchd is killed there" daemon_kill
        check "$bot: tgswitchd comes back" host_run systemctl start tgswitchd.service

        # Where it had to go back, the move is asked for again: it has to be possible.
        host_run tgswitchctl switch local "$bot" --yes --wait >"$HOST_DISK/switch.log" 2>&1
        check_equal "$bot: arrives at the local server" "local" "$(bot_property "$bot" Seat)"
        check "$bot: and is served there" telegram_wait event=worker-handled "bot=${BOT_IDS[$bot]}" \
                root=http://127.0.0.1:8081 count=3
done

check "every update is accounted for" telegram_finish
check_verdict
check_equal "no token stands where it does not belong" "" "$(canary_search)"
tap_done
