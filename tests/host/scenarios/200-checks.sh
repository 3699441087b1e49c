#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Everything that may be wrong with a bot, its workers or its token before a move. One bot for each mistake, all asked to
# move at once. Defends L9 and L3: each refusal names cause and cure, and has changed nothing. What may be wrong with
# the server's unit is in 201-checks-server.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# Workers of mistaken bots need not work, only run.
IDLE='[Service]
ExecStart=
ExecStart=/bin/sleep infinity'

# spoil NAME [UNIT-FILE-LINES]: one more drop-in of the bot's worker.
spoil()
{
        host_put "/etc/systemd/system/$1-worker.service.d/60-mistake.conf" <<<"$2"
}

# Every worker and the server's unit, as systemd sees them.
units_now()
{
        host_run systemctl show --property=Id,MainPID,ActiveState,InvocationID '*-worker.service' telegram-bot-api.service
}

# Every bot's name with its seat.
seats_now()
{
        local name

        for name in "${!BOT_IDS[@]}"; do
                echo "$name $(bot_property "$name" Seat)"
        done | sort
}

# check_refused NAME REGEX…: what `tgswitchctl switch` said of a bot matches all of them.
check_refused()
{
        local name=$1 said regex
        shift

        said=$(grep -E "^(tgswitchctl: )?$name( was not moved)?: " <<<"$answer")
        for regex; do
                check_match "$name: $regex" "$regex" "$said"
        done
}

bots=(damaged malformed masked missing missold ordered outside requiring revoked twin_a twin_b ungated webhook)

host_create
host_install
telegram_start
bot_add good </dev/null
bot_add undeclared </dev/null
for bot in "${bots[@]}"; do
        bot_add "$bot" </dev/null
        spoil "$bot" "$IDLE"
done
spoil ungated "$IDLE
LoadCredential=
ExecStartPre=
TimeoutStartSec=90"
spoil ordered "[Unit]
After=tgswitch-local.service
$IDLE"
echo "Worker=missing-other.service" >>"$HOST_ROOT/etc/tgswitch/bots.d/missing.conf"
echo "12345:tooshort" | host_put /etc/tgswitch/tokens/malformed 600
host_put /etc/tgswitch/tokens/twin_b 600 <"$HOST_ROOT/etc/tgswitch/tokens/twin_a"
# Without its seat a bot's workers get nothing; these two could not start.
printf '[Bot]\nWorker=undeclared-worker.service\n' | host_put /etc/tgswitch/bots.d/undeclared.conf
chroot "$HOST_ROOT" systemctl --quiet disable undeclared-worker.service malformed-worker.service

host_boot
bus_watch
check "the workers start" host_run systemctl start good-worker.service "${bots[@]/%/-worker.service}" \
        --no-block
