#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The metrics of a real daemon: bots in several states, a move there, one back and one that fails, each counted as the
# ledger has it; what the timer has written for the node exporter, by a service that can write nothing else; and what
# becomes of all that when the daemon is away. Defends L7: none of it has a token in it.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"
# shellcheck source=tests/packaging/metrics.sh
source "$SOURCE_DIR/tests/packaging/metrics.sh"

TEXTFILES=/var/lib/prometheus/node-exporter
PAGE=$SOURCE_DIR/packaging/man/tgswitch-metrics.7.scd

# metrics_now: as everybody may read them, into $HOST_DISK/metrics.
metrics_now()
{
        host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl metrics >"$HOST_DISK/metrics"
}

# metric SAMPLE: its value in these.
metric()
{
        awk -v sample="$1" '$1 == sample { print $2 }' "$HOST_DISK/metrics"
}

# check_metric SAMPLE VALUE
check_metric()
{
        check_equal "$1" "$2" "$(metric "$1")"
}

# textfile [DIRECTORY]: what the node exporter would read.
textfile()
{
        cat "/proc/$HOST_LEADER/root${1:-$TEXTFILES}/tgswitch.prom"
}

# steady: without what changes from one call to the next.
steady()
{
        grep -v '^tgswitch_api_requests_total'
}

# timer_due: seconds until the timer's next turn, as systemd has them.
timer_due()
{
        local due now

        due=$(host_run busctl --json=short get-property org.freedesktop.systemd1 \
                /org/freedesktop/systemd1/unit/tgswitch_2dmetrics_2etimer org.freedesktop.systemd1.Timer \
                NextElapseUSecMonotonic | json data)
        now=$(awk '{ printf "%.0f", $1 * 1000000 }' /proc/uptime)
        echo $(((due - now) / 1000000))
}

# page_lines FIRST LAST: of an example on the page, which is what an administrator copies.
page_lines()
{
        sed -n "/^$1/,/^$2/p" "$PAGE"
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
bot_add shop </dev/null
bot_add news <<<"Fallback=auto"
bot_add crowd cloud crowd-a.service crowd-b.service <<<"Worker=crowd-*.service"
bot_add stuck <<<"Worker=nowhere.service"
bot_add bare </dev/null
rm "$HOST_ROOT/etc/tgswitch/tokens/bare"
mkdir -p "$HOST_ROOT$TEXTFILES"
check_equal "the package leaves the timer alone" disabled \
        "$(chroot "$HOST_ROOT" systemctl preset tgswitch-metrics.timer 2>/dev/null
                chroot "$HOST_ROOT" systemctl is-enabled tgswitch-metrics.timer)"
chroot "$HOST_ROOT" systemctl --quiet enable tgswitch-metrics.timer
host_boot

# ---- before the first move ----

check "the timer has the service run" bus_wait 0 '"JobRemoved".*"tgswitch-metrics\.service","done"'
due=$(timer_due)
check "and will again in $due s" test "$due" -ge 0 -a "$due" -le 35
check_equal "it has written that the daemon is up" "tgswitch_up 1" "$(textfile | grep '^tgswitch_up')"
check "the workers start" telegram_wait event=worker-start count=5
metrics_now
for result in 'done' failed canceled; do
        check_metric "tgswitch_switches_total{from=\"cloud\",to=\"local\",result=\"$result\"}" 0
done
check_metric 'tgswitch_api_requests_total{endpoint="cloud",method="logOut",code="200"}' 0
check_metric 'tgswitch_bot_ready{bot="bare"}' 0
check_metric 'tgswitch_bot_error{bot="bare"}' 1
check_metric 'tgswitch_bot_error{bot="shop"}' 0
check_metric 'tgswitch_local_server_active' 0
check_metric 'tgswitch_worker_active{bot="crowd",unit="crowd-a.service"}' 1
check_metric 'tgswitch_worker_active{bot="crowd",unit="crowd-b.service"}' 1
check_metric 'tgswitch_worker_active{bot="stuck",unit="nowhere.service"}' 0

# ---- moves ----

host_run tgswitchctl hold crowd --reason="a word that nobody else needs" >/dev/null
host_run systemctl stop crowd-b.service
check "two bots go to the local server" host_run tgswitchctl switch local shop news --yes
check "one cannot" fails host_run tgswitchctl switch local stuck --yes
time_pass 700
check "one comes back" host_run tgswitchctl switch cloud shop --yes
check "and waits for the next move" move_to local shop 1 when-allowed b true
check "in the queue" bot_wait shop Phase queued
metrics_now
check_metric 'tgswitch_switches_total{from="cloud",to="local",result="done"}' 2
check_metric 'tgswitch_switches_total{from="local",to="cloud",result="done"}' 1
check_metric 'tgswitch_switches_total{from="cloud",to="local",result="failed"}' 1
check_metric 'tgswitch_api_requests_total{endpoint="cloud",method="logOut",code="200"}' \
        "$(telegram_count event=request method=logout role=cloud)"
check_metric 'tgswitch_api_requests_total{endpoint="local",method="logOut",code="200"}' \
        "$(telegram_count event=request method=logout role=local)"
check_metric 'tgswitch_switch_duration_seconds_count{to="local"}' 2
check_metric 'tgswitch_blind_seconds_count{to="local"}' 2
check_metric 'tgswitch_downtime_seconds_count{to="cloud"}' 1
check "a move takes its time" awk -v s="$(metric 'tgswitch_switch_duration_seconds_sum{to="local"}')" \
        'BEGIN { exit !(s > 0.2 && s < 60) }'
check_equal "the blind time is the last job's" "$(bot_property news LastJob | json blind-usec data)" \
        "$(metric 'tgswitch_last_switch_blind_seconds{bot="news"}' | awk '{ printf "%.0f", $1 * 1000000 }')"
check_metric 'tgswitch_bot_endpoint{bot="news",endpoint="local"}' 1
check_metric 'tgswitch_bot_endpoint{bot="news",endpoint="cloud"}' 0
check_metric 'tgswitch_bot_endpoint{bot="shop",endpoint="cloud"}' 1
check_metric 'tgswitch_bot_target{bot="shop",endpoint="local"}' 1
check_metric 'tgswitch_jobs{state="queued"}' 1
check_metric 'tgswitch_jobs{state="moving"}' 0
check_metric 'tgswitch_held{bot="crowd"}' 1
check_metric 'tgswitch_held_until_timestamp_seconds{bot="crowd"}' +Inf
check_metric 'tgswitch_last_switch_result{bot="stuck",result="failed"}' 1
check_metric 'tgswitch_last_switch_result{bot="news",result="done"}' 1
check_metric "tgswitch_bot_info{bot=\"news\",id=\"${BOT_IDS[news]}\"}" 1
check_metric 'tgswitch_local_server_active' 1
check_metric 'tgswitch_local_server_answering' 1
check_metric 'tgswitch_worker_active{bot="crowd",unit="crowd-b.service"}' 0
check_metric 'tgswitch_worker_active{bot="news",unit="news-worker.service"}' 1
check "promtool has nothing to say about it" metrics_valid "$HOST_DISK/metrics"
check_equal "and tgswitch-metrics(7) has all of it" "" \
        "$(diff <(metrics_of_text "$HOST_DISK/metrics") <(metrics_of_page "$PAGE"))"
check_equal "no reason and no error is in it" "" "$(grep -E 'nobody else|does not exist' "$HOST_DISK/metrics")"

# ---- the file ----

check "the job that waits is called off" host_run tgswitchctl cancel "$(job_number shop)"
check "at once" bot_wait shop Phase ""
check "the service writes the file" host_run systemctl start tgswitch-metrics.service
metrics_now
check_equal "which is what tgswitchctl prints" "$(steady <"$HOST_DISK/metrics")" "$(textfile | steady)"
check_metric 'tgswitch_switches_total{from="cloud",to="local",result="canceled"}' 1
check_equal "root's, for everybody to read, and alone" "tgswitch.prom 644 root" \
        "$(cd "/proc/$HOST_LEADER/root$TEXTFILES" && stat -c '%n %a %U' -- *)"
check_equal "the journal says nothing of it" "" \
        "$(host_run journalctl --quiet --output=cat --unit=tgswitch-metrics.service)"

# The sandbox: another directory takes more than a name.
page_lines '\[Unit\]' 'ReadWritePaths=' >"$HOST_DISK/drop-in"
host_run mkdir /srv/textfile
sed '/^ReadWritePaths=/d' "$HOST_DISK/drop-in" |
        host_put /run/systemd/system/tgswitch-metrics.service.d/override.conf
host_run systemctl daemon-reload
check "it cannot write anywhere else" fails host_run systemctl start tgswitch-metrics.service
check_match "and says so" "/srv/textfile/tgswitch\.prom cannot be written: Read-only file system" \
        "$(host_run journalctl --quiet --output=cat --unit=tgswitch-metrics.service)"
host_put /run/systemd/system/tgswitch-metrics.service.d/override.conf <"$HOST_DISK/drop-in"
host_run systemctl daemon-reload
check "with the lines of the manual page it can" host_run systemctl start tgswitch-metrics.service
check_equal "and does" "tgswitch_up 1" "$(textfile /srv/textfile | grep '^tgswitch_up')"
host_run rm -r /srv/textfile
check "without the directory nothing is done" host_run systemctl start tgswitch-metrics.service
check_equal "which is no failure" "no success" \
        "$(host_run systemctl show --property=ConditionResult --property=Result --value tgswitch-metrics.service |
                sort | paste -sd ' ')"
rm "/proc/$HOST_LEADER/root/run/systemd/system/tgswitch-metrics.service.d/override.conf"
host_run systemctl daemon-reload

# ---- without the daemon ----

host_run systemctl stop tgswitchd.service 2>/dev/null
check "when tgswitchd is stopped the service goes on" host_run systemctl start tgswitch-metrics.service
check_equal "and the file says that and nothing else" "tgswitch_up 0" "$(textfile | grep -v '^#')"
check "as promtool likes it" metrics_valid "/proc/$HOST_LEADER/root$TEXTFILES/tgswitch.prom"
host_run tgswitchctl metrics >/dev/null 2>&1
check_equal "tgswitchctl has a status for it" 9 $?
check_equal "nobody has started tgswitchd for that" inactive "$(host_run systemctl is-active tgswitchd.service)"
host_run systemctl start tgswitchd.service
metrics_now
check_metric 'tgswitch_switches_total{from="cloud",to="local",result="done"}' 0
check_metric 'tgswitch_last_switch_result{bot="news",result="done"}' 1
check_metric 'tgswitch_bot_endpoint{bot="news",endpoint="local"}' 1

check "every update is accounted for" telegram_finish
check_verdict
tap_done
