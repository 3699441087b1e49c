#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A webhook with everything that setWebhook knows goes to the local server and back, and is there what it was; its
# certificate is checked by whoever delivers. What cannot be set again is found before anything is changed: a secret or
# certificate that is not there, and a webhook that the cloud, or a local server without --local, would refuse. Defends
# L7 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

HOOK_ROOT=https://hooks.example.org:8443
IDLE=$'[Service]\nExecStart=\nExecStart=/bin/sleep infinity'

# hook_add NAME SEAT, with more of its file on standard input: a bot whose worker has nothing to do.
hook_add()
{
        HANDLED_BY[$1]=update-delivered
        bot_add "$1" "$2"
        host_put "/etc/systemd/system/$1-worker.service.d/60-idle.conf" <<<"$IDLE"
}

# local_call NAME METHOD [OPTION…]: a request to the local server. The token is in no list of processes.
local_call()
{
        printf 'url = "http://127.0.0.1:8081/bot%s/%s"\n' "${BOT_TOKENS[$1]}" "$2" |
                curl -sS --retry 5 -K - "${@:3}"
}

# refused TARGET NAME…: none of them is moved; what is said of each goes to $HOST_DISK/said.
refused()
{
        host_run tgswitchctl switch "$1" --yes "${@:2}" >"$HOST_DISK/said" 2>&1
        check_equal "none of ${*:2} goes to $1" 1 $?
}

# check_said NAME REGEX…
check_said()
{
        local said regex

        said=$(grep -E "^$1( was not moved)?: " "$HOST_DISK/said")
        for regex in "${@:2}"; do
                check_match "$1 is refused: $regex" "$regex" "$said"
        done
}

host_create
host_install
faults_install
telegram_start --strict-webhooks 1
web_server_start
printf '10.1.2.4 inside.example.org\n' >>"$HOST_ROOT/etc/hosts"
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[Manager]
ServerProbeSec=1
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
WebhookSecret=no
EOT
for bot in hook lacks_secret; do
        hook_add "$bot" cloud <<<"WebhookSecret=yes"
done
for bot in lacks_certificate gives_key; do
        hook_add "$bot" cloud </dev/null
done
hook_add pinned cloud <<<"WebhookIPAddress=$HOOK_ADDRESS"
for bot in plain port near inside; do
        hook_add "$bot" local </dev/null
done
hook_add stuck local <<<$'Fallback=auto\nFallbackGraceSec=5'
server_local_mode
chroot "$HOST_ROOT" systemctl --quiet mask systemd-timedated.service

echo "s3cret_for-this" | host_put /etc/tgswitch/secrets/hook 600
echo "not a secret" | host_put /etc/tgswitch/secrets/lacks_secret 600
cat "$HOST_DISK/hook.key" "$HOST_DISK/hook.pem" | host_put /etc/tgswitch/certificates/gives_key 600

webhook_certificate pinned >/dev/null
pem=$(webhook_certificate hook)
webhook_set hook "$HOOK_URL?${BOT_TOKENS[hook]}" \
        "$(jq '. + {secret_token: "s3cret_for-this", max_connections: 7, allowed_updates: "[\"message\"]"}' <<<"$pem")"
webhook_set lacks_secret "$HOOK_ROOT/x" '{"secret_token":"x"}'
webhook_set lacks_certificate "$HOOK_ROOT/x" "$pem"
webhook_set gives_key "$HOOK_ROOT/x" "$pem"
webhook_set pinned "${HOOK_URL/hooks/only-by-address}" \
        "$(jq --arg ip "$HOOK_ADDRESS" '. + {ip_address: $ip, address: $ip, max_connections: 100}' <<<"$pem")"
host_boot
check "the local server runs for those that are there" telegram_wait event=server-start
telegram_inject hook 0 3
check "hook: the cloud delivers over https" telegram_wait event=update-delivered bot="${BOT_IDS[hook]}" code=200 count=3

# ---- what is not there ----

seq=$(telegram_seq)
refused local lacks_secret lacks_certificate gives_key
check_said lacks_secret "secret_lacks_secret is no secret token" "/etc/tgswitch/secrets/lacks_secret"
check_said lacks_certificate "does not give back" "/etc/tgswitch/certificates/lacks_certificate" "without its key"
check_said gives_key "gives_key has a private key in it" "sends to no server" "the certificate alone"
check_match "gives_key: the journal says it, too" "gives_key has a private key" \
        "$(host_run journalctl --unit=tgswitchd.service --output=cat)"
check_equal "nothing was changed anywhere" 0 \
        "$(telegram GET "/ledger?event=request&since=$seq" | grep -cE '"method":"(set|delete)webhook"|"method":"logout"')"

# ---- there and back ----

before=$(webhook_settings hook cloud)
check_match "the webhook has all settings" "message.*BEGIN CERTIFICATE.*:7,.*s3cret_for-this.*\{secret\}" "$before"
check "hook: goes to the local server" host_run tgswitchctl switch local --yes hook
check_arrived hook local
check_equal "its settings are the same there" "$before" "$(webhook_settings hook local)"
check "pinned: goes to the local server" host_run tgswitchctl switch local --yes pinned
check_arrived pinned local
check_equal "its address went along" "$(webhook_settings pinned cloud)" "$(webhook_settings pinned local)"
time_pass $(($(window_left hook cloud) + 1))
check "hook: goes back to the cloud" host_run tgswitchctl switch cloud --yes hook
check_arrived hook cloud
check_equal "its settings are the same there again" "$before" "$(webhook_settings hook cloud)"
check_equal "and were set there by tgswitchd" setWebhook "$(telegram GET \
        "/ledger?event=webhook-set&bot=${BOT_IDS[hook]}&role=cloud" | jq -r -s 'last.by')"

# ---- what the cloud would refuse ----

local_call plain setWebhook -d "url=http://hooks.example.org/x" >/dev/null
local_call stuck setWebhook -d "url=http://hooks.example.org/x" >/dev/null
local_call port setWebhook -d "url=https://hooks.example.org:9443/x" -d max_connections=5000 >/dev/null
local_call near setWebhook -d "url=https://10.1.2.3/x" >/dev/null
local_call inside setWebhook -d "url=https://inside.example.org/x" >/dev/null
for bot in plain stuck port near inside; do
        check_match "$bot: the local server takes the webhook" '"url":"http' "$(local_call "$bot" getWebhookInfo)"
done
seq=$(telegram_seq)
refused cloud plain port near inside
check_said plain "is http, and the cloud takes https only" "give hooks.example.org a certificate"
check_said port "has port 9443, and the cloud takes only 443, 80, 88 and 8443"
check_said near "has 10.1.2.3 as its host, a private or reserved address"
check_said inside "delivered to 10.1.2.4 now, a private or reserved address" "WebhookIPAddress=dns in bots.d/inside.conf"
check_equal "nothing was changed at either server" 0 \
        "$(telegram GET "/ledger?event=request&since=$seq" | grep -cE '"method":"(set|delete)webhook"|"method":"logout"')"
for bot in plain port near inside; do
        check_equal "$bot: is at the local server" local "$(bot_property "$bot" Seat)"
        check_equal "$bot: and nothing with its token went to the cloud" 0 "$(cloud_requests 0 "$bot")"
done

# With another name for the cloud to look up, and a port that it takes, the two may go.
local_call port setWebhook -d "url=https://hooks.example.org:8443/x" -d max_connections=5000 >/dev/null
echo "WebhookIPAddress=dns" >>"$HOST_ROOT/etc/tgswitch/bots.d/inside.conf"
rm "$HOST_ROOT/etc/tgswitch/tgswitch.conf.d/20-local.conf"
check "the daemon reads it" host_run systemctl reload tgswitchd.service
check_match "port: max_connections are told" "max_connections 100 in place of 5000" \
        "$(host_run tgswitchctl plan cloud port)"
check_match "inside: may go" "The webhook can be set again" "$(host_run tgswitchctl plan cloud inside)"

# ---- what a local server without --local would refuse, which it is taken for now ----

webhook_set lacks_certificate http://hooks.example.org/x
check_match "lacks_certificate: would not get its webhook there" \
        "the local server, which runs without --local, takes https only.*LocalFiles=" \
        "$(host_run tgswitchctl check local lacks_certificate | tr -s ' \n' ' ')"

# ---- a fallback that the webhook does not allow ----

seq=$(telegram_seq)
check "the daemon is restarted" host_run systemctl restart tgswitchd.service
check "stuck: its webhook is seen" telegram_wait event=answer method=getwebhookinfo bot="${BOT_IDS[stuck]}" since="$seq"
mark=$(bus_mark)
server_dies
check_equal "stuck: it tries to leave the dead server" failed "$(job_wait "$mark" stuck)"
check_match "stuck: and tells why it cannot" "server is dead, .* is http, and the cloud takes https only" \
        "$(bot_property stuck LastError)"
check "the daemon goes on looking after the server" server_probed 3
check_equal "stuck: it does not try again at once" 1 "$(tail -n "+$((mark + 1))" "$HOST_DISK/bus.log" |
        grep '"member":"JobNew"' | grep -c '"stuck"')"
check_equal "stuck: nothing with its token went to the cloud" 0 "$(cloud_requests 0 stuck)"
server_returns

check "every update is accounted for" telegram_finish
check_verdict
tap_done
