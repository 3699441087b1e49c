#!/bin/bash
# SPDX-License-Identifier: MIT
#
# logOut hangs for a bot that gets no updates: its long poll is still in flight when the outcome has become unknown. The
# spool before the repeat waits for it, so that spool and repeat have one connection for themselves (L1).

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<<$'[BotDefaults]\nSettleSec=200ms'
bot_add quiet </dev/null
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[quiet]},\"method\":\"logOut\",\"kind\":\"hang\"}"
host_boot
check "its worker starts on the cloud" telegram_wait event=worker-start
check "its move begins" bot_switch quiet
check_equal "the job is done" 'done' "$(job_wait 0 quiet 120)"
check_equal "logOut was repeated once" 2 "$(telegram_count event=request method=logout)"
check_equal "the bot is at the local server" local "$(bot_property quiet Seat)"
check_verdict
tap_done
