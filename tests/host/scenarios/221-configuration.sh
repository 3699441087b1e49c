#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Configuration that is broken, changed or removed while bots live by it. What can't be understood is named with its
# file and line, and what was last understood stays in force: no bot and no worker stands still for a typing mistake.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

ETC=/etc/tgswitch

bot_list()
{
        host_run busctl --json=short call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager ListBots |
                jq -r '[.data[0][][0]] | join(" ")'
}

journal_has()
{
        host_run journalctl --sync
        host_run journalctl --unit=tgswitchd.service --output=cat --grep="$1"
}

# check_worker BOT ROOT: its worker can be restarted, and is at ROOT afterwards.
check_worker()
{
        local seq

        seq=$(telegram_seq)
        check "the worker of $1 can be restarted" host_run systemctl restart "$1-worker.service"
        check "and gets its endpoint" telegram_wait event=worker-start unit="$1-worker.service" root="$2" since="$seq"
}

# reload_by_hangup REGEX: returns when a property of the manager has changed in the way of REGEX.
reload_by_hangup()
{
        local mark

        mark=$(bus_mark)
        host_run systemctl kill --signal=HUP --kill-who=main tgswitchd.service
        bus_wait "$mark" "$1"
}

host_create
host_install
telegram_start
host_put "$ETC/tgswitch.conf.d/50-test.conf" <<<$'[BotDefaults]\nSettleSec=200ms'
bot_add shop </dev/null
bot_add news </dev/null
bot_add gone </dev/null
host_boot
check "the workers start" telegram_wait event=worker-start count=3
check_equal "all bots are there" "gone news shop" "$(bot_list)"

# ---- all of it broken ----

host_put "$ETC/tgswitch.conf.d/60-broken.conf" <<<$'[Manager]\n\nServerStartTimeout=5'
check "a reload of a broken file fails" fails host_run systemctl reload tgswitchd.service
said=$(host_run tgswitchctl reload 2>&1)
check_match "the file and the line are named" "$ETC/tgswitch.conf.d/60-broken.conf:3: .*ServerStartTimeout" "$said"
check_match "and what was expected" "did you mean ServerStartTimeoutSec=" "$said"
check_equal "the bots are there" "gone news shop" "$(bot_list)"
check_worker shop https://api.telegram.org

check "the daemon restarts with the broken file" host_run systemctl restart tgswitchd.service
check "which it names again" journal_has "60-broken.conf:3: "
check "and says what is in force" journal_has "last good one stays in force"
check_equal "the bots are there" "gone news shop" "$(bot_list)"
check_worker shop https://api.telegram.org
check "a bot moves by the last good configuration" host_run tgswitchctl switch local --yes shop
rm "$HOST_ROOT$ETC/tgswitch.conf.d/60-broken.conf"
check "mended, it can be read again" host_run systemctl reload tgswitchd.service

# ---- one bot's file broken ----

cp "$HOST_ROOT$ETC/bots.d/news.conf" "$HOST_DISK/news.conf"
printf 'DrainTimeoutSec=soon\n' >>"$HOST_ROOT$ETC/bots.d/news.conf"
check "a reload with one broken bot succeeds" host_run systemctl reload tgswitchd.service
check_match "that bot tells the file and the line" "$ETC/bots.d/news.conf:4: " "$(bot_property news LastError)"
said=$(host_run tgswitchctl switch local --yes news 2>&1)
check_match "it is not moved" "configuration of news is not valid: $ETC/bots.d/news.conf:4: .*DrainTimeoutSec" "$said"
check_match "and what to do is said" "Correct it and run 'systemctl reload tgswitchd'" "$said"
check_worker news https://api.telegram.org
check "the daemon restarts with the broken bot" host_run systemctl restart tgswitchd.service
check_worker news https://api.telegram.org
check_worker shop http://127.0.0.1:8081
host_put "$ETC/bots.d/news.conf" <"$HOST_DISK/news.conf"

# ---- a file whose name is no bot's ----

host_put "$ETC/bots.d/news-old.conf" <"$HOST_DISK/news.conf"
pid=$(daemon_pid)
said=$(host_run tgswitchctl reload 2>&1)
check_match "a file that is named like no bot is told" "bots.d/news-old.conf: .*is no name of a bot" "$said"
check_equal "and is no bot" "gone news shop" "$(bot_list)"
check_equal "the daemon lives with it" "$pid" "$(daemon_pid)"
check "and starts with it" host_run systemctl restart tgswitchd.service
check_worker news https://api.telegram.org
rm "$HOST_ROOT$ETC/bots.d/news-old.conf"

# ---- SIGHUP; a new bot, a stolen worker ----

host_put "$ETC/bots.d/thief.conf" <<<$'[Bot]\nInitialSeat=cloud\nWorker=news-worker.service'
host_put "$ETC/bots.d/fresh.conf" <<<$'[Bot]\nInitialSeat=cloud\nWorker=fresh-worker.service'
check "SIGHUP has new bots read" reload_by_hangup '"NBots":\{"type":"u","data":5\}'
check_match "a worker belongs to one bot" "thief.conf:3: .*news-worker.service" \
        "$(host_run tgswitchctl switch local --yes thief 2>&1)"
check_match "a new bot's token needs a restart" "systemctl restart tgswitchd" \
        "$(host_run tgswitchctl switch local --yes fresh 2>&1)"
check_equal "the mended bot is well" "" "$(bot_property news LastError)"
rm "$HOST_ROOT$ETC/bots.d"/{thief,fresh}.conf

# ---- removed files ----

rm "$HOST_ROOT$ETC/bots.d"/{shop,gone}.conf
check "SIGHUP has files removed" reload_by_hangup '"NBots":\{"type":"u","data":2\}'
check_equal "a bot that nothing is owed to is forgotten" "news shop" "$(bot_list)"
check_equal "with its record" "" "$(find "$HOST_ROOT/var/lib/tgswitch" -name 'gone*')"
check_match "one whose window is open is not" "There is no bots.d/shop.conf any more" "$(bot_property shop LastError)"
check_worker shop http://127.0.0.1:8081
check "the daemon restarts without the file" host_run systemctl restart tgswitchd.service
check_equal "and knows the bot still" local "$(bot_property shop Seat)"
check "also when it was logged out" test "$(bot_property shop LoggedOutUSec)" -gt 0
check_worker shop http://127.0.0.1:8081

# ---- and nothing of it has harmed a bot ----

for bot in shop news; do
        telegram_inject "$bot" 0 5
done
check "every update is accounted for" telegram_finish
check_equal "one bot was logged out, once" 1 "$(telegram_count event=request method=logout)"
check_verdict
tap_done
