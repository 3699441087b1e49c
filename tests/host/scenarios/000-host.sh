#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The host itself, and that the package fits it: everything that needs no bot.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

units=(tgswitchd.service tgswitchd-credential.socket tgswitch-local.service tgswitch-local@shop.service
        tgswitch-cloud.service tgswitch-cloud@shop.service telegram-bot-api.service tgswitchd-credentials.service)

host_create
host_install
telegram_start
host_boot

check "the host boots without a failed unit" host_run systemctl is-system-running --wait

# systemd-analyze prints what it dislikes and succeeds all the same.
check_equal "systemd-analyze verify finds nothing" "" \
        "$(host_run systemd-analyze verify --man=no "${units[@]}" 2>&1)"
for unit in "${units[@]}"; do
        [[ $unit == *.service ]] || continue
        check "exposure of $unit is at most 1.1" \
                host_run systemd-analyze security --offline=true --threshold=11 --no-pager \
                "/usr/lib/systemd/system/${unit/@*./@.}"
done

check "the credential socket listens" host_run systemctl is-active tgswitchd-credential.socket
check_equal "the credential socket is root's alone" "0:0 600" \
        "$(host_run stat -c '%u:%g %a' /run/tgswitch/credential.sock)"
check_equal "its directory is root's" "0:0 755" "$(host_run stat -c '%u:%g %a' /run/tgswitch)"
check_equal "tokens are root's alone" "0:0 700" "$(host_run stat -c '%u:%g %a' /etc/tgswitch/tokens)"
for unit in tgswitch-local.service telegram-bot-api.service; do
        check_equal "$unit is not enabled by installing it" disabled "$(host_run systemctl is-enabled "$unit")"
done
check_equal "tgswitch-cloud.service is none to enable" static "$(host_run systemctl is-enabled tgswitch-cloud.service)"

check "the daemon gets ready" host_run systemctl start tgswitchd.service
check_equal "the daemon runs as its own user" tgswitch \
        "$(host_run systemctl show --property=User --value tgswitchd.service)"
check "the daemon has its name on the bus" host_run busctl status org.tgswitch1
check "nobody else may have that name" fails host_run busctl call org.freedesktop.DBus /org/freedesktop/DBus \
        org.freedesktop.DBus RequestName su org.tgswitch1 0
check "the daemon reloads" host_run systemctl reload tgswitchd.service
sed -i 's/^#\([A-Z]\)/\1/' "$HOST_ROOT/etc/tgswitch/tgswitch.conf"
check "every setting of tgswitch.conf is understood" host_run systemctl reload tgswitchd.service
echo "Wroker=x.service" >>"$HOST_ROOT/etc/tgswitch/tgswitch.conf"
check "an unknown one is refused" fails host_run systemctl reload tgswitchd.service
check "the daemon stops by itself when told to" host_run systemctl stop tgswitchd.service
check_equal "and not by force" success "$(host_run systemctl show --property=Result --value tgswitchd.service)"
check "a call starts it again" host_run busctl introspect org.tgswitch1 /org/tgswitch1

pid=$(daemon_pid)
check "the daemon can be killed" daemon_kill
check "it comes back from SIGKILL" host_run systemctl start tgswitchd.service
check "as another process" test "$pid" != "$(daemon_pid)"

host_power_cut
host_boot
check "the host boots after a power cut" host_run systemctl is-system-running --wait
host_shutdown
host_boot
check "and after an orderly shutdown" host_run systemctl is-system-running --wait

tap_done
