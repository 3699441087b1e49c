# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Part of test-telegram.sh: what setWebhook takes and refuses, certificates, and settings that outlive others. `dir`,
# `root`, `secret` and the helpers are its own.
# shellcheck disable=SC2154

# refused SERVER BOT DESCRIPTION [curl options]: setWebhook
refused() {
        is "$("$1" "$2" setWebhook "${@:4}")" "$(error 400 "Bad Request: $3")" "$1 refuses ${*:4}"
}

# set_at SERVER BOT [curl options]: setWebhook, with the pause that it wants between two of them
set_at() {
        "$1" "$2" deleteWebhook >/dev/null
        "$1" "$2" setWebhook --retry 3 -o "$dir/answer" "${@:3}"
        is "$(cat "$dir/answer")" '{"ok":true,"result":true,"description":"Webhook was set"}' \
                "$1 takes ${*:3}"
}

test_webhook_rules() {
        local strict bad="bad webhook: "
        bot 143 none
        bot 144
        set_at cloud 144 -d url=http://10.0.0.1:8080/
        post /settings '{"strict_webhooks":1}' >/dev/null
        # The local server of these tests runs with --local; one without is held to the same rules by the same code.
        for strict in http://93.184.215.14/ hTTp://93.184.215.14:443/; do
                refused cloud 144 "${bad}An HTTPS URL must be provided for webhook" -d "url=$strict"
        done
        has "$(cloud 144 getWebhookInfo)" '*"url":""*' "a refused webhook leaves none"
        for strict in 8080 4443 1; do
                refused cloud 144 "${bad}Webhook can be set up only on ports 80, 88, 443 or 8443" \
                        -d "url=https://93.184.215.14:$strict/"
        done
        for strict in 10.1.2.3 127.0.0.1 100.64.0.1 169.254.169.254 172.31.0.1 192.168.0.1 224.0.0.1; do
                refused cloud 144 "${bad}IP address $strict is reserved" -d "url=https://$strict/"
        done
        refused cloud 144 "${bad}IP address 127.0.0.1 is reserved" -d url=https://localhost/
        refused cloud 144 "${bad}IP address 10.0.0.1 is reserved" -d url=https://93.184.215.14/ -d ip_address=10.0.0.1
        refused cloud 144 "${bad}IPv6-only addresses are not allowed" -d 'url=https://[2001:4860::8]/'
        refused cloud 144 "${bad}Invalid IP address specified" -d url=https://93.184.215.14/ -d ip_address=x
        refused cloud 144 "invalid webhook URL specified" -d 'url=https://'
        refused cloud 144 "secret token is too long" -d url=https://93.184.215.14/ \
                -d "secret_token=$(printf '%0257d' 0)"
        set_at cloud 144 -d url=https://93.184.215.14:8443/ -d max_connections=400
        has "$(cloud 144 getWebhookInfo)" '*"max_connections":100,"ip_address":"93.184.215.14"*' \
                "the cloud tells the address, and uses no more than 100 connections"
        post /settings '{"strict_webhooks":0}' >/dev/null
        set_at at_local 143 -d url=http://localhost:1/ -d max_connections=400
        has "$(at_local 143 getWebhookInfo)" '*"max_connections":400,"ip_address":"127.0.0.1"*' \
                "--local takes any, and tells what it has found"
        at_local 143 deleteWebhook >/dev/null
}

test_webhook_settings() {
        bot 145
        bot 146
        set_at cloud 145 -d url=http://127.0.0.1:1/ -d 'allowed_updates=["message"]'
        cloud 145 deleteWebhook >/dev/null
        set_at cloud 145 -d url=http://127.0.0.1:1/
        has "$(cloud 145 getWebhookInfo)" '*"allowed_updates":\["message"\]*' "allowed_updates stay where nothing is said"
        set_at cloud 145 -d url=http://127.0.0.1:1/ -d 'allowed_updates=[]'
        has "$(cloud 145 getWebhookInfo)" '*"max_connections":40}}' "an empty list is the default"
        set_at cloud 146 -d "url=http://127.0.0.1:1/146:$secret/x" -d secret_token=s -d max_connections=3
        has "$(wait_for 'event=webhook-set&bot=146')" \
                '*"by":"setWebhook","settings":{"url":"http://127.0.0.1:1/146:{secret}/x","secret_token":"s","max_connections":3}}' \
                "the ledger has the settings, without the token"
        cloud 145 deleteWebhook >/dev/null
        cloud 146 deleteWebhook >/dev/null
}

test_webhook_certificate() {
        local since url=$root/bot140:$secret/getMe
        bot 147 none
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/other.key" -out "$dir/other.pem" -days 2 -subj /CN=x \
                -addext subjectAltName=IP:127.0.0.1 2>/dev/null
        since=$(seq_now)
        set_at at_local 147 -d "url=$url"
        post /inject '{"bot":147}' >/dev/null
        has "$(wait_for "event=update-delivered&bot=147&since=$since")" '*"code":0*' "a certificate that nobody knows"
        set_at at_local 147 -F "url=$url" -F "certificate=<$dir/cert.pem"
        has "$(at_local 147 getWebhookInfo)" '*"has_custom_certificate":false*' "a text is no file"
        since=$(seq_now)
        set_at at_local 147 -F "url=$url" -F "certificate=@$dir/other.pem"
        has "$(at_local 147 getWebhookInfo)" '*"has_custom_certificate":true*' "a certificate is uploaded"
        has "$(wait_for "event=update-delivered&bot=147&since=$since")" '*"code":0*' "but it is of another server"
        since=$(seq_now)
        set_at at_local 147 -F "url=$url" -F "certificate=@$dir/cert.pem" -F 'allowed_updates=["message"]'
        # A post with the old one may still be under way.
        has "$(wait_for "event=update-delivered&bot=147&code=200&since=$since")" '*"code":200*' \
                "with the right one it is delivered"
        has "$(wait_for "event=webhook-set&bot=147&count=4")" '*"allowed_updates":"\[\\"message\\"\]"*BEGIN CERTIFICATE*' \
                "fields of a form are read like others"
        at_local 147 deleteWebhook >/dev/null
        bot 148
        post /webhook-settings "$(jq -n --arg url "$url" --rawfile pem "$dir/cert.pem" \
                '{bot: 148, url: $url, certificate: $pem}')" >/dev/null
        post /inject '{"bot":148}' >/dev/null
        has "$(wait_for "event=update-delivered&bot=148")" '*"code":200*' "an administrator's certificate is used, too"
}
