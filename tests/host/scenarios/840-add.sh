#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bots set up by one command, `tgswitchctl add`: from a script and at a terminal, which is told what will be written and
# shows nothing of the token; what is wrong is refused and has changed nothing, also where the bot moves on while the
# question stands there; a run that is killed between its writes is gone on with by the same command. `remove` takes all
# of it back, and refuses where something would be lost. Defends L1, L7, L8 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/terminal.sh
source "$HOST_DIR/terminal.sh"

# bot_known NAME [SESSION]: to Telegram alone.
bot_known()
{
        BOT_IDS[$1]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
        BOT_TOKENS[$1]=$(canary_token "${BOT_IDS[$1]}")
        telegram POST /bots "{\"token\":\"${BOT_TOKENS[$1]}\",\"username\":\"${1}_bot\",\"session\":\"${2:-cloud}\"}" \
                >/dev/null || host_bail "Telegram does not take the bot $1"
}

# unit_put UNIT BOT: as one finds it, with the token in a file. Its program looks at no credential.
unit_put()
{
        canary_file "/etc/$2.env" "$2"
        canary_environ "$2" "$1"
        canary_unit "$1" "$2"
        printf 'BOT_TOKEN=%s\nBOT_API_ROOT=https://api.telegram.org\n' "${BOT_TOKENS[$2]}" | host_put "/etc/$2.env" 600
        host_put "/etc/systemd/system/$1" <<EOT
[Service]
EnvironmentFile=/etc/$2.env
ExecStart=/usr/bin/env -u CREDENTIALS_DIRECTORY /usr/bin/telegram-worker
DynamicUser=yes
EOT
}

# ctl ARGUMENT…: standard input goes to it. Leaves $said, both streams, and $status; a token in it is a failure.
ctl()
{
        local token

        said=$(host_run tgswitchctl "$@" 2>&1)
        status=$?
        for token in "${BOT_TOKENS[@]}"; do
                [[ $said != *"${token#*:}"* ]] || tap_fail "'$1' prints a token"
        done
}

# gives DESCRIPTION STATUS REGEX: what the last ctl() said.
gives()
{
        check_equal "$1: status" "$2" "$status" || tap_note "$said"
        check_match "$1: says so" "$3" "$said"
}

# files: every file that add could have to do with, what is in it, whose it is.
files()
{
        names
        find "$HOST_ROOT/etc/tgswitch" "$HOST_ROOT/etc/systemd/system" -type f -exec sha256sum {} + | sort
}

# names: the same without the contents, since a token is never encrypted to the same bytes twice.
names()
{
        (cd "$HOST_ROOT" && find etc/tgswitch etc/systemd/system ! -type d -printf '/%p %u %m\n') | sort
}

# refused DESCRIPTION STATUS REGEX TOKEN ARGUMENT…: by a script; nothing is changed.
refused()
{
        local description=$1 expected=$2 regex=$3 token=$4 before
        shift 4

        before=$(files)
        ctl "$@" <<<"$token"
        gives "$description" "$expected" "$regex"
        check_equal "$description: nothing was changed" "" "$(diff <(echo "$before") <(files))"
}

# bots: the names of those that tgswitchd knows.
bots()
{
        host_run tgswitchctl list --json | jq -r '[.bots[].name] | join(" ")'
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
for bot in shop news page dead away; do
        bot_known "$bot"
done
unit_put shop.service shop
unit_put news.service news
unit_put page.service page
# It may be anybody's, and this one is another bot's.
host_put /etc/systemd/system/any.service <<<$'[Service]\nExecStart=/usr/bin/true --with=grammy'
host_put /etc/systemd/system/other.service <<'EOT'
[Service]
ExecStart=/usr/bin/true telegraf
EnvironmentFile=/etc/shop.env
EOT
# What stands in a file that is not root's is a hint at most: the number of a bot is no secret.
host_put /etc/systemd/system/odd.service <<<$'[Service]\nExecStart=/usr/bin/true\nWorkingDirectory=/srv/odd'
host_put /srv/odd/.env <<<"ADMIN=${BOT_IDS[news]}"
chown 65534 "$HOST_ROOT/srv/odd/.env"
host_put /usr/lib/tgswitch-faults.so 755 <"$BUILD/tests/host/fault-preload.so"
canary_file /root/shop.token shop
echo "${BOT_TOKENS[shop]}" | host_put /root/shop.token 600
host_boot
check "tgswitchd has started" host_run systemctl start tgswitchd.service

# ---- what is wrong ----

dead=${BOT_TOKENS[dead]}
good=(add shop --worker=shop.service --yes)
refused "a name that is none" 2 "'Shop' is no name for a bot: it has to begin with a small letter" "$dead" \
        add Shop --yes
refused "no token" 1 'No token was given' "" "${good[@]}"
refused "half a token" 5 'This is no bot token: it has to be one line as BotFather gave it' "7100000001:short" \
        "${good[@]}"
refused "a file that is not there" 1 '/root/none cannot be opened: No such file' "" "${good[@]}" --token-file=/root/none
refused "a seat that is none" 2 "logged in at 'cloud' or 'local'; 'moon' is no such place" "$dead" "${good[@]}" \
        --initial-seat=moon
refused "no terminal and no --yes" 2 'without a terminal to ask on, --yes is needed' "$dead" add shop --worker=none
refused "a unit that does not exist" 3 'There is no unit nothing.service.*Nothing was changed' "$dead" add shop --yes \
        --worker=nothing.service
refused "what is no name of a unit" 2 "'a/b' is no name of a unit, like shop.service" "$dead" add shop --yes \
        --worker=a/b
refused "a service of tgswitch itself" 2 'tgswitchd.service is part of tgswitch and no bot' "$dead" add shop --yes \
        --worker=tgswitchd.service
refused "both forms of a token" 2 'either --encrypt or --plain' "$dead" "${good[@]}" --encrypt --plain
refused "both ways of a worker" 2 'either --environment or --exec' "$dead" "${good[@]}" --exec --environment
said=$(host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl add shop --yes 2>&1 <<<"$dead")
status=$?
gives "not as root" 8 'run it as root'
host_put /etc/tgswitch/bots.d/shop.conf <<<'# Nothing yet.'
refused "a file that declares no bot" 1 'shop.conf is there and declares no bot' "$dead" "${good[@]}"
host_put /etc/tgswitch/bots.d/shop.conf <<<$'[Bot]\nWroker=a'
refused "a file with a mistake" 1 "shop.conf:2: .*Wroker.* Correct that first" "$dead" "${good[@]}"
host_run rm /etc/tgswitch/bots.d/shop.conf
said=$(host_run DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere tgswitchctl "${good[@]}" 2>&1 <<<"$dead")
status=$?
gives "no bus" 9 'The system bus cannot be reached .*systemctl status dbus'

telegram POST /bots/revoke "{\"bot\":${BOT_IDS[dead]}}" >/dev/null
refused "a token that is dead" 5 'The cloud server does not accept the token: .*BotFather.*Everything was put back' \
        "$dead" add dead --worker=news.service --yes
check_equal "nor does tgswitchd keep anything of it" "" "$(bots)"

# ---- by a script ----

ctl add shop --token-file=/root/shop.token --worker=shop.service --yes --json </dev/null
check_equal "shop: is set up" 0 "$status" || tap_note "$said"
json=$said
check_equal "the server has accepted its token, which is encrypted" "accepted encrypted cloud" \
        "$(jq -r '"\(.server) \(.form) \(.seat)"' <<<"$json")"
check_equal "no check fails" "" "$(jq -r '.checks[] | select(.verdict == "fail") | .explanation' <<<"$json")"
check_equal "it says what to do next" "tgswitchctl switch local shop" "$(jq -r '.next[-1]' <<<"$json")"
check_equal "the files are there" "/etc/systemd/system/shop.service.d/50-tgswitch.conf root 644
/etc/tgswitch/bots.d/shop.conf root 644
/etc/tgswitch/tokens.encrypted/shop root 600" "$(names | grep shop | grep -v '/shop.service root')"
check_equal "it is at the cloud" cloud "$(bot_property shop Seat)"
check "its service starts" host_run systemctl start shop.service
check "with the bot's token, at the cloud" telegram_wait event=worker-start bot="${BOT_IDS[shop]}" \
        root=https://api.telegram.org
refused "the same command again" 0 'It is set up already' "${BOT_TOKENS[shop]}" "${good[@]}"
refused "the same bot by another name" 5 'which is here already and called shop: one bot has one name' \
        "${BOT_TOKENS[shop]}" add shop2 --yes
refused "another bot by the same name" 5 "The name shop is taken: it is bot ${BOT_IDS[shop]}" "${BOT_TOKENS[news]}" \
        "${good[@]}"
refused "a new token for it" 5 'shop is set up, with another token: .tgswitchctl set-token shop' \
        "$(canary_token "${BOT_IDS[shop]}")" "${good[@]}"
refused "another seat than it has" 5 'shop is at the cloud, as tgswitchd has it on record: .*set-seat shop local' \
        "${BOT_TOKENS[shop]}" "${good[@]}" --initial-seat=local
refused "a unit that is another bot's" 1 'shop.service is a worker of the bot shop already' "${BOT_TOKENS[news]}" \
        add news --yes --worker=shop.service

# ---- at a terminal ----

# asked DESCRIPTION ANSWER REGEX
asked()
{
        # Not by check, which would have $screen set in a shell of its own.
        terminal_shows "$3" 20
        check_match "news: it asks $1" "$3" "$screen"
        terminal_type "$2"
        terminal_key Enter
}
before=$(files)
for answer in n y; do
        terminal_open 100 50
        terminal_begin 'tgswitchctl add news'
        asked "for the token" "${BOT_TOKENS[news]}" 'Token of news \(it is not shown\): *$'
        asked "for the seat" "" 'Where is the bot logged in now\?.*cloud or local\? \[cloud\] *$'
        asked "for the services" "" 'by number or name\? \[1, or none\] *$'
        check_match "it has found the service with the token" '1 +news.service +/etc/news.env has this token' "$screen"
        check_match "and one with the name of a framework" 'any.service +.*names grammy' "$screen"
        check_match "and one that says so itself" 'odd.service +/srv/odd/.env has the number' "$screen"
        check "and not one of another bot" test "${screen/other.service/}" == "$screen"
        asked "whether to write it" "$answer" \
                'bots.d/news.conf, a new file:.*\+ ExecStart=.*tgswitch-exec .*Write this\? \[y/N\] *$'
        terminal_ends
        if [[ $answer == n ]]; then
                check_equal "no: nothing was changed" "1 " "$status $(diff <(echo "$before") <(files))"
                terminal_close
        fi
done
check_equal "yes: it is set up" 0 "$status"
check_match "with all that follows" \
        'news: the cloud has accepted the token.*news is set up.*What to do next:.*tgswitchctl switch local news' "$screen"
[[ $screen != *tgCanary* ]] || tap_fail "the terminal shows the token"
check_equal "its file names the service that was chosen" "Worker=news.service" \
        "$(grep Worker= "$HOST_ROOT/etc/tgswitch/bots.d/news.conf")"
terminal_close

# ---- killed in between ----

crash=/var/cache/crash
mkdir "$HOST_ROOT$crash"
mkfifo "$HOST_ROOT$crash/report"
exec {CRASH_REPORT}<>"$HOST_ROOT$crash/report"
# killed POINT: runs the command up to there, as fault-preload.c has it, and kills it.
killed()
{
        local line pid

        echo "$1" >"$HOST_ROOT$crash/at"
        # By a shell in between: nsenter would stop with it, and for good.
        # shellcheck disable=SC2016
        host_run LD_PRELOAD=/usr/lib/tgswitch-faults.so FAULT_DIRECTORY="$crash" FAULT_PROGRAM=tgswitchctl sh -c \
                'exec 3<&0
                tgswitchctl add page --worker=page.service --yes <&3 &
                echo $! >/var/cache/crash/pid; wait' <<<"${BOT_TOKENS[page]}" >/dev/null 2>&1 &
        while read -r -t 15 -u "$CRASH_REPORT" line && [[ $line != stopped* ]]; do :; done
        pid=$(<"$HOST_ROOT$crash/pid")
        host_run kill -KILL "$pid"
        wait $!
        [[ $line == stopped* ]]
}
page=(add page --worker=page.service --yes)
# What a run that is not killed comes to.
complete=$(names | grep '[/.]shop' | sed 's/shop/page/g')
# goes_on POINT: killed there, the next one comes to the same.
goes_on()
{
        check "page: add is killed at its $1" killed "$1 /etc"
        ctl "${page[@]}" <<<"${BOT_TOKENS[page]}"
        gives "page: the same command goes on" 0 'page is set up'
        check_equal "page: and comes to the same" "$complete" "$(names | grep '[/.]page')"
}
goes_on "rename 2 after"
ctl remove page --yes </dev/null
gives "page: is removed" 0 'page is removed'
goes_on "rename 4 after"
# A bot that tgswitchd knows, as yet without a service: nothing but its file says which one it is.
ctl adopt page.service --undo --yes </dev/null
goes_on "rename 1 after"
check "page: its service starts" host_run systemctl start page.service
check "page: behind the gate" telegram_wait event=worker-start bot="${BOT_IDS[page]}" root=https://api.telegram.org

# ---- no answer ----

telegram_fault "{\"bot\":${BOT_IDS[away]},\"role\":\"cloud\",\"method\":\"getMe\",\"kind\":\"bad-gateway\",\"times\":0}"
ctl add away --plain --yes <<<"${BOT_TOKENS[away]}"
gives "the server does not say whether the token is good" 5 \
        'whether the token is good is not known yet.*away is set up, as yet without a service'
check_match "and what to do for a service" 'tgswitchctl adopt any.service --bot=away' "$said"
telegram DELETE /faults >/dev/null
ctl add away --plain --yes <<<"${BOT_TOKENS[away]}"
gives "it does when it is asked again" 5 'away: the cloud has accepted the token.*No worker is configured.*adopt UNIT'

# ---- remove ----

refused "a bot that is none" 3 "No bot is called 'nobody'" "" remove nobody --yes
refused "no terminal and no --yes: remove" 2 'without a terminal to ask on, --yes is needed' "" remove news
said=$(host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl remove news --yes 2>&1)
status=$?
gives "remove: not as root" 8 'run it as root'
# Somebody reads what would be done, and the bot moves meanwhile.
before=$(files)
for verb in "add shop --worker=any.service" "remove shop"; do
        terminal_open 100 50
        terminal_begin "tgswitchctl $verb"
        check "${verb%% *} asks" terminal_shows '(Write this|Take all this away)\? \[y/N\] *$'
done
mark=$(bus_mark)
check "shop: a move begins that holds" bot_switch shop 1 hold-at s log-out
check "shop: it holds" job_becomes "$mark" "$(job_number shop)" Holding true
terminal_key y Enter
terminal_ends
check_match "remove: it is on its way by now" '7 .*shop is on its way and needs its token to arrive.*Nothing was' "$status $screen"
terminal_close
TERMINAL=terminal$((TERMINAL_COUNT - 1))
terminal_key y Enter
terminal_ends
check_match "add: it is on its way by now" '7 .*shop is there and on its way: .*Nothing was changed' "$status $screen"
terminal_close
check_equal "neither has changed anything" "" "$(diff <(echo "$before") <(files))"
refused "a bot that is on its way" 7 'shop is on its way and needs its token to arrive' "" remove shop --yes --force
refused "and is there" 7 "shop is there and on its way: 'tgswitchctl wait [0-9]+' first" "${BOT_TOKENS[shop]}" "${good[@]}"
check "shop: goes on" host_run tgswitchctl proceed "$(job_number shop)"
check "shop: is at the local server" bot_wait shop Seat local
check "shop: has arrived" bot_wait shop Phase ""
refused "a bot whose window is open" 4 'cloud not before .*which makes the lock longer.*give --force' "" \
        remove shop --yes
terminal_open 100 50
terminal_begin 'tgswitchctl add page --worker=any.service'
check "page: add asks" terminal_shows 'Write this\? \[y/N\] *$'
host_run tgswitchctl set-seat page local
terminal_key y Enter
terminal_ends
check_match "page: it is elsewhere by now" '7 .*page is at the local server by now: give the same command again' "$status $screen"
terminal_close
refused "one that is not at the cloud" 5 'page is not at the cloud.*Nothing was changed' "" remove page --yes
host_run tgswitchctl set-seat page cloud
ctl remove news --yes </dev/null
gives "news: is removed" 0 'news is removed.*still logged in at the cloud.*/revoke'
check_equal "nothing is left of it" "" "$(names | grep news | grep -v '/news.service root')"
check "its service runs as it did before" host_run systemctl start news.service
check "without the gate" telegram_wait event=worker-start bot="${BOT_IDS[news]}"
refused "another name for it, as long as its record is there" 5 'was called news here.*under that name' \
        "${BOT_TOKENS[news]}" add other --yes
refused "another bot by its name meanwhile" 5 "The name news was that of bot ${BOT_IDS[news]}, and tgswitchd still has its" \
        "$dead" add news --yes
refused "it is removed, and no more than that" 3 'news is removed already: tgswitchd keeps its record alone' "" \
        remove news --yes
ctl add news --worker=news.service --yes --restart <<<"${BOT_TOKENS[news]}"
gives "news: is added again" 0 'news is set up'
check_equal "shop: was in nobody's way" "local" "$(bot_property shop Seat)"
ctl remove shop --yes --force --json </dev/null
check_equal "shop: with --force it is removed, and what is lost is said" "0 1 true" \
        "$status $(jq -r '"\(.lost | length) \(.record_kept)"' <<<"$said")"
check "shop: its window is not forgotten" test "$(bot_property shop CloudAllowedUSec)" -gt 0
check_verdict
tap_done
