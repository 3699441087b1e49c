#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Many bots with one call, there and back: the first goes alone until it has arrived, never more than Concurrency= at a
# time; what is called off where one of them strands; the pace of logins to the cloud, which takes twenty a minute.
# Defends L1 to L4 and L6 for bots that wait.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

N=24

# call METHOD [PATTERN…] -- [N KEY TYPE VALUE…]: of the manager; prints the bots that get a job.
call()
{
        local method=$1 patterns=()
        shift

        while [[ $1 != -- ]]; do
                patterns+=("$1")
                shift
        done
        shift
        (($#)) || set -- 0
        host_run busctl --json=short call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager "$method" 'asa{sv}' \
                "${#patterns[@]}" "${patterns[@]}" "$@" | jq -r '.data[0][][0]'
}

# phases MARK: "BOT PHASE" for each change that the bus told after it, in order; of those that have ended too.
phases()
{
        tail -n "+$(($1 + 1))" "$HOST_DISK/bus.log" | jq -r 'select(.member == "PropertiesChanged" and
                (.path | startswith("/org/tgswitch1/bot/"))) | .payload.data[1].Phase.data as $phase
                | select($phase != null) | "\(.path[20:]) \(if $phase == "" then "-" else $phase end)"'
}

# most_at_once MARK: how many moved at the same time, at most, beyond what disturbs nobody; and of those that had begun
# with that when the first arrived, how many besides it.
most_at_once()
{
        phases "$1" | awk '$2 == "-" { if (moving[$1]) { n--; moving[$1] = 0; if (!ended++) early = n } next }
                $2 !~ /^(queued|check|drain)$/ && !moving[$1] { moving[$1] = 1; if (++n > most) most = n }
                END { print most + 0, early + 0 }'
}

# all_done N MARK: returns when so many jobs have ended, and prints how many with each result.
all_done()
{
        bus_messages "$2" "$1" '"path":"/org/tgswitch1".*"JobRemoved"' |
                jq -r '.payload.data[3]' | sort | uniq -c | awk '{ print $2, $1 }' | paste -s -d ' '
}

# asked MARK MEMBER [UNIT-REGEX]: how often the daemon has called that method of systemd's after it.
asked()
{
        local owner

        owner=$(host_run busctl --json=short call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s \
                org.tgswitch1 | jq -r '.data[0]')
        tail -n "+$(($1 + 1))" "$HOST_DISK/bus.log" | jq -rs --arg owner "$owner" --arg member "$2" --arg unit "${3:-.}" '
                map(select(.type == "method_call" and .sender == $owner and .member == $member and
                .destination == "org.freedesktop.systemd1" and (.path | test($unit)))) | length'
}

# seats: how many bots are where.
seats()
{
        host_run tgswitchctl list --json | jq -r '[.bots[].seat] | group_by(.) | map("\(.[0]) \(length)") | join(" ")'
}

host_create
host_install
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[Manager]
Concurrency=3
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=100ms
EOT
bots=()
for ((i = 0; i < N; i++)); do
        bots+=("$(printf 'bot_%02d' "$i")")
        bot_add "${bots[i]}" </dev/null
done
host_boot
check "the workers start" telegram_wait event=worker-start count=$N
telegram POST /inject '{"bot":"*","rate":1,"count":0}' >/dev/null

# ---- one strands ----

# Its worker does not come up again: it is at the local server and not well.
host_put /etc/systemd/system/bot_01-worker.service.d/60-test.conf <<'EOT'
[Service]
ExecStartPre=/bin/sh -c 'test "$TGSWITCH_ENDPOINT" != local'
Restart=no
EOT
host_run systemctl daemon-reload
# The others are not done with it before that is known.
for ((i = 2; i < 8; i++)); do
        telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[${bots[i]}]},\"method\":\"getMe\",\"times\":0,
                \"kind\":\"delay\",\"ms\":4000}"
done
mark=$(bus_mark)
said=$(call SwitchToLocal 'bot_0[0-7]' --)
check_equal "eight bots are chosen by a pattern" 8 "$(wc -w <<<"$said")"
results=$(all_done 8 "$mark")
check_match "the second strands, and what had not begun is called off ($results)" "^done [1-6] failed [2-7]$" "$results"
check_match "bot_01: says why" "bot_01-worker.service" "$(bot_property bot_01 LastError)"
check_equal "bot_01: is at the local server" local "$(bot_property bot_01 Seat)"
check_equal "bot_07: is where it was" cloud "$(bot_property bot_07 Seat)"
check_match "bot_07: says why" "Not begun: MaxFailures=1" "$(bot_property bot_07 LastError)"
check_equal "bot_07: no logOut was sent for it" 0 "$(telegram_count event=request method=logout \
        bot="${BOT_IDS[bot_07]}")"
check_equal "the first went alone" 0 "$(most_at_once "$mark" | cut -d ' ' -f 2)"
telegram DELETE /faults >/dev/null
rm "$HOST_ROOT/etc/systemd/system/bot_01-worker.service.d/60-test.conf"
host_run systemctl daemon-reload
check "bot_01: is well again" host_run systemctl restart bot_01-worker.service

# ---- all ----

moved=$(telegram_count event=logout-applied role=cloud)
seq=$(telegram_seq)
mark=$(bus_mark)
said=$(call SwitchToLocal --)
check_equal "without a name all are meant" "$N" "$(wc -w <<<"$said")"
last=$(job_number bot_23)
check_equal "bot_23: waits" queued "$(bot_property bot_23 Phase)"
check "bot_23: and can be taken out" host_run tgswitchctl cancel "$last"
check_equal "the others arrive" "canceled 1 done $((N - 1 - moved))" "$(all_done $((N - moved)) "$mark")"
check_equal "which is where they are" "cloud 1 local $((N - 1))" "$(seats)"
read -r most early < <(most_at_once "$mark")
check_equal "three at a time, as Concurrency= says" 3 "$most"
check_equal "the first of them alone" 0 "$early"

# What a thousand bots repeat is what it takes them.
check_equal "systemd does not compare all its units with a name" 0 "$(asked "$mark" ListUnitsByPatterns)"
check_equal "bot_20: polkit is asked once whether it may be controlled at all" 1 \
        "$(asked "$mark" ResetFailed /bot_5f20_2dworker_2eservice)"
looks=$(asked "$mark" GetAll /telegram_2dbot_2dapi_2eservice)
check "a server that runs is not looked at all the time ($looks)" test "$looks" -le $((2 * (N - 1 - moved)))
check_equal "bot_20: opens two connections to the cloud" 2 "$(telegram GET \
        "/ledger?event=request&role=cloud&since=$seq&bot=${BOT_IDS[bot_20]}" |
        jq -r 'select(.agent != "worker") | .conn' | sort -u | wc -l)"

# ---- and back, at the pace that the cloud has ----

seq=$(telegram_seq)
check_match "inside the window the call is refused for all" "bot_00 was logged out .* bot_01," \
        "$(host_run busctl call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager SwitchToCloud 'asa{sv}' 0 0 2>&1)"
check_equal "and begins nothing" 0 "$(host_run tgswitchctl status --json | jq '.jobs | length')"
mark=$(bus_mark)
said=$(call SwitchToCloud -- 1 when-allowed b true)
check_equal "all are queued where that is wanted" "$N" "$(wc -w <<<"$said")"
check_equal "none has begun" 0 "$(cloud_requests "$seq" bot_00)"
time_pass $(($(window_left bot_22 cloud) + 1))
check_equal "twenty arrive" "done 20" "$(all_done 20 "$mark")"
check "the daemon is killed" daemon_kill
check "bot_22: its job is there again" bot_wait bot_22 Phase queued
left=$(host_run busctl --json=short get-property org.tgswitch1 "/org/tgswitch1/job/$(job_number bot_22)" \
        org.tgswitch1.Job NotBeforeUSec | json data)
left=$(((left - $(daemon_now_usec)) / 1000000))
check "the others wait for the minute to be over, $left s" test "$left" -gt 20 -a "$left" -le 66
check_match "bot_22: and say so" "20 new logins a minute" "$(bot_property bot_22 LastError)"
check_equal "bot_22: at the local server, where it works" local "$(bot_property bot_22 Seat)"
time_pass "$((left + 1))"
check_equal "then they arrive" "done $((N - 1))" "$(all_done $((N - 1)) "$mark")"
check_equal "which is where they are" "cloud $N" "$(seats)"
check_equal "no login was refused" 0 "$(telegram_count event=login-refused)"
read -r most early < <(most_at_once "$mark")
check_equal "three at a time" 3 "$most"
check_equal "the first of them alone" 0 "$early"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
