#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The screens in the documentation are what is really seen: each command that stands there is typed at a terminal, and
# what comes out is compared. With SCREENS_WRITE=yes (`make screens`) it is written instead.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/screens.sh
source "$HOST_DIR/screens.sh"

# desk_add: a bot that tgswitchd has not heard of. Its service is an ordinary one, with the token in an environment
# file.
desk_add()
{
        bot_add desk cloud desk.service </dev/null
        rm -r "$HOST_ROOT"/etc/tgswitch/{tokens/desk,bots.d/desk.conf} "$HOST_ROOT/etc/systemd/system/desk.service.d"
        sed -i '/^ExecStart=/i EnvironmentFile=/etc/default/desk' "$HOST_ROOT/etc/systemd/system/desk.service"
        host_put /etc/default/desk 600 <<<"BOT_TOKEN=${BOT_TOKENS[desk]}"$'\nBOT_API_ROOT=https://api.telegram.org'
        canary_file /etc/default/desk desk
        canary_environ desk desk.service
}

# worker_signal SIGNAL UNIT
worker_signal()
{
        host_run systemctl kill --signal="$1" "$2"
}

TERMINAL_TIMEOUT_SEC=30
# What the worker of shop leaves behind when it is stopped takes a moment, which ends with a line on this FIFO.
STOPPING=/var/lib/stopping

host_create
host_install
telegram_start --latency-ms 50
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
SettleSec=1
EOT
host_boot

# ---- begin ----

check "tgswitchd has started" host_run systemctl start tgswitchd.service
screen first
desk_add
host_run systemctl daemon-reload
host_run systemctl start desk.service
check "desk: its service runs" telegram_wait event=worker-start bot="${BOT_IDS[desk]}"
screen_open add
screen_paste ': ?' <<<"${BOT_TOKENS[desk]}"
screen_answer 'cloud or local\? \[cloud\] ?' cloud
screen_answer 'Which of them, by number or name\? [^'$'\n'']*' 1
screen_answer '\[y/N\] ?' y
screen_end add

bot_add shop cloud shop.service </dev/null
bot_add news cloud news.service <<<"DrainTimeoutSec=1"
host_put /etc/systemd/system/shop.service.d/60-test.conf <<<$'[Service]\nExecStopPost=/bin/sh -c \'read _ <'"$STOPPING'"
mkfifo "$HOST_ROOT$STOPPING"
host_run systemctl daemon-reload
host_run systemctl restart tgswitchd.service
host_run systemctl start shop.service news.service
for bot in shop news; do
        check "$bot: its worker runs" telegram_wait event=worker-start bot="${BOT_IDS[$bot]}"
done
screen overview

# ---- look ----

screen status
screen list
screen plan
screen checks

# ---- a move: three updates that the worker still takes, two that come when it has ended ----

worker_signal STOP shop.service
telegram_inject shop 0 3
telegram_fault "{\"role\":\"local\",\"method\":\"getMe\",\"bot\":${BOT_IDS[shop]},\"kind\":\"delay\",\"ms\":2000}"
screen_open switch
mark=$(bus_mark)
screen_answer '\[y/N\] ?' y
phase_wait "$mark" shop drain
# The drain has seen them.
telegram_wait event=answer method=getwebhookinfo since="$(telegram_seq)" >/dev/null
worker_signal CONT shop.service
telegram_wait event=worker-stop bot="${BOT_IDS[shop]}" >/dev/null
telegram_inject shop 0 2
echo >"$HOST_ROOT$STOPPING"
screen_moment switch-live 'log-in [0-9][^'$'\n'']*$'
screen_end switch
host_run rm /etc/systemd/system/shop.service.d/60-test.conf
host_run systemctl daemon-reload
screen status-local
screen is-local

# ---- the way back ----

screen too-early
mark=$(bus_mark)
screen_open when-allowed
screen_next
screen_next
job_wait "$mark" shop >/dev/null
screen_end when-allowed

# ---- held, with updates that nobody takes ----

host_run systemctl stop news.service
telegram_inject news 0 2
telegram_fault "{\"role\":\"local\",\"method\":\"getMe\",\"bot\":${BOT_IDS[news]},\"kind\":\"delay\",\"ms\":1000}"
mark=$(bus_mark)
screen_open hold-at
terminal_ends
job_becomes "$mark" "$(job_number news)" Holding true
screen_next
terminal_ends
holding=$TERMINAL left=("${commands[@]}")
screen_open monitor
terminal_shows 'Ctrl-C ends it'
monitor=$TERMINAL
TERMINAL=$holding commands=("${left[@]}")
screen_end hold-at
phase_wait "$mark" news log-in
screen wait
TERMINAL=$monitor commands=()
terminal_shows 'job [0-9]+ done'
terminal_key C-c
screen_end monitor
screen spool
screen history
screen metrics
screen hold
host_run systemctl start news.service

# ---- set up ----

screen adopt-undo '\[y/N\] ?' y
screen adopt '\[y/N\] ?' y
# BotFather has given a new one, and the old one is dead. The worker has not noticed yet.
worker_signal STOP shop.service
telegram POST /bots/revoke "{\"bot\":${BOT_IDS[shop]}}" >/dev/null
BOT_TOKENS[shop]=$(canary_token "${BOT_IDS[shop]}")
telegram POST /bots "{\"token\":\"${BOT_TOKENS[shop]}\",\"username\":\"shop_bot\",\"session\":\"none\"}" >/dev/null
screen_open set-token
screen_paste ': ?' <<<"${BOT_TOKENS[shop]}"
screen_answer '\[y/N\] ?' y
screen_end set-token

# ---- what goes wrong ----

screen no-bot
host_put /etc/systemd/system/desk.service.d/90-test.conf <<<$'[Service]\nExecStartPre='
host_run systemctl daemon-reload
screen no-gate
host_run rm /etc/systemd/system/desk.service.d/90-test.conf
host_run systemctl daemon-reload
host_run systemctl stop telegram-bot-api.service
host_run mv /usr/bin/telegram-bot-api /usr/bin/telegram-bot-api.away
screen no-server
host_run mv /usr/bin/telegram-bot-api.away /usr/bin/telegram-bot-api
echo "DrainTimeOut=5" >>"$HOST_ROOT/etc/tgswitch/bots.d/desk.conf"
screen bad-file
sed -i '/^DrainTimeOut=/d' "$HOST_ROOT/etc/tgswitch/bots.d/desk.conf"
host_run systemctl reload tgswitchd.service
screen_open bad-token
screen_paste ': ?' <<<"${BOT_TOKENS[shop]}"
screen_end bad-token
screen no-right
screen remove '\[y/N\] ?' y

if [[ ${SCREENS_WRITE:-} ]]; then
        screens_write
else
        screens_check
fi
tap_done
