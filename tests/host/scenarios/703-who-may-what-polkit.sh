#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A host whose polkitd is gone: who would have to be asked about is refused, with a sentence; everybody reads; root goes
# on as far as systemd lets the daemon; and all of it has changed nothing (L9). And the daemon's own rights: they follow
# the configuration by root's tools alone, whoever else makes the daemon read it again.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/matrix.sh
source "$(dirname "$0")/../matrix.sh"

LATER=18446744073709551614
RULES=/etc/polkit-1/rules.d/50-tgswitch.rules
SYSTEMD="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"

# state_now: what a refusal must leave alone.
state_now()
{
        bot_property shop Seat
        bot_property shop Phase
        bot_property shop HeldUntilUSec
        host_run sha256sum /var/lib/tgswitch/bots/shop.state
        host_run systemctl show --property=Id,ActiveState,InvocationID shop-worker.service telegram-bot-api.service
}

# try_rows: all rows by everybody, what is refused first.
try_rows()
{
        local subject

        for subject in "${MATRIX_SUBJECTS[@]}"; do
                matrix_run "$subject" refused
        done
        for subject in "${MATRIX_SUBJECTS[@]}"; do
                matrix_run "$subject" allowed
        done
        matrix_check
        matrix_print
}

# as USER COMMAND…
as()
{
        host_run setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"
}

host_create
host_install
telegram_start
matrix_install root admin user tgswitch
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
SettleSec=200ms
EOT
bot_add shop </dev/null
host_boot
check "the worker starts" telegram_wait event=worker-start count=1
daemon=$(daemon_pid)

# ---- polkitd is gone: it is masked, then not even installed ----

host_run systemctl mask --quiet --runtime --now polkit.service
before=$(state_now)
matrix_rows <<EOT
reading: ListBots        | yes                      | call manager Manager.ListBots
reading: GetAll          | yes                      | call shop DBus.Properties.GetAll s org.tgswitch1.Bot
changing: SwitchToLocal  | - polkit polkit polkit   | call shop Bot.SwitchToLocal a{sv} 0
changing: Check          | - polkit polkit polkit   | call shop Bot.Check s local
changing: Hold           | - polkit polkit polkit   | call shop Bot.Hold ts $LATER why
changing: Reload         | - polkit polkit polkit   | call manager Manager.Reload
EOT
for subject in admin user tgswitch; do
        matrix_run "$subject" refused
done
matrix_unchanged "without polkitd: what was refused has changed nothing" "$before" "$(state_now)"
for subject in "${MATRIX_SUBJECTS[@]}"; do
        matrix_run "$subject" allowed
done
matrix_check
matrix_print
check_match "the refusal tells the cause" "polkit" "${MATRIX_SAID[4,user]}"
check_match "and that nothing was changed" "Nothing was changed" "${MATRIX_SAID[4,user]}"
said=$(as user tgswitchctl hold shop --for 1h 2>&1)
check_equal "tgswitchctl has an exit status for it" 8 $?
check_match "and says the same" "polkit.*Nothing was changed" "$said"

said=$(host_run tgswitchctl switch local --yes shop 2>&1)
check_equal "root's move is refused" 1 $?
check_match "by a check that names the cause" "polkit" "$said"
check_match "and the cure" "run 'systemctl start polkit'" "$said"
check "and not another one" fails grep -q "unmask shop-worker" <<<"$said"
# The job is on record.
matrix_unchanged "and has changed nothing" "$(grep -v ' /var/lib' <<<"$before")" "$(state_now | grep -v ' /var/lib')"

mv "$HOST_ROOT/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service" "$HOST_DISK"
host_run systemctl reload dbus.service
matrix_clear
matrix_rows <<EOT
not installed: GetAll    | yes                      | call shop DBus.Properties.GetAll s org.tgswitch1.Bot
not installed: Release   | - polkit polkit polkit   | call shop Bot.Release
not installed: StartUnit | - no no no               | call $SYSTEMD StartUnit ss late.service replace
EOT
try_rows
said=$(host_run tgswitchctl switch local --yes shop 2>&1)
check_equal "not installed: root's move is refused" 1 $?
check_match "not installed: by a check that names cause and cure" "shop-worker.*polkitd is installed" "$said"
check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"
check "root's hold needs no polkit" host_run tgswitchctl hold shop --for 1h
check "it is held" test "$(bot_property shop HeldUntilUSec)" -gt 0
check "root's release, too" host_run tgswitchctl release shop

# ---- polkitd is back ----

mv "$HOST_DISK/org.freedesktop.PolicyKit1.service" "$HOST_ROOT/usr/share/dbus-1/system-services"
host_run systemctl reload dbus.service
host_run systemctl unmask --quiet --runtime polkit.service
matrix_clear
matrix_rows <<EOT
polkitd is back: Hold    | yes yes auth auth | call shop Bot.Hold ts $LATER why
polkitd is back: Release | yes yes auth auth | call shop Bot.Release
EOT
try_rows
check "and bots move again" as admin tgswitchctl switch local --yes shop
check_equal "by the same daemon" "$daemon" "$(daemon_pid)"

# ---- the daemon's own rights follow root's tools ----

host_put /etc/systemd/system/late.service <<<$'[Service]\nType=exec\nExecStart=/bin/sleep infinity'
host_run systemctl daemon-reload
echo "Worker=late.service" >>"$HOST_ROOT/etc/tgswitch/bots.d/shop.conf"
before=$(host_run sha256sum "$RULES")
check "an administrator has the configuration read again" as admin tgswitchctl reload
check_match "the worker is known" "late.service" "$(host_run busctl get-property org.tgswitch1 /org/tgswitch1/bot/shop \
        org.tgswitch1.Bot Workers)"
check_equal "the rule is as it was" "$before" "$(host_run sha256sum "$RULES")"
check "and the daemon's user cannot write it" fails as tgswitch tgswitchctl authorize
check_equal "it is still as it was" "$before" "$(host_run sha256sum "$RULES")"
check_match "the checks say what to do" "late.service.*systemctl reload tgswitchd" \
        "$(host_run tgswitchctl check cloud shop 2>&1 | grep "may not control")"
matrix_clear
matrix_rows <<EOT
a new worker, not yet in the rule: StartUnit | yes auth auth auth | call $SYSTEMD StartUnit ss late.service replace
EOT
try_rows
check "root reloads the service" host_run systemctl reload tgswitchd.service
check "the rule names the worker" host_run grep -q '"late.service": true' "$RULES"
matrix_clear
matrix_rows <<EOT
a new worker, in the rule: StopUnit  | yes auth auth yes | call $SYSTEMD StopUnit ss late.service replace
a new worker, in the rule: StartUnit | yes auth auth yes | call $SYSTEMD StartUnit ss late.service replace
EOT
try_rows
tap_done
