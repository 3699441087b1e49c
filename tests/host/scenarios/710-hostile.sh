#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A server that means it ill, at every request of a move: at the cloud before logOut, at logOut, and at the local server
# after it. Before logOut the job fails, with everything put back; after it the move goes forward by itself when the
# server is sane again. Each time a sentence with cause and cure, the token nowhere else, the daemon's memory within a
# bound, and meanwhile the other bots move. The answers themselves, all of them at all requests, are
# tests/adapter/test-botapi-client-hostile.c. Defends L1 to L4, L6, L7 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/table.sh
source "$(dirname "$0")/../table.sh"

# What a body and its JSON may take together: 2 * 8 MiB, and 160 MiB (core/json-text.h), both of getUpdates alone; what
# else there is answers with 256 KiB, and the rest of a move takes a few MiB.
PEAK_MAX_MIB=$((16 + 160 + 16))
SMALL_PEAK_MAX_MIB=32

# answer STATUS BODY: the fields of such a fault. The body goes by a pipe: it may be a token.
answer()
{
        printf '"kind":"status","status":%s,"body":%s' "$1" "$(jq -Rs 'rtrimstr("\n")' <<<"$2")"
}

# result JSON, refusal STATUS DESCRIPTION: likewise.
result()
{
        answer 200 "{\"ok\":true,\"result\":$1}"
}

refusal()
{
        answer "$1" "{\"ok\":false,\"error_code\":$1,\"description\":\"$2\"}"
}

# webhook URL PENDING
webhook()
{
        result "{\"url\":\"$1\",\"has_custom_certificate\":false,\"pending_update_count\":$2}"
}

# objects N: so many empty ones.
objects()
{
        echo "$(answer 200 '{"ok":true,"result":['),\"filler\":\"{},\",\"tail\":\"{}]}\",\"repeat\":$1"
}

DEEP="$(answer 200 '{"ok":true,"result":'),\"filler\":\"[\",\"tail\":\"}\",\"repeat\":100000"

# ---- memory: in KiB ----

# memory_of KEY: of the daemon, in /proc/PID/status.
memory_of()
{
        host_run sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$DAEMON/status"
}

memory_mark()
{
        host_run bash -c "echo 5 >/proc/$DAEMON/clear_refs"
        memory_before=$(memory_of VmRSS)
}

# check_memory NAME MIB: since the mark.
check_memory()
{
        local peak

        if [[ $CONFIG == asan ]]; then
                memory_text="not measured"
                tap_pass "$1: the daemon took less than $2 MiB more # SKIP AddressSanitizer keeps what is freed"
                return
        fi
        peak=$(memory_of VmHWM)
        memory_text="$((memory_before / 1024)) to $((peak / 1024)) MiB"
        check "$1: the daemon took less than $2 MiB more" test $((peak - memory_before)) -lt $(($2 * 1024))
}

# ---- one shape after the other ----

# said BOT: LastError, as it is.
said()
{
        bot_property "$1" LastError
}

# is_sentence TEXT: cause and cure, and no more than a line.
is_sentence()
{
        [[ $1 =~ [A-Z].{30,}[.]$ && ${#1} -lt 900 && $1 != *[[:cntrl:]]* ]]
}

# hostile_before NAME METHOD REGEX FAULT [MIB]: the cloud answers the bot `victim` so, before it is logged out.
hostile_before()
{
        local name="$1 at $2" mark error

        telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[victim]},\"method\":\"$2\",\"times\":0,$4}"
        mark=$(bus_mark)
        memory_mark
        bot_switch victim
        check_equal "$name: the job fails" failed "$(job_wait "$mark" victim)"
        check_memory "$name" "${5:-$SMALL_PEAK_MAX_MIB}"
        error=$(said victim)
        check "$name: a sentence" is_sentence "$error"
        check_match "$name: of what happened" "$3" "$error"
        check_equal "$name: the seat is the cloud" cloud "$(bot_property victim Seat)"
        telegram DELETE /faults >/dev/null
        table_row "$1" "$2, cloud" "$memory_text" "$error"
}

# hostile_after BOT METHOD REGEX FAULT NAME ROLE: the server answers so, when there is only forward.
hostile_after()
{
        local bot=$1 name="$5 at $2" role=$6 error

        telegram_fault "{\"role\":\"$role\",\"bot\":${BOT_IDS[$bot]},\"method\":\"$2\",\"times\":0,$4}"
        memory_mark
        bot_switch "$bot"
        check "$name: it is told" bus_wait 0 "/bot/$bot\".*\"LastError\":\{\"type\":\"s\",\"data\":\"[^\"]*$3"
        check "$name: and tried again" telegram_wait event=request role="$role" bot="${BOT_IDS[$bot]}" \
                method="${2,,}" count=2
        check_memory "$name" "$SMALL_PEAK_MAX_MIB"
        error=$(said "$bot")
        check "$name: a sentence" is_sentence "$error"
        table_row "$5" "$2, $role" "$memory_text" "$error"
}

# tls_server ADDRESS OPTION…: openssl's, which tells each message that comes. Its output is $TLS_OUTPUT, its process
# $TLS_PID. It would end with its standard input.
tls_server()
{
        local line=

        exec {TLS_OUTPUT}< <(exec openssl s_server -accept "$@" -msg 2>&1 <&"$silence")
        TLS_PID=$!
        until [[ $line == ACCEPT ]]; do
                read -r -t 30 -u "$TLS_OUTPUT" line || host_bail "openssl's server does not start"
        done
}

# heard_by OUTPUT PID: ends the server, and prints what came from its clients: names of messages, and what was asked.
heard_by()
{
        kill "$2"
        grep -aoE '^<<< [^,]*, [^,]*, [A-Za-z]*|GET .*|POST .*' <&"$1"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[BotDefaults]
DrainTimeoutSec=300ms
SpoolTimeoutSec=1
LogOutTimeoutSec=2
LogInTimeoutSec=2
SettleSec=100ms
EOF
for bot in victim other{1..4} tls{1..4} echo_out bomb_out vast_out vast_in deep_in echo_in redirect_in whose_in; do
        bot_add "$bot" </dev/null
done
# Of whom the server speaks to another.
stranger=${BOT_TOKENS[other1]}

mkfifo "$HOST_DISK/silence"
exec {silence}<>"$HOST_DISK/silence"
# Where nobody may come.
tls_server 127.0.0.66:443 -cert "$HOST_DISK/cloud.pem" -key "$HOST_DISK/cloud.key"
evil=$TLS_OUTPUT
evil_pid=$TLS_PID
echo "127.0.0.66 evil.example" >>"$HOST_ROOT/etc/hosts"

host_boot
check "the workers start" telegram_wait event=worker-start count=${#BOT_IDS[@]}
telegram_inject victim 2
DAEMON=$(daemon_pid)

# ---- before logOut ----

TOKEN=${BOT_TOKENS[victim]}
for status in 301 307; do
        hostile_before "$status elsewhere" getMe "HTTP $status and no Bot API reply" \
                "\"kind\":\"redirect\",\"status\":$status,\"location\":\"https://evil.example/bot$TOKEN/getMe\""
done
hostile_before "302 to a file" getWebhookInfo "HTTP 302" '"kind":"redirect","location":"file:///etc/passwd"'
hostile_before "10 GiB" getMe "too large" '"kind":"vast"'
hostile_before "a body without end" getWebhookInfo "too large" '"kind":"huge"'
hostile_before "objects, 250 KiB" getMe "no Bot API reply" "$(objects 80000)"
hostile_before "100,000 deep" getWebhookInfo "no Bot API reply" "$DEEP"
hostile_before "objects, 8 MiB" getUpdates "no Bot API reply" "$(objects 2700000)" "$PEAK_MAX_MIB"
hostile_before "the token said back" getMe '404 .*\{secret\}' "$(refusal 404 "No $TOKEN and $stranger")"
hostile_before "another bot" getMe "another bot than the token" "$(result '{"id":17,"is_bot":true}')"
hostile_before "-1 pending" getWebhookInfo "did not tell" "$(webhook "" -1)"
hostile_before "another's token as webhook" getWebhookInfo "token of another bot in it, other1" \
        "$(webhook "https://hooks.example.org/$stranger" 0)"
hostile_before "a webhook of two lines" getWebhookInfo "no address that" \
        "$(webhook 'https://hooks.example.org/\r\nX: 1' 0)"
hostile_before "ids that go back" getUpdates "not well formed" "$(result '[{"update_id":2},{"update_id":1}]')"
hostile_before "500 with ok:true" getUpdates "not well formed" "$(answer 500 '{"ok":true,"result":[]}')"
hostile_before "a hundred updates for ever" getUpdates "gives updates again that it was told to forget" \
        "$(result "$(jq -n -c '[range(6; 106) | {update_id: .}]')")"
check "what is kept of them is handed over" bot_wait victim SpooledUpdates 0
telegram_inject victim 0 2000
hostile_before "a queue without end" getUpdates "after SpoolTimeoutSec= the queue has not come to its end" \
        '"kind":"delay","ms":200'
check "what is kept of it is handed over" bot_wait victim SpooledUpdates 0

# ---- while it goes on, the others move ----

mark=$(bus_mark)
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[victim]},\"method\":\"getMe\",\"kind\":\"trickle\",
        \"interval_ms\":500}"
bot_switch victim
check "one byte now and then: it begins" telegram_wait event=fault kind=trickle
telegram_inject other1 5
for bot in other{1..4}; do
        bot_switch "$bot"
done
for bot in other{1..4}; do
        check_equal "$bot: it moves meanwhile" 'done' "$(job_wait "$mark" "$bot")"
done
check_equal "one byte now and then: that goes on still" check "$(bot_property victim Phase)"
check "the job is cancelled" host_run tgswitchctl cancel "$(job_number victim)"
check_equal "victim: it stays at the cloud" cloud "$(bot_property victim Seat)"
telegram DELETE /faults >/dev/null

# ---- TLS: api.telegram.org is somebody else ----

# cloud_address ADDRESS: of api.telegram.org from now on, also for the daemon, which would go by what it has looked up for
# a minute.
cloud_address()
{
        sed -i "s/^127.*api.telegram.org/$1 api.telegram.org/" "$HOST_ROOT/etc/hosts"
        host_run systemctl restart tgswitchd.service
        DAEMON=$(daemon_pid)
}

# impostor BOT NAME REGEX OPTION…: the bot has never asked the cloud, and finds openssl's server there.
impostor()
{
        local bot=$1 name=$2 regex=$3 mark error heard
        shift 3

        tls_server 127.0.0.67:443 "$@"
        cloud_address 127.0.0.67
        mark=$(bus_mark)
        memory_mark
        bot_switch "$bot"
        check_equal "$name: the job fails" failed "$(job_wait "$mark" "$bot")"
        heard=$(heard_by "$TLS_OUTPUT" "$TLS_PID")
        exec {TLS_OUTPUT}<&-
        check_match "$name: somebody came there" "ClientHello" "$heard"
        check "$name: and asked for nothing" fails grep -E "GET|POST" <<<"$heard"
        check_memory "$name" "$SMALL_PEAK_MAX_MIB"
        error=$(said "$bot")
        check "$name: a sentence" is_sentence "$error"
        check_match "$name: of what happened" "not sent: .*$regex.*look after the network" "$error"
        table_row "$name" "getMe, cloud" "$memory_text" "$error"
        cloud_address 127.0.0.1
}

# certificate NAME DAYS CA: for the name, in NAME-DAYS-CA.pem, with the key of the cloud.
certificate()
{
        openssl req -new -key "$HOST_DISK/cloud.key" -subj "/CN=$1" 2>/dev/null |
                openssl x509 -req -CA "$HOST_DISK/$3.pem" -CAkey "$HOST_DISK/$3.key" -CAcreateserial -days "$2" \
                        -extfile <(echo "subjectAltName=DNS:$1") -out "$HOST_DISK/$1-$2-$3.pem" 2>/dev/null ||
                host_bail "no certificate for $1"
        echo "$HOST_DISK/$1-$2-$3.pem"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Somebody" \
        -keyout "$HOST_DISK/nobody.key" -out "$HOST_DISK/nobody.pem" 2>/dev/null
key=(-key "$HOST_DISK/cloud.key")
impostor tls1 "another name" "does not match target host name|no alternative certificate subject name" \
        "${key[@]}" -cert "$(certificate evil.example 2 ca)"
impostor tls2 "an expired certificate" "expired" "${key[@]}" -cert "$(certificate api.telegram.org -1 ca)"
impostor tls3 "an unknown authority" "certificate" "${key[@]}" -cert "$(certificate api.telegram.org 2 nobody)"
impostor tls4 "TLS 1.1" "protocol version" "${key[@]}" -cert "$HOST_DISK/cloud.pem" -tls1_1 -cipher ALL:@SECLEVEL=0

# ---- logOut and what comes after ----

again='It may have been applied, so it is repeated'
hostile_after bomb_out logOut "no Bot API reply.*$again" "$(objects 80000)" "objects, 250 KiB" cloud
hostile_after vast_out logOut "too large.*$again" '"kind":"vast"' "10 GiB" cloud
hostile_after echo_out logOut "\{secret\}.*$again" "$(refusal 418 "${BOT_TOKENS[echo_out]}")" \
        "the token said back" cloud
forward='The bot is logged out, and the local server'
hostile_after vast_in getMe "$forward" '"kind":"vast"' "10 GiB" local
hostile_after deep_in getMe "$forward" "$DEEP" "100,000 deep" local
hostile_after echo_in getMe "$forward.*\{secret\}" "$(refusal 404 "${BOT_TOKENS[echo_in]}")" "the token said back" local
hostile_after redirect_in getMe "$forward.*HTTP 302" \
        "\"kind\":\"redirect\",\"location\":\"https://evil.example/bot${BOT_TOKENS[redirect_in]}/getMe\"" \
        "302 elsewhere" local
hostile_after whose_in getMe "$forward.*another bot" "$(result '{"id":17,"is_bot":true}')" "another bot" local

seq=$(telegram_seq)
telegram DELETE /faults >/dev/null
for bot in bomb_out vast_out echo_out vast_in deep_in echo_in redirect_in whose_in; do
        check "$bot: it arrives by itself" bot_wait "$bot" Phase ""
        telegram_inject "$bot" 0 1
        check_moved "$bot" "$seq"
done
mark=$(bus_mark)
bot_switch victim
check_equal "victim: a sane cloud lets it go" 'done' "$(job_wait "$mark" victim)"

# ---- as if nothing had been ----

check_equal "nobody came to where the redirects lead" "" "$(heard_by "$evil" "$evil_pid")"
check_equal "the daemon is the same process" "$DAEMON" "$(daemon_pid)"
check "every update is accounted for" telegram_finish
check_verdict twice
table_print
tap_done
