#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What is spooled of a bot with a webhook is posted there as Telegram does it: in order, with the secret, until it is
# accepted; while the job runs and after it, and by the next process where this one was killed. What an answer asks for
# is carried out, unless it would move the bot. Defends L6, L1 and L7.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

declare -A PORTS=([hook]=9001 [late]=9002)

# bot_add_receiver BOT [WORKER…]: a bot whose first worker listens for its webhook, which has a secret, and the token in
# its URL. The worker answers as the file /etc/BOT-answer says.
bot_add_receiver()
{
        local name=$1
        shift

        bot_add "$name" cloud "$name-worker.service" "$@" <<<"WebhookSecret=yes"
        bot_worker_add "$name" "$name-worker.service" --webhook="${PORTS[$name]}" --secret="hush-$name" \
                --answer="/etc/$name-answer"
        host_put "/etc/tgswitch/secrets/$name" 600 <<<"hush-$name"
        telegram POST /webhook-settings "{\"bot\":${BOT_IDS[$name]},\"secret_token\":\"hush-$name\",
                \"url\":\"http://127.0.0.1:${PORTS[$name]}/${BOT_TOKENS[$name]}\"}" >/dev/null
}

# answer_always BOT STATUS: from now on.
answer_always()
{
        echo "$2" | host_put "/etc/$1-answer"
}

# answer_by_word BOT: each post waits for answer_once.
answer_by_word()
{
        mkfifo -m 644 "$HOST_ROOT/etc/$1-word"
        mv -f "$HOST_ROOT/etc/$1-word" "$HOST_ROOT/etc/$1-answer"
}

# answer_once BOT STATUS [BODY]: returns when the worker has taken the word.
answer_once()
{
        timeout 30 tee "$HOST_ROOT/etc/$1-answer" >/dev/null <<<"$2"$'\n'"${3:-}" ||
                tap_fail "$1: the webhook is asked"
}

# answer_gladly BOT: 200 at once from now on, also to the post that waits.
answer_gladly()
{
        mv "$HOST_ROOT/etc/$1-answer" "$HOST_ROOT/etc/$1-last"
        timeout 30 tee "$HOST_ROOT/etc/$1-last" >/dev/null <<<200 || tap_fail "$1: the webhook is asked"
}

# handled BOT: the numbers of the updates that its worker has handled, in this order.
handled()
{
        telegram GET "/ledger?event=worker-handled&bot=${BOT_IDS[$1]}&from=webhook" | jq .uid | tr '\n' ' '
}

# injected BOT: those that came.
injected()
{
        telegram GET "/ledger?event=update-injected&bot=${BOT_IDS[$1]}" | jq .uid | tr '\n' ' '
}

# until_recorded BOT N: returns when the record on disk says that so many were accepted.
until_recorded()
{
        local deadline=$((SECONDS + 30))

        until [[ $(tail -n +2 "/proc/$HOST_LEADER/root/var/lib/tgswitch/bots/$1.state" |
                jq '."part-served-updates"') == "$2" ]]; do
                ((SECONDS < deadline)) || return
        done
}

# handles BOT N: returns when its worker has handled N.
handles()
{
        telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" from=webhook count="$2" >/dev/null
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=200ms
EOT
bot_add_receiver hook
# Of two workers none takes the spool, and it is spooled nevertheless, by default.
bot_add_receiver late late-other.service
bot_worker_add late late-other.service --webhook=9003
server_local_mode
answer_always hook 500
answer_always late 503
host_boot
check "the workers start" telegram_wait event=worker-start count=3
telegram_inject hook 0 5
telegram_inject late 0 6
for bot in "${!BOT_IDS[@]}"; do
        check "$bot: its webhook refuses updates" telegram_wait event=update-delivered bot="${BOT_IDS[$bot]}" role=cloud
        check_equal "$bot: none was handled" "" "$(handled "$bot")"
done

# ---- one that takes them ----

mark=$(bus_mark)
check "hook: a move begins" bot_switch hook 1 hold-at s log-out
job=$(job_number hook)
check "hook: it holds before log-out" job_becomes "$mark" "$job" Holding true
check_equal "hook: all is spooled" 5 "$(bot_property hook SpooledUpdates)"
answer_by_word hook
check "hook: it is told to go on" host_run tgswitchctl proceed "$job"
answer_once hook 200 '{"method":"sendMessage","chat_id":42,"text":"an answer"}'
check "hook: the answer is carried out at the local server" telegram_wait event=answer method=sendmessage \
        bot="${BOT_IDS[hook]}" role=local code=200
answer_once hook 200 '{"method":"LogOut"}'
check "hook: the third update is posted" handles hook 2
answer_once hook 201 'no JSON'
check_equal "hook: the job waits for the webhook" confirm "$(bot_property hook Phase)"
answer_gladly hook
check_equal "hook: the job is done" 'done' "$(job_wait "$mark" hook)"
check_equal "hook: all were posted, in their order" "$(injected hook)" "$(handled hook)"
check_equal "hook: nothing is left" 0 "$(bot_property hook SpooledUpdates)"
check_match "hook: and all are counted" " 5 spooled, 5 handed over" "$(host_run tgswitchctl status hook)"
check_equal "hook: nobody logs out of the local server" 0 "$(telegram_count event=request method=logout role=local)"
telegram_inject hook 0 1
check "hook: what comes in now is delivered by the local server" telegram_wait event=update-delivered role=local \
        bot="${BOT_IDS[hook]}" code=200

# ---- one that does not, for a while ----

mark=$(bus_mark)
check "late: a move begins" bot_switch late
check_equal "late: the job is done" 'done' "$(job_wait "$mark" late)"
check_equal "late: all wait in the spool" 6 "$(bot_property late SpooledUpdates)"
check_match "late: which is told" "6 spooled updates .* webhook.*HTTP 503.*tgswitchctl spool late" \
        "$(bot_property late LastError)"
check_match "late: and that the next move has to wait" "6 updates of an earlier move .* posted" \
        "$(host_run tgswitchctl check cloud late 2>&1)"
answer_by_word late
# The next process does not wait first.
check "the daemon is killed" daemon_kill
for n in 1 2 3; do
        answer_once late 200
        check "late: update $n is accepted" handles late "$n"
done
check "late: which is on record" until_recorded late 3
check "the daemon is killed in the middle" daemon_kill
answer_gladly late
check "late: nothing is left" bot_wait late SpooledUpdates 0
read -r -a uids <<<"$(injected late)"
# The fourth was on its way to a program that has handled it, and to a daemon that never heard so.
check_match "late: each was handled, in order, and none of the first three again" \
        "^${uids[*]:0:4} (${uids[3]} )?${uids[*]:4} $" "$(handled late)"
check_equal "late: there is nothing to complain about any more" "" "$(bot_property late LastError)"
check_match "late: all are counted" " 6 spooled, [67] handed over" "$(host_run tgswitchctl status late)"

check "every update is accounted for" telegram_finish
check_verdict twice
tap_done
