#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tgswitchctl for who is new, for scripts and from another host: without a verb it shows each state a bot can be in and the
# one command to type next, which works when typed; is-local; monitor, which sees every change and goes on over a kill of
# the daemon; --host, by a stand-in for ssh that starts the real systemd-stdio-bridge. Defends L9 for what --host refuses.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# run ARGUMENT…: leaves $screen, $status, and in $next the command that is to be typed next.
run()
{
        screen=$(host_run env PATH=/run/stand-in:/usr/bin:/bin tgswitchctl "$@" 2>&1 </dev/null)
        status=$?
        next=$(sed -n 's/^Next: //p' <<<"$screen")
}

# gives DESCRIPTION STATUS REGEX: what the last run() printed.
gives()
{
        if ((status == $2)) && [[ $screen =~ $3 ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected status $2 and: $3" "got status $status" "$screen"
        fi
}

# goes_on DESCRIPTION COMMAND: this is what is to be typed next; and to type it does no harm.
goes_on()
{
        check_equal "$1: what to type next" "$2" "$next"
}

# follow NAME ARGUMENT…: tgswitchctl in the background, its output in a file of the host. Ctrl-C reaches who is in the
# background of a terminal, and not who is in that of a script.
follow()
{
        local name=$1
        shift

        host_run rm -f "/run/$name.pid" "/run/$name.log"
        # shellcheck disable=SC2016
        host_run env --default-signal=INT PATH=/run/stand-in:/usr/bin:/bin bash -c '
                echo $$ >"/run/$1.pid"
                exec tgswitchctl "${@:2}" >"/run/$1.log" 2>&1' - "$name" "$@" </dev/null &
        followers[$name]=$!
}

# said NAME REGEX…: returns when lines of its output match, one after the other.
said()
{
        local log=/proc/$HOST_LEADER/root/run/$1.log deadline=$((SECONDS + 30)) line lines
        shift

        while [[ ! -e $log ]]; do
                ((SECONDS < deadline)) || return
        done
        exec {lines}< <(exec tail -n +1 -f "$log" 2>/dev/null)
        while (($#)) && read -r -t $((deadline - SECONDS + 1)) -u "$lines" line; do
                [[ ! $line =~ $1 ]] || shift
        done
        exec {lines}<&-
        (($# == 0)) || { cat "$log"; return 1; }
}

# signal NAME SIGNAL; ended DESCRIPTION NAME STATUS: leaves $screen.
signal()
{
        host_run kill -s "$2" "$(<"/proc/$HOST_LEADER/root/run/$1.pid")"
}

ended()
{
        wait "${followers[$2]}"
        check_equal "$1: status" "$3" $?
        screen=$(<"/proc/$HOST_LEADER/root/run/$2.log")
}

configure()
{
        host_put "/etc/tgswitch/bots.d/$1.conf"
}

declare -A followers=()

host_create
host_install
telegram_start
bot_add news </dev/null
bot_add shop </dev/null
chroot "$HOST_ROOT" systemctl --quiet disable news-worker.service shop-worker.service
mv "$HOST_ROOT"/etc/tgswitch/bots.d/{news,shop}.conf "$HOST_DISK"
mv "$HOST_ROOT/etc/tgswitch/tokens/news" "$HOST_DISK/token"
chroot "$HOST_ROOT" useradd --create-home --shell /bin/sh alice
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=100ms
EOT
host_boot
check "the daemon runs" host_run systemctl start tgswitchd.service

# ---- without a verb, from the beginning ----

run
gives "without any bot" 0 'Bots: 0 on the cloud, 0 local, 0 elsewhere.*No bot is configured yet'
goes_on "without any bot" 'tgswitchctl add NAME'
run status
gives "status without any bot" 0 "No bot is configured: 'tgswitchctl add NAME' sets one up"
host_run systemctl mask --quiet --runtime tgswitchd.service
host_run systemctl stop tgswitchd.service
run
gives "without a daemon" 9 "^tgswitchd does not answer \(.*\); see 'systemctl status tgswitchd'\.$"
run is-local shop
gives "is-local tells this apart from no" 9 'does not answer'
host_run systemctl unmask --quiet --runtime tgswitchd.service

configure news <"$HOST_DISK/news.conf"
grep -v InitialSeat "$HOST_DISK/shop.conf" | configure shop
host_run systemctl restart tgswitchd.service
run
gives "a bot without a token, and one that is undeclared" 0 \
        $'\n  news  undeclared  There is no token: [^\n]*\n  shop  undeclared  nobody has said where it is logged in\n'
goes_on "the token comes first" 'tgswitchctl set-token news'
host_run tgswitchctl set-token news <"$HOST_DISK/token" >/dev/null 2>&1
check_equal "which stores it" 0 $?
run
goes_on "then the seat" 'tgswitchctl set-seat shop cloud'
# shellcheck disable=SC2086
check "which is taken" host_run $next
check "the workers start" host_run systemctl start news-worker.service shop-worker.service
run
gives "all is well on the cloud" 0 $'\n  news  cloud\n  shop  cloud\n'
goes_on "all is well" 'tgswitchctl plan local'
# shellcheck disable=SC2086
check "the plan has nothing against a move" host_run $next

# ---- is-local, and monitor during a move ----

run is-local shop news
gives "is-local: nobody is" 1 $'^cloud\ncloud$'
run is-local nobody
gives "is-local: no such bot" 3 "No bot is called 'nobody'"
run monitor nobody
gives "monitor: no such bot" 3 "No bot is called 'nobody'"
follow text monitor
follow json monitor --json 's*'
follow other monitor news
check "monitor says that it listens" said text 'watching 2 bots'
said other 'watching 1 bot;'
check "a hold begins" host_run tgswitchctl hold shop --reason=release
check "monitor --json tells it" said json '"event":"hold","bot":"shop","held":true,"held_until_usec":null,"held_reason":"release"'
check "and its end" host_run tgswitchctl release shop

run switch local shop --yes --no-wait --hold-at=log-out --reason="big files"
gives "a move begins" 0 'Job 1 moves shop'
check "monitor tells that it holds, and what to do" said text "shop +holds before log-out: 'tgswitchctl proceed 1' lets it go on"
run
gives "without a verb the job is shown" 0 $'\n  shop  cloud       job 1 to the local server: spool, holding before log-out for [0-9]'
goes_on "a job that holds" 'tgswitchctl proceed 1'
check "the daemon is killed" daemon_kill
check "monitor tells that" said text '-  +tgswitchd: has gone'
check "and the next one" said text '-  +tgswitchd: is back'
# The phases from stop-workers on are gone through again.
check "and that the job holds again" said text "tgswitchd: is back" "holds before log-out: 'tgswitchctl proceed 1'"
# shellcheck disable=SC2086
check "what was to be typed lets the job go on" host_run $next
check "monitor follows it to its end" said text 'shop +job 1 done, after'
said json '"event":"job-end"'
signal text INT
ended "Ctrl-C ends monitor" text 0
signal json TERM
ended "SIGTERM does" json 0
check_equal "every line is an object with schema, time and event" "" \
        "$(jq -c 'select(.schema != 1 or .time_usec < 1e15 or (.event | length) == 0)' <<<"$screen" 2>&1)"
check_equal "of the bots that were named" "shop" "$(jq -r '.bot // empty' <<<"$screen" | sort -u)"
check_equal "each phase" "check drain stop-workers spool log-out log-in start-workers confirm " \
        "$(jq -r 'select(.event == "phase") | .phase' <<<"$screen" | grep -vxE 'queued|restore-webhook|publish' |
                awk '!seen[$0]++' | tr '\n' ' ')"
check_equal "each seat" "unknown none local " "$(jq -r 'select(.event == "seat") | .seat' <<<"$screen" | tr '\n' ' ')"
check_equal "the window" "cloud false" \
        "$(jq -r 'select(.event == "window") | "\(.server) \(.allowed)"' <<<"$screen" | head -n 1)"
check_equal "the reason, the end and what it counted" "big files done local" \
        "$(jq -rs '"\(.[] | select(.event == "job-new") | .reason) \(.[] | select(.event == "job-end") | "\(.result) \(.record.target)")"' <<<"$screen")"
signal other INT
ended "who asked for another bot" other 0
check_equal "hears nothing of this one" "" "$(grep -F shop <<<"$screen")"

run is-local shop news
gives "is-local: one is" 1 $'^local\ncloud$'
run is-local shop
gives "is-local: all are" 0 '^local$'
run is-local --quiet shop
gives "is-local --quiet prints nothing" 0 '^$'
run is-local -q shop news
gives "nor for no" 1 '^$'
run is-local 's*' --json
check_equal "is-local --json" '0 1 true shop local' \
        "$status $(jq -r '"\(.schema) \(.local) \(.bots[0].name) \(.bots[0].seat)"' <<<"$screen")"

# ---- another host ----

# What ssh would do, up to the other host.
host_put /run/stand-in/ssh 755 <<'EOT'
#!/bin/sh
echo "$*" >>/run/ssh.log
while [ "$1" != -- ]; do shift; done
if [ "$2" = nowhere ]; then
        echo "ssh: Could not resolve hostname nowhere" >&2
        exit 255
fi
echo $$ >/run/ssh.pid
shift 2
exec "$@"
EOT
run -H admin@other is-local shop
gives "--host reads" 0 '^local$'
check_equal "by ssh, as systemctl does" "-xT -- admin@other systemd-stdio-bridge" \
        "$(cat "/proc/$HOST_LEADER/root/run/ssh.log")"
run --host=admin@other
gives "--host without a verb" 0 $'\n  news  cloud\n  shop  local       cloud not before'
goes_on "commands have the option, too" 'tgswitchctl -H admin@other plan local'
run -H admin@other hold news --reason=far
gives "--host changes" 0 'news: no automatic moves'
check_equal "what is there" far "$(bot_property news HeldReason)"
run -H admin@other release news
calls=$(wc -l <"/proc/$HOST_LEADER/root/run/ssh.log")
for verb in "authorize" "adopt shop-worker.service --bot=shop" "set-token shop" "check-credentials"; do
        # shellcheck disable=SC2086
        run -H admin@other $verb
        gives "--host is refused by ${verb%% *}, which writes files" 2 \
                "'${verb%% *}' writes files.*log in on admin@other.*without --host"
done
run -H admin@other spool shop
gives "and by spool, which gets a file" 2 "ssh cannot carry.*'ssh admin@other tgswitchctl spool shop' prints them"
check_equal "before anything is sent" "$calls" "$(wc -l <"/proc/$HOST_LEADER/root/run/ssh.log")"
run -H nowhere list
gives "a host that is not there" 9 $'^ssh: Could not resolve hostname nowhere\nnowhere cannot be reached by ssh \(.*\'ssh nowhere true\' has to work'
run -H 'a b:c:d/' list
gives "what is no host" 2 "is no host; --host takes \[USER@\]HOST"

# A user there, who would have to prove something to polkit: no agent of this terminal can do that.
screen=$(host_run env PATH=/run/stand-in:/usr/bin:/bin TERM=dumb HOME=/tmp script --quiet --return --command \
        "setpriv --reuid=alice --regid=alice --init-groups tgswitchctl -H other hold shop" /dev/null 2>&1 </dev/null)
status=$?
gives "who is not root there" 8 'othing was changed'
[[ $screen != *[Pp]assword:* ]]
check_equal "is asked for no password here" 0 $?

pid=$(daemon_pid)
host_run kill -s STOP "$pid"
mark=$(bus_mark)
follow far -H admin@other list
bus_wait "$mark" '"member":"GetManagedObjects"' >/dev/null
host_run kill "$(<"/proc/$HOST_LEADER/root/run/ssh.pid")"
ended "the connection ends before the answer" far 9
check_match "and that is said" "The connection to admin@other has ended \(.*\); try again when 'ssh admin@other true' works" \
        "$screen"
host_run kill -s CONT "$pid"

follow far -H admin@other switch local news --yes --hold-at=log-out
check "--host follows a job" said far "news +holds before [a-z-]+; 'tgswitchctl -H admin@other proceed [0-9]+' lets it go on"
job=$(job_number news)
host_run kill "$(<"/proc/$HOST_LEADER/root/run/ssh.pid")"
ended "the connection ends" far 9
check_match "and that is said, with the way back" \
        "The connection to admin@other has gone\. The jobs go on; 'tgswitchctl -H admin@other status' tells more" "$screen"
follow far -H admin@other wait "$job"
said far 'news +holds'
# Ctrl-C at a terminal is for ssh as well, which may have ended by itself meanwhile.
host_run kill -s INT "$(<"/proc/$HOST_LEADER/root/run/far.pid")" "$(<"/proc/$HOST_LEADER/root/run/ssh.pid")" 2>/dev/null
ended "Ctrl-C detaches" far 130
check_match "and the command to come back has the option" \
        "Detached\. Job $job of news goes on; follow it with 'tgswitchctl -H admin@other wait $job'" "$screen"
follow far -H admin@other monitor
said far 'watching 2 bots'
check "the job goes on" host_run tgswitchctl proceed "$job"
check "monitor tells what happens over there" said far "news +job $job done, after"
check_equal "the bot is moved" local "$(bot_property news Seat)"
host_run kill "$(<"/proc/$HOST_LEADER/root/run/ssh.pid")"
ended "without the connection there is nothing to tell" far 9
check_match "which is said" 'The connection to admin@other has gone' "$screen"

run
gives "all are local" 0 $'\n  news  local       cloud not before [^\n]*\n  shop  local       cloud not before'
goes_on "all are local" 'tgswitchctl plan cloud'
# shellcheck disable=SC2086
host_run $next >/dev/null
check_equal "and the plan says that it is too early" 4 $?

tap_done
