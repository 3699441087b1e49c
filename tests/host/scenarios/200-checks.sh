#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What may be wrong with a bot, its token and its workers before a move: one bot for each mistake, all asked to move
# at once. Defends L3 and L9: a refusal names cause and cure, and has changed nothing. What may be wrong with the
# server is in 201-checks-server.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# The workers of mistaken bots need not work, only run.
IDLE=$'[Service]\nExecStart=\nExecStart=/bin/sleep infinity'
# Bots whose mistake is found before anything is asked of a server.
SILENT=(changed damaged malformed twin_a twin_b undeclared)
BOTS=("${SILENT[@]}" masked missing ordered outside requiring revoked stale timed ungated webhook)

# spoil BOT LINES: one more drop-in of its worker.
spoil()
{
        host_put "/etc/systemd/system/$1-worker.service.d/60-mistake.conf" <<<"$2"
}

# What a refusal must leave alone.
host_now()
{
        # Unlike a glob, names are shown in the order given, and whether they are loaded or not.
        host_run systemctl show --property=Id,MainPID,ActiveState,InvocationID "${BOTS[@]/%/-worker.service}" \
                telegram-bot-api.service
        for bot in "${BOTS[@]}"; do
                echo "$bot is at $(bot_property "$bot" Seat)"
        done
}

# check_refused BOT REGEX…: what `tgswitchctl switch` said of the bot matches each.
check_refused()
{
        local bot=$1 said regex
        shift

        said=$(grep -E "^$bot( was not moved)?: " "$HOST_DISK/said")
        for regex; do
                check_match "$bot is refused: $regex" "$regex" "$said"
        done
}

# ---- mistakes that are there when the host boots ----

host_create
host_install
telegram_start
bot_add good <<<"SettleSec=1"
for bot in "${BOTS[@]}"; do
        bot_add "$bot" </dev/null
        spoil "$bot" "$IDLE"
done
spoil ordered $'[Unit]\nAfter=tgswitch-local.service\n'"$IDLE"
spoil ungated "$IDLE"$'\nLoadCredential=\nLoadCredential=bot-endpoint:/run/tgswitch/credential.sock\nExecStartPre=\n'\
$'TimeoutStartSec=90'
echo "Worker=missing-other.service" >>"$HOST_ROOT/etc/tgswitch/bots.d/missing.conf"
printf '[Bot]\nWorker=undeclared-worker.service\n' | host_put /etc/tgswitch/bots.d/undeclared.conf
echo "12345:too-short" | host_put /etc/tgswitch/tokens/malformed 600
host_put /etc/tgswitch/tokens/twin_b 600 <"$HOST_ROOT/etc/tgswitch/tokens/twin_a"
canary_file /etc/tgswitch/tokens/twin_b twin_a
canary_file /run/credentials/tgswitchd.service/token_twin_b twin_a
canary_unit twin_b-worker.service twin_a
# These two would be refused their credentials and fail, which is not what this is about.
chroot "$HOST_ROOT" systemctl --quiet disable undeclared-worker.service malformed-worker.service

host_boot
check "the host is up with its workers" host_run systemctl is-system-running --wait

# ---- mistakes that come later ----

host_run systemctl stop tgswitchd.service
printf X | dd of="$HOST_ROOT/var/lib/tgswitch/bots/damaged.state" bs=1 seek=200 conv=notrunc status=none
echo "7199999999:AA-a-token-of-quite-another-bot-000" | host_put /etc/tgswitch/tokens/changed 600
host_run systemctl start tgswitchd.service

units=$HOST_ROOT/etc/systemd/system
mv "$units/masked-worker.service" "$units/masked-worker.kept"
ln -s /dev/null "$units/masked-worker.service"
printf '[Timer]\nOnCalendar=yearly\nUnit=timed-worker.service\n' | host_put /etc/systemd/system/timed-later.timer
spoil requiring $'[Unit]\nRequires=telegram-bot-api.service\n'"$IDLE"
host_run systemctl daemon-reload
host_run systemctl start timed-later.timer
spoil stale "$IDLE"$'\nNice=1'
# The daemon brought the rule in step when it started. A new polkitd has read what is there now.
sed -i '/outside-worker/d' "$HOST_ROOT/etc/polkit-1/rules.d/50-tgswitch.rules"
host_run systemctl restart polkit.service
telegram POST /bots/revoke "{\"bot\":${BOT_IDS[revoked]}}" >/dev/null
telegram POST /webhook-settings "{\"bot\":${BOT_IDS[webhook]},\"url\":\"https://example.org/hook\"}" >/dev/null

# ---- all are refused ----

before=$(host_now)
host_run tgswitchctl switch local --yes "${BOTS[@]}" >"$HOST_DISK/said" 2>&1
check_equal "no bot is moved" 1 $?

check_refused changed "token is of bot 7199999999" "on record as bot ${BOT_IDS[changed]}" "tgswitchctl set-token changed"
check_refused damaged "damaged.state cannot be used" "Nothing is sent for this bot" "Put a good copy there"
check_refused malformed "no usable token" "has to be one line" "tgswitchctl set-token malformed"
check_refused masked "masked-worker.service is masked" "systemctl unmask"
check_refused missing "missing-other.service does not exist" "correct Worker= in bots.d/missing.conf"
check_refused ordered "ordered-worker.service is ordered after the cutover" "Take After=tgswitch-local.service out"
check_refused outside "may not control outside-worker.service" "systemctl reload tgswitchd"
check_refused requiring "requiring-worker.service requires or binds to telegram-bot-api.service" \
        "take that dependency out"
check_refused revoked "does not accept the bot's token" "Unauthorized" "BotFather"
check_refused stale "stale-worker.service has changed on disk" "systemctl daemon-reload"
check_refused timed "may not control timed-later.timer" "systemctl reload tgswitchd"
check_refused twin_a "twin_a and twin_b have tokens of the same bot" "Remove the configuration of one"
check_refused twin_b "twin_b and twin_a have tokens of the same bot"
check_refused undeclared "Nobody has said where undeclared is logged in" "InitialSeat=cloud" "tgswitchctl set-seat"
check_refused ungated "does not load the credential bot-token from" "add LoadCredential=bot-token:" \
        "no ExecStartPre= that fails" "TimeoutStartSec=infinity"
check_refused webhook "A webhook is set" "WebhookSecret=no in bots.d/webhook.conf" "secrets/webhook"

check_equal "the server was not started for any of it" 0 "$(telegram_count event=server-start)"
check_equal "workers, server and seats are as before" "$before" "$(host_now)"
check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"
for bot in "${SILENT[@]}"; do
        check_equal "nothing was ever sent for $bot" 0 "$(telegram_count event=request bot="${BOT_IDS[$bot]}")"
done

# ---- none of it is in the way of others ----

check "a good bot among them moves" host_run tgswitchctl switch local --yes good
telegram_inject good 0 5
check "its worker handles updates at the local server" telegram_wait event=worker-handled \
        root=http://127.0.0.1:8081 count=5
check "every update is accounted for" telegram_finish
check_verdict
tap_done
