#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tgswitchctl --json prints of real bots and their moves is what tgswitch-json(5) and the schema say, before, during
# and after one; also by the verbs that need a systemd, which test-json.sh leaves to this scenario.
# Verbs: history adopt set-token check-credentials add remove

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# json STATUS VERB ARGUMENT…: leaves what is printed in $printed, and keeps it for the end.
json()
{
        local expected=$1
        shift

        printed=$(host_run tgswitchctl "$@" --json 2>"$HOST_DISK/errors.log")
        check_equal "tgswitchctl $* --json" "$expected" $? || cat "$HOST_DISK/errors.log"
        printf '%s\t%s\n' "$*" "$printed" >>"$HOST_DISK/printed.log"
}

host_create
host_install
telegram_start
bot_add shop <<<"OnUndrained=spool"
bot_add news </dev/null
host_put /etc/systemd/system/plain.service <<'UNIT'
[Service]
Environment=BOT_API_ROOT=https://api.telegram.org
ExecStart=/usr/bin/sleep infinity
UNIT
# What this host cannot decrypt.
host_put /etc/tgswitch/tokens.encrypted/lost 600 <<<garbage
host_boot
check "the workers run" telegram_wait event=worker-start bot="${BOT_IDS[news]}"

json 0 status
json 0 list
json 0 plan local
json 0 check local shop
json 0 hold news --for=1h --reason=why
mark=$(bus_mark)
# Nobody takes the update: the worker's requests are not answered, and the second of ours is.
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[shop]},\"method\":\"getUpdates\",\"times\":0,\"kind\":\"bad-gateway\"}"
check "its worker gets nothing" telegram_wait event=fault bot="${BOT_IDS[shop]}" method=getupdates
telegram_inject shop 0 1
json 0 switch local --all --yes --automatic --no-wait --hold-at=log-out
job=$(jq '.jobs[0].job' <<<"$printed")
check "its worker is stopped" telegram_wait event=worker-stop bot="${BOT_IDS[shop]}"
telegram DELETE /faults >/dev/null
check "the job holds" job_becomes "$mark" "$job" Holding true
json 0 status shop
json 0 spool shop
check_equal "an update is spooled" 1 "$(jq '.updates | length' <<<"$printed")"
mark=$(bus_mark)
json 0 set-token shop --yes <<<"${BOT_TOKENS[shop]}"
check_equal "nobody is asked about the token of a bot that is on its way" "true not-asked" \
        "$(jq -r '"\(.running) \(.server)"' <<<"$printed")"
check "the job holds again" job_becomes "$mark" "$job" Holding true
json 0 proceed "$job"
json 0 wait "$job"
json 0 status
check_equal "a move has begun, is over, and left nobody blind for long" 'done true true' \
        "$(jq -r '.bots[] | select(.name == "shop") | .last_job | "\(.result) \(.blind_usec > 0) \(.downtime_usec > 0)"' \
                <<<"$printed")"
json 0 history
check_equal "and is in the history" 'shop cloud local true' \
        "$(jq -r '.history[-1] | "\(.bot) \(.source) \(.seat) \(.phases_usec["log-in"] > 0)"' <<<"$printed")"
json 4 plan cloud shop
json 4 switch cloud shop --yes
json 0 release news
json 0 spool shop
json 0 reload
json 0 authorize

json 2 adopt plain.service --bot=news --exec
json 0 adopt plain.service --bot=news --exec --yes
json 0 adopt plain.service --undo --yes
json 1 check-credentials
check_equal "what cannot be decrypted is told" 'token lost' "$(jq -r '.refused[] | "\(.kind) \(.bot)"' <<<"$printed")"

json 0 set-token shop --yes --restart <<<"${BOT_TOKENS[shop]}"
check_equal "a token is asked about, and a worker restarted" 'accepted shop-worker.service restarted' \
        "$(jq -r '"\(.server) \(.workers[0].unit) \(.workers[0].result)"' <<<"$printed")"

host_run systemctl stop tgswitchd.service 2>/dev/null
json 0 set-token shop --yes <<<"${BOT_TOKENS[shop]}"
check_equal "without tgswitchd there is nobody to ask" 'false null' "$(jq -r '"\(.running) \(.server)"' <<<"$printed")"
host_run systemctl start tgswitchd.service

# A bot that Telegram alone knows, and a service of it.
BOT_IDS[late]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
BOT_TOKENS[late]=$(canary_token "${BOT_IDS[late]}")
telegram POST /bots "{\"token\":\"${BOT_TOKENS[late]}\",\"username\":\"late_bot\",\"session\":\"cloud\"}" >/dev/null
json 2 add late --worker=plain.service --exec --token-file=- <<<"${BOT_TOKENS[late]}"
json 0 add late --worker=plain.service --exec --token-file=- --yes <<<"${BOT_TOKENS[late]}"
check_equal "a bot is added" 'accepted plain.service exec' \
        "$(jq -r '"\(.server) \(.adoptions[0].unit) \(.adoptions[0].way)"' <<<"$printed")"
json 2 remove late
json 0 remove late --yes
check_equal "and removed" 'plain.service null' \
        "$(jq -r '"\(.adoptions[0].unit) \(.adoptions[0].drop_in.after)"' <<<"$printed")"

check "everything that was printed is as the schema says" /usr/bin/python3 "$SOURCE_DIR/tests/packaging/json-validate.py" \
        "$SOURCE_DIR/packaging/schema/tgswitchctl.json" <"$HOST_DISK/printed.log"
check_verdict
tap_done
