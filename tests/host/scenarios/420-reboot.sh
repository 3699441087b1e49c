#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The host is rebooted, is switched off, and loses its power, each time while one bot is in each phase of its move.
# After the boot every bot settles by itself (L5), and L1 to L4, L6 and L7 hold across it.
#
#       TARGET=cloud        the way back
#       ONLY="reboot …"     only these of what can happen

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

read -r -a groups <<<"${ONLY:-reboot shutdown power_cut}"

# As an administrator does it: logind waits for the daemon's inhibitor, for a while. What runs a container boots it
# again.
happen_reboot()
{
        check "the host is rebooted" host_run systemctl reboot
        host_wait_off
        host_boot
}

happen_shutdown()
{
        host_shutdown
        host_boot
}

happen_power_cut()
{
        host_power_cut
        # To the judge it is a daemon that may have forgotten what it heard last.
        telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
        host_boot
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=1
EOF
held_start "${groups[@]}"

for group in "${groups[@]}"; do
        held_begin "$group"
        tap_note "$group happens"
        "happen_$group"
        bus_watch
        held_settle "$group"
done

held_finish "${groups[@]}"
