#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The whole daemon under valgrind, over a refused move, a lost answer to logOut and a clean end: no error, nothing
# leaked. What runs here are its own paths between the adapters, which have tests of their own.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

host_create
host_install
telegram_start
bot_add shop <<<"SettleSec=1"
bot_add news <<<"SettleSec=1"
# With everything that check looks at.
printf '[Manager]\nLocalFiles=/var/lib/telegram-bot-api\n' | host_put /etc/tgswitch/tgswitch.conf.d/20-files.conf
for bot in shop news; do
        printf '[Service]\nSupplementaryGroups=tgswitch-files\n' |
                host_put "/etc/systemd/system/$bot-worker.service.d/60-files.conf"
done
# Without its sandbox: valgrind writes code as it runs, and its log.
host_put /etc/systemd/system/tgswitchd.service.d/valgrind.conf <<EOF
[Service]
ExecStart=
ExecStart=/usr/bin/valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99 \
        --child-silent-after-fork=yes --log-file=/var/lib/tgswitch/valgrind.%%p /usr/libexec/tgswitch/tgswitchd
MemoryDenyWriteExecute=no
SystemCallFilter=
LimitMEMLOCK=infinity
WatchdogSec=0
TimeoutStartSec=120
EOF
host_boot

check "the worker starts" telegram_wait event=worker-start unit=shop-worker.service timeout_ms=60000
telegram POST /inject "{\"bot\":${BOT_IDS[shop]},\"count\":40}" >/dev/null

telegram_fault '{"role":"local","kind":"silent"}'
check "a move is refused while the local server is silent" fails host_run tgswitchctl switch local news --yes
telegram DELETE /faults >/dev/null
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[shop]},\"method\":\"logOut\",\"kind\":\"drop-after\"}"
check "both bots move, one with a lost answer" host_run tgswitchctl switch local --all --yes
check_equal "shop is local" local "$(bot_property shop Seat)"
check_equal "news is local" local "$(bot_property news Seat)"
check "the configuration is read again" host_run tgswitchctl reload

check "the daemon ends" host_run systemctl stop tgswitchd.service
check_equal "by itself" success "$(host_run systemctl show --property=Result --value tgswitchd.service)"
reports=("$HOST_ROOT"/var/lib/tgswitch/valgrind.*)
check "there is a report" test -s "${reports[0]}"
check_equal "and it has no errors" "" "$(grep -L 'ERROR SUMMARY: 0 errors' "${reports[@]}")"
[[ ${TAP_FAILED:-0} == 0 ]] || sed 's/^/# /' "${reports[@]}"
check "every update is accounted for" telegram_finish
check_verdict
tap_done
