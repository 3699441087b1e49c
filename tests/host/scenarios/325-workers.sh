#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers of all kinds: two, by pattern, oneshot with a timer, started by a path again and again, in auto-restart, with
# a used-up start limit, and one that did not run. Those that ran before the move run after it, at the local server, and
# no others; what triggers them is stopped first and started again (L3, L4).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# state UNIT
state()
{
        host_run systemctl show --property=ActiveState --value "$1"
}

# until_restarting UNIT: returns when its program has failed once more and its next start is due.
until_restarting()
{
        local deadline=$((SECONDS + 60))

        while [[ $(host_run systemctl show --property=SubState --value "$1") != auto-restart ]]; do
                ((SECONDS < deadline)) || return
        done
}

# stopped_before TRIGGER WORKER: as the daemon asked systemd to.
stopped_before()
{
        grep '"member":"StopUnit"' "$HOST_DISK/bus.log" | grep -oE "\[\"($1|$2)\"" | head -n 1 | grep -q "$1"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF

bot_add shop <<'EOF'
Worker=shop-queue@*.service
SpoolTo=shop-worker.service
EOF
bot_worker_add shop shop-queue@a.service --exit-after=100000
bot_worker_add shop shop-queue@b.service --exit-after=100000

bot_add tick </dev/null
host_put /etc/systemd/system/tick-worker.service.d/60-oneshot.conf <<'EOF'
[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/telegram-worker --oneshot
EOF
host_put /etc/systemd/system/tick-worker.timer <<'EOF'
[Timer]
OnActiveSec=0
OnUnitInactiveSec=300ms
AccuracySec=1ms
EOF

# As long as the file is there, the path starts the worker again whenever it has stopped.
bot_add path </dev/null
host_put /etc/systemd/system/path-worker.path <<'EOF'
[Path]
PathExists=/etc/hostname
EOF
chroot "$HOST_ROOT" systemctl --quiet disable tick-worker.service path-worker.service

bot_add auto </dev/null
host_put /etc/systemd/system/auto-worker.service.d/60-auto.conf <<'EOF'
[Service]
ExecStart=
ExecStart=/bin/sh -c 'test "$TGSWITCH_ENDPOINT" = local && exec /usr/bin/telegram-worker; exit 1'
Restart=always
RestartSec=1h
EOF

bot_add limit </dev/null
host_put /etc/systemd/system/limit-worker.service.d/60-limit.conf <<'EOF'
[Unit]
StartLimitBurst=2
StartLimitIntervalSec=1h
EOF

bot_add idle cloud idle-worker.service <<'EOF'
Worker=idle-other.service
SpoolTo=idle-worker.service
EOF
bot_worker_add idle idle-other.service
chroot "$HOST_ROOT" systemctl --quiet disable idle-other.service

host_boot
check "the daemon is ready" host_run systemctl start tgswitchd.service
host_run systemctl start tick-worker.timer path-worker.path
# systemd knows of them only now, and so does the rule that lets the daemon stop them.
check "the daemon is told of new triggers" host_run systemctl reload tgswitchd.service
for unit in shop-worker shop-queue@a shop-queue@b tick-worker path-worker limit-worker idle-worker; do
        check "$unit starts on the cloud" telegram_wait event=worker-start unit="$unit.service"
done
check "limit: one start is left" host_run systemctl restart limit-worker.service
check "limit: and now none" fails host_run systemctl restart limit-worker.service
# The refused start has failed the unit. Only a reset lets it run, and then it has one start less than it had.
host_run systemctl reset-failed limit-worker.service
host_run systemctl start limit-worker.service
host_run systemctl restart limit-worker.service
check "auto: the worker waits for its restart" until_restarting auto-worker.service
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null
check "updates are handled" telegram_wait event=worker-handled count=10

seq=$(telegram_seq)
bots=(shop tick path auto limit idle)
for bot in "${bots[@]}"; do
        bot_switch "$bot"
done
for bot in "${bots[@]}"; do
        check_moved "$bot" "$(telegram_wait event=logout-applied bot="${BOT_IDS[$bot]}" since="$seq" | json seq)"
done

for unit in shop-worker shop-queue@a shop-queue@b path-worker auto-worker limit-worker idle-worker; do
        check_equal "$unit runs" active "$(state "$unit.service")"
done
check_equal "idle-other, which did not run before, does not run now" inactive "$(state idle-other.service)"
for trigger in tick-worker.timer path-worker.path; do
        check_equal "$trigger is active again" active "$(state "$trigger")"
        check "$trigger was stopped first" stopped_before "$trigger" "${trigger%.*}.service"
done
seq=$(telegram_seq)
check "the timer starts its worker again" telegram_wait event=worker-start unit=tick-worker.service \
        root=http://127.0.0.1:8081 since="$seq"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
