#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Workers that cannot be moved as they are: one bot for each kind. `check`, `plan`, the job's error, LastError and the
# journal say the same, with cause and cure, and nothing has been changed (L3, L9). Those that can be moved, and those
# that only show afterwards, are in 651-odd-workers-moved.sh.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/table.sh
source "$(dirname "$0")/../table.sh"

# These need not work, only run.
IDLE=$'[Service]\nExecStart=\nExecStart=/bin/sleep infinity'

bots=(bare binding elsewhere followed ignoring left masked mixed partly refusing stranger transient twin)
declare -A kinds=(
        [bare]="without its drop-in"
        [binding]="bound to the server (BindsTo=)"
        [elsewhere]="credentials from another socket"
        [followed]="another unit is bound to it"
        [ignoring]="ExecStartPre= that may fail"
        [left]="KillMode=none"
        [masked]="masked while it runs"
        [mixed]="environment of another bot"
        [partly]="part of the server (PartOf=)"
        [refusing]="RefuseManualStop=yes"
        [stranger]="instance outside the rule"
        [transient]="made by systemd-run"
        [twin]="matched by globs of two bots"
)

# spoil BOT LINES: one more drop-in of its worker.
spoil()
{
        host_put "/etc/systemd/system/$1-worker.service.d/60-odd.conf" <<<"$2"
}

# What a refusal must leave alone.
host_now()
{
        host_run systemctl show --property=Id,MainPID,ActiveState,InvocationID "${bots[@]/%/-worker.service}" \
                stranger@{a,b}.service twin-x@1.service followed-metrics.service telegram-bot-api.service
        for bot in "${bots[@]}" ticking twice; do
                echo "$bot is at $(bot_property "$bot" Seat)"
        done
}

# check_refused BOT REGEX…: each way to ask gives an answer that matches.
check_refused()
{
        local bot=$1 regex said
        shift

        said=$(jq -r --arg bot "$bot" '.bots[] | select(.name == $bot) | .checks[] | select(.verdict == "fail") |
                .explanation' "$HOST_DISK/check")
        for regex; do
                check_match "$bot: check says: $regex" "$regex" "$said"
                check_match "$bot: plan says it" "$regex" "$(tr -s '[:space:]' ' ' <"$HOST_DISK/plan")"
                check_match "$bot: switch says it" "$regex" "$(grep "^$bot" "$HOST_DISK/switch")"
                check_match "$bot: LastError says it" "$regex" "$(bot_property "$bot" LastError)"
                check_match "$bot: the journal says it" "$regex" \
                        "$(host_run journalctl --unit=tgswitchd.service --output=cat TGSWITCH_BOT="$bot")"
        done
        table_row "${kinds[$bot]}" "asked to move" refused "$(head -n 1 <<<"$said")"
}

host_create
host_install
telegram_start
for bot in "${bots[@]}"; do
        case $bot in
        stranger) bot_add stranger cloud 'stranger@a.service' <<<'Worker=stranger@*.service' ;;
        twin) bot_add twin cloud twin-x@1.service <<<$'Worker=\nWorker=twin-*@1.service' ;;
        *) bot_add "$bot" </dev/null ;;
        esac
done
# Of bots.d, the first by name has the unit.
bot_add twice cloud bare-worker.service </dev/null
bot_add ticking </dev/null
sed -i s/ticking-worker.service/ticking.timer/ "$HOST_ROOT/etc/tgswitch/bots.d/ticking.conf"
bot_add other cloud other-worker.service <<<'Worker=twin-x@*.service'
# The first of two bots that name a unit has it.
canary_unit twin-x@1.service other
canary_unit 'stranger@*.service' stranger
for bot in "${bots[@]}" other; do
        spoil "$bot" "$IDLE"
done
for unit in stranger@a twin-x@1; do
        host_put "/etc/systemd/system/$unit.service.d/60-odd.conf" <<<"$IDLE"
done
host_put /etc/systemd/system/stranger@.service <"$HOST_ROOT/etc/systemd/system/stranger@a.service"
host_put /etc/systemd/system/stranger@.service.d/50-tgswitch.conf \
        <"$HOST_ROOT/etc/systemd/system/stranger@a.service.d/50-tgswitch.conf"
host_put /etc/systemd/system/stranger@.service.d/60-odd.conf <<<"$IDLE"
rm -r "$HOST_ROOT"/etc/systemd/system/transient-worker.service* \
        "$HOST_ROOT"/etc/systemd/system/multi-user.target.wants/{binding,ticking,transient}-worker.service \
        "$HOST_ROOT"/etc/systemd/system/bare-worker.service.d/50-tgswitch.conf
spoil binding "$IDLE"$'\n[Unit]\nBindsTo=telegram-bot-api.service'
host_put /etc/systemd/system/followed-metrics.service <<EOF
[Unit]
BindsTo=followed-worker.service
After=followed-worker.service
[Service]
ExecStart=/bin/sleep infinity
EOF

host_boot
check "the host is up with its workers" host_run systemctl is-system-running --wait

# ---- what comes while they run ----

spoil elsewhere "$IDLE"$'\nLoadCredential=\nLoadCredential=bot-token:/run/vault.sock\n'\
$'LoadCredential=bot-endpoint:/run/tgswitch/credential.sock'
spoil ignoring "$IDLE"$'\nExecStartPre=\nExecStartPre=-/usr/bin/test -s %d/bot-token'
spoil left "$IDLE"$'\nKillMode=none'
spoil mixed "$IDLE"$'\nEnvironmentFile=\nEnvironmentFile=-/run/tgswitch/bots/left.env'
spoil partly "$IDLE"$'\n[Unit]\nPartOf=telegram-bot-api.service'
spoil refusing "$IDLE"$'\n[Unit]\nRefuseManualStop=yes'
rm "$HOST_ROOT/etc/systemd/system/masked-worker.service"
ln -s /dev/null "$HOST_ROOT/etc/systemd/system/masked-worker.service"
host_run systemctl daemon-reload
host_run systemctl start followed-metrics.service
host_run systemd-run --quiet --unit=transient-worker.service /bin/sleep infinity
# tgswitchd's rule was written before there was this one.
check "one more instance starts" host_run systemctl start stranger@b.service

# ---- all are refused ----

before=$(host_now)
host_run tgswitchctl check local --json "${bots[@]}" >"$HOST_DISK/check"
check_equal "check fails" 5 $?
host_run tgswitchctl plan local "${bots[@]}" >"$HOST_DISK/plan" 2>&1
check_equal "so does plan" 5 $?
host_run tgswitchctl switch local --yes "${bots[@]}" >"$HOST_DISK/switch" 2>&1
check_equal "and no bot is moved" 1 $?

check_refused bare "bare-worker.service has no gate" "tgswitchctl adopt bare-worker.service --bot bare" \
        "/etc/systemd/system/bare-worker.service.d/50-tgswitch.conf"
check_refused binding "binding-worker.service requires or binds to telegram-bot-api.service" "take that dependency out"
check_refused elsewhere "credential bot-token from /run/vault.sock" "LoadCredential=bot-token:/run/tgswitch/"
check_refused followed "stops followed-metrics.service along with followed-worker.service" "Wants=followed-worker.service"
check_refused ignoring "starts even where its ExecStartPre= fails" "take the '-' in front"
check_refused left "may leave processes behind" "take KillMode=none out"
check_refused masked "masked-worker.service is masked" "systemctl unmask masked-worker.service"
check_refused mixed "environment of another bot, /run/tgswitch/bots/left.env" "EnvironmentFile=-/run/tgswitch/bots/mixed.env"
check_refused partly "partly-worker.service requires or binds to telegram-bot-api.service" "take that dependency out"
check_refused refusing "refuses to be stopped by request" "take RefuseManualStop=yes out"
check_refused stranger "may not control stranger@b.service" "systemctl reload tgswitchd"
check_refused transient "transient-worker.service was made by systemd-run" "write a unit file"
check_refused twin "twin-x@1.service is a worker of the bot other as well" "bots.d/twin.conf or bots.d/other.conf"

# What a file says wrongly is found when it is read; there is no job then.
check_misread()
{
        local bot=$1 regex=$3 said

        said=$(host_run tgswitchctl switch local --yes "$bot" 2>&1)
        check_equal "$bot: is not moved" 1 $?
        check_match "$bot: switch says why" "$regex.* Correct it and run 'systemctl reload tgswitchd'" "$said"
        check_match "$bot: so does check" "$regex" "$(host_run tgswitchctl check local "$bot" 2>&1)"
        check_match "$bot: status says it" "$regex" "$(host_run tgswitchctl status "$bot" | tr -s '[:space:]' ' ')"
        check_match "$bot: the journal says it" "$bot.conf:3: .*$regex" \
                "$(host_run journalctl --unit=tgswitchd.service --output=cat TGSWITCH_BOT="$bot")"
        table_row "$2" "asked to move" refused "$(sed -n 's/.*conf:3: //p' <<<"$said" | head -n 1)"
}

check_misread twice "named by two bots" "bare-worker.service of bot twice is also a worker of bot bare"
check_misread ticking "a timer named as a worker" "Worker= has a wrong value.*of a timer or socket, the service"

check_equal "workers, server and seats are as before" "$before" "$(host_now)"
check_equal "the server was not started for any of it" 0 "$(telegram_count event=server-start)"
check_equal "no logOut was sent" 0 "$(telegram_count event=request method=logout)"

# ---- what the sentences advise ----

check "stranger: the daemon is reloaded" host_run systemctl reload tgswitchd.service
check "stranger: may be moved now" host_run tgswitchctl check local stranger
rm "$HOST_ROOT/etc/systemd/system/ignoring-worker.service.d/60-odd.conf"
sed "s/shop/bare/g" "$SOURCE_DIR/units/worker-drop-in.conf.example" |
        host_put /etc/systemd/system/bare-worker.service.d/50-tgswitch.conf
host_run systemctl daemon-reload
for bot in bare ignoring; do
        check "$bot: may be moved now" host_run tgswitchctl check local "$bot"
done

table_print
tap_done
