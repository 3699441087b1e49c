#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tgswitchctl as an administrator uses it: what it prints, where, and with which exit status; against the fake daemon of
# test-bus, on a bus of its own.
#
#       test-ctl.sh BUILD
set -uo pipefail

build=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/host/tap.sh
source ../host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source fake-daemon.sh

# run ARGUMENT…: leaves $status, $output and $errors.
run()
{
        output=$("$build/tgswitchctl" "$@" 2>"$directory/errors" </dev/null)
        status=$?
        errors=$(<"$directory/errors")
}

# gives DESCRIPTION STATUS REGEX: what the last run() printed, on either stream.
gives()
{
        if ((status == $2)) && [[ $output$'\n'$errors =~ $3 ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected status $2 and: $3" "got status $status" "$output" "$errors"
        fi
}

# start_client ARGUMENT…: in the background; its output is read with await.
start_client()
{
        exec {lines}< <(exec env --default-signal=INT "$build/tgswitchctl" "$@" 2>&1)
        client=$!
}

# await REGEX: reads the client's output up to a line that matches.
await()
{
        local line

        while read -r -t 60 -u "$lines" line; do
                [[ $line =~ $1 ]] && return
        done
        return 1
}

client_gives()
{
        wait "$client"
        check_equal "$1" "$2" $?
        client=''
}

start_bus

# ---- without a daemon ----

run status
gives "status says that nobody answers" 9 "tgswitchd does not answer"
run --version
gives "--version" 0 '^tgswitch [0-9.]+'
run --help
gives "--help names every verb" 0 'status.*list.*plan.*check.*switch.*wait.*cancel.*proceed.*hold.*release.*set-seat.*spool.*reload.*authorize.*adopt'
while IFS='|' read -r wrong why; do
        # shellcheck disable=SC2086
        run $wrong
        gives "usage: $wrong" 2 "$why"
done <<'EOT'
frobnicate|There is no verb 'frobnicate'; see 'tgswitchctl --help'
--nonsense|unrecognized option '--nonsense'
status --clear|--clear does not go with 'status'; see 'tgswitchctl status --help'
status --bot=shop|--bot does not go with 'status'
list --automatic|--automatic does not go with 'list'
release shop --for=1h|--for does not go with 'release'
switch|Usage: tgswitchctl switch local.cloud BOT...
switch local|Name the bots to move, or give --all
switch moon shop|Bots are moved to 'local' or 'cloud'; 'moon' is no target
plan nowhere|'nowhere' is no target
switch local --all shop|Give either names or --all, not both
wait|Usage: tgswitchctl wait JOB...
wait one|'one' is no job; jobs have numbers, and 'tgswitchctl status' shows them
cancel 1 2|Usage: tgswitchctl cancel JOB
hold|Usage: tgswitchctl hold BOT...
hold shop --for=0|--for takes a span of time, like 24h or "2d 12h", not '0'
hold shop --for=soon|--for takes a span of time, .* not 'soon'
hold shop --until=2001-01-01|--until takes a moment to come, .* not '2001-01-01'
hold shop --for=1h --until=18:00|Give either --for or --until, not both
set-seat shop|Usage: tgswitchctl set-seat BOT cloud.local
set-seat shop none|A seat is either cloud or local, not 'none'
is-local|Usage: tgswitchctl is-local BOT...
--host= status|'' is no host; --host takes .USER@.HOST as ssh does
--host=-x status|'-x' is no host
adopt|Usage: tgswitchctl adopt UNIT
adopt shop|Say with --bot=NAME whose program it is; 'tgswitchctl list' shows the bots
adopt shop --bot=shop --exec --environment|Give either --environment or --exec, not both
adopt shop --undo --exec|--undo takes back whatever was written: leave --exec out
adopt shop --all|--all does not go with 'adopt'
EOT

# ---- reading ----

start_daemon
run
gives "without a verb all bots are shown" 0 \
        'Local server: answering\. Bots: 2 on the cloud, 1 local, 1 elsewhere.*done  local       cloud not before'
gives "and the one command to type next" 0 $'\n\nNext: tgswitchctl set-seat lost cloud\n      Or local'
[[ $output$errors != *$'\e'* ]]
check_equal "no control codes off a terminal" 0 $?
run status
gives "status tells the window" 0 'done +local, cloud not before ([0-9-]{10} )?[0-9:]{8} \(in 9min [0-9]+s\)'
gives "status tells what to do next" 0 "set-seat lost cloud"
run status 's*'
gives "status takes globs" 0 $'Jobs: 0\\.\n\nshop  cloud'
run status nobody
gives "status of a bot that is not there" 3 "No bot is called 'nobody'"
run list
gives "list aligns its columns" 0 $'BOT   SEAT        PHASE.*\nlost  undeclared  -'
run list --json
check_equal "list --json has a schema and all bots" '1 4' "$(jq -r '"\(.schema) \(.bots | length)"' <<<"$output")"
run status --json shop
check_equal "status --json chooses" 'shop cloud true' "$(jq -r '.bots[] | "\(.name) \(.seat) \(.cloud_allowed)"' <<<"$output")"

# ---- plan and check ----

run plan local
gives "plan shows the checks of bots that would move" 0 'news: from the cloud.*shop: from the cloud.*Nothing was changed'
gives "plan tells the point of no return" 0 'point of no return is logOut.*not before ([0-9-]{10} )?[0-9:]{8}'
gives "plan leaves out who stays" 0 'done: at the local server already.*lost: nobody has said'
fake CheckFails sb shop true
run check local shop news
gives "a failed check is told and decides the status" 5 'fail +gate +shop.service +shop.service has no LoadCredential='
run plan local --json shop
check_equal "plan --json has verdicts" 'pass fail pass skipped' "$(jq -r '[.bots[0].checks[].verdict] | join(" ")' <<<"$output")"
run switch local shop
gives "switch needs a terminal or --yes" 2 'Nothing was changed'
output=$(script -qec "'$build/tgswitchctl' switch local shop" /dev/null </dev/null 2>&1)
status=$? errors=''
gives "switch on a terminal shows the plan and ends with failed checks" 5 'would fail its checks'
fake CheckFails sb shop false
output=$(echo n | script -qec "'$build/tgswitchctl' switch local shop" /dev/null 2>&1)
status=$? errors=''
gives "switch on a terminal takes no for an answer" 1 'Move 1 bot to the local server\? \[y/N\].*Nothing was changed'
output=$(NO_COLOR=1 script -qec "'$build/tgswitchctl' status" /dev/null </dev/null 2>&1)
[[ $output != *$'\e'* ]]
check_equal "NO_COLOR is honoured" 0 $?

# ---- switch ----

run switch local lost --yes
gives "an undeclared bot that is named is an error" 1 'lost: Nobody has said'
run switch local --all --yes --no-wait --reason=why
gives "--no-wait returns with the jobs" 0 'Job 1 moves news.*Job 2 moves shop'
gives "--all leaves out who has no seat" 0 'lost is left out'
run switch local shop --yes --no-wait
gives "asked again it is the same job" 0 'Job 2 moves shop'
run status shop
gives "status shows the job" 0 'job +2 to local: check since.*reason +why.*tgswitchctl wait 2'
run cancel 2
gives "cancel" 0 'Job 2 is being taken back'
run cancel 2
gives "a job that has gone cannot be cancelled" 3 'No job 2'
run wait 2
gives "wait for a cancelled one" 1 'shop was not moved: job 2 was cancelled'
run wait 1234
gives "wait for one that never was" 3 'no job 1234'

fake Auto b true
run wait 1
gives "wait follows to the end" 0 $'news is at the local server: 12 updates drained, 3 spooled, 3 handed over; blind for 74ms, down for 1.9s; cloud not before ([0-9-]{10} )?[0-9:]{8} '
run switch local shop --yes --hold-at=nowhere
gives "the daemon's refusal of an option is told" 1 "'hold-at' takes"
fake Refuse su news 7
fake Refuse su shop 7
run switch local shop --yes
gives "a job in the way" 7 'shop: Refused'
fake Refuse su shop 0
run switch local --all --yes --json
check_equal "--json tells the result" '1 done 3' "$(jq -r '"\(.schema) \(.jobs[0].result) \(.jobs[0].handed_over)"' <<<"$output")"
run switch local --all --yes
gives "nothing to do is no error" 0 'shop is at the local server already.*Nothing to do'
run set-seat shop cloud
gives "set-seat" 0 'shop: taken to be logged in at the cloud'
run set-seat news cloud
gives "set-seat refused" 7 'news: Refused'
run set-seat nobody cloud
gives "set-seat of nobody" 3 "No bot is called"
run spool shop
check_equal "spool prints the array" '7 8' "$(jq -r '[.[].update_id] | join(" ")' <<<"$output")"
run spool shop --json
check_equal "spool --json" '1 shop 2' "$(jq -r '"\(.schema) \(.bot) \(.updates | length)"' <<<"$output")"
errors=$("$build/tgswitchctl" spool shop 2>&1 >/dev/full)
status=$? output=''
gives "spool says where they did not get to" 1 'could not be written: No space left on device. They are kept'
errors=$("$build/tgswitchctl" list 2>&1 >/dev/full)
status=$?
gives "and so does every other verb" 1 'The output could not be written \(No space left on device\)'
run spool shop --clear
gives "spool --clear" 0 'dropped'
run reload
gives "reload" 0 'The configuration was read'

run history
gives "history, the newest last" 0 'WHEN +WHO .*gone +\? to cloud +canceled.*shop +cloud to local +done +3.0s +74ms +1.9s +12/3/3'
gives "with the reason under it" 0 $'12/3/3\n    large files\n'
gives "who nobody was" 0 'tgswitchd +shop +cloud to local +failed +1min +- +- '
gives "and what went wrong" 0 $'\n    The local server does not answer'
run history --json --limit=2
check_equal "history --json --limit=" '1 43 44' "$(jq -r '"\(.schema) \([.history[].job] | join(" "))"' <<<"$output")"
check_equal "has the phases" '{"check":500000,"confirm":2000000}' "$(jq -c '.history[0].phases_usec' <<<"$output")"
run history --json g?ne
check_equal "of a bot that is gone" 'null undeclared 2' \
        "$(jq -r '.history[] | "\(.bot_id) \(.source) \(.job)"' <<<"$output")"
run history --since="2026-11-18 11:00" --json
check_equal "since then" '43 44' "$(jq -r '[.history[].job] | join(" ")' <<<"$output")"
run history nobody
gives "of a bot that there never was" 3 "No bot is called or matches 'nobody'"
run history --limit=0
gives "a limit is a number" 2 'takes a number'
run history --limit=1001
gives "which the daemon bounds" 1 "'limit' takes 1 to 1000"
run history --since=2099-01-01
gives "a time that is to come" 2 'takes a time that is over'

# ---- the way back ----

fake ServerIsUnknown
run
gives "a server that systemd has not told of yet" 0 '^Local server: not known yet, systemd has not told\. Bots: '
stop_daemon
start_daemon
run plan cloud 'done'
gives "plan cloud tells that the cloud does not take the bot yet" 4 \
        'done: from the local server to the cloud.*A switch would be refused: cloud not before ([0-9-]{10} )?[0-9:]{8} \(in 9min'
gives "plan cloud tells the point of no return and the way back" 4 \
        $'point of no return is logOut.*to the local server\n    opens a second after it.*or when that server is restarted'
run plan cloud
gives "plan cloud leaves out who stays" 4 'news: at the cloud already; nothing would be done'
run plan cloud 'done' --json
check_equal "plan cloud --json" '4 cloud true true' \
        "$status $(jq -r '"\(.target) \(.bots[0] | .allowed_usec > 0) \(.bots[0] | .local_not_before_usec > 0)"' <<<"$output")"
run check cloud 'done'
gives "check cloud tells the window apart from faults" 4 'fail +window'
fake CheckFails sb 'done' true
run check cloud 'done'
gives "check cloud" 5 'done: checks of a move to the cloud.*fail +gate'
run plan cloud 'done'
gives "a failed check outweighs the window" 5 'would fail its checks'
fake CheckFails sb 'done' false
run switch cloud 'done' --yes
gives "inside the window a switch is refused, with a status of its own" 4 'done: The cloud server does not take done yet'
run switch cloud 'done' news --yes --json
check_equal "--json tells refused and skipped" '4 org.tgswitch1.Error.FallbackWindow already' \
        "$status $(jq -r '"\(.refused[0].error) \(.skipped[0].why)"' <<<"$output")"
output=$(echo n | NO_COLOR=1 script -qec "'$build/tgswitchctl' switch cloud done --when-allowed" /dev/null 2>&1)
status=$? errors=''
gives "on a terminal --when-allowed shows what it would wait for, and asks" 1 \
        'wait +window.*It would wait: cloud not before.*Move 1 bot to the cloud\? \[y/N\].*Nothing was changed'
run switch cloud 'done' --yes --when-allowed --no-wait
gives "--when-allowed waits in the queue" 0 'Job 1 moves done'
run status 'done'
gives "status tells what a queued job waits for" 0 \
        'job +1 to cloud: queued.*waits +not before ([0-9-]{10} )?[0-9:]{8} \(in 9min.*: It waits until the server'
run status 'done' --json
check_equal "status --json tells when it begins at the earliest" true \
        "$(jq -r '.jobs[0].not_before_usec == .bots[0].cloud_allowed_usec' <<<"$output")"
run switch local 'done' --yes
gives "the other way meanwhile" 7 'Job 1 moves done the other way'
exec {lines}< <(TERM=xterm exec script -qfec "'$build/tgswitchctl' wait 1" /dev/null </dev/null 2>&1)
client=$!
# written over and over, so no line ever ends
read -r -t 60 -d ')' -u "$lines" output
errors='' status=0
gives "on a terminal the rest of the window is counted down" 0 'done: queued, not before ([0-9-]{10} )?[0-9:]{8} \(in 9min'
fake Auto b true
client_gives "and the job is followed to its end" 0
run wait 1
gives "and moves when it is over" 0 'done is at the cloud: 12 updates.*; local not before ([0-9-]{10} )?[0-9:]{8} \(in (29|30)min'
fake Auto b false
run plan local 'done'
gives "a young session makes the way back longer" 4 $'to the cloud\n    opens 30 minutes after it'
run list
gives "list tells the way back of the seat" 0 'done +cloud.*local not before'

# ---- holds ----

run hold 'n*' shop --for=24h --reason="release day"
gives "hold takes globs" 0 $'news: no automatic moves until 2[0-9-]+ [0-9:]{8}\\.\nshop: no automatic'
run status shop
gives "status tells the hold" 0 "held +until .*: release day; 'tgswitchctl release shop'"
run list
gives "list tells the hold" 0 'shop +cloud.*until'
run switch local --all --yes --automatic
gives "held bots are left out of automatic moves, which is no failure, and told" 4 \
        'news is left out: news is held: release day.*shop is left out: shop is held.*done: The local'
run switch local news shop --yes --automatic --json
check_equal "--json tells who is held" '0 held held' "$status $(jq -r '[.skipped[].why] | join(" ")' <<<"$output")"
run hold shop --reason="release day"
gives "hold without an end" 0 "shop: no automatic moves until 'tgswitchctl release shop'"
run list --json
check_equal "list --json tells holds" 'true null release day' \
        "$(jq -r '.bots[] | select(.name == "shop") | "\(.held) \(.held_until_usec) \(.held_reason)"' <<<"$output")"
run hold news --until=@1
gives "a moment that is over" 2 'a moment to come'
run hold news --reason=$'a\nb'
gives "a reason with control characters" 1 'without control characters'
run hold nobody
gives "hold of nobody" 3 "No bot is called"
fake Refuse su news 7
run release news shop
gives "release: one is refused, the other is released" 6 'shop: automatic moves are allowed.*news: Refused'
fake Refuse su news 0
run release news --json
check_equal "release --json" 'false news' "$(jq -r '"\(.held) \(.bots[0])"' <<<"$output")"
fake Stale sb shop true
run status shop
gives "status tells a stale session" 0 'stale +the local server still holds a session of this bot'
run list
gives "list tells a stale session" 0 'STALE SESSION.*shop +cloud.*at local'

# ---- what to type next ----

stop_daemon
start_daemon
run switch cloud 'done' --yes --when-allowed --no-wait
run set-seat lost cloud
run
gives "what waits for a window is told before what is well" 0 \
        'job 1 to the cloud: queued, not before .*Next: tgswitchctl wait 1'
run cancel 1
run
gives "where all is well the next is to look" 0 \
        $'\nNext: tgswitchctl plan local\n      All is well. This shows what a move would do, and changes nothing\\.'
fake Spooled stb shop 3 false
run
gives "updates that are kept are told" 0 \
        $'3 updates are still to be handed over.*\nNext: tgswitchctl spool shop\n      This prints the updates that are kept for'
run status shop
gives "by status, too" 0 \
        "spool +3 updates are still to be handed over.*next +see the spooled updates with 'tgswitchctl spool shop'"
fake Spooled stb shop 3 true
run spool shop
gives "a spool that cannot be read" 1 \
        'The updates of shop could not be read: Is a directory. Look after the file system of /var/lib/tgswitch'
run switch local shop --yes --no-wait
run
gives "a move is told" 0 \
        $'job 2 to the local server: check for .*\nNext: tgswitchctl wait 2\n      This follows the move of shop; 1 of them is under way'
fake Auto b true
run wait 2
gives "with what is left when it is done" 0 'shop is at the local server: .* 3 handed over, 3 still to be handed over; blind'
fake Auto b false
run switch local news --yes --no-wait --hold-at=stop-workers
fake Advance s news
fake Advance s news
run
gives "a move that holds is told" 0 \
        $'drain, holding before stop-workers for .*\nNext: tgswitchctl proceed 3\n      news holds, as was asked for; this lets it go on'
fake Fail ss news ""
run wait 3
gives "a move that failed without a word" 1 "news was not moved: see 'journalctl -u tgswitchd'"
run switch local news --yes --no-wait
fake Fail ss news "The disk is full; make room."
run
gives "what went wrong is the first to look at" 0 \
        $'The disk is full; make room.*\nNext: tgswitchctl status news\n      Something is wrong with news\\.'
run switch local news --yes --no-wait
fake Fail ss news "It is masked: 'systemctl unmask news' mends that."
run
gives "and where a command mends it, that is the next" 0 \
        $'\nNext: systemctl unmask news\n      Something is wrong with news; \'tgswitchctl status news\' has all of it'
stop_daemon
start_daemon
for bot in lost news shop; do
        run set-seat "$bot" local
done
run switch local --all --yes
gives "where all is local a move there has nothing to do" 0 'news is at the local server already.*Nothing to do'
run set-seat news cloud
run switch cloud news --yes
gives "and none to the cloud with one that is there" 0 'news is at the cloud already\..*Nothing to do'
run set-seat news local
run
gives "where all is local the next is the way back" 0 \
        $'\nNext: tgswitchctl plan cloud\n      All is well. This shows what the way back would do, and changes nothing\\.'

# ---- many ----

stop_daemon
start_daemon
start_client switch local news shop --yes
await 'shop +job 2 to the local server'
fake Fail ss news "The disk is full; make room."
await 'news was not moved: The disk is full; make room.'
check_equal "each bot is told as it ends" 0 $?
fake Auto b true
await 'shop is at the local server'
client_gives "and where any failed the status tells" 6
check_equal "the jobs of one call are one batch" 'u 1' \
        "$(busctl --system call org.tgswitch1 /fake org.tgswitch1.Fake Batch s shop)"

# None of them has an answer before all are on record, so that both have begun tells that one call had both in it.
stop_daemon
start_daemon
fake HoldRecords b true
exec {lines}< <(TERM=xterm exec env --default-signal=INT script -qfec \
        "exec '$build/tgswitchctl' switch local news shop --yes" /dev/null </dev/null 2>&1)
client=$!
read -r -t 60 -d ';' -u "$lines" output
errors='' status=0
gives "what becomes of many is shown before the daemon has answered" 0 '0 done, 0 moving, 2 waiting, 0 failed'
for bot in news shop; do
        until [[ $(busctl --system get-property org.tgswitch1 "/org/tgswitch1/bot/$bot" org.tgswitch1.Bot Phase) == *check* ]]; do
                kill -0 "$client" "$daemon" || break
        done
done
check_equal "one call has begun both" '"check"' "$(busctl --system get-property org.tgswitch1 /org/tgswitch1/bot/shop \
        org.tgswitch1.Bot Phase | cut -d ' ' -f 2)"
pkill -INT -P "$client" tgswitchctl
await "Detached before tgswitchd had answered for 2 bots: 'tgswitchctl status' tells which of them are being moved"
check_equal "Ctrl-C does not wait for the answer either" 0 $?
client_gives "with the status of the signal, where nobody has answered yet" 130
kill_daemon
start_daemon
start_client switch local news shop --yes --hold-at=nowhere
await "^The option 'hold-at' takes"
check_equal "what is wrong with all of them is said once" 0 $?
await '0 of 2 bots were moved; 2 refused'
client_gives "and decides the status" 1

# ---- some fail ----

stop_daemon
check_equal "the fake daemon ends well" 0 $?
start_daemon
fake Refuse su news 3
fake Auto b true
run switch local shop news --yes
gives "one is refused, the other moves" 6 'shop is at the local server.*news: Refused'
fake Refuse su news 0
fake Auto b false
start_client switch local news --yes
await 'news +job 2 to the local server'
fake Fail ss news "The disk is full; make room."
await 'news was not moved: The disk is full; make room.'
check_equal "a failed job tells why" 0 $?
client_gives "and has its status" 1

# ---- what to type next, with --host ----

# far ARGUMENT…: run(), with --host and what ssh would do up to the other host.
far()
{
        PATH=$directory/far:$PATH run -H admin@other "$@"
}

mkdir "$directory/far"
cat >"$directory/far/ssh" <<'EOT'
#!/bin/sh
exec systemd-stdio-bridge --bus-path="$DBUS_SYSTEM_BUS_ADDRESS"
EOT
chmod 755 "$directory/far/ssh"
stop_daemon
start_daemon
while IFS='|' read -r arguments expected message; do
        # shellcheck disable=SC2086
        far $arguments
        gives "--host, $arguments" "$expected" "'tgswitchctl -H admin@other $message"
done <<'EOT'
wait one|2|status' shows them
wait 99|3|status' shows all
cancel 99|3|status' shows those that are
status nobody|3|list' shows all
set-seat nobody cloud|3|list' shows all
set-seat No-Name cloud|3|list' shows all
hold shop|0|release shop'
status shop|0|release shop' allows automatic moves again
EOT
run release shop
far set-seat lost cloud
fake Spooled stb shop 3 false
far
gives "--host: the updates that are kept come as a file" 0 $'\nNext: ssh -t admin@other sudo tgswitchctl spool shop\n'
far status shop
gives "--host: for which status has ssh, too" 0 "updates with 'ssh -t admin@other sudo tgswitchctl spool shop'"
PATH=$directory/far:$PATH run -H root@other
gives "--host: who is root there needs no sudo" 0 $'\nNext: ssh -t root@other tgswitchctl spool shop\n'
fake Spooled stb shop 0 true

# fails_for TEXT: a move of news, which says so.
fails_for()
{
        run switch local news --yes --no-wait --json
        fake Fail ss news "$1"
}

fails_for "It is masked: 'systemctl unmask news' mends that."
far
gives "--host: what systemctl does is done there" 0 \
        $'\nNext: ssh -t admin@other sudo systemctl unmask news\n.*\'tgswitchctl -H admin@other status news\' has all'
fails_for "There is no token: 'tgswitchctl set-token news' stores one."
far
gives "--host: a verb that writes files, too" 0 $'\nNext: ssh -t admin@other sudo tgswitchctl set-token news\n'
fails_for "Something is left: 'tgswitchctl switch cloud news' ends it."
far
gives "--host: and any other is asked from here" 0 $'\nNext: tgswitchctl -H admin@other switch cloud news\n'
fails_for ""
far wait "$(jq '.jobs[0].job' <<<"$output")"
gives "--host: the journal is there" 1 "news was not moved: see 'ssh -t admin@other sudo journalctl -u tgswitchd'\\."

# ---- a daemon of another version ----

stop_daemon
start_daemon --strange
far list
gives "--host: does not understand the answer" 1 "'systemctl -H admin@other restart tgswitchd' starts the one"
for verb in status list "history" "plan local" reload "switch local shop --yes" metrics; do
        # shellcheck disable=SC2086
        run $verb
        gives "$verb does not understand the answer" 1 \
                "What tgswitchd answers cannot be used \\(.*'systemctl restart tgswitchd' starts the one that is installed"
done
stop_daemon
start_daemon

# ---- others than root ----

install -m 755 "$build/tgswitchctl" "$directory/tgswitchctl"
nobody()
{
        setpriv --reuid=65534 --regid=65534 --clear-groups "$directory/tgswitchctl" "$@"
}
output=$(nobody list 2>&1)
status=$? errors=''
gives "everybody reads" 0 'news'
output=$(nobody switch local news --yes 2>&1)
status=$?
gives "without polkit only root moves a bot" 8 'Only root may move a bot'
output=$(nobody check-credentials 2>&1)
status=$?
gives "only root decrypts" 8 'run it as root'
DBUS_SYSTEM_BUS_ADDRESS=unix:path=$directory/none run status
gives "no bus" 9 "The system bus cannot be reached \\(No such file or directory\\); see 'systemctl status dbus'"
stop_daemon

# ---- holding, detaching, restarts ----

start_daemon
fake Auto b true
start_client switch local shop --yes --hold-at=stop-workers
await 'shop +holds before stop-workers; .tgswitchctl proceed 1. lets it go on'
check_equal "a held job says how to go on" 0 $?
run status shop
gives "status shows that it holds" 0 'drain, holding before stop-workers since.*tgswitchctl proceed 1'
kill -INT "$client"
await "Detached. Job 1 of shop goes on; follow it with 'tgswitchctl wait 1'"
check_equal "Ctrl-C detaches and names the job" 0 $?
client_gives "with the status of the signal" 130
start_client wait 1
await 'shop +holds'
kill -TERM "$client"
client_gives "SIGTERM detaches too" 143
start_client wait 1
await 'shop +holds'
fake Auto b false
run proceed 1
gives "proceed" 0 'Job 1 goes on'
for phase in stop-workers spool log-out log-in restore-webhook publish start-workers confirm; do
        fake Advance s shop
        await "shop +$phase +[0-9.]+m?s" || break
done
check_equal "each phase is told with its time" confirm "$phase"
await 'shop is at the local server'
client_gives "a job that went on ends well" 0
run proceed 1
gives "proceed without a job" 3 'No job 1'
stop_daemon

start_daemon --resumed
start_client wait 7
await 'shop +job 7 to the local server'
stop_daemon
await 'tgswitchd has gone; waiting'
check_equal "the end of the daemon is told" 0 $?
start_daemon --resumed
fake Auto b true
await 'shop is at the local server'
client_gives "a job that went on in another daemon ends well" 0
stop_daemon

start_daemon --resumed
start_client wait 7
await 'shop +job 7 to the local server'
stop_daemon
start_daemon --ended
await 'shop is at the local server: 12 updates drained'
client_gives "a job that ended while nobody looked ends well" 0

# Killed at any moment: what the next daemon knows of the job decides.
stop_daemon
start_daemon --resumed
start_client wait 7
await 'shop +job 7 to the local server'
kill_daemon
start_daemon --resumed
kill_daemon
start_daemon --ended
await 'shop is at the local server: 12 updates drained'
client_gives "two daemons are killed, and the third one tells" 0
kill_daemon
start_daemon --resumed
start_client wait 7
await 'shop +job 7 to the local server'
kill_daemon
start_daemon
await 'tgswitchd came back and does not know job 7 of shop.*tgswitchctl status shop.*move it again'
check_equal "a job that nobody knows any more is told, with what to do" 0 $?
client_gives "and nobody waits for it" 1
fake HoldRecords b true
start_client switch local shop --yes
until [[ $(busctl --system get-property org.tgswitch1 /org/tgswitch1/bot/shop org.tgswitch1.Bot Phase) == *check* ]]; do
        kill -0 "$daemon" || break
done
kill_daemon
await 'shop: tgswitchd went away before it answered.*Give the same command again'
check_equal "a switch is not taken for begun before its record is written" 0 $?
client_gives "and has the status of no answer" 9
start_daemon
fake HoldRecords b true
start_client switch local news shop --yes
until [[ $(busctl --system get-property org.tgswitch1 /org/tgswitch1/bot/shop org.tgswitch1.Bot Phase) == *check* ]]; do
        kill -0 "$daemon" || break
done
kill_daemon
await '^tgswitchd went away before it answered, .*the bots are being moved.*it finds the jobs if there are any'
check_equal "nor is one of many, and that is said once" 0 $?
client_gives "which has the same status" 9
start_daemon

# ---- the bus goes ----

# without_bus DESCRIPTION REGEX: of the client that runs. The bus is started anew, and the daemon with it.
without_bus()
{
        kill "$bus"
        wait "$bus"
        await "$2"
        check_equal "$1" 0 $?
        client_gives "$1: status" 9
        kill_daemon
        rm -f "$directory/bus"
        start_bus
        start_daemon --resumed
} 2>/dev/null

kill_daemon
start_daemon --resumed
start_client wait 7
await 'shop +job 7 to the local server'
without_bus "a watch says that the bus has gone" "The system bus has gone. The jobs go on; 'tgswitchctl status' tells more"
start_client monitor
await 'watching 4 bots'
without_bus "and so does monitor" 'The system bus has gone, and with it what would tell of changes'

# ---- authorize ----

# As systemd gives it to tgswitchd.service and all that it runs.
export STATE_DIRECTORY=$directory/state

# record BOT PHASE: how far the bot is, as the daemon would have written it.
record()
{
        "$build/tests/adapter/test-ctl-records" --write "$STATE_DIRECTORY" "$@"
}

# The configuration is looked for in /run/tgswitch too; there it is made for this process alone.
authorize()
{
        # shellcheck disable=SC2016
        output=$(unshare --mount --propagation private bash -c '
                mount -t tmpfs none /run && cp -r "$1" /run/tgswitch && "$2/tgswitchctl" authorize "${@:3}"
                ' - "$directory/config" "$build" --output="$directory/50.rules" "$@" 2>"$directory/errors")
        status=$?
        errors=$(<"$directory/errors")
}

names()
{
        grep -oE '^ {16}"[^"]+": true,$' "$directory/50.rules" | cut -d '"' -f 2 | tr '\n' ' '
}

if unshare --mount true 2>/dev/null && [[ ! -e /etc/tgswitch ]]; then
        mkdir -p "$directory/config/bots.d"
        printf '[Bot]\nWorker=shop.service alias.service\nSpoolTo=shop.service\n' >"$directory/config/bots.d/shop.conf"
        printf '[Bot]\nWorker=pool@*.service\n' >"$directory/config/bots.d/pool.conf"
        authorize
        gives "authorize writes the rule" 0 'now allows 7 units'
        check_equal "with exact names, instances, real names and triggers" \
                'alias.service pool@a.service pool@b\\x2d1.service real.service shop.service shop.timer telegram-bot-api.service ' \
                "$(names)"
        check_equal "for everybody to read" 644 "$(stat -c %a "$directory/50.rules")"
        inode=$(stat -c %i "$directory/50.rules")
        authorize
        gives "authorize leaves a rule that is right" 0 'is up to date'
        check_equal "untouched" "$inode" "$(stat -c %i "$directory/50.rules")"

        printf '[Bot]\nWroker=shop.service\n' >"$directory/config/bots.d/shop.conf"
        printf '[Bot]\nWorker=new.service\n' >"$directory/config/bots.d/new.conf"
        authorize
        gives "a bad file of a bot is told" 0 'shop.conf:2: .*Wroker'
        check_match "and takes nothing away" 'new.service .*shop.service' "$(names)"
        authorize --strict
        gives "--strict fails" 1 'Wroker'
        printf '[Bot]\nWorker=shop.service\n' >"$directory/config/bots.d/shop.conf"
        authorize --json
        check_equal "what is no longer configured goes" 'true shop.timer' \
                "$(jq -r '"\(.changed) \(.units[] | select(endswith("timer")))"' <<<"$output")"
        [[ $(names) != *alias* ]]
        check_equal "from the rule" 0 $?

        record pool log-out
        record new settled
        mv "$directory/config/bots.d/pool.conf" "$directory/pool.conf"
        authorize
        gives "a bot that is on its way keeps its units, though its file is gone" 0 \
                'pool: on the way, so that the rule keeps 2 units that the configuration does not name any more'
        check_match "by the names that the rule had" 'pool@a.service pool@b' "$(names)"
        inode=$(stat -c %i "$directory/50.rules")
        STATE_DIRECTORY+=:$directory/another authorize
        check_equal "for as long as it takes, and with further state directories" "$inode" \
                "$(stat -c %i "$directory/50.rules")"
        rm "$directory/config/bots.d/new.conf" "$directory/50.rules"
        authorize
        check_equal "no record brings a name into the rule" 'shop.service shop.timer telegram-bot-api.service ' "$(names)"
        cp "$directory/pool.conf" "$directory/config/bots.d"
        authorize
        rm "$directory/config/bots.d/pool.conf"
        echo damaged >"$STATE_DIRECTORY/bots/pool.state"
        authorize --json
        check_match "a record that cannot be read is told" 'bots/pool.state cannot be used \(' \
                "$(jq -r '.problems[]' <<<"$output")"
        gives "in one line" 0 $'^[^\n]*\n[^\n]*pool.state[^\n]*$'
        check_equal "and keeps nothing" 'shop.service shop.timer telegram-bot-api.service ' "$(names)"
        cp "$directory/pool.conf" "$directory/config/bots.d"
        authorize
        record pool confirm
        rm "$directory/config/bots.d/pool.conf"
        authorize
        record pool settled
        authorize
        check_equal "a bot that has arrived keeps nothing either" 'shop.service shop.timer telegram-bot-api.service ' \
                "$(names)"
        cp "$directory/pool.conf" "$directory/config/bots.d"
        authorize

        printf '[Bot]\nWorker=missing.service missing-active.service\n' >"$directory/config/bots.d/gone.conf"
        authorize
        gives "a unit that does not exist is told" 0 'missing.service does not exist, so the rule leaves it out'
        check_match "and left out, but where something of it runs" ' missing-active.service pool@a' " $(names)"
        rm "$directory/config/bots.d/gone.conf"
        authorize

        cp "$directory/50.rules" "$directory/before"
        echo 'nonsense' >"$directory/config/tgswitch.conf"
        authorize
        gives "a broken configuration is no reason to stop" 0 'stays as it is'
        check "and keeps the rule" cmp "$directory/before" "$directory/50.rules"
        rm "$directory/config/tgswitch.conf"

        stop_daemon
        printf '[Bot]\nWorker=third.service\n' >"$directory/config/bots.d/third.conf"
        authorize
        gives "without systemd no name comes in" 0 'systemd could not be asked'
        check "and what systemd said before stays" cmp "$directory/before" "$directory/50.rules"
        rm "$directory/50.rules"
        authorize
        check_equal "where there is no rule yet the exact names have to do" \
                'shop.service telegram-bot-api.service third.service ' "$(names)"
else
        tap_pass "authorize # SKIP needs a mount namespace and a host without /etc/tgswitch"
        stop_daemon
fi

tap_done
