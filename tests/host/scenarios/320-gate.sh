#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The gate: a worker that is started while its bot is between two servers waits, also when tgswitchd is killed at that
# moment, and runs only when the seat is settled (L4). Who is not a declared worker gets nothing (L7).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# unit_property UNIT PROPERTY
unit_property()
{
        host_run systemctl show --property="$2" --value "$1"
}

# start_held BOT: its worker, by hand; comes back when systemd waits for the credentials. The start that tgswitchd itself
# has begun in advance is called off.
start_held()
{
        local mark

        host_run systemctl stop "$1-worker.service"
        mark=$(bus_mark)
        seq=$(telegram_seq)
        host_run systemctl --no-block start "$1-worker.service"
        check "$1: systemd begins to start the worker" bus_wait "$mark" \
                "/unit/$1_2dworker_.*\"ActiveState\":\{\"type\":\"s\",\"data\":\"activating\""
}

# check_held BOT WHEN: the start is still under way, and no program of the worker's runs.
check_held()
{
        check_equal "$1: the worker is held $2" activating "$(unit_property "$1-worker.service" ActiveState)"
        check_equal "$1: its program does not run" 0 "$(unit_property "$1-worker.service" MainPID)"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
LogInTimeoutSec=2
EOF
for bot in spool out in; do
        bot_add "$bot" </dev/null
done
# Asks for a bot's token, and no configuration names it.
bot_worker_add in stranger.service
chroot "$HOST_ROOT" systemctl --quiet disable stranger.service
host_boot
check "all workers start on the cloud" telegram_wait event=worker-start count=3
telegram POST /inject '{"bot":"*","rate":2,"count":0}' >/dev/null

# The bot is still at the cloud, and its queue must not be touched.
mark=$(bus_mark)
bot_switch spool 1 hold-at s log-out
check "spool: it holds before logOut" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
start_held spool
check_held spool "before logOut"
mark=$(bus_mark)
check "the daemon is killed" daemon_kill
check "spool: it holds again" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
check "spool: it goes on when told to" host_run tgswitchctl proceed "$(bot_property spool Job | json 0)"
check_moved spool "$seq"

# Nobody knows whether the bot is logged in.
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[out]},\"method\":\"logOut\",\"kind\":\"hang-after\"}"
bot_switch out
check "out: logOut is applied" telegram_wait event=logout-applied bot="${BOT_IDS[out]}"
start_held out
check_held out "while the answer to logOut is awaited"
check_equal "out: the seat is not known" unknown "$(bot_property out Seat)"
# UINT64_MAX, with the digits that JSON's numbers have.
check_match "out: nor when the way back opens" ^18446744073709 "$(bot_property out CloudAllowedUSec)"
check "the daemon is killed" daemon_kill
check_moved out "$seq"

# The bot is nowhere. This start outlives the daemon: its connection is kept for the next one.
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[in]},\"method\":\"getMe\",\"kind\":\"hang\",\"times\":0}"
bot_switch in
check "in: the local server has got the login" telegram_wait event=request role=local method=getme \
        bot="${BOT_IDS[in]}"
start_held in
check_held in "before the login"
invocation=$(unit_property in-worker.service InvocationID)
for signal in KILL TERM; do
        pid=$(daemon_pid)
        check "the daemon gets SIG$signal" daemon_kill "$signal"
        check "and comes back" host_run systemctl start tgswitchd.service
        check "as another process" test "$pid" != "$(daemon_pid)"
        check_held in "after SIG$signal"
done
check_equal "in: no worker was started meanwhile" 0 \
        "$(telegram_count event=worker-start bot="${BOT_IDS[in]}" since="$seq")"
telegram DELETE /faults >/dev/null
check_moved in "$seq"
check_equal "in: it is the start that had been held" "$invocation" "$(unit_property in-worker.service InvocationID)"
check_equal "in: and the only one" 1 "$(telegram_count event=worker-start bot="${BOT_IDS[in]}" since="$seq")"

check "a unit that is nobody's worker does not start" fails host_run systemctl start stranger.service
check "the journal says why" host_run journalctl --quiet --unit=tgswitchd.service \
        --grep="Refused.*stranger.service: no bot"
check "an unprivileged process cannot use the socket" fails host_run \
        setpriv --reuid=65534 --regid=65534 --clear-groups test -w /run/tgswitch/credential.sock
check_equal "root's own process gets nothing from it" "" "$(curl -s --http0.9 -m 10 \
        --unix-socket "/proc/$HOST_LEADER/root/run/tgswitch/credential.sock" http://localhost/)"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
