#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The daemon is killed at each fsync(), each rename() and each connect() that one move makes, before the call and after
# it: the move ends at its target by itself each time (L5), and L1 to L4, L6 and L7 hold across it. A first move that is
# stopped at every call tells which points there are and in which state of the record each one lies.
#
#       POINTS=all      every point
#       POINTS=few      (by default) of each kind of call the first one in each state of the record, before it or after
#                       it in turn
#       POINTS=some     these, and from log-out to start-workers both sides of each rename() and of the first connect();
#                       to who reads the disk afterwards fsync() makes no difference
#       TARGET=cloud    the way back

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

points=()                       # "KIND N WHEN PATH"
declare -A calls=()             # of the same kind below the same path, so far
declare -A firsts=()            # of these the first one in a state
sides=(before after)
turn=0

# choose KIND PATH STATE: takes the next call of this kind below this path as two points, or one, or leaves it out. By
# path, because not every move has as much to spool as the one that is looked at.
choose()
{
        local below n first side wanted=()

        case $2 in
        */bots* | */spool*) below=${2%%/tgswitch/*}/tgswitch/$(cut -d / -f 5 <<<"$2") ;;
        /*) below=/ ;;
        *) below=$2 ;;
        esac
        [[ $2 == /run/* ]] && below=/run
        n=$((${calls[$1:$below]:-0} + 1))
        calls[$1:$below]=$n
        first=${firsts[$1:$below:$3]:=$n}
        case ${POINTS:-few}:$3 in
        all:*)
                wanted=("${sides[@]}")
                ;;
        some:log-out* | some:log-in | some:restore-webhook | some:publish | some:start-workers)
                [[ $1 == rename || ($1 == connect && $n == "$first") ]] && wanted=("${sides[@]}")
                ;;&
        some:* | few:*)
                ((${#wanted[@]} > 0)) || [[ $n != "$first" ]] || wanted=("${sides[turn++ % 2]}")
                ;;
        esac
        for side in "${wanted[@]}"; do
                points+=("$1 $n $side $below")
        done
}

# leave_updates BOT: its worker hangs, so what comes now stays for the daemon to spool.
leave_updates()
{
        host_run systemctl kill --signal=STOP "$1-worker.service"
        telegram_inject "$1" 0 5
}

# connections_close: what the daemon has to connect to does not depend on what it did before.
connections_close()
{
        host_run systemctl restart tgswitchd.service
}

# find_points BOT: moves the bot and fills in the array.
find_points()
{
        local word kind path state teller began

        job_tell "$1" "$(bus_mark)" &
        teller=$!
        began=$(msec)
        connections_close
        leave_updates "$1"
        fault_put at step
        move_begin "$1" &
        while read -r word kind _ _ path < <(fault_next) && [[ $word == stopped ]]; do
                state=$(move_state "$1")
                tap_note "$kind $path: $state"
                choose "$kind" "$path" "$state"
                daemon_continue
        done
        # It may have stopped again since.
        fault_put at none
        wait "$teller"
        check "the move that is looked at arrives" move_arrives "$1"
        point_row none 'done' - $(($(msec) - began))
}

# meet BOT POINT: moves the bot, and kills the daemon at that point.
meet()
{
        local bot=$1 point=$2 teller caller answered=yes word state=- began result=passed

        # The cloud takes one login in so many seconds.
        [[ $TARGET == local ]] || time_pass 7
        [[ $point != connect* ]] || connections_close
        job_tell "$bot" "$(bus_mark)" &
        teller=$!
        leave_updates "$bot"
        fault_put at "$point"
        began=$(msec)
        move_begin "$bot" 2>/dev/null &
        caller=$!
        read -r word _ < <(fault_next)
        if [[ $word == stopped ]]; then
                state=$(move_state "$bot")
                result=killed
                ((++met))
                daemon_kill_stopped
                began=$(msec)
        fi
        wait "$caller" || answered=no
        # Before its record is on disk the move has begun or not, but nothing in between. Who was told that it has, can
        # rely on it.
        if [[ $word == stopped && $(move_outcome "$bot") == "${OTHER_SEAT[$TARGET]} - -" ]]; then
                result="not begun"
                check_equal "$bot: $point, in ${state:--}: nothing was begun, or promised" no "$answered"
                check "$bot: it can be begun" move_begin "$bot"
        fi
        check "$bot: $point, in ${state:--}: arrives" move_arrives "$bot" || result=FAILED
        kill "$teller" 2>/dev/null
        wait "$teller" 2>/dev/null
        point_row "$point" "$result" "${state:--}" $(($(msec) - began))
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=100ms
SettleSec=100ms
EOF
bot_add first "${OTHER_SEAT[$TARGET]}" </dev/null
bot_add look "${OTHER_SEAT[$TARGET]}" </dev/null
host_boot
check "the workers start" telegram_wait event=worker-start count=2
# What a server is asked only once is not a point that others could meet.
move_begin first
check "the first move arrives" move_arrives first
find_points look
tap_note "${#points[@]} points"

bots=()
for ((i = 0; i < ${#points[@]}; i++)); do
        bots+=("p$i")
        bot_add "p$i" "${OTHER_SEAT[$TARGET]}" </dev/null
done
host_run systemctl daemon-reload
host_run systemctl restart tgswitchd.service
host_run systemctl start "${bots[@]/%/-worker.service}"
check "the workers of all bots start" telegram_wait event=worker-start count=$((${#bots[@]} + 4))

met=0
for ((i = 0; i < ${#points[@]}; i++)); do
        meet "p$i" "${points[i]}"
done
points_table
check "nearly all points were met ($met of ${#points[@]})" test $((met * 10)) -ge $((${#points[@]} * 9))
check "every update is accounted for" telegram_finish
check_workers "${bots[@]}"
check "and again" telegram_finish
check_verdict twice
tap_done
