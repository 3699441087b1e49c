# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Telegram for a scratch host. See tests/telegram/README.md for what the simulator does and how it is asked.

TELEGRAM_CONTROL=127.0.0.1:8900
TELEGRAM_LEDGER=$HOST_DISK/ledger.jsonl

# telegram_start [OPTION…]: the truth and the cloud at https://api.telegram.org, with a certificate that the host trusts.
# In the host: the local role as /usr/bin/telegram-bot-api with its api id, and the worker. To be called before
# host_boot; it goes on through power cuts, as Telegram does.
telegram_start()
{
        local telegram=$BUILD/tests/telegram output

        [[ -x $telegram/telegram-sim && -x $BUILD/tests/worker/worker ]] ||
                host_bail "nothing is built in $BUILD, call \"make tests\" first"
        telegram_certificate || host_bail "no certificate"
        cat "$HOST_DISK/ca.pem" >>"$HOST_ROOT/etc/ssl/certs/ca-certificates.crt"
        echo "127.0.0.1 api.telegram.org" >>"$HOST_ROOT/etc/hosts"
        printf 'TELEGRAM_API_ID=1\nTELEGRAM_API_HASH=0123456789abcdef\n' |
                host_put /etc/tgswitch/telegram-bot-api.env 600
        host_put /usr/bin/telegram-bot-api 755 <"$telegram/telegram-bot-api"
        host_put /usr/bin/telegram-worker 755 <"$BUILD/tests/worker/worker"

        exec {output}< <(exec "$telegram/telegram-sim" --cloud-listen 127.0.0.1:443 --cert "$HOST_DISK/cloud.pem" \
                --key "$HOST_DISK/cloud.key" --control "$TELEGRAM_CONTROL" --truth 127.0.0.1:8901 \
                --ledger "$TELEGRAM_LEDGER" --api-id 1 --api-hash 0123456789abcdef "$@" 2>"$HOST_DISK/telegram-sim.log")
        # Its ports, once it listens on all of them; nothing where it has ended.
        read -r -t 60 -u "$output" _ || host_bail "telegram-sim did not start: $(<"$HOST_DISK/telegram-sim.log")"
}

# A certificate authority that lives as long as the host, and what it signs for the cloud.
telegram_certificate()
{
        (
                cd "$HOST_DISK" || exit
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=Scratch host" \
                        -keyout ca.key -out ca.pem &&
                        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=api.telegram.org" \
                                -keyout cloud.key -out cloud.csr &&
                        openssl x509 -req -in cloud.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out cloud.pem \
                                -extfile <(echo "subjectAltName=DNS:api.telegram.org")
        ) >"$HOST_DISK/openssl.log" 2>&1
}

# telegram METHOD PATH [JSON]: one request to the control API; prints the answer, fails where it is no success. The
# body goes by a pipe: it may be a token, and the list of processes is searched for those.
telegram()
{
        local body=()

        (($# > 2)) && body=(--data-binary @-)
        printf '%s' "${3:-}" | curl -sS --fail-with-body -m 120 -X "$1" "${body[@]}" "http://$TELEGRAM_CONTROL$2"
}

# telegram_wait QUERY…: the first entry of the ledger that matches all, such as event=logout-applied bot=17, once it is
# there. Fails after timeout_ms=, 60000 by itself.
telegram_wait()
{
        local IFS='&'

        telegram GET "/wait?timeout_ms=60000&$*"
}

# telegram_seq: the ledger's last number, to wait for what comes after it.
telegram_seq()
{
        telegram GET /state | json seq
}

# telegram_count QUERY…: how many entries of the ledger match all.
telegram_count()
{
        local IFS='&'

        telegram GET "/ledger?$*" | wc -l
}

# telegram_fault FAULT: JSON, as POST /faults takes it.
telegram_fault()
{
        telegram POST /faults "$1" >/dev/null
}

# telegram_inject BOT RATE [COUNT]: updates for a bot, so many a second, without end where no count is given.
telegram_inject()
{
        telegram POST /inject "{\"bot\":${BOT_IDS[$1]},\"rate\":$2,\"count\":${3:-0}}" >/dev/null
}

# telegram_finish: no more updates come; returns when each one that came has met its end. Fails after 60 s.
telegram_finish()
{
        telegram DELETE /inject >/dev/null
        telegram GET "/quiet?timeout_ms=60000" >/dev/null
}

# check_verdict [twice]: what the simulator's judge says of the whole run, as one check for each law. With `twice` an
# update may be handled again: a worker that is stopped between handling and confirming leaves it to the spool. What
# VERDICT_FILTER, for jq, takes out of the verdict is not looked at.
check_verdict()
{
        local verdict law broken

        verdict=$(telegram GET /verdict | jq "${VERDICT_FILTER:-.}")
        for law in L1 L2 L3 L4 L6 L8 pace balance; do
                broken=$(jq -r --arg law $law '.. | objects | select(.law? == $law) | "\(.seq): \(.text)"' <<<"$verdict")
                check_equal "the ledger has no violation of $law" "" "$broken"
        done
        check_equal "no update was wiped outside the race" 0 "$(telegram_sum wiped_other <<<"$verdict")"
        check_equal "no update is missing" 0 "$(telegram_sum missing <<<"$verdict")"
        [[ ${1:-} == twice ]] || check_equal "no update was handled again after it was confirmed" 0 \
                "$(telegram_sum handled_after_confirmed <<<"$verdict")"
}

# telegram_sum FIELD: of the verdict on standard input, over all bots.
telegram_sum()
{
        jq "[.. | objects | .$1? // empty] | add // 0"
}

# json PATH…: the value at PATH in the JSON on standard input, such as `json bots 0 queue`. Strings come without quotes.
json()
{
        jq -r 'getpath($ARGS.positional | map(tonumber? // .))' --args "$@"
}
