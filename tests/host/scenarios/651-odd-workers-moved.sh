#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers that are odd in how they start and stop, and are moved all the same: one bot for each kind. Those that have to
# fail say so where people look, and are put right there as the sentence advises. Above all one that still has the
# cloud's address built in: its bot's queue at the local server is never polled. Those that are refused are in
# 650-odd-workers.sh; timers, paths, globs and start limits in 325-workers.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"
# shellcheck source=tests/host/table.sh
source "$(dirname "$0")/../table.sh"

# odd BOT LINES: its worker's own way to run.
odd()
{
        host_put "/etc/systemd/system/$1-worker.service.d/60-odd.conf" <<<"[Service]"$'\n'"$2"
}

# mend BOT: as the administrator would who has read the sentence.
mend()
{
        rm "$HOST_ROOT/etc/systemd/system/$1-worker.service.d/60-odd.conf"
        host_run systemctl daemon-reload
        host_run systemctl restart "$1-worker.service"
}

# get_ready BOT: lets the next start of its worker become ready; returns when that start has come to wait for it.
get_ready()
{
        timeout 60 tee "$HOST_ROOT/var/lib/ready-$1" <<<ready >/dev/null
}

# check_told BOT REGEX…: LastError and the journal match each.
check_told()
{
        local bot=$1 regex
        shift

        for regex; do
                check_match "$bot: LastError: $regex" "$regex" "$(bot_property "$bot" LastError)"
                check_match "$bot: so says the journal" "$regex" \
                        "$(host_run journalctl --unit=tgswitchd.service --output=cat TGSWITCH_BOT="$bot")"
        done
}

# check_handles BOT: its worker handles what comes in, at the local server.
check_handles()
{
        local seq

        seq=$(telegram_seq)
        telegram_inject "$1" 0 1
        check "$1: its worker handles updates there" telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" \
                root=http://127.0.0.1:8081 since="$seq"
}

# A program that takes its token from tgswitch and its server from nobody. What it runs with is in a directory of its own;
# the token stays where it is.
BUILT_IN='mkdir -p $RUNTIME_DIRECTORY/c; ln -sf $CREDENTIALS_DIRECTORY/bot-[tp]* $RUNTIME_DIRECTORY/c; '\
'echo https://api.telegram.org >$RUNTIME_DIRECTORY/c/bot-endpoint; '\
'export CREDENTIALS_DIRECTORY=$RUNTIME_DIRECTORY/c BOT_CAFILE=/etc/ssl/certs/ca-certificates.crt; '

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF

bot_add built </dev/null
odd built "RuntimeDirectory=built
ExecStart=
ExecStart=/bin/sh -c '${BUILT_IN//\$/\$\$}until /usr/bin/telegram-worker; do sleep 0.2; done'"
bot_add quiet </dev/null
odd quiet "RuntimeDirectory=quiet
ExecStart=
ExecStart=/bin/sh -c '${BUILT_IN//\$/\$\$}until /usr/bin/telegram-worker; do sleep 0.2; done'"
# Long enough for a program to be refused and started again.
bot_add ends <<<"SettleSec=2"
odd ends "RuntimeDirectory=ends
Restart=always
RestartSec=100ms
ExecStart=
ExecStart=/bin/sh -c '${BUILT_IN//\$/\$\$}exec /usr/bin/telegram-worker'
[Unit]
StartLimitIntervalSec=0"
bot_add daemon </dev/null
odd daemon "Type=forking
DynamicUser=no
RuntimeDirectory=daemon
PIDFile=/run/daemon/pid
ExecStart=
ExecStart=/bin/sh -c '/usr/bin/telegram-worker & echo \$\$! >/run/daemon/pid'"
bot_add deaf </dev/null
bot_worker_add deaf deaf-worker.service --ignore-sigterm
odd deaf "TimeoutStopSec=1"
# Nobody reads what is in the FIFO: whenever the socket is there and the service is not, it is started.
bot_add door </dev/null
host_put /etc/systemd/system/door-worker.socket <<'EOF'
[Socket]
ListenFIFO=/run/door
EOF
bot_add fails </dev/null
odd fails "Restart=no
ExecStart=
ExecStart=/bin/sh -c 'test \"\$\$TGSWITCH_ENDPOINT\" = cloud && exec /usr/bin/telegram-worker; exit 1'"
bot_add flap </dev/null
odd flap "Restart=always
RestartSec=50ms
ExecStart=
ExecStart=/bin/sh -c 'test \"\$\$TGSWITCH_ENDPOINT\" = local && exec /usr/bin/telegram-worker; exit 1'
[Unit]
StartLimitIntervalSec=0"
bot_add never <<<"StartTimeoutSec=1"
bot_add slow </dev/null
for bot in never slow; do
        mkfifo "$HOST_ROOT/var/lib/ready-$bot"
        odd "$bot" "Type=notify
NotifyAccess=all
ExecStart=
ExecStart=/bin/sh -c 'read _ </var/lib/ready-$bot && systemd-notify --ready && exec /usr/bin/telegram-worker'"
done
chroot "$HOST_ROOT" systemctl --quiet disable door-worker.service

host_boot
for bot in never slow; do
        check "$bot: its worker gets ready for the first time" get_ready "$bot"
done
check "the socket's unit starts" host_run systemctl start door-worker.socket
echo knock >"/proc/$HOST_LEADER/root/run/door"
# systemd knows of it only now, and so does the rule that lets the daemon stop it.
check "the daemon is told of the socket" host_run systemctl reload tgswitchd.service
for bot in built quiet ends daemon deaf door fails never slow; do
        check "$bot: its worker starts on the cloud" telegram_wait event=worker-start bot="${BOT_IDS[$bot]}" \
                root=https://api.telegram.org
done
for bot in built daemon deaf door flap slow; do
        telegram_inject "$bot" 5
done

# ---- all are asked to move ----

seq=$(telegram_seq)
mark=$(bus_mark)
for bot in "${!BOT_IDS[@]}"; do
        check "$bot: its move begins" bot_switch "$bot"
done

check "slow: its worker is being started" phase_wait "$mark" slow start-workers
check_equal "never: its worker does not get ready" failed "$(job_wait "$mark" never)"
check_told never "Not every worker started: never-worker.service: that took longer than it may, and systemd goes on with it" \
        "See 'systemctl status'"
table_row "not ready within StartTimeoutSec=" "waited for it, then went on" failed "$(bot_property never LastError)"
check "never: at last it does" get_ready never
check_handles never
check_equal "slow: the job still waits for its worker" start-workers "$(bot_property slow Phase)"
check "slow: it gets ready" get_ready slow
check_moved slow "$seq"
table_row "slow to get ready (Type=notify)" "waited for it" 'done' "$(bot_property slow LastError)"

for bot in daemon deaf door flap; do
        check_moved "$bot" "$(telegram_wait event=logout-applied bot="${BOT_IDS[$bot]}" since="$seq" | json seq)"
done
check_match "deaf: its worker was killed" "deaf-worker.service: Killing process" \
        "$(host_run journalctl --unit=deaf-worker.service --output=cat)"
table_row "ignores SIGTERM" "killed by TimeoutStopSec=" 'done' "$(bot_property deaf LastError)"
table_row "forks (PIDFile=)" "stopped and started" 'done' "$(bot_property daemon LastError)"
check_equal "door: its socket is active again" active "$(host_run systemctl is-active door-worker.socket)"
table_row "socket-activated, unread input" "socket stopped first" 'done' "$(bot_property door LastError)"
table_row "in auto-restart, RestartSec=50ms" "stopped and started" 'done' "$(bot_property flap LastError)"

check_equal "fails: the job fails" failed "$(job_wait "$mark" fails)"
# Seen by systemd as a start that failed, or as one that was done before the program had come so far.
check_told fails "fails-worker.service(: that failed| has failed \(exit-code\))" \
        "(journalctl -u fails-worker.service|'systemctl status')"
check_equal "fails: the bot is at the local server" local "$(bot_property fails Seat)"
table_row "exits 1 at once there" "started once" failed "$(bot_property fails LastError)"
mend fails
check_handles fails

# ---- the cloud's address is built in ----

check_equal "ends: the job fails" failed "$(job_wait "$mark" ends)"
check_told ends "ends-worker.service keeps being restarted" "address of the cloud server built in"
table_row "cloud built in, ends when refused" "watched" failed "$(bot_property ends LastError)"

# Nobody has written to this one yet, so all that can be known is that its worker runs.
check_equal "quiet: the job is done" 'done' "$(job_wait "$mark" quiet)"
telegram_inject quiet 0 3
time_pass 60
check_equal "built: the job fails" failed "$(job_wait "$mark" built 90)"
check_told built "nobody asks that server for its updates: [0-9]+ are pending" "address of the cloud server built in"
table_row "cloud built in, retries" "its queue watched" failed "$(bot_property built LastError)"
check "quiet: is found out when somebody writes" bus_wait "$mark" \
        '"path":"/org/tgswitch1/bot/quiet".*nobody asks that server for its updates: 3 are pending' 90
check_told quiet "nobody asks that server for its updates: 3 are pending"
table_row "the same, of a bot without traffic" "its queue watched for 10 min" 'done' "$(bot_property quiet LastError)"

for bot in built ends quiet; do
        check_equal "$bot: it is the worker alone that asks the cloud" worker "$(telegram GET \
                "/ledger?event=request&role=cloud&bot=${BOT_IDS[$bot]}&since=$(telegram_wait event=logout-applied \
                        bot="${BOT_IDS[$bot]}" since="$seq" | json seq)" | jq -r .agent | sort -u)"
        mend "$bot"
        check_handles "$bot"
done
time_pass 60
for bot in built quiet; do
        check "$bot: the error is taken back" bot_wait "$bot" LastError ""
        check "$bot: and that is told" timeout 60 grep -q -m 1 "^$bot: The bot's updates are taken now" \
                < <(host_run journalctl --follow --lines=all --unit=tgswitchd.service --output=cat)
done

check "every update is accounted for" telegram_finish
# What the programs with a built-in address did, nobody could keep them from: judged are the others.
VERDICT_FILTER="[.bots[] | select(.bot | IN(${BOT_IDS[built]}, ${BOT_IDS[ends]}, ${BOT_IDS[quiet]}) | not)]" \
        check_verdict twice
for bot in built ends quiet; do
        check "$bot: the judge has seen it" test "$(telegram GET /verdict |
                jq ".bots[] | select(.bot == ${BOT_IDS[$bot]}) | .violations | length")" -gt 0
done
table_print
tap_done
