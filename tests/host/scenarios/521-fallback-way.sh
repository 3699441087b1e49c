#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The local server dies with bots on their way to it: logged out of the cloud, logged in at neither or at a server that
# cannot say so any more. With Fallback=auto they turn back as soon as the cloud may take them, with Fallback=manual
# they wait and say for what. And a server in a crash loop, which answers now and then, is a dead one. Defends L1, L2
# and L5.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

# fault BOT ROLE METHOD FIELDS: until it is deleted.
fault()
{
        telegram_fault "{\"bot\":${BOT_IDS[$1]},\"role\":\"$2\",\"method\":\"$3\",\"times\":0,$4}"
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[Manager]
ServerProbeSec=1
[BotDefaults]
Fallback=auto
FallbackGraceSec=5
DrainTimeoutSec=500ms
LogInTimeoutSec=3
SettleSec=200ms
EOT
for bot in loop lost stuck; do
        bot_add "$bot" </dev/null
done
bot_add manual <<<"Fallback=manual"
bot_add_webhook hook
host_boot
check "the workers start" telegram_wait event=worker-start count=5
telegram POST /inject '{"bot":"*","rate":1,"count":0}' >/dev/null

# ---- on the way ----

check "loop: is at the local server" host_run systemctl start tgswitch-local@loop.service
fault lost local getMe '"kind":"hang-after"'
fault hook local setWebhook '"kind":"hang"'
fault manual cloud logOut '"kind":"delay","ms":2000'
fault stuck cloud logOut '"kind":"delay","ms":2000'
seq=$(telegram_seq)
mark=$(bus_mark)
for bot in hook lost manual stuck; do
        check "$bot: its move begins" move_to local "$bot"
done
check "hook: is logged in there" telegram_wait event=request role=local method=setwebhook bot="${BOT_IDS[hook]}" \
        since="$seq"
check "lost: is logged in there" telegram_wait event=request role=local method=getme bot="${BOT_IDS[lost]}" since="$seq"
for bot in manual stuck; do
        check "$bot: is being logged out" telegram_wait event=request role=cloud method=logout bot="${BOT_IDS[$bot]}" \
                since="$seq"
done
server_dies
telegram DELETE /faults >/dev/null
seq=$(telegram_seq)
for bot in lost manual stuck; do
        check "$bot: is nowhere" bot_wait "$bot" Seat none
done
check_equal "hook: has no webhook" restore-webhook "$(bot_property hook Phase)"
for bot in hook lost manual stuck; do
        # It is inactive, or its start waits at the gate.
        check_equal "$bot: its worker does not run" 0 "$(host_run systemctl show --property=MainPID --value \
                "$bot-worker.service")"
done
# Whoever asks twice has seen the state in between.
check "the daemon looks after that server" server_probed 2
check_match "manual: what it waits for is told" "logged out and waits for the local server, .*$SERVER is masked" \
        "$(bot_property manual LastError)"
mark=$(bus_mark)
time_pass $(($(window_left stuck cloud) - 2))
check_equal "two seconds before the end nothing was sent to the cloud" 0 "$(cloud_requests "$seq" stuck)"
for bot in hook lost stuck; do
        check_equal "$bot: turns back" failed "$(job_wait "$mark" "$bot")"
        check "$bot: it is over" bot_wait "$bot" Phase ""
        check_equal "$bot: it is at the cloud" cloud "$(bot_property "$bot" Seat)"
        check "$bot: what comes in is handled there" telegram_wait "event=${HANDLED_BY[$bot]:-worker-handled}" \
                bot="${BOT_IDS[$bot]}" since="$(telegram_seq)"
done
check_equal "hook: the session there is on record" true "$(bot_property hook StaleSession)"
check_equal "lost: what may be a session there is on record" true "$(bot_property lost StaleSession)"
check_equal "stuck: there is none" false "$(bot_property stuck StaleSession)"
check_equal "loop: came along" cloud "$(bot_property loop Seat)"
check_equal "manual: still waits" "none log-in" "$(bot_property manual Seat) $(bot_property manual Phase)"
check_match "manual: and says for what" "$SERVER" "$(bot_property manual LastError)"

seq=$(telegram_seq)
time_pass 60
server_returns
check_arrived manual local
for bot in hook lost loop; do
        check "$bot: its session there is ended" bot_wait "$bot" StaleSession false
        check "$bot: by a logOut" telegram_wait event=answer role=local method=logout bot="${BOT_IDS[$bot]}" \
                since="$seq"
        check "$bot: all is over" bot_wait "$bot" Phase ""
        check "$bot: nothing stays in the spool" bot_wait "$bot" SpooledUpdates 0
done

# ---- a crash loop ----

time_pass 1806
check "loop: is at the local server again" host_run systemctl start tgswitch-local@loop.service
time_pass 1806
check "loop: may go back" bot_wait loop CloudAllowedUSec 0
host_put "/etc/systemd/system/$SERVER.d/60-loop.conf" <<'EOT'
[Unit]
StartLimitIntervalSec=0
[Service]
RuntimeMaxSec=1
KillSignal=SIGKILL
Restart=always
RestartSec=1
EOT
host_run systemctl daemon-reload
seq=$(telegram_seq)
mark=$(bus_mark)
host_run systemctl restart "$SERVER"
check_equal "loop: goes to the cloud by itself" 'done' "$(job_wait "$mark" loop)"
check "after the server was there for a while, several times" test "$(telegram_count event=server-start \
        since="$seq")" -gt 2
check_arrived loop cloud
rm "$HOST_ROOT/etc/systemd/system/$SERVER.d/60-loop.conf"
host_run systemctl daemon-reload
time_pass 60
host_run systemctl restart "$SERVER"
check "loop: no session stays there" bot_wait loop StaleSession false
check "loop: all is over" bot_wait loop Phase ""
check "loop: nothing stays in the spool" bot_wait loop SpooledUpdates 0

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
