#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Asking for what is there already, or is on its way: nothing is sent for it, and nothing is done twice. Defends L1 and
# L3 against the impatient.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# ask BOT: prints the path of the job.
ask()
{
        host_run busctl --json=short call org.tgswitch1 "/org/tgswitch1/bot/$1" org.tgswitch1.Bot SwitchToLocal \
                'a{sv}' 0 | json data 0
}

jobs_begun()
{
        grep -c '"interface":"org.tgswitch1.Manager","member":"JobNew"' "$HOST_DISK/bus.log"
}

requests()
{
        telegram_count event=request role="$1" since="$seq"
}

host_create
host_install
telegram_start
bot_add shop <<<"SettleSec=200ms"
bot_add news <<<"SettleSec=200ms"
# A worker that stops, and so can start again, when it is told to.
mkfifo -m 666 "$HOST_ROOT/var/lib/may-stop"
printf '[Service]\nExecStop=/bin/sh -c "read word </var/lib/may-stop"\nTimeoutStopSec=infinity\n' |
        host_put /etc/systemd/system/news-worker.service.d/60-test.conf
host_boot
check "the workers start" telegram_wait event=worker-start count=2

# ---- a job that runs ----

mark=$(bus_mark)
check "a move begins that holds before log-out" bot_switch shop 1 hold-at s log-out
job=$(job_number shop)
check_equal "who asks again gets the same job" "/org/tgswitch1/job/$job" "$(ask shop)"
check "it holds" job_becomes "$mark" "$job" Holding true
check_equal "also while it holds" "/org/tgswitch1/job/$job" "$(ask shop)"
check_equal "there is one job" 1 "$(jobs_begun)"
check "it is told to go on" host_run tgswitchctl proceed "$job"
check_equal "and ends well" "done" "$(job_wait "$mark" shop)"
check_equal "with one logOut" 1 "$(telegram_count event=request method=logout)"

# ---- a job that is being rolled back ----

mark=$(bus_mark)
check "a move begins whose worker does not stop" bot_switch news
check "it stops the worker" phase_wait "$mark" news stop-workers
job=$(job_number news)
check "it is cancelled" host_run tgswitchctl cancel "$job"
check "it is being rolled back" phase_wait "$mark" news roll-back
said=$(host_run tgswitchctl switch local --yes news 2>&1)
check_equal "who asks now is refused" 7 $?
check_match "with the reason" "news cannot be moved to local now: .*job $job" "$said"
check_match "and what to do" "tgswitchctl wait $job" "$said"
said=$(host_run tgswitchctl cancel "$job" 2>&1)
check_match "there is no cancelling twice" "already being rolled back" "$said"
echo now >"$HOST_ROOT/var/lib/may-stop"
check_equal "the job ends" canceled "$(job_wait "$mark" news)"
mark=$(bus_mark)
check "then the bot can be moved" bot_switch news
check "its worker is being stopped" phase_wait "$mark" news stop-workers
echo now >"$HOST_ROOT/var/lib/may-stop"
check_equal "it arrives" "done" "$(job_wait "$mark" news)"

# ---- all is local ----

seq=$(telegram_seq)
jobs=$(jobs_begun)
workers=$(host_run systemctl show --property=MainPID shop-worker.service news-worker.service)
for time in first second; do
        check "the $time start of tgswitch-local succeeds" host_run systemctl start tgswitch-local.service
done
check "and that of one bot's instance" host_run systemctl start tgswitch-local@shop.service
check_equal "a call for it names no job" / "$(ask shop)"
check_equal "nothing was sent to the cloud" 0 "$(requests cloud)"
check_equal "no job was begun" "$jobs" "$(jobs_begun)"
check_equal "the workers were not touched" "$workers" \
        "$(host_run systemctl show --property=MainPID shop-worker.service news-worker.service)"

# ---- also after a restart, and a reboot ----

check "the daemon restarts" host_run systemctl restart tgswitchd.service
check "and has nothing to do" host_run systemctl start tgswitch-local.service
chroot "$HOST_ROOT" systemctl --quiet enable tgswitch-local.service
# The stop of this worker would wait again.
rm "$HOST_ROOT/etc/systemd/system/news-worker.service.d/60-test.conf"
host_run systemctl daemon-reload
host_shutdown
mark=$(bus_mark)
host_boot
check "the host boots with tgswitch-local enabled" host_run systemctl is-system-running --wait
check_equal "which succeeds" success "$(host_run systemctl show --property=Result --value tgswitch-local.service)"
check_equal "nothing was sent to the cloud" 0 "$(requests cloud)"
for bot in shop news; do
        telegram_inject "$bot" 0 5
        check "the worker of $bot is at the local server" telegram_wait event=worker-handled bot="${BOT_IDS[$bot]}" \
                root=http://127.0.0.1:8081 since="$seq" count=5
done

check "every update is accounted for" telegram_finish
check_verdict
tap_done
