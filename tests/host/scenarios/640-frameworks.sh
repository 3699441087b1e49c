#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Bots as people write them: GramIO, grammY, Telegraf and node-telegram-bot-api, polling, busy, all at once to the local
# server and, when the window is over, back. Two get token and endpoint as credentials, two from the environment.
# Nothing is lost outside race and blind time, and nothing that a worker confirmed is handled again (L1 to L4, L6, L7).

# Not there any more when host.sh has taken the network away.
FRAMEWORKS=$("$(dirname "$0")/../../frameworks/install") || exit
# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"
# shellcheck source=tests/host/frameworks.sh
source "$(dirname "$0")/../frameworks.sh"

host_create
host_install
faults_install
frameworks_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=5
SettleSec=1
EOT
for bot in "${!FRAMEWORK_INPUT[@]}"; do
        framework_add "$bot" </dev/null
done
host_boot

frameworks_there_and_back
tap_done
