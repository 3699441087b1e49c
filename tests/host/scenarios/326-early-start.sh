#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers are told to start as soon as all of a bot's have stopped, and wait at the gate until the endpoint is
# published. Each bot is kept in log-in, where its workers may not run (L4), and looked at: who waits at the gate, and
# who is left alone because a start in advance would do harm. Whatever becomes of the move, and whoever dies or meddles
# meanwhile, each worker is started once.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# bot -> units that wait at the gate as long as it is in log-in, and such that are not started before
declare -A early=([plain]=plain-worker [limited]=limited-worker [meddled]=meddled-worker)
declare -A late=([door]=door-worker [half]='half-worker half-other')

# hinder BOT ROLE METHOD: does not get an answer to it.
hinder()
{
        telegram_fault "{\"role\":\"$2\",\"bot\":${BOT_IDS[$1]},\"method\":\"$3\",\"times\":0,\"kind\":\"hang\"}"
}

# state UNIT: "MAIN-PID STATE".
state()
{
        host_run systemctl show --property=ActiveState,MainPID --value "$1.service" | paste -s -d ' '
}

# becomes VALUE COMMAND…: returns when that is what the command prints.
becomes()
{
        local value=$1 deadline=$((SECONDS + 30))
        shift

        until [[ $("$@") == "$value" ]]; do
                ((SECONDS < deadline)) || return
        done
}

job_of()
{
        host_run systemctl show --property=Job --value "$1.service"
}

# check_held UNIT: it is being started, and nothing of it runs.
check_held()
{
        check "$1 waits at the gate" becomes "0 activating" state "$1"
}

# check_once UNIT ROOT: since `seq` it was started once, there.
check_once()
{
        check_equal "$1 was started once" 1 "$(telegram_count event=worker-start unit="$1.service" since="$seq")"
        check_equal "$1: and there" 1 "$(telegram_count event=worker-start unit="$1.service" root="$2" since="$seq")"
}

# hung BOT METHOD ROLE: returns when the daemon's request waits for its answer.
hung()
{
        telegram_wait event=request role="$3" method="$2" bot="${BOT_IDS[$1]}" since="$seq" >/dev/null
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
LogInTimeoutSec=1
SettleSec=200ms
EOF
for bot in plain meddled killed; do
        bot_add "$bot" </dev/null
done
# At the cloud it runs until it is stopped.
bot_add once </dev/null
host_put /etc/systemd/system/once-worker.service.d/60-test.conf <<'EOF'
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/bin/sh -c 'test "$TGSWITCH_ENDPOINT" = local || exec telegram-worker; exec telegram-worker --oneshot'
EOF
# What systemd allows for the job is meant for a start that nobody holds.
bot_add limited </dev/null
host_put /etc/systemd/system/limited-worker.service.d/60-test.conf <<<$'[Unit]\nJobTimeoutSec=1s'
# systemd starts no socket beside a service that starts.
bot_add door </dev/null
host_put /etc/systemd/system/door-worker.socket <<<$'[Socket]\nListenFIFO=/run/door'
# The gate of one of them will be taken away between the check and the start.
bot_add half cloud half-worker.service half-other.service <<<"SpoolTo=half-worker.service"
bot_add back <<<"SpoolTimeoutSec=1"
chroot "$HOST_ROOT" systemctl --quiet disable once-worker.service door-worker.service

host_boot
check "a worker is started by hand" host_run systemctl --no-block start once-worker.service
for unit in plain-worker once-worker limited-worker meddled-worker killed-worker half-worker half-other back-worker; do
        check "$unit starts on the cloud" telegram_wait event=worker-start unit="$unit.service"
done
check "a worker's socket is started" host_run systemctl start door-worker.socket
check "and the worker after it" host_run systemctl start door-worker.service
# systemd knows of it only now, and so does the rule that lets the daemon stop it.
check "the daemon is told of the socket" host_run systemctl reload tgswitchd.service
for bot in plain limited meddled killed door half; do
        telegram_inject "$bot" 2
done

# ---- held as long as the bot is nowhere ----

seq=$(telegram_seq)
mark=$(bus_mark)
for bot in plain limited meddled killed door half; do
        hinder "$bot" local getMe
done
hinder back cloud getUpdates
check "half: its move begins, and holds" bot_switch half 1 hold-at s stop-workers
check "half: it holds" job_becomes "$mark" "$(job_number half)" Holding true
sed -i /ExecStartPre/d "$HOST_ROOT/etc/systemd/system/half-other.service.d/50-tgswitch.conf"
check "half: a gate is taken away" host_run systemctl daemon-reload
check "half: it is told to go on" host_run tgswitchctl proceed "$(job_number half)"
for bot in plain limited meddled killed door back; do
        check "$bot: its move begins" bot_switch "$bot"
done

check "back: the move cannot spool" phase_wait "$mark" back spool
check_held back-worker
for bot in "${!early[@]}" killed "${!late[@]}"; do
        check "$bot: it is logged out, and hangs in log-in" hung "$bot" getme local
done
for bot in "${!early[@]}"; do
        check_held "${early[$bot]}"
done
for bot in "${!late[@]}"; do
        for unit in ${late[$bot]}; do
                check_equal "$unit is not started yet" "0 inactive" "$(state "$unit")"
        done
done
check_equal "nobody is told that these wait" "" \
        "$(host_run journalctl --unit=tgswitchd.service --output=cat | grep 'waits at the gate')"

# ---- somebody meddles ----

check_held killed-worker
# Counted is what comes after it.
kill_seq=$(telegram_seq)
check "the daemon is killed" daemon_kill
check "killed: its successor asks the server again" telegram_wait event=request role=local method=getme \
        bot="${BOT_IDS[killed]}" since="$kill_seq"
check_held killed-worker
check "meddled: the worker is stopped by hand" host_run systemctl stop meddled-worker.service
check_match "meddled: and stays so" "0 (inactive|failed)" "$(state meddled-worker)"
check "limited: systemd gives up the job" becomes "" job_of limited-worker
check_held limited-worker
for bot in "${!early[@]}" killed "${!late[@]}"; do
        check_equal "$bot: it is in log-in" log-in "$(bot_property "$bot" Phase)"
done
check_equal "meanwhile no program of theirs was started" "" "$(telegram GET "/ledger?event=worker-start&since=$seq" |
        jq -r '.unit | select(. != "back-worker.service")')"

# ---- what becomes of them ----

check_equal "back: its job has failed" failed "$(job_wait "$mark" back)"
check_equal "back: its worker runs" active "$(host_run systemctl is-active back-worker.service)"
check_once back-worker https://api.telegram.org
telegram DELETE /faults >/dev/null
for bot in plain limited meddled killed door half; do
        check_moved "$bot" "$seq"
        check_equal "$bot: all is well" "" "$(bot_property "$bot" LastError)"
done
# After the daemon has died in between it may be twice, as after any other crash while workers are started.
hinder once local getMe
check "once: its move begins" bot_switch once
check "once: it is logged out, and hangs in log-in" hung once getme local
check_held once-worker
telegram DELETE /faults >/dev/null
check "once: its move ends" bot_wait once Phase ""
check_equal "once: the job is done" 'done' "$(bot_property once LastResult)"
for unit in plain-worker once-worker limited-worker meddled-worker killed-worker door-worker half-worker half-other; do
        check_once "$unit" http://127.0.0.1:8081
done
check_equal "door: its socket is active again" active "$(host_run systemctl is-active door-worker.socket)"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
