#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What can happen to a host at any time, at a moment when one bot is in each phase of its move: the daemon is stopped
# and started; it is replaced as an upgrade does it; the bus is killed; the local server is killed; the cloud can't be
# reached for a while. Every bot settles by itself (L5), and L1 to L4, L6 and L7 hold.
#
#       TARGET=cloud        the way back
#       ONLY="stop …"       only these of what can happen

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

read -r -a groups <<<"${ONLY:-stop upgrade dbus server network}"

# Workers want the daemon: one that is being started just then cancels the stop, so that it takes another try.
happen_stop()
{
        local pid deadline=$((SECONDS + 20))

        pid=$(daemon_pid)
        until host_run systemctl stop tgswitchd.service 2>/dev/null; do
                ((SECONDS < deadline)) || break
        done
        check "the daemon starts" host_run systemctl start tgswitchd.service
        check "as another process" test "$(daemon_pid)" != "$pid"
}

happen_upgrade()
{
        check "the project is installed" host_install
        check "systemd reads the units" host_run systemctl daemon-reload
        check "the daemon is restarted" host_run systemctl restart tgswitchd.service
}

# The daemon ends with its connection, without finishing anything: to the judge it was killed.
happen_dbus()
{
        local pid

        pid=$(pgrep -x tgswitchd)
        kill -STOP "$pid"
        telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
        check "the bus is killed" host_run systemctl kill --signal=KILL dbus.service
        kill -CONT "$pid"
        while kill -0 "$pid" 2>/dev/null; do
                :
        done
        bus_watch
}

happen_server()
{
        check "the local server is killed" host_run systemctl kill --signal=KILL telegram-bot-api.service
}

# As with a firewall that swallows everything: connections that are there hang, new ones too.
happen_network()
{
        telegram_fault '{"role":"cloud","kind":"silent","ms":3000}'
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
        held_let_go
        held_settle "$group"
done

held_finish "${groups[@]}"
