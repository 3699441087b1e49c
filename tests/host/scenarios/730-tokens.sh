#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tokens at rest and their rotation: encrypted ones beside plain ones, and bad ones that harm nobody else; a token that
# BotFather gave anew, for bots that are settled, moving, and polling or with a webhook, stored by `tgswitchctl set-token`.
# What the server refuses is taken back. Defends L1, L5, L7 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/back.sh
source "$HOST_DIR/back.sh"

# token_of NAME: one that BotFather could give for that bot.
token_of()
{
        canary_token "${BOT_IDS[$1]}"
}

# renew NAME: BotFather gives a new token, and the old one is dead. Leaves it in $fresh; what is in BOT_TOKENS stays.
renew()
{
        telegram POST /bots/revoke "{\"bot\":${BOT_IDS[$1]}}" >/dev/null
        fresh=$(token_of "$1")
        telegram POST /bots "{\"token\":\"$fresh\",\"username\":\"${1}_bot\",\"session\":\"none\"}" >/dev/null
        BOT_TOKENS[$1]=$fresh
}

# set_token TOKEN ARGUMENT…: leaves $said, both streams, and $status. The token goes by a pipe.
set_token()
{
        local token=$1
        shift

        said=$(host_run tgswitchctl set-token "$@" 2>&1 <<<"$token")
        status=$?
        [[ -z $token || $said != *"${token#*:}"* ]] || tap_fail "a token is printed"
}

# gives DESCRIPTION STATUS REGEX: what the last set_token() said.
gives()
{
        check_equal "$1: status" "$2" "$status"
        check_match "$1: says so" "$3" "$said"
}

# files: what is in the directories of tokens, and whose it is.
files()
{
        host_run find /etc/tgswitch/tokens /etc/tgswitch/tokens.encrypted -type f -exec stat -c '%n %U:%G %a' {} + | sort
        host_run find /etc/tgswitch/tokens /etc/tgswitch/tokens.encrypted -type f -exec sha256sum {} + | sort
}

# record NAME: what is on disk of the bot, without the header, and without the session's age: that belongs to the token.
record()
{
        tail -n +2 "$HOST_ROOT/var/lib/tgswitch/bots/$1.state" | tr -d '\0' |
                jq -S -c 'with_entries(select(.key | startswith("logged-in.") | not))'
}

# encrypt NAME [CREDENTIAL]: as the documentation has it; from the plain file.
encrypt()
{
        host_run sh -c "systemd-creds encrypt --name=${2:-encrypted-token_$1} - /etc/tgswitch/tokens.encrypted/$1 \
                </etc/tgswitch/tokens/$1 2>/dev/null"
}

host_create
host_install
telegram_start
server_local_mode
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
for bot in shop news quiet page held; do
        bot_add "$bot" </dev/null
done
bot_add away local </dev/null
bot_add twice </dev/null
# A webhook with the token in its address, and a secret.
bot_add hook cloud hook-worker.service <<<"WebhookSecret=yes"
bot_worker_add hook hook-worker.service --webhook=9001 --secret=hush
host_put /etc/tgswitch/secrets/hook 600 <<<"hush"
telegram POST /webhook-settings "{\"bot\":${BOT_IDS[hook]},\"secret_token\":\"hush\",\"max_connections\":7,
        \"url\":\"http://127.0.0.1:9001/${BOT_TOKENS[hook]}\"}" >/dev/null
host_boot
# A restart while it is still starting would be that same start, by which it has not read what is stored now.
check "tgswitchd has started" host_run systemctl start tgswitchd.service

# ---- at rest ----

for bot in shop news; do
        check "$bot: is encrypted as the documentation says" encrypt "$bot"
        host_run rm "/etc/tgswitch/tokens/$bot"
done
host_run sh -c 'systemd-creds encrypt --name=encrypted-secret_hook - /etc/tgswitch/secrets.encrypted/hook \
        </etc/tgswitch/secrets/hook 2>/dev/null && rm /etc/tgswitch/secrets/hook'
check "twice: the same in both places" encrypt twice
printf %s "${BOT_TOKENS[twice]}" | host_put /etc/tgswitch/tokens/twice 600
check "a start with encrypted tokens" host_run systemctl restart tgswitchd.service
for bot in shop news twice quiet; do
        check_equal "$bot: is at the cloud" cloud "$(bot_property "$bot" Seat)"
        check_equal "$bot: has nothing to complain about" "" "$(bot_property "$bot" LastError)"
done
check "twice: it is told that one is to go" timeout 60 grep -m 1 -q 'The same token is in /etc/tgswitch/tokens/twice' \
        < <(host_run journalctl --follow --lines=all --unit=tgswitchd.service --output=cat)
for bot in shop news quiet page held away twice; do
        check "$bot: its worker runs with it" telegram_wait event=worker-start bot="${BOT_IDS[$bot]}"
done
check_equal "the encrypted files are ciphertext" "" "$(printf '%s\n' "${BOT_TOKENS[@]}" >"$HOST_DISK/tokens.txt"
        grep -rlFf "$HOST_DISK/tokens.txt" "$HOST_ROOT/etc/tgswitch/tokens.encrypted")"

# ---- bad ones ----

host_run cp /etc/tgswitch/tokens.encrypted/news "/etc/tgswitch/news.good"
# bad DESCRIPTION REGEX: of news; the others don't mind, however tgswitchd is started.
bad()
{
        local mark

        check "$1: tgswitchd starts all the same" host_run systemctl restart tgswitchd.service
        check_match "$1: and says what is wrong" "$2" "$(bot_property news LastError)"
        check_equal "$1: shop has its token" "" "$(bot_property shop LastError)"
        check_match "$1: there is a unit that has failed" 'failed' \
                "$(host_run systemctl is-failed tgswitchd-credentials.service)"
        mark=$(bus_mark)
        daemon_kill
        check "$1: tgswitchd comes back by itself" bus_wait "$mark" '"NameOwnerChanged".*"org.tgswitch1","","'
        check_equal "$1: shop has its token again" "" "$(bot_property shop LastError)"
}
echo rubbish | host_put /etc/tgswitch/tokens.encrypted/news 600
bad "a damaged file" 'tokens.encrypted/news cannot be decrypted on this host \(.+\). Store it again'
host_put /etc/tgswitch/tokens.encrypted/news 600 </dev/null
bad "an empty file" 'tokens.encrypted/news cannot be decrypted on this host'
host_run cp /etc/tgswitch/tokens.encrypted/shop /etc/tgswitch/tokens.encrypted/news
bad "another bot's file" "cannot be decrypted on this host \(Embedded credential name 'encrypted-token_shop' does not match"
# As one that was made on another host: decrypted with a key that is not its own.
host_run mv /var/lib/systemd/credential.secret /etc/tgswitch/key
host_run systemd-creds setup 2>/dev/null
echo "${BOT_TOKENS[news]}" | host_put /etc/tgswitch/tokens/news 600
check "another host's file: is made with that one's key" encrypt news
host_run rm /etc/tgswitch/tokens/news
host_run mv -f /etc/tgswitch/key /var/lib/systemd/credential.secret
bad "another host's file" 'tokens.encrypted/news cannot be decrypted on this host'
host_run mv /etc/tgswitch/news.good /etc/tgswitch/tokens.encrypted/news
# Whatever else lies there is nobody's token.
echo rubbish | host_put /etc/tgswitch/tokens.encrypted/news.tmp 600
echo rubbish | host_put /etc/tgswitch/tokens.encrypted/news~ 600
check "with leftovers of an editor" host_run systemctl restart tgswitchd.service
check_equal "news: has its token" "" "$(bot_property news LastError)"
host_run rm /etc/tgswitch/tokens.encrypted/news.tmp /etc/tgswitch/tokens.encrypted/news~
token_of twice | host_put /etc/tgswitch/tokens/twice 600
check "two tokens of one bot" host_run systemctl restart tgswitchd.service
check_match "twice: refused, with both places" 'There are two tokens, /etc/tgswitch/tokens/twice and /etc/tgswitch/tokens.encrypted/twice' \
        "$(bot_property twice LastError)"
host_run rm /etc/tgswitch/tokens/twice
# A source that is no directory keeps nobody else's from tgswitchd, also before any other start.
host_run mv /etc/tgswitch/secrets.encrypted /etc/tgswitch/secrets.good
host_put /etc/tgswitch/secrets.encrypted </dev/null
host_run rm -r /run/tgswitch/credentials
check "a strange source: tgswitchd starts all the same" host_run systemctl restart tgswitchd.service
check_equal "a strange source: shop has its token" "" "$(bot_property shop LastError)"
host_run rm /etc/tgswitch/secrets.encrypted
host_run mv /etc/tgswitch/secrets.good /etc/tgswitch/secrets.encrypted
# As in a container that was given no key: nothing encrypted is there, and all that is plain.
host_run mv /var/lib/systemd/credential.secret /etc/tgswitch/key
check "without the host's key" host_run systemctl restart tgswitchd.service
check_match "without the host's key: shop says so" 'tokens.encrypted/shop cannot be decrypted on this host' \
        "$(bot_property shop LastError)"
check_equal "without the host's key: quiet has its token" "" "$(bot_property quiet LastError)"
host_run mv /etc/tgswitch/key /var/lib/systemd/credential.secret
check "with the key again" host_run systemctl restart tgswitchd.service
check_equal "shop: has its token again" "" "$(bot_property shop LastError)"

# ---- a token that is not taken ----

before=$(files)
# refused DESCRIPTION STATUS REGEX TOKEN ARGUMENT…: and nothing is changed.
refused()
{
        local description=$1 expected=$2 regex=$3
        shift 3

        set_token "$@"
        gives "$description" "$expected" "$regex"
        check_equal "$description: nothing was changed" "" "$(diff <(echo "$before") <(files))"
}
pid=$(daemon_pid)
refused "an unknown bot" 3 "No bot is called 'shopp': .*tgswitchctl add shopp" "$(token_of shop)" shopp --yes
refused "no name of a bot" 3 "'../shop' is no name of a bot" "$(token_of shop)" ../shop --yes
refused "both forms" 2 'either --encrypt or --plain' "$(token_of shop)" shop --encrypt --plain --yes
refused "no token" 1 'No token was given' "" shop --yes
refused "half a token" 5 'This is no bot token' "${BOT_IDS[shop]}:AA" shop --yes
refused "two tokens" 5 'This is no bot token' "$(token_of shop)"$'\n'"$(token_of shop)" shop --yes
refused "a long text" 5 'This is no bot token' "$(printf '%01000d' 0)" shop --yes
refused "another bot's" 5 "This is the token of bot ${BOT_IDS[news]}, but shop is bot ${BOT_IDS[shop]}" "$(token_of news)" shop --yes
refused "without a terminal" 2 'without a terminal to ask on, --yes is needed' "$(token_of shop)" shop
said=$(host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl set-token shop --yes 2>&1 <<<"$(token_of shop)")
status=$?
gives "without root" 8 'run it as root'
host_run ln -s /dev/null /etc/tgswitch/tokens/shop
refused "a symbolic link" 1 'tokens/shop is a symbolic link' "$(token_of shop)" shop --yes
host_run rm /etc/tgswitch/tokens/shop
host_run mv /var/lib/systemd/credential.secret /etc/tgswitch/key
host_run mount -t tmpfs none /var/lib/systemd
refused "where nothing can be encrypted" 1 'cannot be encrypted on this host \(.+\): store it with --plain' \
        "$(token_of quiet)" quiet --encrypt --yes
host_run umount /var/lib/systemd
host_run mv /etc/tgswitch/key /var/lib/systemd/credential.secret
check_equal "tgswitchd was left alone by all of it" "$pid" "$(daemon_pid)"

# What only the server can know.
starts=$(telegram_count event=worker-start bot="${BOT_IDS[quiet]}")
refused "a token that the server does not take" 5 \
        'The cloud server does not accept the token: 401.*The token before it is back in its place, and no worker was restarted' \
        "$(token_of quiet)" quiet --yes
check_equal "quiet: has its token again" "" "$(bot_property quiet LastError)"
check_equal "quiet: its worker was not touched" "$starts" "$(telegram_count event=worker-start bot="${BOT_IDS[quiet]}")"
refused "and again, encrypted" 5 \
        'The cloud server does not accept the token: 401.*The token before it is back in its place, and no worker was restarted' \
        "$(token_of quiet)" quiet --encrypt --yes

# ---- rotation ----

# rotates NAME SEAT [ARGUMENT…]: a new token for a bot that is settled. Everything but the token stays as it is.
rotates()
{
        local name=$1 seat=$2 recorded allowed seq
        shift 2

        recorded=$(record "$name")
        allowed=$(bot_property "$name" CloudAllowedUSec)
        renew "$name"
        seq=$(telegram_seq)
        set_token "$fresh" "$name" --yes "$@"
        gives "$name: rotation" 0 "$name: the .* has accepted the token"
        check "$name: its worker was started with the endpoint of the seat" telegram_wait event=worker-start \
                bot="${BOT_IDS[$name]}" since="$seq" root="${ROOTS[$seat]}"
        check_equal "$name: its seat stays" "$seat" "$(bot_property "$name" Seat)"
        # Of two clocks that are read one after the other; the record below has it to the microsecond.
        check "$name: its window stays" test "$((($(bot_property "$name" CloudAllowedUSec) - allowed) / 1000000))" = 0
        check_equal "$name: its record stays" "$recorded" "$(record "$name")"
        check_equal "$name: nothing is kept beside it" "" \
                "$(host_run find /etc/tgswitch/tokens /etc/tgswitch/tokens.encrypted -name '.*' -type f)"
        telegram_inject "$name" 0 2
        check "$name: what comes now is handled" telegram_wait event=worker-handled bot="${BOT_IDS[$name]}" \
                since="$seq" count=2
}
declare -A ROOTS=([cloud]=https://api.telegram.org [local]=http://127.0.0.1:8081)

rotates shop cloud
check_equal "shop: encrypted, as it was" "/etc/tgswitch/tokens.encrypted/shop root:root 600" \
        "$(files | grep -E '/shop [^ ]+ 600')"
rotates quiet cloud
check_equal "quiet: plain, as it was" "/etc/tgswitch/tokens/quiet root:root 600" "$(files | grep -E '/quiet [^ ]+ 600')"
rotates quiet cloud --encrypt
check_equal "quiet: encrypted from now on, and nowhere else" "/etc/tgswitch/tokens.encrypted/quiet root:root 600" \
        "$(files | grep -E '/quiet [^ ]+ 600')"
starts=$(telegram_count event=worker-start bot="${BOT_IDS[quiet]}")
set_token "$fresh" quiet --yes --plain
gives "quiet: the same one in the other form" 0 'has accepted the token'
check_equal "quiet: plain again" "/etc/tgswitch/tokens/quiet root:root 600" "$(files | grep -E '/quiet [^ ]+ 600')"
check_equal "quiet: its worker has it already" "$starts" "$(telegram_count event=worker-start bot="${BOT_IDS[quiet]}")"
# Which units root restarts, root's file alone says, whatever the daemon still has on the bus.
host_run cp /etc/tgswitch/bots.d/quiet.conf /etc/tgswitch/quiet.good
host_run sh -c 'echo Wroker=x >>/etc/tgswitch/bots.d/quiet.conf'
set_token "$fresh" quiet --yes --restart
gives "quiet: with a bad file" 1 'bots.d/quiet.conf cannot be used to find the workers: restart them yourself'
check_match "quiet: the daemon still has its worker" 'quiet-worker.service' "$(bot_property quiet Workers)"
check_equal "quiet: and it was not restarted" "$starts" "$(telegram_count event=worker-start bot="${BOT_IDS[quiet]}")"
host_run mv /etc/tgswitch/quiet.good /etc/tgswitch/bots.d/quiet.conf
# So many starts in so few seconds are over the limit of any unit (StartLimitBurst=).
host_run systemctl reset-failed quiet-worker.service
set_token "$fresh" quiet --yes --restart
gives "quiet: --restart" 0 'quiet-worker.service is restarted with the new token'
rotates away local
check "page: goes to the local server" host_run tgswitchctl switch local --yes page
check "page: a window runs" test "$(bot_property page CloudAllowedUSec)" -gt 0
rotates page local
# A worker that the dead token has killed for good.
host_put /etc/systemd/system/twice-worker.service.d/60-once.conf <<<$'[Service]\nRestart=no'
host_run systemctl daemon-reload
mark=$(bus_mark)
telegram POST /bots/revoke "{\"bot\":${BOT_IDS[twice]}}" >/dev/null
check "twice: its worker dies of the old token" telegram_wait event=worker-stop bot="${BOT_IDS[twice]}"
check "twice: for good" bus_wait "$mark" '/unit/twice_2dworker_2eservice".*"ActiveState":\{"type":"s","data":"failed"\}'
fresh=$(token_of twice)
telegram POST /bots "{\"token\":\"$fresh\",\"username\":\"twice_bot\",\"session\":\"none\"}" >/dev/null
set_token "$fresh" twice --yes --json
check_equal "twice: JSON says what was done" \
        '1|twice|'"${BOT_IDS[twice]}"'|encrypted|true|accepted|none|twice-worker.service started' \
        "$(jq -r '[.schema, .bot, .id, .form, .running, .server, .webhook, (.workers[] | "\(.unit) \(.result)")] |
                map(tostring) | join("|")' <<<"$said")"

# ---- in the middle of a move ----

# Before logOut: what was pending is spooled, and handed over by the new token.
mark=$(bus_mark)
host_run systemctl stop held-worker.service
telegram_inject held 0 5
host_run systemctl start --no-block held-worker.service
bot_switch held 2 hold-at s log-out on-undrained s spool
job=$(job_number held)
check "held: holds before logOut" job_becomes "$mark" "$job" Holding true
renew held
mark=$(bus_mark)
set_token "$fresh" held --yes
gives "held, on its way" 0 "no server was asked about the token.*its move \(job $job\) goes on with the new token"
check "held: holds again, in the tgswitchd that has it" job_becomes "$mark" "$job" Holding true
check "held: goes on" host_run tgswitchctl proceed "$job"
check "held: arrives" bot_wait held Seat local
check "held: the move ends" bot_wait held Phase ""
check_equal "held: well" 'done' "$(bot_property held LastResult)"
telegram_inject held 0 2
check "held: all that came was handled" telegram_wait event=worker-handled bot="${BOT_IDS[held]}" count=7

# A logOut without an answer: 401 would be taken for success.
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[quiet]},\"method\":\"logOut\",\"kind\":\"drop-after\",\"times\":0}"
mark=$(bus_mark)
bot_switch quiet
check "quiet: is being logged out" phase_wait "$mark" quiet log-out
before=$(files)
refused "quiet, being logged out" 7 "quiet is being logged out.*add --force" "$(token_of quiet)" quiet --yes
telegram DELETE /faults >/dev/null
check "quiet: arrives" bot_wait quiet Seat local
check "quiet: the move ends" bot_wait quiet Phase ""

# After logOut, when the old one is dead at both servers.
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[news]},\"method\":\"getMe\",\"kind\":\"restart\",\"times\":0}"
mark=$(bus_mark)
bot_switch news
check "news: is logged out" phase_wait "$mark" news log-in
renew news
telegram DELETE /faults >/dev/null
check "news: cannot log in with the dead token" bot_wait news Phase log-in
set_token "$fresh" news --yes
gives "news, between the servers" 0 'its move \(job [0-9]+\) goes on with the new token'
check "news: arrives" bot_wait news Seat local
check "news: the move ends" bot_wait news Phase ""
check_equal "news: well" 'done' "$(bot_property news LastResult)"

# ---- a webhook ----

check "hook: goes to the local server" host_run tgswitchctl switch local --yes hook
check "hook: with its webhook" bot_wait hook Phase ""
settings=$(webhook_settings hook local)
check_match "hook: the token is in its address, and the secret is with it" \
        '"secret_token":"hush".*\{secret\}"' "$settings"
renew hook
set_token "$fresh" hook --yes
gives "hook" 0 'has accepted the token.*hook-worker.service is restarted with the new token'
check_match "hook: its webhook is not forgotten" 'the webhook that is on record went with the old token.*--webhook' "$said"
seq=$(telegram_seq)
set_token "$fresh" hook --yes --webhook
gives "hook: with --webhook" 0 'its webhook, which went with the old token, is set again'
check_equal "hook: with the same settings and the new token in its address" "$settings" "$(webhook_settings hook local)"
telegram_inject hook 0 2
check "hook: is delivered to" telegram_wait event=update-delivered bot="${BOT_IDS[hook]}" code=200 since="$seq" count=2

# ---- the first one ----

host_put /etc/tgswitch/bots.d/fresh.conf <<<$'[Bot]\nInitialSeat=cloud'
BOT_IDS[fresh]=7100000999
BOT_TOKENS[fresh]=$(canary_token 7100000999)
telegram POST /bots "{\"token\":\"${BOT_TOKENS[fresh]}\",\"username\":\"fresh_bot\",\"session\":\"cloud\"}" >/dev/null
host_run systemctl stop tgswitchd.service
set_token "${BOT_TOKENS[fresh]}" fresh --encrypt
gives "fresh: without tgswitchd" 0 'tgswitchd, which does not run, takes it up when it starts'
check_equal "fresh: tgswitchd was not started" inactive "$(host_run systemctl is-active tgswitchd.service)"
check "fresh: tgswitchd starts" host_run systemctl start tgswitchd.service
check_equal "fresh: is at the cloud" cloud "$(bot_property fresh Seat)"

check "every update is accounted for" telegram_finish
tap_done
