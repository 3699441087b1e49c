#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who may do what over the bus: every method and property that introspection finds, and the name itself, each tried by
# everybody. What is to be refused is asked first and has to leave everything as it was (L9); what is allowed has to get
# through. A method without a row in the table fails. Files and processes are in 701, systemd's units in 702, a host
# without polkitd in 703.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/matrix.sh
source "$(dirname "$0")/../matrix.sh"

# A far away moment, for holds.
LATER=18446744073709551614
# So that a move changes nothing but its own job: it waits before it stops the workers.
HOLD="1 hold-at s stop-workers"
BROKER="org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus"
# Bots of which a job is under way all the time: to the local server, and to the cloud.
WITH_JOB=(busy back)

# state_now: what a refusal must leave alone. When the pending updates were counted is nobody's doing.
state_now()
{
        host_run busctl --json=short call org.tgswitch1 /org/tgswitch1 org.freedesktop.DBus.ObjectManager \
                GetManagedObjects | jq -e -S 'walk(if type == "object" then del(.PendingUpdatesUSec) else . end)' || return
        host_run find /var/lib/tgswitch -type f -exec sha256sum {} + | sort
        host_run systemctl show --property=Id,MainPID,ActiveState,InvocationID {shop,busy,kept,away,back,nowhere}-worker.service \
                telegram-bot-api.service
}

# job_begin BOT local|cloud: a job that has nothing to wait for but its queue, which nobody empties.
job_begin()
{
        local mark

        mark=$(bus_mark)
        host_run busctl --quiet call org.tgswitch1 "/org/tgswitch1/bot/$1" org.tgswitch1.Bot "SwitchTo${2^}" 'a{sv}' \
                1 on-undrained s wait
        phase_wait "$mark" "$1" drain
        MATRIX_JOBS[job:$1]=$(job_number "$1")
}

# stage: everything as it is to be before somebody who may change something comes.
stage()
{
        local bot

        for bot in shop away; do
                host_run tgswitchctl cancel "$(job_number "$bot")" >/dev/null 2>&1
                check "$bot: has no job" bot_wait "$bot" Phase ""
        done
        for bot in "${WITH_JOB[@]}"; do
                [[ $(bot_property "$bot" Phase) == drain ]] || job_begin "$bot" "${TARGETS[$bot]}"
        done
}
declare -A TARGETS=([busy]=local [back]=cloud)

# members PATH: of the object, as "INTERFACE method|property NAME SIGNATURE".
members()
{
        host_run busctl introspect org.tgswitch1 "$1" | awk '
                $2 == "interface" { interface = $1 }
                $2 == "method" || $2 == "property" { print interface, $2, substr($1, 2), $3 }'
}

# some_value SIGNATURE: of a property, as words for the probe.
some_value()
{
        case $1 in
        s) echo "s something" ;;
        o) echo "o /something" ;;
        b) echo "b true" ;;
        as) echo "as 1 something" ;;
        '(uo)') echo "(uo) 7 /something" ;;
        'a{sv}') echo "a{sv} 0" ;;
        *) echo "$1 7" ;;
        esac
}

# property_rows OBJECT PATH: everybody reads every property, and nobody writes one.
property_rows()
{
        local interface kind name signature value

        while read -r interface kind name signature; do
                [[ $kind == property ]] || continue
                read -ra value < <(some_value "$signature")
                matrix_row "properties of ${interface##*.}, read: $name" yes \
                        call "$1" DBus.Properties.Get ss "$interface" "$name"
                matrix_row "properties of ${interface##*.}, written: $name" no \
                        call "$1" DBus.Properties.Set ssv "$interface" "$name" "${value[@]}"
        done < <(members "$2")
}

# log_control_rows: what is logged is for everybody to see, and for root to change.
log_control_rows()
{
        local interface kind name signature writers value

        while read -r interface kind name signature; do
                [[ $interface == org.freedesktop.LogControl1 && $kind == property ]] || continue
                case $name in
                LogLevel) writers="yes no no no no no no" value=notice ;;
                LogTarget) writers="yes no no no no no no" value=auto ;;
                *) writers="no" value=something ;;
                esac
                matrix_row "properties of LogControl1, read: $name" yes call log DBus.Properties.Get ss "$interface" "$name"
                matrix_row "properties of LogControl1, written: $name" "$writers" \
                        call log DBus.Properties.Set ssv "$interface" "$name" "$signature" "$value"
        done < <(members /org/freedesktop/LogControl1)
}

# check_complete: each method that some object of the daemon's has is in some row.
check_complete()
{
        local path interface methods tried

        methods=$(
                for path in /org/tgswitch1 /org/tgswitch1/bot/shop "/org/tgswitch1/job/$(job_number busy)"; do
                        members "$path" | awk '$2 == "method" { print $1 "\t" $3 }'
                done | sort -u
        )
        for interface in Manager Bot Job; do
                check_match "introspection shows $interface" "org\.tgswitch1\.$interface"$'\t' "$methods"
        done
        tried=$(printf '%s\n' "${MATRIX_WORDS[@]}" | cut -f 4,5 | sort -u)
        check_equal "each method that it shows has a row" "" "$(comm -23 <(echo "$methods") <(echo "$tried"))"
}

# check_owner: the daemon's own user may ask for the name, and gets it no more than anybody else while the daemon has it.
check_owner()
{
        local i exists=3 # D-Bus Specification, RequestName

        for ((i = 0; i < ${#MATRIX_TITLES[@]}; i++)); do
                [[ ${MATRIX_TITLES[i]} != "the name: "* ]] ||
                        check_equal "${MATRIX_TITLES[i]}, and tgswitch did not get it" "ok: $exists" \
                                "${MATRIX_SAID[$i,tgswitch]}"
        done
}

# ---- the host ----

host_create
host_install
telegram_start
matrix_install root admin keeper sudo user tgswitch worker
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
bot_add shop <<<"Worker=$MATRIX_WORKER"
matrix_worker shop
for bot in busy kept; do
        bot_add "$bot" </dev/null
done
for bot in away back; do
        bot_add "$bot" local </dev/null
done
bot_add nowhere </dev/null
printf '[Bot]\nWorker=nowhere-worker.service\n' | host_put /etc/tgswitch/bots.d/nowhere.conf
chroot "$HOST_ROOT" systemctl --quiet disable nowhere-worker.service
chroot "$HOST_ROOT" systemctl --quiet enable telegram-bot-api.service
host_boot
check "the workers start" telegram_wait event=worker-start count=5

# Nobody empties these queues, so that a move waits, or takes what is there.
for bot in busy back kept; do
        host_run systemctl stop "$bot-worker.service"
        telegram_inject "$bot" 0 3
done
mark=$(bus_mark)
bot_switch kept 2 on-undrained s spool hold-at s log-out
check "kept: updates are spooled" phase_wait "$mark" kept spool
check "kept: and it holds" job_becomes "$mark" "$(job_number kept)" Holding true
stage

# ---- the table ----

property_rows manager /org/tgswitch1
property_rows shop /org/tgswitch1/bot/shop
property_rows job:busy "/org/tgswitch1/job/$(job_number busy)"
log_control_rows
matrix_rows <<EOT
ListBots                                | yes  | call manager Manager.ListBots
GetBot                                  | yes  | call manager Manager.GetBot s shop
ListJobs                                | yes  | call manager Manager.ListJobs
GetHistory                              | yes  | call manager Manager.GetHistory a{sv} 0
GetMetrics                              | yes  | call manager Manager.GetMetrics
EOT
# of: root admin keeper sudo user tgswitch worker
matrix_rows <<EOT
Bot: Check of shop                      | yes yes auth auth auth auth auth | call shop Bot.Check s local
Bot: Check of away                      | yes yes yes  auth auth auth auth | call away Bot.Check s cloud
Bot: CheckToken of away                 | yes yes yes  auth auth auth auth | call away Bot.CheckToken b false
Bot: CheckToken of shop                 | yes yes auth auth auth auth auth | call shop Bot.CheckToken b false
Manager: SwitchToLocal of shop          | yes yes yes  auth auth auth auth | call manager Manager.SwitchToLocal asa{sv} 1 shop $HOLD
Manager: SwitchToLocal of shop and kept | yes yes auth auth auth auth auth | call manager Manager.SwitchToLocal asa{sv} 2 shop kept $HOLD
Manager: SwitchToLocal of all           | own own auth auth auth auth auth | call manager Manager.SwitchToLocal asa{sv} 0 $HOLD
Manager: SwitchToCloud of away          | yes yes auth auth auth auth auth | call manager Manager.SwitchToCloud asa{sv} 1 away $HOLD
Manager: Reload                         | yes yes auth auth auth auth auth | call manager Manager.Reload
Bot: SwitchToLocal of shop              | yes yes yes  auth auth auth auth | call shop Bot.SwitchToLocal a{sv} $HOLD
Bot: SwitchToLocal of back              | own own auth auth auth auth auth | call back Bot.SwitchToLocal a{sv} $HOLD
Bot: SwitchToCloud of away              | yes yes auth auth auth auth auth | call away Bot.SwitchToCloud a{sv} $HOLD
Bot: SwitchToCloud of back              | yes yes yes  auth auth auth auth | call back Bot.SwitchToCloud a{sv} 0
Bot: SwitchToCloud of shop              | own own auth auth auth auth auth | call shop Bot.SwitchToCloud a{sv} 0
Bot: Hold of shop                       | yes yes auth auth auth auth auth | call shop Bot.Hold ts $LATER why
Bot: Hold of shop, and may be asked     | yes yes auth auth auth auth auth | ask shop Bot.Hold ts $LATER why
Bot: Hold of away                       | yes yes yes  auth auth auth auth | call away Bot.Hold ts $LATER why
Bot: Release of away                    | yes yes yes  auth auth auth auth | call away Bot.Release
Bot: SetSeat of nowhere                 | yes yes auth auth auth auth auth | call nowhere Bot.SetSeat s cloud
Bot: SetSeat of away                    | own own yes  auth auth auth auth | call away Bot.SetSeat s local
Bot: SetSeat of shop                    | own own auth auth auth auth auth | call shop Bot.SetSeat s local
Bot: ReadSpool of away                  | yes yes yes  auth auth auth auth | call away Bot.ReadSpool
Bot: ClearSpool of away                 | own own yes  auth auth auth auth | call away Bot.ClearSpool
Bot: ReadSpool of kept                  | yes yes auth auth auth auth auth | call kept Bot.ReadSpool
Bot: ClearSpool of kept                 | own own auth auth auth auth auth | call kept Bot.ClearSpool
Job: Proceed, to the local server       | own own own  auth auth auth auth | call job:busy Job.Proceed
Job: Proceed, to the cloud              | own own own  auth auth auth auth | call job:back Job.Proceed
Job: Cancel, to the local server        | yes yes yes  auth auth auth auth | call job:busy Job.Cancel
Job: Cancel, to the cloud               | yes yes yes  auth auth auth auth | call job:back Job.Cancel
what is not there: SwitchToLocal        | none | call manager Manager.SwitchToLocal asa{sv} 1 nobody 0
what is not there: GetBot               | none | call manager Manager.GetBot s nobody
what is not there: a bot's object       | none | call nobody Bot.Release
what is not there: a method             | none | call manager Manager.Format
what is not there: a property           | none | call shop DBus.Properties.Get ss org.tgswitch1.Bot Token
standard interfaces: Introspect         | yes  | call manager DBus.Introspectable.Introspect
standard interfaces: Introspect a bot   | yes  | call shop DBus.Introspectable.Introspect
standard interfaces: Ping               | yes  | call manager DBus.Peer.Ping
standard interfaces: GetMachineId       | yes  | call manager DBus.Peer.GetMachineId
standard interfaces: GetAll             | yes  | call shop DBus.Properties.GetAll s org.tgswitch1.Bot
standard interfaces: GetManagedObjects  | yes  | call manager DBus.ObjectManager.GetManagedObjects
the name: may be owned                  | no no no no no yes no | call $BROKER RequestName su org.tgswitch1 4
the name: may be taken from its owner   | no no no no no yes no | call $BROKER RequestName su org.tgswitch1 6
EOT
check_complete

# ---- everybody tries ----

for subject in worker tgswitch user sudo keeper admin root; do
        tap_note "$subject"
        stage
        before=$(state_now)
        matrix_run "$subject" refused
        matrix_unchanged "$subject: what was refused has changed nothing" "$before" "$(state_now)"
        matrix_run "$subject" allowed
done
matrix_check
check_owner
matrix_print '^properties'

# ---- and everything goes on ----

for bot in shop away kept "${WITH_JOB[@]}"; do
        host_run tgswitchctl cancel "$(job_number "$bot")" >/dev/null 2>&1
        check "$bot: has no job" bot_wait "$bot" Phase ""
        host_run systemctl start "$bot-worker.service"
done
check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
