#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The way back: refused as long as the window is open, or queued until it is over, through kills, restarts, reboots and
# clocks that are a year wrong. Not a second early by Telegram's clock (L8), and if the cloud is late, later. What
# StopWhenUnused= does, and the window that a local server has of its own. Defends L1, L2, L6 and L8.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

YEAR=31536000

# check_waits BOT JOB WHEN FROM TO: the same job still waits for a window of so many seconds, and the cloud has got
# nothing since `seq`.
check_waits()
{
        check "$1: $3, it is there again" bot_wait "$1" Phase queued
        check_equal "$1: $3, job $2 waits" "$2" "$(job_number "$1")"
        check_window "$1" cloud "$4" "$5"
        check_equal "$1: $3, nothing was sent to the cloud" 0 "$(cloud_requests "$seq" "$1")"
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
# Without it no clock counts as synchronised: what this machine's is, is none of the scenario's business.
chroot "$HOST_ROOT" systemctl --quiet mask systemd-timedated.service
for bot in busy late shop told; do
        bot_add "$bot" </dev/null
done
bot_add_webhook hook
host_boot
check "the workers start" telegram_wait event=worker-start count=5
check "all bots go to the local server" host_run systemctl start tgswitch-local.service
telegram_inject busy 5
telegram_inject hook 5

# ---- inside the window ----

seq=$(telegram_seq)
mark=$(bus_mark)
check_window shop cloud 580 605
said=$(TARGET=cloud move_begin shop 2>&1)
check_match "shop: the way back is refused with time of day and seconds" \
        "does not take it back before [0-9]{2}:[0-9]{2}:[0-9]{2} \(in (60[0-5]|5[89][0-9]) s\).*--when-allowed" "$said"
check "shop: under a name of its own" bus_wait "$mark" 'org\.tgswitch1\.Error\.FallbackWindow'
said=$(host_run tgswitchctl switch cloud shop --yes 2>&1)
check_equal "tgswitchctl has an exit status for it" 4 $?
check_match "and says the same" "before [0-9:]{8} \(in [0-9]+ s\)" "$said"
check "tgswitch-cloud@shop fails" fails host_run systemctl start tgswitch-cloud@shop.service
check "tgswitch-cloud fails" fails host_run systemctl start tgswitch-cloud.service
check_match "and the journal tells why" "shop was logged out .* before [0-9:]{8}" \
        "$(host_run journalctl --unit=tgswitch-cloud.service --output=cat)"
for bot in "${!BOT_IDS[@]}"; do
        check_equal "$bot: there is no job" 0 "$(job_number "$bot")"
done
check_equal "nothing was sent to the cloud" 0 "$(cloud_requests "$seq")"

# ---- queued, whatever happens meanwhile ----

check "shop: is queued where that is wanted" move_to cloud shop 1 when-allowed b true
job=$(job_number shop)
check_equal "shop: to the cloud" cloud "$(bot_property shop Target)"
left=$((($(bot_property shop CloudAllowedUSec) - $(host_run busctl --json=short get-property org.tgswitch1 \
        "/org/tgswitch1/job/$job" org.tgswitch1.Job NotBeforeUSec | json data)) / 1000))
check "shop: it is published when it may begin ($left ms)" test "${left#-}" -le 1000
check "the daemon is killed" daemon_kill
check_waits shop "$job" "after a kill" 570 605
for years in -1 1; do
        clock_set $((years * YEAR))
        check_waits shop "$job" "with the clock at $years year" 560 605
        check "the daemon is restarted" host_run systemctl restart tgswitchd.service
        check_waits shop "$job" "after a restart with the clock at $years year" 550 605
done
clock_set 0
time_pass $(($(window_left shop cloud) - 2))
check_equal "shop: two seconds before the end nothing was sent to the cloud" 0 "$(cloud_requests "$seq" shop)"
mark=$(bus_mark)
check_equal "shop: goes by itself" 'done' "$(job_wait "$mark" shop)"
check_away shop 605000 609000
check_arrived shop cloud
check "others are at the local server, which runs" host_run systemctl is-active "$SERVER"

# ---- the window of the local server ----

said=$(TARGET=local move_begin shop 2>&1)
check_match "shop: the local server had a young session" \
        "before [0-9:]{8} \(in 1[78][0-9]{2} s\), or until it is restarted" "$said"
check_window shop local 1780 1805
mark=$(bus_mark)
check "the local server is restarted" host_run systemctl restart "$SERVER"
check "shop: that server has forgotten" bot_wait shop LocalAllowedUSec 0
check "shop: it may go there again" move_to local shop
check_arrived shop local
check_window shop cloud 1780 1805

# ---- a reboot, and a cloud that is late ----

seq=$(telegram_seq)
check "the webhook is set at the local server" test "$(webhook_at hook local)" = webhook-set
# The windows of the other four are over.
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[late]},\"method\":\"getMe\",\"kind\":\"logged-out\"}"
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[told]},\"method\":\"getMe\",\"kind\":\"flood\",
        \"retry_after\":40}"
for bot in late told; do
        mark=$(bus_mark)
        check "$bot: goes" move_to cloud "$bot"
        check "$bot: is logged out here" phase_wait "$mark" "$bot" log-in
        check "$bot: and told to wait" telegram_wait event=fault bot="${BOT_IDS[$bot]}" since="$seq"
        check "$bot: which is published" bot_wait "$bot" Seat none
done
check_window late cloud 50 66
check_window told cloud 30 46
check "shop: is queued" move_to cloud shop 1 when-allowed b true
job=$(job_number shop)
host_shutdown
host_boot
check_waits shop "$job" "after a reboot with a clock that nobody trusts" 1780 1805
for bot in late told; do
        check_equal "$bot: still waits" log-in "$(bot_property "$bot" Phase)"
        check_equal "$bot: was not logged out again" 1 "$(telegram_count event=request method=logout role=local \
                bot="${BOT_IDS[$bot]}")"
done
time_pass 70
for bot in late told; do
        check_arrived "$bot" cloud
        check_equal "$bot: the cloud was asked twice to take it" 2 \
                "$(telegram_count event=request role=cloud method=getme bot="${BOT_IDS[$bot]}" since="$seq")"
done

# ---- all of them ----

mark=$(bus_mark)
host_run systemctl start tgswitch-cloud.service &
unit=$!
for bot in busy hook; do
        check_equal "$bot: goes with it" 'done' "$(job_wait "$mark" "$bot")"
        check_arrived "$bot" cloud
done
check_equal "hook: its webhook is set at the cloud again" webhook-set "$(webhook_at hook cloud)"
check_equal "shop: still waits" queued "$(bot_property shop Phase)"
time_pass $(($(window_left shop cloud) - 1))
check_arrived shop cloud
check "tgswitch-cloud has waited for it" wait "$unit"
check "the local server has lost its last bot and is stopped" server_stops "$mark"
seq=$(telegram_seq)
check "a second start succeeds" host_run systemctl start tgswitch-cloud.service
check_equal "and moves nothing" 0 "$(telegram_count event=request method=logout since="$seq")"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
