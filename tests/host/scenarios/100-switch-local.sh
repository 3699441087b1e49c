#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The ordinary move: a busy bot goes from the cloud to the local server by `systemctl start tgswitch-local`. Defends
# L1 to L4, L6 and L7 where nothing goes wrong.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

host_create
host_install
telegram_start --latency-ms 50
bot_add shop </dev/null
host_boot

check "the worker starts on the cloud" telegram_wait event=worker-start unit=shop-worker.service \
        root=https://api.telegram.org
telegram_inject shop 20
check "and handles updates" telegram_wait event=worker-handled from=poll count=40
check_equal "the bot's seat is the cloud" cloud "$(bot_property shop Seat)"

# Arguments without a name would have none in a client's documentation, either.
for path in /org/tgswitch1 /org/tgswitch1/bot/shop; do
        xml=$(host_run busctl introspect --xml-interface org.tgswitch1 "$path")
        check_match "$path is documented by its introspection" 'interface name="org.tgswitch1\.' "$xml"
        check_equal "$path: every argument has a name" "" "$(grep '<arg' <<<"$xml" | grep -v ' name="')"
done
check_match "the bot has its methods" 'method name="SwitchToLocal"' "$xml"

seq=$(telegram_seq)
check "systemctl start tgswitch-local succeeds" host_run systemctl start tgswitch-local.service
check_equal "when it returns, the bot's seat is local" local "$(bot_property shop Seat)"
check "the worker handles updates of the local server" telegram_wait event=worker-handled \
        root=http://127.0.0.1:8081 since="$seq" count=40
check_equal "exactly one logOut was sent" 1 "$(telegram_count event=request method=logout)"

seq=$(telegram_seq)
check "a second start succeeds" host_run systemctl start tgswitch-local.service
check_equal "and sends nothing to the cloud" 0 "$(telegram_count event=request role=cloud since="$seq")"

check "every update is accounted for" telegram_finish
check_verdict
tap_done
