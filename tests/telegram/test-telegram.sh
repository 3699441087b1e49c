#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The simulated Telegram against what is known of the real one, and its judge against planted violations. Prints TAP.
# Usage: test-telegram.sh BUILD-DIRECTORY
set -u

build=${1:?usage: test-telegram.sh BUILD-DIRECTORY}
sim=$build/tests/telegram/telegram-sim
local_server=$build/tests/telegram/telegram-bot-api
worker=$build/tests/worker/worker
dir=$(mktemp -d)
n=0
failed=0
pids=()
secret=AAtgCanary-0000_tgCanary-1111111_22

cleanup() {
        for pid in "${pids[@]}"; do
                kill -9 "$pid" 2>/dev/null
        done
        rm -rf "$dir"
}
trap cleanup EXIT

ok() {
        n=$((n + 1))
        echo "ok $n - ${1//$secret/SECRET}"
}

not_ok() {
        n=$((n + 1))
        failed=$((failed + 1))
        echo "not ok $n - ${1//$secret/SECRET}"
        printf '%s\n' "${@:2}" | sed "s/^/# /; s/$secret/SECRET/g"
}

# is ACTUAL EXPECTED TEXT
is() {
        if [ "$1" = "$2" ]; then ok "$3"; else not_ok "$3" "got:      $1" "expected: $2"; fi
}

# has TEXT PATTERN NAME: the pattern is one of the shell
has() {
        # shellcheck disable=SC2053
        if [[ $1 == $2 ]]; then ok "$3"; else not_ok "$3" "got:      $1" "expected: $2"; fi
}

# number KEY: the first number of that name in the JSON on standard input
number() {
        sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" | head -n 1
}

get() { curl -s --max-time 40 "$control$1"; }
post() { curl -s --max-time 40 "$control$1" -d "$2" -H 'Content-Type: application/json'; }
delete() { curl -s --max-time 40 -X DELETE "$control$1"; }
seq_now() { get /state | sed 's/.*"seq":\([0-9]*\)}$/\1/'; }
# The Bot API: cloud BOT METHOD [curl options]
cloud() { curl -s --cacert "$dir/cert.pem" --max-time 40 "$root/bot$1:$secret/$2" "${@:3}"; }
at_local() { curl -s --max-time 40 "$local_root/bot$1:$secret/$2" "${@:3}"; }
status() { curl -s -o /dev/null -w '%{http_code}' --cacert "$dir/cert.pem" --max-time 40 "$@"; }
code_of() { "$@" >/dev/null; echo $?; }
wait_for() { get "/wait?timeout_ms=20000&$1"; }
bot() { post /bots "{\"token\":\"$1:$secret\",\"session\":\"${2:-cloud}\"}" >/dev/null; }
violations() { get /verdict | grep -o '{"law":"[^"]*","bot":'"$1" | grep -o '"[A-Z][0-9]"\|"balance"\|"pace"' | tr -d '"' | sort -u | tr '\n' ' '; }
last_update_id() { grep -o '"update_id":[0-9]*' | tail -n 1 | grep -o '[0-9]*'; }

# run_sim NAME [options]: leaves its process in sim_pid, its ports in $dir/NAME
run_sim() {
        # Before there is one to wait at.
        : >"$dir/$1"
        "$sim" --cloud-listen 127.0.0.1:0 --control 127.0.0.1:0 --truth 127.0.0.1:0 --ledger "$dir/$1.jsonl" "${@:2}" \
                >>"$dir/$1" 2>>"$dir/sim.err" &
        sim_pid=$!
        pids+=($!)
        # The line with the ports is written when everything listens; the pipe below blocks until it is there.
        if ! tail -n +1 -f --pid="$sim_pid" "$dir/$1" | read -r; then
                echo "Bail out! $sim does not start: $(cat "$dir/sim.err")"
                exit 1
        fi
}

# start_sim [options]
# shellcheck disable=SC2120
start_sim() {
        run_sim ledger --cert "$dir/cert.pem" --key "$dir/key.pem" --api-id 1 --api-hash h "$@"
        main_pid=$sim_pid
        control=http://127.0.0.1:$(number control <"$dir/ledger")
        truth=127.0.0.1:$(number truth <"$dir/ledger")
        root=https://127.0.0.1:$(number cloud <"$dir/ledger")
        post /settings "{\"cloud_root\":\"$root\"}" >/dev/null
}

stop_sim() {
        kill "$main_pid"
        wait "$main_pid"
}

# start_local [options]: waits until it has reached the truth
# shellcheck disable=SC2120
start_local() {
        local since
        since=$(seq_now)
        TELEGRAM_SIM_TRUTH=$truth TELEGRAM_API_ID=${api_id:-1} TELEGRAM_API_HASH=h "$local_server" --local \
                --http-ip-address=127.0.0.1 -p 0 --dir "$dir/local" "$@" 2>"$dir/local.err" &
        local_pid=$!
        pids+=($!)
        local_root=http://127.0.0.1:$(wait_for "event=server-start&since=$since" | number port)
}

# start_worker NAME BOT ROOT [options]
start_worker() {
        TELEGRAM_SIM_CONTROL=${control#http://} BOT_CAFILE=$dir/cert.pem BOT_TOKEN=$2:$secret BOT_API_ROOT=$3 "$worker" \
                --unit="$1" "${@:4}" 2>"$dir/$1.err" &
        worker_pid=$!
        pids+=($!)
        wait_for "event=worker-start&unit=$1" >/dev/null
}

openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/key.pem" -out "$dir/cert.pem" -days 2 -subj /CN=api.telegram.org \
        -addext subjectAltName=DNS:api.telegram.org,IP:127.0.0.1 2>/dev/null

error() { printf '{"ok":false,"error_code":%s,"description":"%s"}' "$1" "$2"; }
flood() { printf '{"ok":false,"error_code":429,"description":"Too Many Requests: retry after %s","parameters":{"retry_after":%s}}' "$1" "$1"; }

test_answers() {
        bot 100
        is "$(curl -s --cacert "$dir/cert.pem" "$root/bot0:x/getMe")" "$(error 401 'Unauthorized: invalid token specified')" \
                "the probe 0:x gets 401 without a login"
        is "$(curl -s --cacert "$dir/cert.pem" "$root/botabc:abc/getMe")" \
                "$(error 421 'Misdirected Request: unallowed token specified')" "a token without a number gets 421"
        is "$(status "$root/botabc:abc/getMe")" 421 "the HTTP status is the error code"
        is "$(curl -s --cacert "$dir/cert.pem" "$root/")" "$(error 404 'Not Found')" "GET / gets 404"
        is "$(curl -s --cacert "$dir/cert.pem" "$root/bot100:$secret")" "$(error 404 'Not Found')" "a path without a method gets 404"
        is "$(curl -s --cacert "$dir/cert.pem" "$root/bot100:short/getMe")" "$(error 401 'Unauthorized')" \
                "a secret that can't be one gets 401"
        is "$(cloud 999 getMe)" "$(error 401 'Unauthorized')" "a token of no bot gets 401"
        is "$(cloud 100 noSuchMethod)" "$(error 404 'Not Found: method not found')" "an unknown method gets 404"
        has "$(cloud 100 GETME)" '{"ok":true,"result":{"id":100,"is_bot":true,*}}' "method names compare without case"
        is "$(cloud 100 getUpdates)" '{"ok":true,"result":[]}' "an empty queue gives an empty list"
        is "$(cloud 100 getWebhookInfo)" \
                '{"ok":true,"result":{"url":"","has_custom_certificate":false,"pending_update_count":0}}' "getWebhookInfo of a polling bot"
        has "$(cloud 100 getMe -D -)" $'HTTP/1.1 200 OK\r\n*Content-Type: application/json\r\n*' "answers are application/json"
        has "$(cloud 100 sendMessage -d '{"chat_id":5,"text":"hi"}' -H 'Content-Type: application/json')" \
                '{"ok":true,"result":{*"text":"hi"}}' "arguments may come as JSON"
        is "$(cloud 100 deleteWebhook)" '{"ok":true,"result":true,"description":"Webhook is already deleted"}' \
                "deleteWebhook where there is none"
}

test_queue() {
        local answer id since
        bot 101
        post /inject '{"bot":101,"count":5}' >/dev/null
        wait_for "event=update-queued&bot=101&count=5" >/dev/null
        has "$(cloud 101 getWebhookInfo)" '*"pending_update_count":5*' "injected updates are pending"
        answer=$(cloud 101 'getUpdates?offset=-2')
        is "$(grep -o update_id <<<"$answer" | wc -l)" 2 "a negative offset drops all but the last"
        id=$(last_update_id <<<"$answer")
        is "$(cloud 101 "getUpdates?offset=$id" | grep -o update_id | wc -l)" 1 "an offset confirms what is before it"
        post /inject '{"bot":101,"count":3}' >/dev/null
        wait_for "event=update-queued&bot=101&count=8" >/dev/null
        # By one process: between two, half a second may be over on a busy machine.
        cloud 101 "getUpdates?offset=$id" "$root/bot101:$secret/getUpdates?offset=$id" -o "$dir/poll" -o "$dir/again"
        is "$(grep -o update_id "$dir/again" | wc -l)" 1 "the same offset at once gives one update"
        is "$(cloud 101 'getUpdates?offset=2000000000&limit=2' | grep -o update_id | wc -l)" 2 \
                "an offset of another server means the front"

        since=$(seq_now)
        bot 102
        cloud 102 'getUpdates?offset=1&timeout=20' >"$dir/poll" &
        pids+=($!)
        poll_pid=$!
        wait_for "event=request&bot=102&method=getupdates&since=$since" >/dev/null
        is "$(cloud 102 'getUpdates?offset=2')" '{"ok":true,"result":[]}' "a second poll takes over"
        wait "$poll_pid"
        is "$(cat "$dir/poll")" "$(error 409 "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running")" \
                "the first poll gets 409"

        bot 103
        post /inject '{"bot":103,"count":30,"size":300000}' >/dev/null
        wait_for "event=update-queued&bot=103&count=30" >/dev/null
        is "$(cloud 103 getUpdates | grep -o update_id | wc -l)" 13 "an answer ends at 4 MiB"
}

test_logout() {
        local since
        bot 110
        since=$(seq_now)
        cloud 110 'getUpdates?timeout=20' >"$dir/poll" &
        poll_pid=$!
        pids+=($!)
        wait_for "event=request&bot=110&method=getupdates&since=$since" >/dev/null
        # As long as it takes, on a busy machine too, to ask twice more.
        post /settings '{"logout_ms":2000}' >/dev/null
        cloud 110 logOut >"$dir/logout" &
        logout_pid=$!
        pids+=($!)
        wait_for "event=logout-begin&bot=110" >/dev/null
        cloud 110 logOut "$root/bot110:$secret/getMe" -o "$dir/second" -o "$dir/me"
        is "$(cat "$dir/second")" "$(error 400 'Bad Request: already logging out')" "a second logOut while the first runs"
        is "$(cat "$dir/me")" "$(error 400 'Logged out')" "any method while logOut runs"
        wait "$logout_pid" "$poll_pid"
        is "$(cat "$dir/logout")" '{"ok":true,"result":true}' "logOut answers true"
        is "$(cat "$dir/poll")" '{"ok":true,"result":[]}' "logOut answers the open long poll with what is queued"
        is "$(cloud 110 logOut)" "$(error 400 'Logged out')" "logOut in the lock"
        has "$(wait_for 'event=locked-call&bot=110&method=logout')" '*"event":"locked-call"*' "a call in the lock is in the ledger"
        post /settings '{"logout_ms":0}' >/dev/null
        post /inject '{"bot":110,"count":2}' >/dev/null
        has "$(wait_for 'event=update-lost&bot=110&count=2')" '*update-lost*' "an update for a bot without a session is lost"

        bot 111
        cloud 111 setWebhook -d url=http://127.0.0.1:1/x >/dev/null
        post /inject '{"bot":111,"count":2}' >/dev/null
        wait_for "event=update-queued&bot=111&count=2" >/dev/null
        is "$(cloud 111 logOut)" '{"ok":true,"result":true}' "logOut of a webhook bot"
        has "$(wait_for 'event=update-wiped&bot=111')" '*"uids":\[*,*\]*' "logOut wipes the queue"
        # 600 s at this scale.
        post /settings '{"scale":100000}' >/dev/null
        bot 112
        cloud 112 logOut >/dev/null
        for _ in $(seq 100); do
                [[ $(get /state) == *'"bot":112,"state":"none"'* ]] && break
        done
        has "$(cloud 112 getMe)" '{"ok":true,*' "after the lock any method logs in"
        post /settings '{"scale":1}' >/dev/null
}

test_faults() {
        local fault since hung_pid
        bot 120
        post /faults '{"role":"cloud","bot":120,"method":"logOut","kind":"drop-after"}' >/dev/null
        is "$(code_of cloud 120 logOut)" 56 "drop-after: the connection is reset"
        is "$(cloud 120 logOut)" "$(error 400 'Logged out')" "drop-after: but logOut was applied"
        is "$(violations 120)" "" "repeating a logOut without an answer breaks no law"

        bot 121
        post /faults '{"bot":121,"method":"getMe","kind":"drop-before","after":1}' >/dev/null
        is "$(code_of cloud 121 getMe)" 0 "a fault lets the first match pass where after=1"
        is "$(code_of cloud 121 getMe)" 56 "and hits the second"
        is "$(code_of cloud 121 getMe)" 0 "and only that"
        post /faults '{"bot":121,"kind":"bad-gateway"}' >/dev/null
        has "$(cloud 121 getMe)" '<html>*502 Bad Gateway*' "bad-gateway"
        post /faults '{"bot":121,"kind":"flood","retry_after":7}' >/dev/null
        has "$(cloud 121 getMe -D -)" $'*429*Retry-After: 7\r\n*'"$(flood 7)" "flood, with its header"
        post /faults '{"bot":121,"kind":"redirect","location":"https://example.org/"}' >/dev/null
        has "$(cloud 121 getMe -D -)" $'*302*Location: https://example.org/\r\n*' "redirect"
        post /faults '{"bot":121,"kind":"empty-400"}' >/dev/null
        is "$(cloud 121 getMe -w '%{http_code}')" 400 "empty-400"
        post /faults '{"bot":121,"kind":"status","status":404,"body":"nope"}' >/dev/null
        is "$(cloud 121 getMe -w '%{http_code}')" nope404 "any status and body"
        post /faults '{"bot":121,"kind":"not-true"}' >/dev/null
        is "$(cloud 121 getMe)" '{"ok":true,"result":false}' "not-true"
        post /faults '{"bot":121,"kind":"truncate"}' >/dev/null
        is "$(code_of cloud 121 getMe)" 18 "truncate"
        post /faults '{"bot":121,"kind":"huge"}' >/dev/null
        is "$(cloud 121 getMe | head -c 3000000 | wc -c)" 3000000 "huge: a body without end"
        post /faults '{"bot":121,"kind":"vast","length":5000000000}' >/dev/null
        has "$(cloud 121 getMe -D - | head -c 3000000 | head -n 9 | tr -d ' ')" $'*\r\nContent-Length:5000000000\r\n*' \
                "vast: a length, and what it promises"
        post /faults '{"bot":121,"kind":"status","status":200,"body":"<","filler":"ab","repeat":3,"tail":">"}' >/dev/null
        is "$(cloud 121 getMe)" "<ababab>" "a body that is mostly one thing"
        post /faults '{"role":"local","bot":122,"kind":"status","status":200,"filler":"0123456789","repeat":100000}' >/dev/null
        bot 122 local
        is "$(at_local 122 getMe | wc -c)" 1000000 "a large one at the local server"
        post /faults '{"bot":121,"kind":"trickle","interval_ms":1}' >/dev/null
        has "$(cloud 121 getMe)" '{"ok":true,*}' "trickle: slow, but whole"
        since=$(seq_now)
        post /faults '{"bot":121,"kind":"hang"}' >/dev/null
        cloud 121 getMe >"$dir/hung" &
        hung_pid=$!
        pids+=($!)
        wait_for "event=fault&bot=121&since=$since" >/dev/null
        cloud 121 getMe >/dev/null
        kill "$hung_pid"
        wait "$hung_pid"
        is "$? $(cat "$dir/hung")" "143 " "hang: no answer, while others get theirs"
        post /faults '{"bot":121,"kind":"delay","ms":50}' >/dev/null
        has "$(cloud 121 getMe)" '{"ok":true,*}' "delay"
        post /faults '{"role":"cloud","kind":"tls-fail"}' >/dev/null
        is "$(code_of cloud 121 getMe)" 35 "tls-fail"
        post /faults '{"role":"cloud","kind":"reset-at-accept"}' >/dev/null
        # Before or after connect() has returned: 7 or 35.
        has "$(code_of cloud 121 getMe)" '[37]*' "reset-at-accept"
        fault=$(post /faults '{"role":"cloud","kind":"refuse"}' | number fault)
        is "$(code_of cloud 121 getMe)" 7 "refuse: the port is closed"
        delete "/faults?fault=$fault" >/dev/null
        is "$(code_of cloud 121 getMe)" 0 "and open again when the fault is deleted"
        fault=$(post /faults '{"role":"cloud","kind":"silent"}' | number fault)
        is "$(code_of cloud 121 getMe --max-time 0.1)" 28 "silent: nothing answers"
        delete "/faults?fault=$fault" >/dev/null
        post /faults '{"role":"cloud","kind":"silent","ms":300}' >/dev/null
        is "$(code_of cloud 121 getMe)" 0 "silent for a time only"
        post /faults '{"role":"cloud","kind":"unreachable","ms":300}' >/dev/null
        is "$(code_of cloud 121 getMe --connect-timeout 0.1)" 28 "unreachable: not even TCP is answered"
        is "$(code_of cloud 121 getMe)" 0 "unreachable for a time only"
        has "$(post /faults '{"kind":"nonsense"}')" '{"error":"unknown kind"}' "an unknown kind is refused"
}

# fastest: of the numbers on standard input. A busy machine makes any single one longer, none shorter.
fastest() { sort -g | head -n 1; }

# sim_cpu: what the simulator has used up so far, in ticks.
sim_cpu() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$main_pid/stat"; }

test_latency() {
        local seconds before
        bot 130
        post /settings '{"latency_ms":100}' >/dev/null
        before=$(sim_cpu)
        seconds=$(for _ in 1 2 3; do cloud 130 getMe -o /dev/null -w '%{time_total}\n'; done | fastest)
        # TCP, two flights of TLS 1.3 at most three, one of HTTP.
        has "$(awk -v t="$seconds" 'BEGIN { print (t >= 0.29 && t < 0.9) ? "yes" : t }')" yes "a fresh connection costs its round trips"
        # For two thirds of a second a handshake waited for its client.
        has "$(awk -v ticks="$(getconf CLK_TCK)" -v n=$(($(sim_cpu) - before)) \
                'BEGIN { print (n / ticks < 0.1) ? "yes" : n / ticks }')" yes "to wait for a handshake costs no CPU"
        seconds=$(curl -s --cacert "$dir/cert.pem" -o /dev/null -o /dev/null -o /dev/null -o /dev/null -w '%{time_total}\n' \
                "$root/bot130:$secret/getMe" "$root/bot130:$secret/getMe" "$root/bot130:$secret/getMe" \
                "$root/bot130:$secret/getMe" | fastest)
        has "$(awk -v t="$seconds" 'BEGIN { print (t >= 0.09 && t < 0.25) ? "yes" : t }')" yes "a kept one costs one"
        post /settings '{"latency_ms":0}' >/dev/null
}

test_flood() {
        local i answers=""
        for i in $(seq 20); do
                bot $((200 + i)) none
                answers+=$(status "$root/bot$((200 + i)):$secret/getMe")
        done
        is "$answers" "$(printf '200%.0s' $(seq 20))" "twenty logins a minute are allowed"
        bot 221 none
        has "$(cloud 221 getMe)" '*"Too Many Requests: retry after '*'"parameters":{"retry_after":*}}' "the next one gets 429"
        for i in $(seq 221 245); do
                [ "$i" = 221 ] || bot "$i" none
                [ "$(at_local "$i" getMe -o /dev/null -w '%{http_code}')" = 200 ] || break
        done
        is "$i" 245 "the local server lets loopback log in without limit"
        answers=""
        for i in $(seq 250 270); do
                bot "$i" none
                answers+=" $(at_local "$i" getMe -H 'X-Real-IP: 192.0.2.1' -o /dev/null -w '%{http_code}')"
        done
        is "${answers##* }" 429 "but not with X-Real-IP"
        post /settings '{"flood_per_minute":0,"flood_per_hour":0,"login_flood_s":9}' >/dev/null
        bot 299 none
        is "$(at_local 299 getMe)" "$(flood 9)" "Telegram's own limit on logins gets 429"
        post /settings '{"login_flood_s":0}' >/dev/null
}

test_webhook() {
        local since
        bot 140
        since=$(seq_now)
        is "$(cloud 140 setWebhook -d "url=${control}/worker" -d secret_token=s_1 -d 'allowed_updates=["message"]')" \
                '{"ok":true,"result":true,"description":"Webhook was set"}' "setWebhook"
        is "$(cloud 140 getUpdates)" \
                "$(error 409 "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first")" \
                "getUpdates while a webhook is set"
        cloud 140 setWebhook "$root/bot140:$secret/setWebhook" -d "url=${control}/worker" -d secret_token=s_1 \
                -d 'allowed_updates=["message"]' -o /dev/null -o "$dir/again"
        is "$(cat "$dir/again")" "$(flood 1)" "two setWebhook within a second"
        is "$(cloud 140 getWebhookInfo)" \
                "{\"ok\":true,\"result\":{\"url\":\"${control}/worker\",\"has_custom_certificate\":false,\"pending_update_count\":0,\"max_connections\":40,\"allowed_updates\":[\"message\"]}}" \
                "getWebhookInfo with a webhook"
        post /inject '{"bot":140}' >/dev/null
        has "$(wait_for "event=update-delivered&bot=140&since=$since")" '*"code":400*' "updates go to the webhook"
        has "$(cloud 140 getWebhookInfo)" '*"pending_update_count":1,"last_error_date":*Wrong response from the webhook: 400*' \
                "a failed delivery is told"
        is "$(cloud 140 deleteWebhook)" '{"ok":true,"result":true,"description":"Webhook was deleted"}' "deleteWebhook"
        is "$(cloud 140 getUpdates | grep -o update_id | wc -l)" 1 "what was not delivered is still queued"
        is "$(cloud 140 setWebhook -d url=nonsense)" "$(error 400 'Bad Request: invalid webhook URL specified')" "an invalid URL"
        is "$(cloud 140 setWebhook -d url=https://a.example/ -d 'secret_token=a b')" \
                "$(error 400 'Bad Request: secret token contains unallowed characters')" "an invalid secret"
}

test_local() {
        is "$("$local_server" --version)" 'Bot API 10.0' "--version"
        is "$(code_of "$local_server" --no-such-option 2>/dev/null)" 1 "an unknown option ends it with 1"
        is "$(TELEGRAM_API_ID='' TELEGRAM_API_HASH='' code_of "$local_server" 2>/dev/null)" 1 "no api id ends it with 1"
        bot 150 none
        has "$(at_local 150 getMe)" '{"ok":true,"result":{"id":150,*' "a login at the local server"
        post /inject '{"bot":150,"count":3}' >/dev/null
        wait_for "event=update-queued&bot=150&role=local&count=3" >/dev/null
        is "$(code_of env TELEGRAM_SIM_TRUTH="$truth" TELEGRAM_API_ID=1 TELEGRAM_API_HASH=h "$local_server" -d "$dir/local" 2>/dev/null)" 1 \
                "a second server on the same directory gives up"

        at_local 150 'getUpdates?offset=-1' >/dev/null
        kill -HUP "$local_pid"
        at_local 150 'getUpdates?offset=1&timeout=30' >"$dir/poll" &
        poll_pid=$!
        pids+=($!)
        wait "$poll_pid"
        has "$(cat "$dir/poll")" '{"ok":true,"result":\[{"update_id":*' "SIGHUP is ignored"
        local id
        id=$(last_update_id <"$dir/poll")
        bot 151 none
        at_local 151 getMe >/dev/null
        at_local 151 'getUpdates?timeout=30' >"$dir/poll" &
        poll_pid=$!
        pids+=($!)
        wait_for "event=request&bot=151&method=getupdates" >/dev/null
        kill "$local_pid"
        wait "$local_pid"
        is "$?" 0 "SIGTERM ends it with 0"
        wait "$poll_pid"
        is "$(cat "$dir/poll")" '{"ok":true,"result":[]}' "SIGTERM answers the open long poll"
        wait_for "event=server-stop" >/dev/null
        post /inject '{"bot":150,"count":2}' >/dev/null
        wait_for "event=update-injected&bot=150&count=5" >/dev/null
        start_local
        at_local 150 getMe >/dev/null
        wait_for "event=update-queued&bot=150&role=local&count=5" >/dev/null
        is "$(at_local 150 getUpdates | grep -o '"update_id":[0-9]*' | head -n 1)" "\"update_id\":$id" \
                "queue, numbering and session outlast the restart"
        is "$(at_local 150 'getUpdates?offset=-100' | grep -o update_id | wc -l)" 3 "what came in between is fetched"

        has "$(at_local 150 logOut)" '{"ok":true,"result":true}' "logOut at the local server"
        is "$(at_local 150 getMe)" "$(error 400 'Logged out')" "whose young session keeps it locked"
        has "$(get /state)" '*"bot":150*' "state"
        kill "$local_pid"
        wait "$local_pid"
        start_local
        has "$(at_local 150 getMe)" '{"ok":true,*' "until the server restarts"

        kill "$local_pid"
        wait "$local_pid"
        bot 152 none
        api_id=2 start_local
        is "$(at_local 152 getMe)" "$(error 401 'Unauthorized: invalid api-id/api-hash')" "a wrong api id"
        kill "$local_pid"
        wait "$local_pid"
        start_local
        post /bots/revoke '{"bot":151}' >/dev/null
        is "$(at_local 151 getMe)" "$(error 401 'Unauthorized')" "a revoked token"
        local fault
        fault=$(post /faults '{"role":"local","kind":"silent"}' | number fault)
        # The order of the line to the truth makes the fault arrive before this login's answer.
        is "$(code_of at_local 152 getMe --max-time 0.2)" 28 "active but silent"
        delete "/faults?fault=$fault" >/dev/null
        has "$(at_local 152 getMe)" '{"ok":true,*' "and back again"
}

# get_from FD METHOD: a request over plain HTTP on an open connection
get_from() { printf 'GET /bot180:%s/%s HTTP/1.1\r\nHost: a\r\n\r\n' "$secret" "$2" >&"$1"; }

# What reaches the port while the server has no time for it is in the ledger with the moment at which it did.
test_arrived() {
        local control cloud_port first second answer fault marked entry method
        run_sim plain
        cloud_port=$(number cloud <"$dir/plain")
        control=http://127.0.0.1:$(number control <"$dir/plain")
        bot 180

        fault=$(post /faults '{"role":"cloud","kind":"silent"}' | number fault)
        exec {first}<>"/dev/tcp/127.0.0.1/$cloud_port" {second}<>"/dev/tcp/127.0.0.1/$cloud_port"
        get_from "$first" 'getUpdates?timeout=50'
        get_from "$second" logOut
        marked=$(wait_for "event=mark&since=$(($(post /mark '{"name":"sent"}' | number seq) - 1))" | number t)
        delete "/faults?fault=$fault" >/dev/null
        for method in getupdates logout; do
                entry=$(wait_for "event=request&bot=180&method=$method")
                has "$(awk -v a="$(number arrived <<<"$entry")" -v m="$marked" -v t="$(number t <<<"$entry")" \
                        'BEGIN { print (a > 0 && a < m && m < t) ? "yes" : a " " m " " t }')" yes \
                        "$method: read late, on record as it arrived"
        done
        read -r -t 40 -u "$second" answer
        has "$answer" 'HTTP/1.1 200*' "logOut is answered"
        is "$(violations 180)" "" "a long poll that was sent before logOut breaks no law, whichever is read first"
        exec {first}>&- {second}>&-
        kill "$sim_pid"
        wait "$sim_pid"
}

# A cutover by hand, without a mistake.
test_clean_run() {
        local answer id
        bot 160
        start_worker w160 160 "$root"
        post /inject '{"bot":160,"count":5}' >/dev/null
        wait_for "event=worker-handled&bot=160&count=5" >/dev/null
        kill "$worker_pid"
        wait "$worker_pid"
        is "$?" 0 "a worker ends cleanly on SIGTERM"
        post /inject '{"bot":160,"count":4}' >/dev/null
        wait_for "event=update-queued&bot=160&count=9" >/dev/null
        answer=$(cloud 160 'getUpdates?offset=-4')
        id=$(last_update_id <<<"$answer")
        cloud 160 "getUpdates?offset=$((id + 1))" >/dev/null
        cloud 160 logOut >/dev/null
        at_local 160 getMe >/dev/null
        mkdir -p "$dir/credentials"
        printf '%s' "160:$secret" >"$dir/credentials/bot-token"
        printf '%s' "$local_root" >"$dir/credentials/bot-endpoint"
        answer=${answer#*\"result\":}
        printf "%s" "${answer%\}}" >"$dir/credentials/bot-pending-updates"
        CREDENTIALS_DIRECTORY=$dir/credentials start_worker w160b 160 ""
        post /inject '{"bot":160,"count":3}' >/dev/null
        wait_for "event=worker-handled&bot=160&count=12" >/dev/null
        answer=$(get "/quiet?timeout_ms=10")
        has "$(get /verdict)" '*"bot":160,"seat":"local","injected":12,"handled_cloud":5,"handled_local":3,"handed_over":4,"wiped_race":0,"wiped_other":0,"lost":0,"dropped":0,"queued":0,"with_dead":0,"missing":0,"handled_twice":0,"handled_after_confirmed":0,"logins_refused":0,"downtime_ms":\[[0-9]*\],"blind_ms":\[[0-9]*\],"blind_floor_ms":\[0\],"away_ms":\[\],"violations":\[\]*' \
                "the judge: every update accounted for, no law broken"
        kill "$worker_pid"
        wait "$worker_pid"
}

# What getFile tells is the file's path on this host with --local, and no path at all without.
test_files() {
        local path
        bot 155 none
        at_local 155 getMe >/dev/null
        is "$(at_local 155 getFile)" "$(error 400 'Bad Request: file_id not specified')" "getFile without an id"
        is "$(at_local 155 'getFile?file_id=../x')" "$(error 400 'Bad Request: invalid file_id')" "getFile with a bad one"
        path=$(at_local 155 'getFile?file_id=abc' | grep -o '"file_path":"[^"]*"' | cut -d '"' -f 4)
        is "$path" "$(realpath "$dir")/local/155:$secret/documents/file_abc" "with --local it tells an absolute path"
        is "$(cat "$path")" "file abc of bot 155" "where the file is"
        is "$(stat -c %a "$path") $(stat -c %a "${path%/*}") $(stat -c %a "${path%/*/*}")" "640 750 750" \
                "which the group may read"
        at_local 155 logOut >/dev/null
        is "$(ls -d "$dir/local/155:$secret" 2>/dev/null)" "" "logOut deletes the bot's directory, with its files"
        bot 156
        has "$(cloud 156 'getFile?file_id=abc')" '*"file_path":"documents/file_abc"}}' "at the cloud the path is relative"
}

test_planted() {
        local answer id
        bot 170
        cloud 170 logOut >/dev/null
        cloud 170 getMe >/dev/null
        is "$(violations 170)" "L1 L8 " "planted: a stray getMe in the window is L1 and L8"
        bot 171
        cloud 171 logOut >/dev/null
        cloud 171 logOut >/dev/null
        is "$(violations 171)" "L1 " "planted: logOut again after it was answered is L1"
        bot 172
        post /faults '{"bot":172,"method":"logOut","kind":"drop-before"}' >/dev/null
        cloud 172 logOut >/dev/null
        curl -s --cacert "$dir/cert.pem" "$root/bot172:$secret/getUpdates" "$root/bot172:$secret/logOut" >/dev/null
        is "$(violations 172)" "" "a spool directly before a repeated logOut, on its connection, is none"
        bot 173
        post /faults '{"bot":173,"method":"logOut","kind":"drop-before"}' >/dev/null
        cloud 173 logOut >/dev/null
        cloud 173 getUpdates >/dev/null
        cloud 173 logOut >/dev/null
        is "$(violations 173)" "L1 " "planted: the same on another connection is L1"
        bot 174
        at_local 174 getMe >/dev/null
        is "$(violations 174)" "L2 " "planted: the new server before logOut on the old is L2"
        bot 175
        start_worker w175 175 "$root"
        cloud 175 logOut >/dev/null
        wait "$worker_pid"
        is "$?" 1 "a worker ends with 1 when it is told Logged out"
        has "$(violations 175)" '*L3 L4 *' "planted: logOut under a running worker is L3 and L4"
        bot 176
        start_worker w176 176 "$local_root" --exit-after=1
        wait_for "event=request&bot=176&role=local" >/dev/null
        is "$(violations 176)" "L2 L4 " "planted: a worker with the endpoint of the other server is L4, what it sends L2"
        kill -9 "$worker_pid"
        wait "$worker_pid" 2>/dev/null
        has "$(wait_for 'event=worker-stop&unit=w176')" '*"reason":"gone"*' "a killed worker is seen to stop"
        bot 177
        cloud 177 getUpdates >/dev/null
        post /inject '{"bot":177,"count":2}' >/dev/null
        wait_for "event=update-queued&bot=177&count=2" >/dev/null
        cloud 177 'getUpdates?offset=-1' >/dev/null
        cloud 177 logOut >/dev/null
        is "$(violations 177)" "L6 " "planted: updates given out or dropped, and never handled, are L6"
        bot 178
        post /inject '{"bot":178}' >/dev/null
        wait_for "event=update-queued&bot=178" >/dev/null
        cloud 178 logOut >/dev/null
        is "$(violations 178)" "L6 " "planted: logOut without any spool is L6"
        bot 179
        cloud 179 getUpdates >/dev/null
        post /inject '{"bot":179}' >/dev/null
        wait_for "event=update-queued&bot=179" >/dev/null
        cloud 179 logOut >/dev/null
        is "$(violations 179)" "" "an update after the last getUpdates is the race, not L6"
        has "$(get '/verdict?format=table')" '*bot*L1 bot 170*Laws were broken.*' "the table"
}

# request CONN ARRIVED T METHOD, and said T DESCRIPTION CODE: lines of a ledger, times in ms.
request() {
        printf '{"seq":%s,"t":%s000,"event":"request","role":"cloud","bot":1,"method":"%s","req":"c-%s","conn":%s,"arrived":%s000}\n' \
                "$3" "$3" "$4" "$3" "$1" "$2"
}
said() {
        printf '{"seq":%s,"t":%s000,"event":"answer","role":"cloud","bot":1,"method":"logout","req":"c-%s","code":%s,"description":"%s"}\n' \
                "$1" "$1" "$1" "$3" "$2"
}
# laws: those that the ledger on standard input breaks
laws() {
        {
                echo '{"seq":1,"t":1000,"event":"bot-defined","bot":1,"session":"cloud"}'
                cat
        } >"$dir/written.jsonl"
        "$sim" --judge "$dir/written.jsonl" | grep -o '"law":"[^"]*"' | cut -d '"' -f 4 | sort -u | tr '\n' ' '
}

# Which of two requests on two connections is first: the one that was at the port first, not the one that is read first.
test_overtaken() {
        local answer
        for answer in 'true 200' 'redirect 302'; do
                # shellcheck disable=SC2086
                is "$({ request 2 20 20 logout; said 20 $answer; request 1 15 900 getupdates; } | laws)" "" \
                        "a long poll that logOut overtook at the port is none, however late it is read (${answer#* })"
                # shellcheck disable=SC2086
                is "$({ request 2 20 20 logout; said 20 $answer; request 1 21 22 getupdates; } | laws)" "L1 " \
                        "planted: one that came behind logOut is L1, however soon (${answer#* })"
        done
        is "$({ request 2 20 20 logout; request 1 21 22 getupdates; } | laws)" "L1 " \
                "planted: even before logOut is answered"
        is "$({ request 2 20 20 logout; request 2 15 22 getupdates; } | laws)" "L1 " \
                "planted: on logOut's own connection nothing overtakes"
        is "$({ request 2 20 20 logout; request 1 15 22 getme; } | laws)" "L1 " "planted: any other method has no excuse"
        is "$({ request 2 20 20 logout; request 2 30 30 logout; request 1 25 31 getupdates; } | laws)" "L1 " \
                "planted: a long poll between an attempt and its repeat is L1"
}

test_offline() {
        kill "$local_pid"
        wait "$local_pid"
        stop_sim
        is "$?" 0 "SIGTERM ends the simulation with 0"
        "$sim" --judge "$dir/ledger.jsonl" >"$dir/verdict"
        is "$?" 1 "the judge works on the file, and exits 1 where a law was broken"
        if grep -q "$secret" "$dir/ledger.jsonl"; then not_ok "no token in the ledger"; else ok "no token in the ledger"; fi
        is "$(cat "$dir/sim.err" "$dir/local.err")" "" "nobody had anything to complain about"
}

# shellcheck source=tests/telegram/way-back.sh
. "$(dirname "${BASH_SOURCE[0]}")/way-back.sh"
# shellcheck source=tests/telegram/webhooks.sh
. "$(dirname "${BASH_SOURCE[0]}")/webhooks.sh"

start_sim
start_local
if [ "$local_root" = http://127.0.0.1: ]; then
        echo "Bail out! $local_server does not start: $(cat "$dir/local.err")"
        exit 1
fi
test_flood
test_answers
test_queue
test_logout
test_faults
test_latency
test_webhook
test_webhook_rules
test_webhook_settings
test_webhook_certificate
test_local
test_files
test_clean_run
test_arrived
test_planted
test_overtaken
test_locks
test_pace
test_way_back
test_turned_back
test_planted_way_back
test_dead_server
test_offline
echo "1..$n"
[ "$failed" = 0 ]
