#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The frameworks of 640 with webhooks: each bot an HTTPS server with a secret token, and a webhook that Telegram has of
# it. To the local server and back; the webhook goes with the bot, which never sets one itself. What was pending when it
# was deleted reaches the bot (L1 to L4, L6, L7).

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
frameworks_network
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=5
SettleSec=1
EOT
for bot in "${!FRAMEWORK_INPUT[@]}"; do
        framework_webhook_add "$bot"
done
host_boot

frameworks_there_and_back
tap_done
