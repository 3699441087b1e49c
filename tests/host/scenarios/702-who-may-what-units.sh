#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the daemon's user, and everybody else but root, can make systemd do. The rule that comes from the configuration
# names the verbs start, stop, restart, try-restart, reload and reset-failed, and exact units: nothing else goes, no unit
# that only looks like one of them, and nothing by which a program of one's own could run as root.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/matrix.sh
source "$(dirname "$0")/../matrix.sh"

SYSTEMD="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
LOGIND="org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
WORKER="org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/shop_2dworker_2eservice org.freedesktop.systemd1.Unit"
# Made by whatever ran as root and should not have.
GAINED=/var/lib/gained
GAINS="2 Type s oneshot ExecStart a(sasb) 1 /bin/touch 2 /bin/touch $GAINED false"

DECLARED=(shop-worker.service multi@a.service telegram-bot-api.service)
# "other" is nobody's, "alike" begins like a worker, "beside" is an instance beside a declared one; and the daemon itself.
OTHERS=(other.service shop-worker-two.service multi@b.service tgswitchd.service)

idle_unit()
{
        host_put "/etc/systemd/system/$1" <<'EOT'
[Service]
Type=exec
ExecStart=/bin/sleep infinity
ExecReload=/bin/true
[Install]
WantedBy=multi-user.target
EOT
}

# state_now: what a refusal must leave alone.
state_now()
{
        host_run systemctl show --property=Id,ActiveState,InvocationID,UnitFileState,FragmentPath,DropInPaths,Description \
                "${DECLARED[@]}" "${OTHERS[@]}" ghost.service fresh.service
        host_run find /etc/systemd /run/systemd/{system,transient,system.control} 2>/dev/null | sort
        host_run systemctl show-environment
        host_run systemctl get-default
        host_run test -e "$GAINED" && echo "something ran as root"
}

# unit_rows NAME UNIT EXPECTED RELOADS: of admin, sudo, user, tgswitch and worker only tgswitch may differ. RELOADS is what
# it gets for a reload, which not all units can.
unit_rows()
{
        local name=$1 unit=$2 may="auth auth auth $3 auth" reloads="auth auth auth $4 auth"

        matrix_rows <<EOT
StartUnit: $name              | $may     | call $SYSTEMD StartUnit ss $unit replace
RestartUnit: $name            | $may     | call $SYSTEMD RestartUnit ss $unit replace
TryRestartUnit: $name         | $may     | call $SYSTEMD TryRestartUnit ss $unit replace
ReloadUnit: $name             | $reloads | call $SYSTEMD ReloadUnit ss $unit replace
ResetFailedUnit: $name        | $may     | call $SYSTEMD ResetFailedUnit s $unit
StopUnit: $name               | $may     | call $SYSTEMD StopUnit ss $unit replace
ReloadOrRestartUnit: $name    | auth     | call $SYSTEMD ReloadOrRestartUnit ss $unit replace
ReloadOrTryRestartUnit: $name | auth     | call $SYSTEMD ReloadOrTryRestartUnit ss $unit replace
KillUnit: $name               | auth     | call $SYSTEMD KillUnit ssi $unit all 9
FreezeUnit: $name             | no       | call $SYSTEMD FreezeUnit s $unit
CleanUnit: $name              | no       | call $SYSTEMD CleanUnit sas $unit 1 all
RefUnit: $name                | auth     | call $SYSTEMD RefUnit s $unit
SetUnitProperties: $name      | auth     | call $SYSTEMD SetUnitProperties sba(sv) $unit true 1 Description s mine
BindMountUnit: $name          | auth     | call $SYSTEMD BindMountUnit sssbb $unit /tmp /etc false false
StartTransientUnit: $name     | auth     | call $SYSTEMD StartTransientUnit ssa(sv)a(sa(sv)) $unit replace $GAINS 0
EnableUnitFiles: $name        | auth     | call $SYSTEMD EnableUnitFiles asbb 1 $unit false true
DisableUnitFiles: $name       | auth     | call $SYSTEMD DisableUnitFiles asb 1 $unit false
MaskUnitFiles: $name          | auth     | call $SYSTEMD MaskUnitFiles asbb 1 $unit true true
LinkUnitFiles: $name          | auth     | call $SYSTEMD LinkUnitFiles asbb 1 /tmp/$unit true true
RevertUnitFiles: $name        | auth     | call $SYSTEMD RevertUnitFiles as 1 $unit
EOT
}

host_create
host_install
telegram_start
matrix_install admin sudo user tgswitch worker
bot_add shop <<<"Worker=$MATRIX_WORKER"
matrix_worker shop
bot_add multi cloud multi@a.service </dev/null
for unit in other.service shop-worker-two.service multi@.service; do
        idle_unit "$unit"
done
# A worker that is not installed: its name must not be a way to install it. systemd 252 names no unit when it asks polkit
# about StartTransientUnit(), later versions do.
printf '[Bot]\nInitialSeat=cloud\nWorker=ghost.service\n' | host_put /etc/tgswitch/bots.d/ghost.conf
host_boot
check "all of them run" host_run systemctl start "${DECLARED[@]}" "${OTHERS[@]}"

check "what is not installed is not in the rule" fails host_run grep -q ghost /etc/polkit-1/rules.d/50-tgswitch.rules

# ---- of: admin sudo user tgswitch worker ----

unit_rows worker shop-worker.service yes own
unit_rows instance multi@a.service yes own
unit_rows server telegram-bot-api.service yes own
unit_rows other other.service auth auth
unit_rows alike shop-worker-two.service auth auth
unit_rows beside multi@b.service auth auth
unit_rows daemon tgswitchd.service auth auth
matrix_rows <<EOT
StartUnit: absent                    | auth | call $SYSTEMD StartUnit ss ghost.service replace
StartTransientUnit: absent           | auth | call $SYSTEMD StartTransientUnit ssa(sv)a(sa(sv)) ghost.service replace $GAINS 0
StartTransientUnit: new              | auth | call $SYSTEMD StartTransientUnit ssa(sv)a(sa(sv)) fresh.service replace $GAINS 0
LinkUnitFiles: absent                | auth | call $SYSTEMD LinkUnitFiles asbb 1 /tmp/ghost.service true true
by the unit's object: Start          | auth auth auth yes auth | call $WORKER Start s replace
by the unit's object: EnqueueJob     | no   | call $WORKER EnqueueJob ss start replace
by the unit's object: Kill           | auth | call $WORKER Kill si all 9
by the unit's object: SetProperties  | auth | call $WORKER SetProperties ba(sv) true 1 Description s mine
by the unit's object: Clean          | no   | call $WORKER Clean as 1 all
in other ways: StartUnit, isolate    | auth auth auth own auth | call $SYSTEMD StartUnit ss shop-worker.service isolate
in other ways: EnqueueUnitJob        | no   | call $SYSTEMD EnqueueUnitJob sss shop-worker.service start replace
all of systemd: Reload               | auth | call $SYSTEMD Reload
all of systemd: Reexecute            | auth | call $SYSTEMD Reexecute
all of systemd: ResetFailed          | auth | call $SYSTEMD ResetFailed
all of systemd: SetDefaultTarget     | auth | call $SYSTEMD SetDefaultTarget sb rescue.target true
all of systemd: ClearJobs            | auth | call $SYSTEMD ClearJobs
all of systemd: SetEnvironment       | no   | call $SYSTEMD SetEnvironment as 1 LD_PRELOAD=/tmp/mine.so
all of systemd: UnsetEnvironment     | no   | call $SYSTEMD UnsetEnvironment as 1 PATH
all of systemd: PowerOff             | no   | call $SYSTEMD PowerOff
all of systemd: Reboot               | no   | call $SYSTEMD Reboot
all of systemd: SwitchRoot           | no   | call $SYSTEMD SwitchRoot ss /tmp /bin/sh
logind: Reboot                       | auth | call $LOGIND Reboot b false
logind: PowerOff                     | auth | call $LOGIND PowerOff b false
logind: ScheduleShutdown             | auth | call $LOGIND ScheduleShutdown st poweroff 18446744073709551614
EOT

for subject in worker user sudo admin tgswitch; do
        tap_note "$subject"
        before=$(state_now)
        matrix_run "$subject" refused
        matrix_unchanged "$subject: what was refused has changed nothing" "$before" "$(state_now)"
        matrix_run "$subject" allowed
done
matrix_check
matrix_print_for tgswitch '^[A-Z][A-Za-z]*$'
matrix_print '^[A-Z][A-Za-z]*: '
check "nothing ran as root that should not have" host_run test ! -e "$GAINED"
tap_done
