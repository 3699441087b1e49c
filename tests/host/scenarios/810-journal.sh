#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the journal is told: one line at info for a move's begin, each of its phases and its end, and nothing else; each
# event with its id, its level and its fields; and what 'journalctl -x' makes of it with the catalog that is installed.
# Then org.freedesktop.LogControl1 as systemctl knows it, and what is there at debug. That no token is in any of it is
# found out as everywhere (tap_done). Whether code and catalog fit together is the matter of test-catalog.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$HOST_DIR/points.sh"
# shellcheck source=tests/host/back.sh
source "$HOST_DIR/back.sh"

declare -A EVENTS=()
while read -r name id; do
        EVENTS[$name]=$id
done < <(sed -nE 's/^ *E\(([A-Z_]+), "([0-9a-f]{32})"\).*/\1 \2/p' "$SOURCE_DIR/daemon/base/log-events.h")

# journal [MATCH…]: the daemon's lines, one JSON object each; those of systemd about the unit are not among them.
journal()
{
        host_run journalctl --sync
        host_run journalctl --output=json --quiet _COMM=tgswitchd "$@"
}

# levels BOT: how many lines it has of each level: "6:13 5:1".
levels()
{
        journal TGSWITCH_BOT="$1" | jq -r .PRIORITY | sort -r | uniq -c | awk '{ print $2 ":" $1 }' | paste -s -d ' '
}

# phases BOT: as they were entered.
phases()
{
        journal TGSWITCH_BOT="$1" MESSAGE_ID="${EVENTS[PHASE_ENTERED]}" | jq -r .TGSWITCH_PHASE | paste -s -d ' '
}

# check_event EVENT LEVEL FIELD=VALUE… [-- REGEX]: there is one line of the event with these fields, at that level, and its
# text matches.
check_event()
{
        local event=$1 level=$2 matches=() lines
        shift 2

        while (($#)) && [[ $1 != -- ]]; do
                matches+=("$1")
                shift
        done
        lines=$(journal MESSAGE_ID="${EVENTS[$event]}" "${matches[@]}")
        check_equal "$event of ${matches[*]} is told once, at $level" "$level" "$(jq -r .PRIORITY <<<"$lines")"
        (($# < 2)) || check_match "and says what has happened" "$2" "$(jq -r .MESSAGE <<<"$lines")"
}

# check_info BOT EXTRA PHASE…: at info there is a line for each of the phases, and so many others.
check_info()
{
        local bot=$1 extra=$2
        shift 2

        check_equal "$bot: its phases are told, each once" "$*" "$(phases "$bot")"
        check_equal "$bot: and at info nothing but these and $extra more" $(($# + extra)) \
                "$(journal TGSWITCH_BOT="$bot" PRIORITY=6 | wc -l)"
}

# explained: each line with an id has an explanation, and in each something stands in place of the fields.
explained()
{
        local text ids

        ids=$(journal | jq -r '.MESSAGE_ID // empty' | wc -l)
        text=$(host_run journalctl --quiet --catalog --output=short _COMM=tgswitchd)
        echo "$text" | grep -E '@|TGSWITCH_' && return 1
        [[ $(grep -c 'Defined-By: tgswitch$' <<<"$text") == "$ids" ]] || return
        tap_note "$ids lines with an id and an explanation" >&2
}

# service_log VERB [VALUE]
service_log()
{
        host_run systemctl "service-log-$1" tgswitchd.service "${@:2}"
}

host_create
host_install
chroot "$HOST_ROOT" journalctl --update-catalog || host_bail "systemd does not take the catalog"
faults_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOF
for bot in shop lost held; do
        bot_add "$bot" </dev/null
done
bot_add slow <<<"OnUndrained=fail"
bot_add odd <<<"Colour=red"
bot_add bare </dev/null
bot_add hook </dev/null
rm "$HOST_ROOT/etc/tgswitch/tokens/bare"
rm "$HOST_ROOT/etc/systemd/system/multi-user.target.wants/"{odd,bare}-worker.service
host_put /etc/systemd/system/stranger.service <<'EOF'
[Service]
Type=oneshot
LoadCredential=bot-token:/run/tgswitch/credential.sock
ExecStart=/usr/bin/test -s %d/bot-token
EOF
host_boot
check "the workers start" telegram_wait event=worker-start count=5
check_event TOKEN_UNUSABLE 3 TGSWITCH_BOT=bare -- 'bare: There is no token: store it with'
check_event CONFIG_BAD 3 TGSWITCH_BOT=odd -- 'odd: .*odd\.conf:[0-9]+: .*Colour'

# ---- a move ----

mark=$(bus_mark)
check "shop: moves" bot_switch shop
check_equal "shop: the job is done" 'done' "$(job_wait "$mark" shop)"
check_info shop 2 queued check drain stop-workers spool log-out log-in restore-webhook publish start-workers confirm
check_equal "shop: above it there is the point of no return alone" "6:13 5:1" "$(levels shop)"
job=(TGSWITCH_BOT=shop TGSWITCH_JOB=1 TGSWITCH_TARGET=local)
check_event JOB_BEGUN 6 "${job[@]}" TGSWITCH_SEAT=cloud TGSWITCH_PHASE=queued -- '^shop: Cutover to local begins'
check_event PHASE_ENTERED 6 "${job[@]}" TGSWITCH_SEAT=cloud TGSWITCH_PHASE=drain -- '^shop: drain: '
check_event LOGGED_OUT 5 "${job[@]}" TGSWITCH_SEAT=none TGSWITCH_PHASE=log-in -- 'not take the bot back before [0-9:]{8} '
check_event JOB_DONE 6 "${job[@]}" TGSWITCH_SEAT=local -- 'done; the bot is at local'
lines=$(journal TGSWITCH_BOT=shop)
check_equal "the first and the last line are its begin and its end" "${EVENTS[JOB_BEGUN]} ${EVENTS[JOB_DONE]}" \
        "$(jq -r .MESSAGE_ID <<<"$lines" | sed -n '1p;$p' | paste -s -d ' ')"
check_equal "each line has the job, the target and the seat" "" \
        "$(jq -c 'select((.TGSWITCH_JOB and .TGSWITCH_TARGET and .TGSWITCH_SEAT and .SYSLOG_IDENTIFIER) | not)' <<<"$lines")"
check_equal "and where in the code it was written is nobody's business" "" "$(jq -r '.CODE_FILE // empty' <<<"$lines")"
said=$(host_run journalctl --quiet -x MESSAGE_ID="${EVENTS[LOGGED_OUT]}")
check_match "journalctl -x explains the point of no return" 'Subject: Bot shop is logged out: its move cannot be undone' "$said"
check_match "and names the command" 'tgswitchctl status shop' "$said"

# ---- what goes wrong ----

telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[lost]},\"method\":\"logOut\",\"kind\":\"drop-after\"}"
check "lost: moves, and the answer to logOut is lost" bot_switch lost
# With something to spool the server's last answer does not wait for more.
check "lost: its worker is stopped" telegram_wait event=worker-stop bot="${BOT_IDS[lost]}"
telegram_inject lost 0 1
check_equal "lost: the job is done" 'done' "$(job_wait "$mark" lost)"
check_info lost 2 queued check drain stop-workers spool log-out log-in restore-webhook publish start-workers confirm
check_event LOGOUT_UNKNOWN 4 TGSWITCH_BOT=lost TGSWITCH_SEAT=unknown TGSWITCH_PHASE=log-out -- 'repeated until'
check_event LOGGED_OUT 5 TGSWITCH_BOT=lost TGSWITCH_SEAT=none

telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[hook]},\"method\":\"getMe\",\"kind\":\"restart\"}"
check "hook: moves, and the local server does not log it in at once" bot_switch hook
check_equal "hook: the job is done" 'done' "$(job_wait "$mark" hook)"
check_event LOGIN_REFUSED 4 TGSWITCH_BOT=hook TGSWITCH_PHASE=log-in TGSWITCH_TARGET=local -- 'has not logged it in yet: 500'

host_run systemctl kill --signal=STOP slow-worker.service
telegram_inject slow 0 3
check "slow: moves, and its worker takes nothing" bot_switch slow
check_equal "slow: the job fails" failed "$(job_wait "$mark" slow)"
host_run systemctl kill --signal=CONT slow-worker.service
check_info slow 1 queued check drain
check_event JOB_FAILED 4 TGSWITCH_BOT=slow TGSWITCH_TARGET=local TGSWITCH_SEAT=cloud -- '3 updates are still pending'
check_equal "slow: which is all that is said" "6:4 4:1" "$(levels slow)"

mark=$(bus_mark)
check "held: moves, and waits before logOut" bot_switch held 2 on-undrained s spool hold-at s log-out
check "held: it holds" job_becomes "$mark" "$(job_number held)" Holding true
host_run systemctl start --no-block held-worker.service
check "held: a start of its worker waits" timeout 60 grep -q -m 1 '^held: held-worker.service waits at the gate' \
        < <(host_run journalctl --follow --lines=all --output=cat _COMM=tgswitchd)
host_run tgswitchctl cancel "$(job_number held)" >/dev/null
check_equal "held: the job is called off" canceled "$(job_wait "$mark" held)"
check_info held 1 queued check drain stop-workers spool roll-back
check_event GATE_HELD 5 TGSWITCH_BOT=held TGSWITCH_UNIT=held-worker.service TGSWITCH_PHASE=spool
check_event JOB_CANCELED 5 TGSWITCH_BOT=held TGSWITCH_SEAT=cloud

check "a unit that is nobody's worker does not start" fails host_run systemctl start stranger.service
check_event GATE_REFUSED 4 TGSWITCH_UNIT=stranger.service -- 'no bot'
check "held: is held" host_run tgswitchctl hold held --reason=Ferien
check "held: is released" host_run tgswitchctl release held
check_event BOT_HELD 5 TGSWITCH_BOT=held -- 'Held: .*Ferien'
check_event BOT_RELEASED 5 TGSWITCH_BOT=held
time_pass 700
check "shop: may go back" bot_wait shop CloudAllowedUSec 0
check_event WINDOW_OVER 5 TGSWITCH_BOT=shop -- 'the cloud server takes the bot again'

check "each line with an id is explained" explained

# ---- LogControl1 ----

check_equal "systemctl service-log-level" info "$(service_log level)"
check_equal "systemctl service-log-target" journal "$(service_log target)"
check_equal "at info nothing is logged at debug" 0 "$(journal PRIORITY=7 | wc -l)"
check "the level is set" service_log level debug
check_equal "and is told" debug "$(service_log level)"
mark=$(bus_mark)
check "shop: goes back" host_run tgswitchctl switch cloud --yes shop
debug=$(journal PRIORITY=7 TGSWITCH_BOT=shop | jq -r .MESSAGE)
for regex in 'settled \+ switch-requested -> queued: ' 'getMe goes to the local server\.' \
        'logOut goes to the local server\.' 'The local server answers logOut: ' 'log-out \+ logout-applied -> log-in: ' \
        'The cloud server answers getMe: ' 'confirm \+ confirmed -> settled: '; do
        check_match "at debug: $regex" "shop: $regex" "$debug"
done
tap_note "a move has $(wc -l <<<"$debug") lines at debug"
for value in loud 8; do
        check "no such level: $value" fails service_log level "$value"
done
check "nobody else may set it" fails host_run setpriv --reuid=65534 --regid=65534 --clear-groups \
        busctl set-property org.tgswitch1 /org/freedesktop/LogControl1 org.freedesktop.LogControl1 LogLevel s info
check_equal "which has changed nothing" debug "$(service_log level)"
check "it is set back" service_log level info
check "the target is set" service_log target console
host_run tgswitchctl hold held --reason=console >/dev/null
check_equal "and the lines go to standard error, without fields" "" "$(journal TGSWITCH_BOT=held -g 'Held: .*console')"
check_equal "which is the journal, too, and keeps the level" 5 "$(journal -g '^held: Held: .*console' | jq -r .PRIORITY)"
check "and back" service_log target auto
check_equal "to the journal" journal "$(service_log target)"

host_run tgswitchctl release held >/dev/null
for bot in slow held; do
        host_run systemctl start "$bot-worker.service"
done
check "every update is accounted for" telegram_finish
check_verdict
tap_done
