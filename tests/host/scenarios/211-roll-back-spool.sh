#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Moves that fail while the daemon spools, with the workers stopped and updates waiting: the last moment at which all
# can be put back. Each job holds before log-out, updates come, something breaks, and the job is told to go on. Defends
# L9 and L6: the worker is back at the same server, and nothing is lost, whether the server had it or the spool alone.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

SERVER="telegram-bot-api.service"
CONFLICT='{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: terminated by other getUpdates request\"}'
GARBLED='{\"ok\":true,\"result\":[{\"no\":\"update_id\"}]}'

# hold BOT…: moves them until all hold before log-out.
hold()
{
        local bot mark

        for bot; do
                mark=$(bus_mark)
                check "$bot: a move begins" bot_switch "$bot" 1 hold-at s log-out
                check "$bot: it holds" job_becomes "$mark" "$(job_number "$bot")" Holding true
        done
}

proceed()
{
        check "$1: it is told to go on" host_run tgswitchctl proceed "$(job_number "$1")"
}

# fault BOT FIELDS: on its getUpdates at the cloud.
fault()
{
        telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[$1]},\"method\":\"getUpdates\",$2}"
}

# check_handles BOT N [FROM]: its worker, at the cloud, handles so many that came since `seq`.
check_handles()
{
        check "$1: the worker handles all $2" telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" \
                root=https://api.telegram.org since="$seq" count="$2" from="${3:-poll}"
}

webhook_url()
{
        telegram GET /state |
                jq -r --argjson bot "${BOT_IDS[hooked]}" '.servers.cloud[] | select(.bot == $bot).webhook.url // ""'
}

bots=(conflict garbled gateway hung keeper partly plain)

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOF'
[Manager]
StateFreeMin=1M
[BotDefaults]
SpoolTimeoutSec=1
SettleSec=200ms
EOF
for bot in "${bots[@]}"; do
        bot_add "$bot" </dev/null
done
echo SpoolTo=none >>"$HOST_ROOT/etc/tgswitch/bots.d/keeper.conf"
bot_add hooked <<<"WebhookSecret=no"
printf '[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n' |
        host_put /etc/systemd/system/hooked-worker.service.d/60-test.conf
# The address has the token in it, as Telegram's manual advises; the record on disk must not.
url=https://example.org/${BOT_TOKENS[hooked]}
telegram POST /webhook-settings "{\"bot\":${BOT_IDS[hooked]},\"url\":\"$url\",\"max_connections\":7}" >/dev/null
# A state directory that can be filled.
host_put /etc/systemd/system/var-lib-tgswitch.mount <<'EOF'
[Mount]
What=tmpfs
Where=/var/lib/tgswitch
Type=tmpfs
Options=size=8M
[Install]
WantedBy=local-fs.target
EOF
chroot "$HOST_ROOT" systemctl --quiet enable var-lib-tgswitch.mount
host_boot
check "the workers start" telegram_wait event=worker-start count=${#bots[@]}

# ---- the cloud ----

mark=$(bus_mark)
hold "${bots[@]}" hooked
check_equal "hooked: its webhook is gone" "" "$(webhook_url)"
seq=$(telegram_seq)
for bot in conflict garbled gateway hung; do
        telegram_inject "$bot" 0 5
done
# More than one batch: the first is confirmed when the second is asked for, and only the spool has it then.
telegram_inject keeper 0 150
telegram_inject partly 0 150
fault conflict "\"kind\":\"status\",\"status\":409,\"body\":\"$CONFLICT\""
fault garbled "\"kind\":\"status\",\"status\":200,\"body\":\"$GARBLED\""
fault gateway '"times":0,"kind":"bad-gateway"'
fault hooked '"times":0,"kind":"bad-gateway"'
fault hung '"kind":"hang"'
fault keeper '"after":1,"kind":"hang-after"'
fault partly '"after":1,"kind":"hang-after"'
for bot in conflict garbled gateway hooked hung keeper partly; do
        proceed "$bot"
done

check_failed "$mark" conflict "could not be spooled" "Another program polls this bot" "find and stop it"
check_failed "$mark" garbled "not well formed, and none of them was confirmed" "Look at the server"
check_failed "$mark" gateway "could not be spooled: .*502"
check_failed "$mark" hooked "could not be spooled: .*502"
check_failed "$mark" hung "could not be spooled: "
check_failed "$mark" keeper "could not be spooled: "
check_failed "$mark" partly "could not be spooled: "
telegram DELETE /faults >/dev/null
for bot in conflict garbled gateway hung; do
        check_handles "$bot" 5
done
check_handles partly 100 pending
check_handles partly 50
check_handles keeper 50
check_equal "hooked: its webhook is set again, token and all" "$url" "$(webhook_url)"

# ---- a spool that nobody took ----

check_equal "keeper: 100 updates are kept" 100 "$(bot_property keeper SpooledUpdates)"
said=$(host_run tgswitchctl switch local --yes keeper 2>&1)
check_match "keeper: it is not moved with them" "100 updates of an earlier move have not been handed over" "$said"
sed -i s/SpoolTo=none/SpoolTo=keeper-worker.service/ "$HOST_ROOT/etc/tgswitch/bots.d/keeper.conf"
check "keeper: a worker is named for them" host_run systemctl reload tgswitchd.service
mark=$(bus_mark)
check "keeper: it is restarted" host_run systemctl restart keeper-worker.service
check_handles keeper 100 pending
check "keeper: they are handed over" bus_wait "$mark" '"SpooledUpdates":\{"type":"t","data":0\}'

# ---- the disk; plain still holds ----

mark=$(bus_mark)
seq=$(telegram_seq)
host_run dd if=/dev/zero of=/var/lib/tgswitch/filler bs=4k status=none 2>/dev/null
telegram_inject plain 0 50
proceed plain
check_failed "$mark" plain "could not be spooled: .*No space left"
host_run rm /var/lib/tgswitch/filler
check_handles plain 50
check "the server, started for the checks, is stopped" server_stops "$mark"

# ---- the local server ----

mark=$(bus_mark)
seq=$(telegram_seq)
hold plain
host_run systemctl --quiet --runtime mask --now "$SERVER"
telegram_inject plain 0 5
proceed plain
check_failed "$mark" plain "could not be spooled: $SERVER is masked"
check_handles plain 5
check_equal "the server is not running" inactive "$(host_run systemctl is-active "$SERVER")"

# ---- as if nothing had been ----

check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"
check_equal "no bot was logged in at the local server" 0 "$(telegram_count event=login role=local)"
check "every update is accounted for" telegram_finish
check_verdict
tap_done
