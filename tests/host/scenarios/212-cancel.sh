#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Cancel() in each phase that can be put back, and behind the point of no return, where it is refused. One bot a phase.
# Defends L9 and L6: after it the same workers run at the same server and handle everything.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

declare -A job=()

# begin BOT [OPTION…]: its move, as bot_switch takes them.
begin()
{
        check "$1: a move begins" bot_switch "$@"
        job[$1]=$(job_number "$1")
}

# check_cancel BOT: takes the move back, which is in the phase that the bot is called by.
check_cancel()
{
        check "$1: the move is cancelled" host_run tgswitchctl cancel "${job[$1]}"
        check_equal "$1: the job's result says so" canceled "$(job_wait "$mark" "$1")"
        check_equal "$1: the seat is the cloud" cloud "$(bot_property "$1" Seat)"
        check_equal "$1: there is no error" "" "$(bot_property "$1" LastError)"
}

bots=(checking draining drained stopping spooling spooled waiting gone)

host_create
host_install
telegram_start
for bot in "${bots[@]}"; do
        bot_add "$bot" <<<$'LogInTimeoutSec=1\nSettleSec=200ms'
done
# A worker that stops when it is told to, in two senses.
mkfifo -m 666 "$HOST_ROOT/var/lib/may-stop"
printf '[Service]\nExecStop=/bin/sh -c "read word </var/lib/may-stop"\nTimeoutStopSec=infinity\n' |
        host_put /etc/systemd/system/stopping-worker.service.d/60-test.conf
host_boot
check "the workers start" telegram_wait event=worker-start count=${#bots[@]}

# ---- check: alone, since it takes the server ----

mark=$(bus_mark)
telegram_fault '{"role":"local","kind":"silent"}'
begin checking
check "checking: it is looking at the server" telegram_wait event=server-start
check_cancel checking
check "the server, started for the check, is stopped" server_stops "$mark"
telegram DELETE /faults >/dev/null

# ---- every other phase ----

mark=$(bus_mark)
seq=$(telegram_seq)
host_run systemctl kill --signal=STOP draining-worker.service
telegram_inject draining 0 5
begin draining 1 on-undrained s wait
check "draining: its worker does not take" phase_wait "$mark" draining drain
begin drained 1 hold-at s stop-workers
check "drained: it holds" job_becomes "$mark" "${job[drained]}" Holding true
begin stopping
check "stopping: its worker is being stopped" phase_wait "$mark" stopping stop-workers
begin spooled 1 hold-at s log-out
check "spooled: it holds" job_becomes "$mark" "${job[spooled]}" Holding true
begin spooling 1 hold-at s log-out
check "spooling: it holds" job_becomes "$mark" "${job[spooling]}" Holding true
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[spooling]},\"method\":\"getUpdates\",\"kind\":\"hang\"}"
check "spooling: it is told to go on" host_run tgswitchctl proceed "${job[spooling]}"
check "spooling: the cloud does not answer" telegram_wait event=fault bot="${BOT_IDS[spooling]}"
# Not carried out, and not given up: the cloud names a time to wait.
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[waiting]},\"method\":\"logOut\",\"kind\":\"flood\",
        \"retry_after\":20}"
begin waiting
check "waiting: the cloud wants no logOut now" telegram_wait event=answer method=logout code=429
check "waiting: it can be taken back again" job_becomes "$mark" "${job[waiting]}" Cancellable true

# First those that do not wait for ever.
for bot in waiting spooling draining drained stopping spooled; do
        [[ $bot == draining ]] || telegram_inject "$bot" 0 5
        if [[ $bot == stopping ]]; then
                check "stopping: the move is cancelled" host_run tgswitchctl cancel "${job[stopping]}"
                echo now >"$HOST_ROOT/var/lib/may-stop"
                check_equal "stopping: the job's result says so" canceled "$(job_wait "$mark" stopping)"
        else
                check_cancel "$bot"
        fi
done
host_run systemctl kill --signal=CONT draining-worker.service
for bot in draining drained stopping spooled spooling waiting; do
        check "$bot: the worker handles what has come" telegram_wait event=worker-handled bot="${BOT_IDS[$bot]}" \
                root=https://api.telegram.org since="$seq" count=5
done
check "the server, started for the check, is stopped" server_stops "$mark"
check_equal "no logOut was carried out" 0 "$(telegram_count event=logout-begin)"

# ---- the point of no return ----

mark=$(bus_mark)
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[gone]},\"method\":\"getMe\",\"kind\":\"hang\",\"times\":0}"
begin gone
check "gone: it is logged out" phase_wait "$mark" gone log-in
said=$(host_run tgswitchctl cancel "${job[gone]}" 2>&1)
check_match "gone: it can't be taken back" "logOut may have been applied: from here the cutover only goes forward" \
        "$said"
telegram DELETE /faults >/dev/null
check_equal "gone: it goes on to its end" "done" "$(job_wait "$mark" gone)"
said=$(host_run tgswitchctl cancel "${job[gone]}" 2>&1)
check_match "gone: a job that has ended can't be cancelled" "Job ${job[gone]}.* ended|no job|No job" "$said"

check "every update is accounted for" telegram_finish
check_verdict
tap_done
