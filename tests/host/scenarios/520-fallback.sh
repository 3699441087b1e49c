#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The local server dies for good: with Fallback=auto its bots go to the cloud by themselves, as soon as they may and not
# for a restart or while they are on hold. What it still has of them goes on record, is taken when it comes back, before
# anything else, and handed to the workers at the cloud. Defends L2, L5 and L6 where nobody can be asked.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

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
SettleSec=200ms
EOT
for bot in held shop; do
        bot_add "$bot" </dev/null
done
bot_add manual <<<"Fallback=manual"
bot_add_webhook hook
echo Fallback=auto >>"$HOST_ROOT/etc/tgswitch/bots.d/hook.conf"
host_boot
check "the workers start" telegram_wait event=worker-start count=4
check "all bots go to the local server" host_run systemctl start tgswitch-local.service
check "held: is held" host_run tgswitchctl hold held --reason "a reason"
check_equal "held: which is published" "a reason" "$(bot_property held HeldReason)"
time_pass 606
for bot in held hook manual shop; do
        check "$bot: may go back" bot_wait "$bot" CloudAllowedUSec 0
done

# ---- a restart is no death ----

seq=$(telegram_seq)
check "the server is killed, and started again by systemd" server_restarts
check "the daemon sees that it is back" server_probed 3
time_pass 10
check "and goes on looking" server_probed 3
check_equal "nobody goes anywhere" 0 "$(host_run tgswitchctl status --json | jq '.jobs | length')"
check_equal "and nothing was sent to the cloud" 0 "$(cloud_requests "$seq")"

# ---- it dies ----

# What was before is forgotten.
time_pass 31
check "the server is well again" server_probed 3
# What it has when it dies, nobody can ask for.
host_run systemctl kill --signal=STOP shop-worker.service hook-worker.service
telegram_inject shop 0 5
check "shop: five updates wait" telegram_wait event=update-queued role=local bot="${BOT_IDS[shop]}" since="$seq" count=5
mark=$(bus_mark)
killed=$(daemon_now_usec)
server_dies
host_run systemctl kill --signal=CONT shop-worker.service hook-worker.service
for bot in shop hook; do
        check_equal "$bot: goes to the cloud by itself" 'done' "$(job_wait "$mark" "$bot")"
        check_equal "$bot: its session is on record" true "$(bot_property "$bot" StaleSession)"
        check_arrived "$bot" cloud
done
check_match "shop: is not removed as long as nobody could end that session" \
        'The local server still holds a session of it, which nobody could end without the token' \
        "$(host_run tgswitchctl remove shop --yes 2>&1)"
last=$(host_run tgswitchctl status shop --json | jq '.bots[0].last_job')
check_match "shop: says why" "fallback: the local server is dead" "$(json reason <<<"$last")"
waited=$((($(json started_usec <<<"$last") - killed) / 1000))
check "shop: went $waited ms after it, not before FallbackGraceSec=" test "$waited" -ge 5000 -a "$waited" -le 9000
check_equal "hook: its webhook is set there" webhook-set "$(webhook_at hook cloud)"
check_equal "manual: stays" local "$(bot_property manual Seat)"
check_equal "held: stays" local "$(bot_property held Seat)"
mark=$(bus_mark)
check "held: is released" host_run tgswitchctl release held
check_equal "held: now it goes" 'done' "$(job_wait "$mark" held)"
check_arrived held cloud
check_equal "manual: stays" local "$(bot_property manual Seat)"
check_match "manual: that the server is dead is told" "Local server: failed" "$(host_run tgswitchctl status manual)"

# ---- it is back ----

# Nothing that begins by itself does so twice a minute.
time_pass 60
seq=$(telegram_seq)
server_returns
for bot in held hook shop; do
        check "$bot: its session there is ended" bot_wait "$bot" StaleSession false
        check "$bot: all is over" bot_wait "$bot" Phase ""
        check "$bot: nothing stays in the spool" bot_wait "$bot" SpooledUpdates 0
done
check "shop: what that server had goes to the worker at the cloud" telegram_wait event=worker-handled from=pending \
        root=https://api.telegram.org bot="${BOT_IDS[shop]}" since="$seq" count=5
check_arrived manual local
check "the server runs, for one bot" host_run systemctl is-active "$SERVER"

# ---- it dies, and the bot is called back before it is asked ----

check_match "shop: its session there was young" "before [0-9:]{8}" "$(move_to local shop 2>&1)"
time_pass 1806
mark=$(bus_mark)
check "shop: goes to the local server again" move_to local shop
check_arrived shop local
time_pass 1806
check "shop: may go back" bot_wait shop CloudAllowedUSec 0
mark=$(bus_mark)
server_dies
check_equal "shop: goes to the cloud by itself" 'done' "$(job_wait "$mark" shop)"
check_arrived shop cloud
host_run systemctl unmask --runtime --quiet "$SERVER"
host_run systemctl reset-failed "$SERVER"
seq=$(telegram_seq)
mark=$(bus_mark)
check "shop: is called back" move_to local shop 1 when-allowed b true
check "shop: the server is started, the session there ended first" telegram_wait event=logout-applied role=local \
        bot="${BOT_IDS[shop]}" since="$seq"
check "shop: then it waits for that server" bot_wait shop Phase queued
check "shop: for which it is out" bot_wait shop StaleSession false
# It was no longer young, so that server takes it back after a second and what is added to be sure.
check_window shop local 0 6
check_equal "shop: and goes" 'done' "$(job_wait "$mark" shop)"
check_arrived shop local

# ---- once more, and nobody wants to wait ----

time_pass 1806
check "shop: may go back again" bot_wait shop CloudAllowedUSec 0
mark=$(bus_mark)
server_dies
check_equal "shop: goes to the cloud once more" 'done' "$(job_wait "$mark" shop)"
check_arrived shop cloud
host_run systemctl unmask --runtime --quiet "$SERVER"
host_run systemctl reset-failed "$SERVER"
mark=$(bus_mark)
check "shop: is called back without a wish to wait" move_to local shop
check_equal "shop: the session there is ended, and the job is called off" failed "$(job_wait "$mark" shop)"
check_match "shop: which says when to come again" "The local server does not take the bot before [0-9:]{8} .*Start the \
cutover again then, or now with --when-allowed\." \
        "$(host_run tgswitchctl status shop --json | jq -r '.bots[0].last_job.error')"
check_equal "shop: no session is left there" false "$(bot_property shop StaleSession)"
check_equal "shop: and it is where it was" cloud "$(bot_property shop Seat)"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
