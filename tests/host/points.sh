# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Points of a move at which something happens to the daemon or to the host, and the table of what became of it. Sourced
# after host.sh, by scenarios that may be run for either direction, which needs back.sh, too:
#
#       TARGET=cloud tests/host/scenarios/400-crash-points.sh

TARGET=${TARGET:-local}
declare -A OTHER_SEAT=([local]=cloud [cloud]=local)
declare -A SEAT_ROOT=([local]=http://127.0.0.1:8081 [cloud]=https://api.telegram.org)

# ---- Moves ----

# move_begin BOT [N KEY TYPE VALUE…]: towards $TARGET, with options as busctl(1) takes an a{sv}.
move_begin()
{
        local bot=$1
        shift

        (($#)) || set -- 0
        host_run busctl --quiet call org.tgswitch1 "/org/tgswitch1/bot/$bot" org.tgswitch1.Bot \
                "SwitchTo${TARGET^}" 'a{sv}' "$@"
}

# move_state BOT: the state that the record on disk is in, so the one that a daemon would go on from.
move_state()
{
        tail -n +2 "/proc/$HOST_LEADER/root/var/lib/tgswitch/bots/$1.state" 2>/dev/null | jq -r '.state // empty'
}

# move_outcome BOT: "SEAT RESULT PHASE", the result and the phase "-" where there is none. A call that meets a daemon as
# it dies gets no answer, the next one waits for its successor.
move_outcome()
{
        local values deadline=$((SECONDS + 30))

        until mapfile -t values < <(host_run busctl --json=short get-property org.tgswitch1 "/org/tgswitch1/bot/$1" \
                org.tgswitch1.Bot Seat LastResult Phase 2>/dev/null | jq -r '.data'); ((${#values[@]} == 3)); do
                ((SECONDS < deadline)) || return
        done
        echo "${values[0]} ${values[1]:--} ${values[2]:--}"
}

# Results of a job that took its bot to the target, as a regular expression.
ARRIVED="done"

# move_arrives BOT [SECONDS]: the bot gets to the target by itself, with all that was spooled, and the job says so.
move_arrives()
{
        local outcome

        bot_wait "$1" Phase "" "${2:-30}" && bot_wait "$1" SpooledUpdates 0
        outcome="$(move_outcome "$1") $(bot_property "$1" SpooledUpdates)"
        # For the reader of a check that fails.
        echo "$outcome updates in the spool"
        [[ $outcome =~ ^$TARGET\ ($ARRIVED)\ -\ 0$ ]]
}

# check_workers BOT…: after the last move: the last worker of each bot that was started is at the target and has handled
# updates of the server there; none was started elsewhere after the bot had been logged in there.
check_workers()
{
        local bot ids=()

        for bot; do
                telegram_inject "$bot" 0 1
        done
        for bot; do
                ids+=("${BOT_IDS[$bot]}")
                telegram_wait event=worker-handled from=poll bot="${BOT_IDS[$bot]}" root="${SEAT_ROOT[$TARGET]}" \
                        >/dev/null || tap_fail "$bot: its worker handles updates at the target"
        done
        check_equal "the workers of ${#ids[@]} bots are at the target, and nowhere else since the login there" "" \
                "$(jq -n -r --arg role "$TARGET" --arg root "${SEAT_ROOT[$TARGET]}" --args '
                        reduce inputs as $e ({};
                                if $e.event == "login" and $e.role == $role then
                                        .["\($e.bot)"] = {in: true}
                                elif $e.event == "worker-start" and .["\($e.bot)"].in then
                                        .["\($e.bot)"] += {root: $e.root, bad: (.["\($e.bot)"].bad or $e.root != $root)}
                                else . end)
                        | . as $bots | $ARGS.positional[] | select($bots[.].root != $root or $bots[.].bad)' \
                        "${ids[@]}" <"$TELEGRAM_LEDGER")"
}

# ---- Faults inside the daemon ----

# The directory of fault-preload.c, which says what can be put there.
FAULTS=/var/cache/tgswitch-faults

# faults_install: loads the library into the daemon. To be called before host_boot, after host_install.
faults_install()
{
        host_put /usr/lib/tgswitch-faults.so 755 <"$BUILD/tests/host/fault-preload.so"
        # A directory of the unit, so that the daemon may remove what is there.
        host_put /etc/systemd/system/tgswitchd.service.d/50-faults.conf <<EOF
[Service]
CacheDirectory=${FAULTS##*/}
Environment=LD_PRELOAD=/usr/lib/tgswitch-faults.so FAULT_DIRECTORY=$FAULTS
EOF
        host_put /etc/tmpfiles.d/tgswitch-faults.conf <<<"R! $FAULTS/[!cr]*"
        mkdir "$HOST_ROOT$FAULTS"
        mkfifo "$HOST_ROOT$FAULTS/report"
        exec {FAULTS_REPORT}<>"$HOST_ROOT$FAULTS/report"
}

# fault_put NAME TEXT, fault_remove NAME: return when the daemon goes by it, the next one where there is none just now.
fault_put()
{
        fault_forget
        echo "$2" >"$HOST_ROOT$FAULTS/new"
        chmod 644 "$HOST_ROOT$FAULTS/new"
        mv "$HOST_ROOT$FAULTS/new" "$HOST_ROOT$FAULTS/$1"
        fault_ready
}

fault_remove()
{
        fault_forget
        rm "$HOST_ROOT$FAULTS/$1"
        fault_ready
}

# What has been reported so far is of no interest any more, but whoever stands still has to go on.
fault_forget()
{
        local word

        while read -r -t 0 -u "$FAULTS_REPORT"; do
                read -r -u "$FAULTS_REPORT" word _
                [[ $word != stopped ]] || daemon_continue
        done
}

# A process that stands still reads nothing.
fault_ready()
{
        local word

        while read -r -t 30 -u "$FAULTS_REPORT" word _; do
                case $word in
                ready) return ;;
                stopped) daemon_continue ;;
                esac
        done
        host_bail "the daemon takes no faults"
}

# fault_next [SECONDS]: prints what comes next of "stopped KIND N WHEN PATH" and what others have written to the FIFO.
fault_next()
{
        local line

        while read -r -t "${1:-30}" -u "$FAULTS_REPORT" line; do
                [[ $line == ready ]] && continue
                echo "$line"
                return
        done
        return 1
}

# daemon_stopped: returns when the daemon stands still, which it does a moment after it has said so, and prints its
# number out here.
daemon_stopped()
{
        local pid state='' deadline=$((SECONDS + 10))

        pid=$(pgrep -x tgswitchd) || return
        until [[ $state == T ]]; do
                ((SECONDS < deadline)) || return
                read -r _ _ state _ 2>/dev/null <"/proc/$pid/stat" || return
        done
        echo "$pid"
}

daemon_continue()
{
        local pid

        pid=$(daemon_stopped) && kill -CONT "$pid"
}

# daemon_kill_stopped: as daemon_kill, of a process that has stopped already.
daemon_kill_stopped()
{
        local pid deadline=$((SECONDS + 30))

        pid=$(daemon_stopped) || return
        telegram POST /mark '{"name":"daemon-killed"}' >/dev/null
        kill -KILL "$pid"
        # Gone when the host's systemd has taken notice.
        while kill -0 "$pid" 2>/dev/null; do
                ((SECONDS < deadline)) || return
        done
}

# job_tell BOT MARK: lets the FIFO have "ended" when a job of the bot ends, in the background. $! ends it.
job_tell()
{
        job_wait "$2" "$1" >/dev/null && echo ended >&"$FAULTS_REPORT"
}

# ---- Bots that are held, one in each phase ----

PHASES=(check drain stop_workers spool log_out log_in restore_webhook publish start_workers confirm)
# How long an answer is kept back that holds a bot in its phase, where nothing that happens meanwhile lets it go.
HOLD_MSEC=6000
# Gone with a boot, and so is what the library is told.
HOLD_FIFO=/run/hold-start
HELD_FAULTS=()

# held_add GROUP…: ten bots a group, GROUP_PHASE, each with what its phase takes to last. Needs faults_install.
held_add()
{
        local group phase bot

        for group; do
                for phase in "${PHASES[@]}"; do
                        bot=${group}_$phase
                        bot_add "$bot" "${OTHER_SEAT[$TARGET]}" < <(held_config "$phase")
                        held_worker "$phase" | host_put "/etc/systemd/system/$bot-worker.service.d/60-hold.conf"
                done
        done
}

# held_config PHASE: for the bot's file.
held_config()
{
        case $1 in
        drain) echo DrainTimeoutSec=60 ;;
        restore_webhook) echo WebhookSecret=no ;;
        confirm) echo SettleSec=4 ;;
        esac
}

# held_worker PHASE: for its worker.
held_worker()
{
        echo '[Service]'
        case $1 in
        stop_workers) printf 'ExecStart=\nExecStart=/usr/bin/telegram-worker --ignore-sigterm\nTimeoutStopSec=%dms\n' \
                "$HOLD_MSEC" ;;
        # Nothing comes by the webhook, so nobody need be there.
        restore_webhook) printf 'ExecStart=\nExecStart=/bin/sleep infinity\n' ;;
        # To open it for reading takes as long as nobody opens it for writing.
        start_workers) printf 'ExecStartPre=/bin/sh -c "test ! -p %s || cat %s"\n' "$HOLD_FIFO" "$HOLD_FIFO" ;;
        esac
}

# held_webhook BOT: it has one where it is.
held_webhook()
{
        local url=https://example.org/$1

        # No server sets a webhook whose name it does not find.
        world_address "$HOOK_ADDRESS" example.org
        if [[ $TARGET == local ]]; then
                telegram POST /webhook-settings "{\"bot\":${BOT_IDS[$1]},\"url\":\"$url\"}" >/dev/null
        else
                curl -sS --fail-with-body --config - >/dev/null <<EOF
url = "${SEAT_ROOT[local]}/bot${BOT_TOKENS[$1]}/setWebhook"
data = "url=$url"
EOF
        fi
}

# held_begin GROUP: the moves of its bots; returns when each is held in its phase.
held_begin()
{
        local group=$1 source=${OTHER_SEAT[$TARGET]} phase mark fault

        check "${group}_restore_webhook has a webhook" held_webhook "${group}_restore_webhook"
        # The cloud takes some logins a minute, so the group before is to be a minute ago.
        [[ $TARGET == local ]] || time_pass 70
        held_fault "${group}_check" "$source" getMe 0
        # The first one is asked for by the checks.
        held_fault "${group}_drain" "$source" getWebhookInfo 1
        held_fault "${group}_log_out" "$source" logOut 0
        held_fault "${group}_log_in" "$TARGET" getMe 0
        held_fault "${group}_restore_webhook" "$TARGET" setWebhook 0
        fault_put fail "rename EIO /run/tgswitch/bots/${group}_publish.env"
        host_run mkfifo "$HOLD_FIFO"
        mark=$(bus_mark)
        for phase in "${PHASES[@]}"; do
                if [[ $phase == spool ]]; then
                        move_begin "${group}_$phase" 1 hold-at s log-out
                else
                        move_begin "${group}_$phase"
                fi
        done
        for phase in "${PHASES[@]}"; do
                check "${group}_$phase is held there" phase_wait "$mark" "${group}_$phase" "${phase//_/-}"
                HELD_STATES[${group}_$phase]=$(move_state "${group}_$phase")
        done
        # What has been asked for is held; what is asked for again, by another process, is not.
        for fault in "${HELD_FAULTS[@]}"; do
                telegram DELETE "/faults?fault=$fault" >/dev/null
        done
        HELD_FAULTS=()
        HELD_MSEC=$(msec)
}

held_fault()
{
        HELD_FAULTS+=("$(telegram POST /faults "{\"bot\":${BOT_IDS[$1]},\"role\":\"$2\",\"method\":\"$3\",
                \"after\":$4,\"times\":0,\"kind\":\"delay\",\"ms\":$HOLD_MSEC}" | json fault)")
}

# held_let_go: nothing holds any bot from now on, but for the one that waits to be told and answers that are on their
# way. A boot does the same.
held_let_go()
{
        local held fifo=/proc/$HOST_LEADER/root$HOLD_FIFO

        fault_remove fail
        exec {held}<>"$fifo"
        rm "$fifo"
        exec {held}>&-
}

declare -A HELD_STATES=()

# held_settle GROUP [MEND…]: each of its bots settles by itself: at the target, even before what happened is mended; or,
# where nothing irreversible had been done, with everything put back. From there the next move takes it to the target.
held_settle()
{
        local group=$1 phase bot outcome
        shift

        for phase in log_out log_in restore_webhook publish start_workers confirm; do
                bot=${group}_$phase
                check "$bot settles" bot_wait "$bot" Phase "" 60
                outcome=$(move_outcome "$bot")
                check_match "$bot is at the target" "^$TARGET ($ARRIVED) -\$" "$outcome"
                held_row "$group" "$phase" "$outcome"
        done
        "$@"
        bot=${group}_spool
        # Where it holds still, and was not put back.
        [[ $(move_outcome "$bot") != *" spool" ]] ||
                check "$bot goes on when told to" host_run tgswitchctl proceed "$(job_number "$bot")"
        for phase in check drain stop_workers spool; do
                bot=${group}_$phase
                check "$bot settles" bot_wait "$bot" Phase "" 60
                outcome=$(move_outcome "$bot")
                # One whose file is gone may have been forgotten when it was back where it had been.
                check_match "$bot is at the target, or as it was" \
                        "^($TARGET ($ARRIVED)|${OTHER_SEAT[$TARGET]} (failed|-)) -\$" "$outcome"
                held_row "$group" "$phase" "$outcome"
                [[ $outcome == "$TARGET "* ]] || check "$bot moves again" move_begin "$bot"
        done
        for phase in "${PHASES[@]}"; do
                check "${group}_$phase has arrived with all it had" move_arrives "${group}_$phase"
        done
}

held_row()
{
        local bot=$1_$2

        point_row "$1 in ${2//_/-}" "${3% -}" "${HELD_STATES[$bot]}" "$(settled_msec "$bot")"
}

# settled_msec BOT: from HELD_MSEC to the end of its job, as the bus told of it; to now where it did not.
settled_msec()
{
        local usec

        usec=$(grep -E "\"JobRemoved\".*\"$1\",\"[a-z]+\"\]" "$HOST_DISK/bus.log" | tail -n 1 | json timestamp-realtime)
        [[ -n $usec ]] && ((usec / 1000 > HELD_MSEC)) || usec=$(($(msec) * 1000))
        echo $((usec / 1000 - HELD_MSEC))
}

# held_bots GROUP…: those with workers that take updates.
held_bots()
{
        local group phase

        for group; do
                for phase in "${PHASES[@]}"; do
                        [[ $phase == restore_webhook ]] || echo "${group}_$phase"
                done
        done
}

# held_start GROUP…: boots the host with the bots of these groups, busy at the server that they are to leave.
held_start()
{
        local bot bots

        held_add "$@"
        host_boot
        mapfile -t bots < <(held_bots "$@")
        check "the workers start" telegram_wait event=worker-start count=${#bots[@]}
        for bot in "${bots[@]}"; do
                telegram_inject "$bot" 1
        done
}

# held_finish GROUP…: the table and the verdict, when all of them have settled. Ends the script.
held_finish()
{
        local bots

        mapfile -t bots < <(held_bots "$@")
        points_table
        check "every update is accounted for" telegram_finish
        check_workers "${bots[@]}"
        check "and those that came last, too" telegram_finish
        check_verdict twice
        tap_done
}

# ---- The table ----

POINTS_ROWS=()

# msec: a clock for durations.
msec()
{
        echo $((${EPOCHREALTIME/./} / 1000))
}

# point_row POINT RESULT STATE MSEC
point_row()
{
        POINTS_ROWS+=("$(printf '%-44s %-10s %-17s %6s ms' "$@")")
}

points_table()
{
        printf '# %-44s %-10s %-17s %s\n' point result "state at restart" "time to settle"
        printf '# %s\n' "${POINTS_ROWS[@]}"
}
