#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The disk and the configuration fail the daemon while one bot is in each phase of its move: the state directory is full
# or read-only; the configuration can't be understood, now and at the next start; the bots' files are removed. Every bot
# settles by itself (L5): from log-out on even before it is mended. L1 to L4, L6 and L7 hold.
#
#       TARGET=cloud        the way back
#       ONLY="full …"       only these of what can happen

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

read -r -a groups <<<"${ONLY:-full readonly broken removed}"
ETC=$HOST_ROOT/etc/tgswitch

happen_full()
{
        host_run sh -c 'cat /dev/zero >/var/lib/tgswitch/filler 2>/dev/null'
        check "the state directory is full" fails host_run sh -c 'echo x >/var/lib/tgswitch/more'
}

mend_full()
{
        host_run rm /var/lib/tgswitch/filler
}

# Refused as long as somebody has a file there open for writing. What was handed over cannot be taken out of the spool;
# a job does not wait for that for ever.
happen_readonly()
{
        local deadline=$((SECONDS + 10))

        until host_run mount -o remount,ro /var/lib/tgswitch 2>/dev/null; do
                ((SECONDS < deadline)) || break
        done
        check "the state directory is read-only" fails host_run touch /var/lib/tgswitch/x
        ARRIVED="done|failed"
}

mend_readonly()
{
        local phase

        for phase in "${PHASES[@]}"; do
                [[ $(move_outcome "readonly_$phase") != "$TARGET failed -" ]] ||
                        check_match "readonly_$phase: the reason is told" "taken out of it: Read-only file system" \
                                "$(bot_property "readonly_$phase" LastError)"
        done
        check "the state directory can be written again" host_run mount -o remount,rw /var/lib/tgswitch
}

happen_broken()
{
        local phase

        host_put /etc/tgswitch/tgswitch.conf.d/60-broken.conf <<<$'[Manager]\nLocalServer=?'
        for phase in "${PHASES[@]}"; do
                cp "$ETC/bots.d/broken_$phase.conf" "$HOST_DISK"
                echo "DrainTimeoutSec=soon" >>"$ETC/bots.d/broken_$phase.conf"
        done
        check "it is not taken" fails host_run systemctl reload tgswitchd.service
        check "the daemon starts with it" host_run systemctl restart tgswitchd.service
}

mend_broken()
{
        local phase

        rm "$ETC/tgswitch.conf.d/60-broken.conf"
        for phase in "${PHASES[@]}"; do
                cp "$HOST_DISK/broken_$phase.conf" "$ETC/bots.d/"
        done
        check "mended, it is taken" host_run systemctl reload tgswitchd.service
}

happen_removed()
{
        local phase

        for phase in "${PHASES[@]}"; do
                mv "$ETC/bots.d/removed_$phase.conf" "$HOST_DISK"
        done
        check "the daemon reads its configuration" host_run systemctl reload tgswitchd.service
        check "and is restarted without the files" host_run systemctl restart tgswitchd.service
}

mend_removed()
{
        local phase

        for phase in "${PHASES[@]}"; do
                cp "$HOST_DISK/removed_$phase.conf" "$ETC/bots.d/"
        done
        check "the daemon has the files again" host_run systemctl reload tgswitchd.service
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[Manager]
StateFreeMin=1M
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=1
EOF
# A disk of its own, that can be filled.
host_put /etc/systemd/system/var-lib-tgswitch.mount <<'EOF'
[Mount]
What=tmpfs
Where=/var/lib/tgswitch
Type=tmpfs
Options=size=16M,mode=700
EOF
host_put /etc/systemd/system/tgswitchd.service.d/60-disk.conf <<<$'[Unit]\nRequiresMountsFor=/var/lib/tgswitch'
held_start "${groups[@]}"

for group in "${groups[@]}"; do
        ARRIVED="done"
        held_begin "$group"
        tap_note "$group happens"
        "happen_$group"
        held_let_go
        held_settle "$group" "mend_$group"
done

held_finish "${groups[@]}"
