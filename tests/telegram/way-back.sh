# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2154 # What is not assigned here is test-telegram.sh's.
#
# The part of test-telegram.sh that is about the way back: windows and locks, the limit on logins, and a local server
# that dies.

# daemon_at_local, daemon_at_cloud BOT METHOD [curl options]: as the daemon asks
daemon_at_local() { at_local "$@" -A tgswitch/test; }
daemon_at_cloud() { cloud "$@" -A tgswitch/test; }

ahead_ms=0
# telegram_passes SECONDS: on Telegram's clock
telegram_passes() {
        ahead_ms=$((ahead_ms + $1 * 1000))
        post /settings "{\"ahead_ms\":$ahead_ms}" >/dev/null
}

# verdict_of BOT: from its id up to its violations
verdict_of() { get /verdict | grep -o "{\"bot\":$1,[^{]*" | head -n 1; }

kill_local() {
        local since
        since=$(seq_now)
        kill -9 "$local_pid"
        wait "$local_pid" 2>/dev/null
        wait_for "event=server-stop&since=$since" >/dev/null
}

# spool BOT COUNT: at the local server, as the daemon; prints the updates
spool() {
        local answer id
        answer=$(daemon_at_local "$1" "getUpdates?limit=$2")
        id=$(last_update_id <<<"$answer")
        daemon_at_local "$1" "getUpdates?offset=$((id + 1))" >/dev/null
        answer=${answer#*\"result\":}
        printf '%s' "${answer%\}}"
}

# start_handed_over NAME BOT ROOT UPDATES
start_handed_over() {
        mkdir -p "$dir/$1"
        printf '%s' "$2:$secret" >"$dir/$1/bot-token"
        printf '%s' "$3" >"$dir/$1/bot-endpoint"
        printf '%s' "$4" >"$dir/$1/bot-pending-updates"
        CREDENTIALS_DIRECTORY=$dir/$1 start_worker "$1" "$2" ""
}

stop_worker() {
        kill "$worker_pid"
        wait "$worker_pid"
}

test_locks() {
        bot 300
        cloud 300 logOut >/dev/null
        telegram_passes 599
        is "$(cloud 300 getMe)" "$(error 400 'Logged out')" "the cloud's lock holds for 599 s"
        has "$(get /verdict)" '*"law":"L8","bot":300,*came 0.*L1*' "planted: a getMe 1 s before the end of the window is L8"
        telegram_passes 1
        has "$(cloud 300 getMe)" '{"ok":true,*' "and is over after 600 s"
        cloud 300 logOut >/dev/null
        telegram_passes 601
        is "$(daemon_at_cloud 300 getMe)" "$(error 400 'Logged out')" "the lock of a young session is longer"
        telegram_passes 1200
        has "$(cloud 300 getMe)" '{"ok":true,*' "and is over after 1800 s"

        bot 301
        cloud 301 logOut >/dev/null
        telegram_passes 600
        cloud 301 getMe >/dev/null
        is "$(violations 301)" "" "a getMe when the window is over breaks no law"
        has "$(verdict_of 301)" '*"away_ms":\[600[0-9][0-9][0-9]\]*' "the judge tells how long the bot was away"
        bot 302
        post /settings '{"lock_s":900}' >/dev/null
        cloud 302 logOut >/dev/null
        post /settings '{"lock_s":600}' >/dev/null
        telegram_passes 600
        is "$(cloud 302 getMe)" "$(error 400 'Logged out')" "a lock can be longer than promised"
        is "$(violations 302)" "" "which the client can't know"
        cloud 302 logOut >/dev/null
        is "$(violations 302)" "L1 " "planted: but it knows better than to log out again"

        bot 303
        cloud 303 logOut >/dev/null
        telegram_passes 600
        post /faults '{"role":"cloud","bot":303,"method":"getMe","kind":"flood","retry_after":900}' >/dev/null
        is "$(cloud 303 getMe)" "$(flood 900)" "the first getMe after the window may be told to wait"
        is "$(violations 303)" "" "which breaks no law"
        cloud 303 getMe >/dev/null
        is "$(violations 303)" "L8 " "planted: not to wait is L8"

        bot 304 none
        at_local 304 getMe >/dev/null
        at_local 304 logOut >/dev/null
        is "$(at_local 304 getMe)" "$(error 400 'Logged out')" "the local server locks a young session out"
        telegram_passes 1800
        has "$(at_local 304 getMe)" '{"ok":true,*' "for 1800 s"
        post /settings '{"local_lock_young_s":0}' >/dev/null
        # Settings and answers of Telegram come on one line, in order.
        at_local 304 logOut >/dev/null
        has "$(at_local 304 getMe)" '{"ok":true,*' "or as the setting says"
        post /settings '{"local_lock_young_s":1800}' >/dev/null
}

test_pace() {
        post /settings '{"flood_per_minute":1}' >/dev/null
        # The minute before this one is over.
        telegram_passes 60
        bot 308
        bot 309 none
        cloud 308 logOut >/dev/null
        telegram_passes 600
        cloud 309 getMe >/dev/null
        has "$(cloud 308 getMe)" '*Too Many Requests: retry after*' "the second login in a minute is refused where one is allowed"
        has "$(wait_for 'event=login-refused&bot=308')" '*"retry_after":*' "which is in the ledger"
        has "$(verdict_of 308)" '*"logins_refused":1,*' "and counted"
        is "$(violations 308)" "pace " "planted: a bot that hangs in mid-air because of the limit is reported"
        post /settings '{"flood_per_minute":0}' >/dev/null
}

# The way back by hand, without a mistake.
test_way_back() {
        local updates
        bot 310 local
        start_worker w310 310 "$local_root"
        post /inject '{"bot":310,"count":3}' >/dev/null
        wait_for "event=worker-handled&bot=310&count=3" >/dev/null
        stop_worker
        post /inject '{"bot":310,"count":2}' >/dev/null
        wait_for "event=update-queued&bot=310&count=5" >/dev/null
        updates=$(spool 310 2)
        daemon_at_local 310 logOut >/dev/null
        daemon_at_cloud 310 getMe >/dev/null
        start_handed_over w310b 310 "$root" "$updates"
        post /inject '{"bot":310,"count":2}' >/dev/null
        wait_for "event=worker-handled&bot=310&count=7" >/dev/null
        has "$(verdict_of 310)" '*"seat":"cloud","injected":7,"handled_cloud":2,"handled_local":3,"handed_over":2,*"queued":0,"with_dead":0,"missing":0,*"blind_ms":\[[0-9]*\],*' \
                "the way back: every update accounted for"
        is "$(violations 310)" "" "and no law broken"
        stop_worker
}

# The same from a server that is dead, and comes back later.
test_dead_server() {
        local updates
        bot 311 local
        daemon_at_local 311 getMe >/dev/null
        post /inject '{"bot":311,"count":2}' >/dev/null
        wait_for "event=update-queued&bot=311&count=2" >/dev/null
        kill_local
        post /inject '{"bot":311}' >/dev/null
        wait_for "event=update-injected&bot=311&count=3" >/dev/null
        daemon_at_cloud 311 getMe >/dev/null
        is "$(violations 311)" "" "a bot may leave a dead server"
        has "$(verdict_of 311)" '*"seat":"cloud",*"queued":0,"with_dead":3,"missing":0,*' "what that has is accounted with it"
        is "$(status "$control/quiet?timeout_ms=10")" 408 "and keeps the end from being quiet"
        start_worker w311 311 "$root"
        post /inject '{"bot":311}' >/dev/null
        wait_for "event=worker-handled&bot=311" >/dev/null
        start_local
        daemon_at_local 311 deleteWebhook >/dev/null
        wait_for "event=update-queued&bot=311&role=local&count=4" >/dev/null
        updates=$(spool 311 4)
        has "$(verdict_of 311)" '*"with_dead":0,"missing":3,*' "what the server gave back has to be handled"
        stop_worker
        start_worker w311b 311 "$root"
        daemon_at_local 311 logOut >/dev/null
        stop_worker
        start_handed_over w311c 311 "$root" "$updates"
        wait_for "event=worker-handled&bot=311&count=5" >/dev/null
        has "$(verdict_of 311)" '*"handled_cloud":1,"handled_local":0,"handed_over":3,*"with_dead":0,"missing":0,"handled_twice":1,*' \
                "the owed session is ended beside the working bot"
        is "$(violations 311)" "" "without breaking a law"
        # Nothing of another bot may follow: what was under way then counts as unread.
        post /mark '{"name":"daemon-killed"}' >/dev/null
        daemon_at_local 311 logOut >/dev/null
        is "$(violations 311)" "" "a daemon that was killed meanwhile may end it once more"
        stop_worker
        at_local 311 getMe >/dev/null
        is "$(violations 311)" "L2 " "planted: anything else there is L2"
}

# Away from a local server that never took the bot.
test_turned_back() {
        bot 312
        daemon_at_cloud 312 logOut >/dev/null
        post /faults '{"role":"local","bot":312,"method":"getMe","kind":"hang-after"}' >/dev/null
        is "$(code_of daemon_at_local 312 getMe --max-time 0.3)" 28 "a local server that does not answer"
        telegram_passes 600
        daemon_at_cloud 312 getMe >/dev/null
        daemon_at_local 312 getUpdates >/dev/null
        daemon_at_local 312 logOut >/dev/null
        is "$(violations 312)" "" "may be turned back from, and its login is ended"
}

test_planted_way_back() {
        bot 320 local
        daemon_at_local 320 getMe >/dev/null
        daemon_at_cloud 320 getMe >/dev/null
        is "$(violations 320)" "L2 " "planted: the cloud before logOut at a local server that lives is L2"
        bot 321 local
        post /faults '{"role":"local","bot":321,"method":"logOut","kind":"drop-after"}' >/dev/null
        daemon_at_local 321 getMe >/dev/null
        daemon_at_local 321 logOut >/dev/null
        telegram_passes 60
        daemon_at_cloud 321 getMe >/dev/null
        is "$(violations 321)" "L2 " "planted: the cloud after a logOut without an answer is L2, however long ago"
        bot 322 local
        start_worker w322 322 "$local_root"
        daemon_at_local 322 logOut >/dev/null
        wait "$worker_pid"
        has "$(violations 322)" '*L3 L4 *' "planted: logOut under a running worker of the local server is L3 and L4"
        for i in 323 324 325 326 327 328; do
                bot $i local
                daemon_at_local $i getMe >/dev/null
        done
        post /inject '{"bot":328}' >/dev/null
        wait_for "event=update-queued&bot=328" >/dev/null
        start_worker w327 327 "$local_root"
        post /mark '{"event":"server-dead","role":"local"}' >/dev/null
        daemon_at_cloud 323 getMe >/dev/null
        is "$(violations 323)" "" "a mark can declare the local server dead"
        post /mark '{"event":"server-alive","role":"local"}' >/dev/null
        kill_local
        for i in 324 325 327 328; do
                daemon_at_cloud $i getMe >/dev/null
        done
        has "$(violations 327)" 'L4 *' "planted: a worker that runs on with the endpoint of the dead server is L4"
        kill -9 "$worker_pid"
        wait "$worker_pid" 2>/dev/null
        start_local
        at_local 324 getUpdates -A worker >/dev/null
        is "$(violations 324)" "L2 " "planted: a worker at a server with an owed session is L2"
        daemon_at_local 325 getMe >/dev/null
        is "$(violations 325)" "L2 " "planted: the daemon there with anything but what ends it is L2"
        daemon_at_local 326 getMe >/dev/null
        daemon_at_cloud 326 getMe >/dev/null
        is "$(violations 326)" "L2 " "planted: the cloud after the server is back and has answered is L2"
        daemon_at_local 328 logOut >/dev/null
        wait_for "event=update-wiped&bot=328" >/dev/null
        is "$(violations 328)" "L6 " "planted: to end an owed session without a spool is L6"
}
