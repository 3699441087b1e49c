# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Bots of a scratch host with their workers, and what tgswitchd does with them.

declare -A BOT_TOKENS=() BOT_IDS=()
BOT_FIRST_ID=7100000001
# How bots.sh makes a worker's drop-in of the one that the package ships.
BOT_DROP_IN=()

# bot_add NAME [SEAT [WORKER…]]: a bot known to Telegram, where it has a session at SEAT (cloud), and to tgswitchd. Its
# workers, NAME-worker.service alone where none is named, get the gate that the package ships as an example and start at
# boot. More of bots.d/NAME.conf comes from standard input, unless that is a terminal or empty.
bot_add()
{
        local name=$1 seat=${2:-cloud} worker more=
        shift $(($# < 2 ? $# : 2))

        [[ -t 0 ]] || more=$(cat)
        BOT_IDS[$name]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
        BOT_TOKENS[$name]=$(canary_token "${BOT_IDS[$name]}")
        telegram POST /bots "{\"token\":\"${BOT_TOKENS[$name]}\",\"username\":\"${name}_bot\",\"session\":\"$seat\"}" \
                >/dev/null || host_bail "Telegram does not take the bot $name"

        (($#)) || set -- "$name-worker.service"
        echo "${BOT_TOKENS[$name]}" | host_put "/etc/tgswitch/tokens/$name" 600
        {
                printf '[Bot]\nInitialSeat=%s\n' "$seat"
                printf 'Worker=%s\n' "$@"
                [[ -z $more ]] || printf '%s\n' "$more"
        } | host_put "/etc/tgswitch/bots.d/$name.conf"
        for worker; do
                bot_worker_add "$name" "$worker"
        done
}

# bot_worker_add NAME UNIT [OPTION…]: of the worker program.
bot_worker_add()
{
        local name=$1 unit=$2
        shift 2

        canary_unit "$unit" "$name"
        host_put "/etc/systemd/system/$unit" <<EOF
[Unit]
Description=Worker of the bot $name
[Service]
Type=exec
ExecStart=/usr/bin/telegram-worker $*
Restart=on-failure
RestartSec=200ms
DynamicUser=yes
[Install]
WantedBy=multi-user.target
EOF
        sed -e "s/shop/$name/g" "${BOT_DROP_IN[@]}" "$SOURCE_DIR/units/worker-drop-in.conf.example" |
                host_put "/etc/systemd/system/$unit.d/50-tgswitch.conf"
        chroot "$HOST_ROOT" systemctl --quiet enable "$unit"
}

# server_local_mode: the local server runs with --local from its next start on, tgswitchd knows that, and all workers, also
# those that are added later, may read its files.
server_local_mode()
{
        local drop_in

        ((${#BOT_DROP_IN[@]} == 0)) || return 0
        BOT_DROP_IN=(-e 's/^#\(SupplementaryGroups=\)/\1/')
        for drop_in in "$HOST_ROOT"/etc/systemd/system/*.service.d/50-tgswitch.conf; do
                [[ -e $drop_in ]] && sed -i "${BOT_DROP_IN[@]}" "$drop_in"
        done
        echo TELEGRAM_BOT_API_OPTIONS=--local >>"$HOST_ROOT/etc/tgswitch/telegram-bot-api.env"
        host_put /etc/tgswitch/tgswitch.conf.d/20-local.conf <<<$'[Manager]\nLocalFiles=/var/lib/telegram-bot-api'
}

# bot_property NAME PROPERTY: of org.tgswitch1.Bot, as JSON for numbers, bare for strings.
bot_property()
{
        host_run busctl --json=short get-property org.tgswitch1 "/org/tgswitch1/bot/$1" org.tgswitch1.Bot "$2" | json data
}

# ---- The daemon ----

daemon_pid()
{
        host_run systemctl show --property=MainPID --value tgswitchd.service
}

# daemon_kill [SIGNAL]: at this very moment; returns when that process is gone. systemd starts it again by itself.
#
# The judge is told, or it would hold the daemon to an answer that it could not write down any more: while the process is
# stopped, so that whatever it sent was sent before that. And a call must not follow the signal at once: as long as the
# process lives, the bus passes it on to that one, and systemd takes the unit for a running one.
daemon_kill()
{
        local pid deadline=$((SECONDS + 60))

        pid=$(daemon_pid)
        # To kill, 0 means its own process group.
        ((pid > 0)) || return
        host_run kill -s STOP "$pid"
        telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
        host_run kill -s "${1:-KILL}" "$pid"
        # Only KILL ends a stopped one; it may be gone by now.
        host_run kill -s CONT "$pid" 2>/dev/null
        while [[ $(daemon_pid) == "$pid" ]]; do
                ((SECONDS < deadline)) || return
        done
}

# ---- The bus ----

# The bus that is watched, by its id.
BUS_WATCHED=

# bus_watch: keeps every message on the host's system bus from now on, one JSON object a line, in $HOST_DISK/bus.log.
# host_boot does it before the daemon starts; it is only to be called where the bus was started anew since.
bus_watch()
{
        local ready id

        id=$(host_run busctl --json=short call org.freedesktop.DBus / org.freedesktop.DBus GetId)
        [[ -z $id || $id != "$BUS_WATCHED" ]] || return 0
        exec {ready}< <(host_run busctl --json=short monitor 2>&1 >>"$HOST_DISK/bus.log")
        read -r -t 60 -u "$ready" || host_bail "can't watch the bus"
        BUS_WATCHED=$id
}

# bus_mark: where the log ends now, for bus_wait.
bus_mark()
{
        wc -l <"$HOST_DISK/bus.log"
}

# bus_wait MARK REGEX [SECONDS]: returns when a message after MARK matches, at once where one does already; prints it.
bus_wait()
{
        timeout "${3:-60}" grep -m 1 -E -e "$2" < <(exec tail -n "+$(($1 + 1))" -f "$HOST_DISK/bus.log" 2>/dev/null)
}

# phase_wait MARK BOT PHASE [SECONDS]: returns when the bot has reached the phase.
phase_wait()
{
        bus_wait "$1" "\"path\":\"/org/tgswitch1/bot/$2\".*\"Phase\":\{\"type\":\"s\",\"data\":\"$3\"\}" "${4:-60}" \
                >/dev/null
}

# bot_switch NAME [N KEY TYPE VALUE…]: begins the move of a bot to the local server, with options as busctl(1) takes an
# a{sv}, such as `1 hold-at s log-out`. Prints nothing where it was begun.
bot_switch()
{
        local name=$1
        shift

        (($#)) || set -- 0
        host_run busctl --quiet call org.tgswitch1 "/org/tgswitch1/bot/$name" org.tgswitch1.Bot SwitchToLocal 'a{sv}' "$@"
}

# job_wait MARK BOT [SECONDS]: returns when a job of the bot has ended, and prints its result.
job_wait()
{
        bus_wait "$1" "\"JobRemoved\".*\"$2\",\"[a-z]+\"\]" "${3:-60}" | json payload data 3
}

# job_number NAME: of the job that moves the bot; 0 where there is none.
job_number()
{
        bot_property "$1" Job | json 0
}

# job_becomes MARK NUMBER PROPERTY VALUE: returns when a property of the job, such as Holding, has changed to true or
# false.
job_becomes()
{
        bus_wait "$1" "\"path\":\"/org/tgswitch1/job/$2\".*PropertiesChanged.*\"$3\":\{\"type\":\"b\",\"data\":$4\}" \
                >/dev/null
}

# server_stops MARK: returns when the local server's unit has become inactive, as the daemon sees it.
server_stops()
{
        bus_wait "$1" '"LocalServerState":\{"type":"s","data":"inactive"\}' >/dev/null
}

# check_failed MARK NAME REGEX…: the bot's job fails, LastError then matches each, and the bot is at the cloud.
check_failed()
{
        local mark=$1 name=$2 error regex
        shift 2

        check_equal "$name: the job fails" failed "$(job_wait "$mark" "$name")"
        error=$(bot_property "$name" LastError)
        for regex; do
                check_match "$name: $regex" "$regex" "$error"
        done
        check_equal "$name: the seat is the cloud" cloud "$(bot_property "$name" Seat)"
}

# bot_wait NAME PROPERTY VALUE [SECONDS]: returns when the property has the value, whatever becomes of the daemon
# meanwhile; fails when it has not by then.
bot_wait()
{
        local mark deadline=$((SECONDS + ${4:-60}))

        while mark=$(bus_mark); [[ $(bot_property "$1" "$2" 2>/dev/null) != "$3" ]]; do
                ((SECONDS < deadline)) || return
                # Nothing is told of a change that a killed daemon recorded: so what tells that it is back counts too.
                bus_wait "$mark" "/bot/$1\",[^{]*\"PropertiesChanged\"|\"NameOwnerChanged\".*\"org.tgswitch1\"" \
                        $((deadline - SECONDS + 1)) >/dev/null
        done
}

# check_moved NAME SEQ: the bot arrives at the local server, by itself and with all of its spool, and no worker of it was
# started at the cloud after SEQ of the ledger.
check_moved()
{
        check "$1: the move ends" bot_wait "$1" Phase ""
        check_equal "$1: at the local server" local "$(bot_property "$1" Seat)"
        check_equal "$1: the job is done" 'done' "$(bot_property "$1" LastResult)"
        check "$1: nothing stays in the spool" bot_wait "$1" SpooledUpdates 0
        check "$1: its worker handles updates there" telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" \
                root=http://127.0.0.1:8081 from=poll
        check_equal "$1: no worker was started anywhere else" 0 "$(telegram_count event=worker-start \
                bot="${BOT_IDS[$1]}" root=https://api.telegram.org since="$2")"
}
