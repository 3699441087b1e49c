# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Webhooks that both servers take, and where they lead to. Sourced after host.sh. The cloud delivers over https to a few
# ports of public addresses, and check holds every webhook to that which is to go there.

HOOK_ADDRESS=93.184.215.14
HOOK_URL=       # of a webhook whose updates are all taken; web_server_start sets it

# world_address ADDRESS NAME…: an address of the world with its names, as everybody finds them, Telegram and the host
# alike. It is on the loopback device of this network, and leads no further. To be called before telegram_start's first
# look at a name.
world_address()
{
        mountpoint -q /etc/hosts || {
                cp /etc/hosts "$HOST_DISK/hosts"
                mount --bind "$HOST_DISK/hosts" /etc/hosts
        }
        ip address replace "$1/32" dev lo
        echo "$@" | tee -a "$HOST_DISK/hosts" >>"$HOST_ROOT/etc/hosts"
}

# web_server_start: takes whatever is posted to $HOOK_URL, which no authority has signed: its certificate is
# $HOST_DISK/hook.pem, for all names below example.org. A second Telegram does for a web server: it answers everything
# that comes for the getMe of its bot. Does nothing where it runs.
web_server_start()
{
        local token output

        [[ -z $HOOK_URL ]] || return 0
        world_address "$HOOK_ADDRESS" hooks.example.org
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=hooks.example.org" \
                -addext "subjectAltName=DNS:*.example.org" -keyout "$HOST_DISK/hook.key" -out "$HOST_DISK/hook.pem" \
                2>"$HOST_DISK/openssl-hook.log" || host_bail "no certificate for webhooks"
        exec {output}< <(exec "$BUILD/tests/telegram/telegram-sim" --cloud-listen "$HOOK_ADDRESS:8443" \
                --cert "$HOST_DISK/hook.pem" --key "$HOST_DISK/hook.key" --control 127.0.0.1:8910 \
                --truth 127.0.0.1:8911 --ledger "$HOST_DISK/web-server.jsonl" 2>"$HOST_DISK/web-server.log")
        read -r -t 60 -u "$output" _ || host_bail "no web server: $(<"$HOST_DISK/web-server.log")"
        token=7200000000:$(printf '%035d' 0)
        TELEGRAM_CONTROL=127.0.0.1:8910 telegram POST /bots "{\"token\":\"$token\"}" >/dev/null
        HOOK_URL=https://hooks.example.org:8443/bot$token/getMe
}

# webhook_set NAME URL [JSON]: at the cloud, as an administrator had done earlier; more settings as an object.
webhook_set()
{
        telegram POST /webhook-settings "$(jq -n --argjson bot "${BOT_IDS[$1]}" --arg url "$2" \
                --argjson more "${3:-{\}}" '{bot: $bot, url: $url} + $more')" >/dev/null
}

# webhook_certificate NAME: tgswitchd may give the web server's certificate to servers. Prints it as webhook_set takes it.
webhook_certificate()
{
        host_put "/etc/tgswitch/certificates/$1" <"$HOST_DISK/hook.pem"
        jq -Rs '{certificate: .}' "$HOST_DISK/hook.pem"
}

# webhook_settings NAME cloud|local: of the webhook that was set there last, but for the address that a server finds.
webhook_settings()
{
        telegram GET "/ledger?event=webhook-set&bot=${BOT_IDS[$1]}&role=$2" |
                jq -S -s -c 'last.settings | del(.address)'
}

# webhook_at NAME cloud|local: the last that became of the webhook there, webhook-set or webhook-deleted.
webhook_at()
{
        telegram GET "/ledger?bot=${BOT_IDS[$1]}&role=$2" |
                jq -s -r 'map(select(.event | startswith("webhook-"))) | last | .event // "none"'
}
