#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The history: what became of each move, who asked for it and how long it took, once each, over crashes, torn lines and a
# bot that is gone; for everybody to read. Defends L5 and L7 where a file of the daemon's is read back.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

FILE=/var/lib/tgswitch/history.jsonl

# history [ARGUMENT…]: as JSON; leaves $status.
history_json()
{
        host_run tgswitchctl history --json "$@"
}

# of JOB FILTER: what jq says of the entry of a job.
of()
{
        jq -r --argjson job "$1" ".history[] | select(.job == \$job) | $2" <<<"$entries"
}

# last_job BOT
last_job()
{
        host_run tgswitchctl status "$1" --json | jq '.bots[0].last_job.job'
}

# jobs [ARGUMENT…]: their numbers, the newest last.
jobs_in_history()
{
        history_json "$@" | jq -r '[.history[].job] | join(" ")'
}

# start_again: the daemon, which has been killed; its history has been caught up with when this returns.
start_again()
{
        host_run systemctl start tgswitchd && host_run tgswitchctl history >/dev/null
}

host_create
host_install
telegram_start
for bot in shop news gone; do
        bot_add "$bot" <<<"SettleSec=1"
done
bot_add broken </dev/null
host_put /etc/systemd/system/broken-worker.service.d/60-mistake.conf <<<$'[Service]\nExecStartPre=\nLoadCredential='
host_boot

check_match "nothing has ended yet, and that is said" 'No move has ended yet' "$(host_run tgswitchctl history)"
check_equal "and told to programs" '{"schema":1,"history":[]}' "$(history_json)"

# ---- what an entry tells ----

check "a bot is moved" host_run tgswitchctl switch local shop --yes --reason='large files'
check "one that cannot be moved is not" fails host_run tgswitchctl switch local broken --yes
shop_job=$(last_job shop) broken_job=$(last_job broken)
entries=$(history_json)
check_equal "both are in the history, the newest last" "$shop_job $broken_job" "$(jobs_in_history)"
check_equal "where the bot was, was to go, and is" "shop cloud local local done false" \
        "$(of "$shop_job" '[.bot, .source, .target, .seat, .result, .automatic] | join(" ")')"
check_match "who asked" '^uid 0' "$(of "$shop_job" .requester)"
check_equal "why" "large files" "$(of "$shop_job" .reason)"
check_equal "each phase has its time, and together they are that of the move" true "$(of "$shop_job" \
        '(.phases_usec | [has("check", "stop-workers", "log-out", "log-in", "confirm")] | all) and
        ((.phases_usec | add) - (.ended_usec - .started_usec) | fabs) < 50000')"
check_equal "the numbers are those of the bot's last job" "true" "$(jq -n --argjson entry "$(of "$shop_job" .)" \
        --argjson last "$(host_run tgswitchctl status shop --json | jq .bots[0].last_job)" \
        '[("drained", "spooled", "handed_over", "blind_usec", "downtime_usec", "started_usec", "ended_usec") |
        $entry[.] == $last[.]] | all')"
check_equal "a move that failed tells where the bot is" "cloud cloud failed" \
        "$(of "$broken_job" '[.source, .seat, .result] | join(" ")')"
check_match "and why" 'broken-worker.service' "$(of "$broken_job" .error)"
check_equal "the file is the daemon's alone" "600" "$(host_run stat -c %a "$FILE")"

# ---- for people ----

said=$(host_run tgswitchctl history)
check_match "a line for each" '^WHEN +WHO +BOT +WAY +RESULT +TOOK +BLIND +DOWN +UPDATES' "$said"
check_match "who, what, from where to where, how long" \
        $'\n[0-9:]+ +root +shop +cloud to local +done +[0-9.]+m?s +[0-9]+ms +[0-9.]+m?s +0/0/0\n +large files\n' "$said"
check_match "an error stands under it" $'cloud to local +failed .*\n +broken-worker.service has no gate' "$said"
narrow=$(host_run script -qec 'stty rows 24 cols 60; tgswitchctl history shop' /dev/null </dev/null | tr -d '\r')
check_match "on a narrow terminal an entry has two lines" $'shop.*cloud to local.*done.*\n +took .*by root\n +large files' \
        "$narrow"
check_equal "somebody else may read it" "$shop_job $broken_job" \
        "$(host_run setpriv --reuid=nobody --regid=nogroup --clear-groups tgswitchctl history --json |
                jq -r '[.history[].job] | join(" ")')"

# ---- what is asked for ----

check_equal "of one bot" "$shop_job" "$(jobs_in_history shop)"
check_equal "the newest one" "$broken_job" "$(jobs_in_history --limit=1)"
check_equal "since a time" "$shop_job $broken_job" "$(jobs_in_history --since=1h)"
check_equal "later than anything" "" "$(jobs_in_history --since=0)"
host_run tgswitchctl history shpo >/dev/null 2>"$HOST_DISK/said"
check_equal "a bot that there never was" 3 $?
check_match "is told of" "No bot is called or matches 'shpo'" "$(<"$HOST_DISK/said")"
check "what is no time is refused" fails host_run tgswitchctl history --since=tomorrow
check "nor is a filter guessed at" fails host_run busctl --system call org.tgswitch1 /org/tgswitch1 \
        org.tgswitch1.Manager GetHistory 'a{sv}' 1 bot s shop

# ---- crashes ----

# While it waits before logOut the phases so far are on record, and the process is not needed for them any more.
mark=$(bus_mark)
check "a move begins" host_run tgswitchctl switch local news --yes --no-wait --hold-at=log-out
# With something to spool the server's last answer does not wait for more.
check "its worker is stopped" telegram_wait event=worker-stop bot="${BOT_IDS[news]}"
telegram_inject news 0 1
check "and waits before logOut" bus_wait "$mark" '"Holding":\{"type":"b","data":true\}'
daemon_kill
mark=$(bus_mark)
host_run systemctl start tgswitchd
news_job=$(host_run tgswitchctl status news --json | jq '.jobs[0].job')
check "the next process comes as far" job_becomes "$mark" "$news_job" Holding true
check "and goes on with it" host_run tgswitchctl proceed "$news_job"
check "to its end" host_run tgswitchctl wait "$news_job"
entries=$(history_json)
check_equal "it is there once" "$shop_job $broken_job $news_job" "$(jobs_in_history)"
check_equal "with the phases before the crash" true "$(of "$news_job" \
        '.phases_usec | [has("check", "stop-workers", "spool", "log-out", "log-in", "confirm")] | all')"

# The power goes before the last line is all there: it is made again of the record.
whole=$(host_run cat "$FILE")
for kept in 200 20 0; do
        daemon_kill
        host_run systemctl stop tgswitchd
        { head -n 2 <<<"$whole"; tail -n 1 <<<"$whole" | head -c "$kept"; } | host_put "$FILE" 600
        host_run chown --reference=/var/lib/tgswitch "$FILE"
        start_again
        check_equal "a line of which $kept bytes were written is whole again, and there once" "$whole" \
                "$(host_run cat "$FILE")"
done

# Damage further up costs what is damaged, and is told once.
host_run systemctl stop tgswitchd
{ head -n 1 <<<"$whole"; echo 'no JSON'; tail -n 2 <<<"$whole"; } | host_put "$FILE" 600
host_run chown --reference=/var/lib/tgswitch "$FILE"
start_again
check_equal "all the others are read" "$shop_job $broken_job $news_job" "$(jobs_in_history)"
check_equal "it is said once" 1 \
        "$(host_run journalctl -u tgswitchd -o cat | grep -c 'lines of the history')"

# ---- a bot that is gone ----

check "one more is moved" host_run tgswitchctl switch local gone --yes
gone_job=$(last_job gone)
# Its session is young, so its record is kept for a while; the history does not depend on that.
rm "$HOST_ROOT/etc/tgswitch/bots.d/gone.conf"
host_run tgswitchctl reload >/dev/null
check_equal "what became of it is still told" "$gone_job" "$(jobs_in_history gone)"

check_verdict
tap_done
