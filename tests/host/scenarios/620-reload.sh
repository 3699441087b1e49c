#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Move=reload: workers that are not stopped, but told by a reload to hold, and by another one where to go on. The same
# process to the local server and back at 20 updates a second; a reload that fails, a worker that dies while it holds, a
# daemon that does. And the environment file, as systemd reads it. Defends L3 to L7 and L9 for workers that hold.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

declare -A PIDS=()

# reload_add NAME [COMMAND]: a bot whose worker is told by its ExecReload=. More of bots.d/NAME.conf comes from standard
# input.
reload_add()
{
        # shellcheck disable=SC2016 # systemd knows it
        local name=$1 command=${2:-'/usr/bin/telegram-worker --reload-of=${MAINPID}'}

        bot_add "$name" cloud "$name-worker.service" < <(echo Move=reload && cat)
        host_put "/etc/systemd/system/$name-worker.service.d/60-reload.conf" <<EOF
[Service]
ExecStart=
ExecStart=/usr/bin/telegram-worker --reload
ExecReload=$command
EOF
}

# worker_pid NAME
worker_pid()
{
        host_run systemctl show --property=MainPID --value "$1-worker.service"
}

# check_same NAME: its worker is the process that it was at the beginning.
check_same()
{
        check_equal "$1: it is the same process" "${PIDS[$1]}" "$(worker_pid "$1")"
}

# held SEQ NAME, released SEQ NAME ROOT: returns when the worker says so.
held()
{
        telegram_wait event=worker-held unit="$2-worker.service" since="$1"
}

released()
{
        telegram_wait event=worker-released unit="$2-worker.service" root="$3" since="$1"
}

# hold_begin NAME: a move that holds where the worker holds, too.
hold_begin()
{
        local mark number

        mark=$(bus_mark)
        bot_switch "$1" 1 hold-at s log-out || return
        phase_wait "$mark" "$1" spool || return
        number=$(job_number "$1")
        job_becomes "$mark" "$number" Holding true
}

# plan NAME: what the checks say of the bot.
plan()
{
        host_run tgswitchctl check local "$1" 2>&1
}

host_create
host_install
faults_install
telegram_start --latency-ms 50
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=2s
SettleSec=200ms
EOT

# What is spooled goes to a unit that is there for nothing else.
# shellcheck disable=SC2016 # the shell that systemd starts is meant
reload_add shop '+/bin/sh -c "env >/run/shop.seen; exec /usr/bin/telegram-worker --reload-of=$$MAINPID"' <<'EOT'
Worker=shop-spool.service
SpoolTo=shop-spool.service
Export=HASH={root}/#a;b&c=d! GO={root}/bot%s/%s
EOT
bot_worker_add shop shop-spool.service --pending-only
host_put /etc/systemd/system/shop-spool.service.d/60-oneshot.conf <<'EOT'
[Service]
Type=oneshot
EOT
chroot "$HOST_ROOT" systemctl --quiet disable shop-spool.service

# It takes the hold, and its reload fails all the same.
# shellcheck disable=SC2016 # the shell that systemd starts is meant
reload_add fail '/bin/sh -c "/usr/bin/telegram-worker --reload-of=$$MAINPID && test -n \"$$TELEGRAM_API_ROOT\""' </dev/null
reload_add dies </dev/null
reload_add gone </dev/null

bot_add bare cloud </dev/null
echo Move=reload >>"$HOST_ROOT/etc/tgswitch/bots.d/bare.conf"
bot_add kill cloud </dev/null
echo Move=reload >>"$HOST_ROOT/etc/tgswitch/bots.d/kill.conf"
host_put /etc/systemd/system/kill-worker.service.d/60-reload.conf <<'EOT'
[Service]
ExecReload=/bin/kill -HUP $MAINPID
EOT

host_boot
check "the workers start" telegram_wait event=worker-start count=6
for bot in shop fail dies gone; do
        PIDS[$bot]=$(worker_pid "$bot")
done
telegram_inject shop 20
for bot in fail dies gone; do
        telegram_inject "$bot" 2
done

# ---- what check says ----

said=$(plan bare)
check_match "a worker that cannot be reloaded is found" "bare-worker.service cannot be reloaded, .*ExecReload=" "$said"
said=$(plan kill)
check_match "and one that is only sent a signal" "kill-worker.service is reloaded by a signal, .*does not wait" "$said"
check_match "shop is told" "shop-worker.service is told by a reload to hold" "$(plan shop)"

# ---- the environment file, as systemd reads it ----

check "the worker is reloaded by hand" host_run systemctl reload shop-worker.service
host_run cat /run/tgswitch/bots/shop.env | grep -v '^#' | sort >"$HOST_DISK/published"
# What else is in that environment is not of the file.
host_run cat /run/shop.seen | grep -E "^($(cut -d = -f 1 "$HOST_DISK/published" | paste -s -d '|'))=" |
        sort >"$HOST_DISK/seen"
check "every variable of the file is as it was written" diff "$HOST_DISK/published" "$HOST_DISK/seen"
check_equal "there are so many" 11 "$(wc -l <"$HOST_DISK/seen")"
check_equal "one of them has all that may stand in one" 'https://api.telegram.org/#a;b&c=d!' \
        "$(sed -n 's/^HASH=//p' "$HOST_DISK/seen")"
check_same shop

# ---- to the local server and back ----

seq=$(telegram_seq)
check "shop: a move begins" bot_switch shop
check_moved shop "$seq"
check_same shop
check "shop: it has held" held "$seq" shop
check "shop: and went on at the local server" released "$seq" shop http://127.0.0.1:8081
check_equal "shop: it was not stopped" 0 "$(telegram_count event=worker-stop unit=shop-worker.service)"
said=$(host_run journalctl --unit=tgswitchd.service --output=cat --grep="Cutover to local done.* spooled")
spooled=$(grep -oE '[0-9]+ spooled' <<<"$said" | cut -d ' ' -f 1)
check_match "shop: what was spooled was handed over" " $spooled handed over" "$said"
check_equal "shop: to what takes it beside the worker" "$spooled" \
        "$(telegram_count event=worker-handled from=pending unit=shop-spool.service)"
time_pass $(($(window_left shop cloud) + 1))
seq=$(telegram_seq)
check "shop: the way back begins" move_to cloud shop
check_arrived shop cloud
check_same shop
check "shop: it went on at the cloud" released "$seq" shop https://api.telegram.org
check "shop: nothing stays in the spool" bot_wait shop SpooledUpdates 0

# ---- a reload that fails ----

mark=$(bus_mark)
seq=$(telegram_seq)
check "fail: a move begins" bot_switch fail
check_failed "$mark" fail "fail-worker.service was to hold, and its reload came to 'failed'" "ExecReload="
check "fail: it had taken the hold" held "$seq" fail
check "fail: and was told to go on" released "$seq" fail https://api.telegram.org
check_same fail
check "fail: it handles updates there" telegram_wait event=worker-handled unit=fail-worker.service since="$(telegram_seq)"
check_equal "fail: nothing was sent that could not be put back" 0 \
        "$(telegram_count event=request method=logout bot="${BOT_IDS[fail]}")"

# ---- a worker that dies while it holds ----

seq=$(telegram_seq)
check "dies: a move begins, and the worker holds" hold_begin dies
check_equal "dies: the environment says so" TGSWITCH_ENDPOINT=none \
        "$(host_run grep TGSWITCH_ENDPOINT= /run/tgswitch/bots/dies.env)"
host_run kill -s KILL "${PIDS[dies]}"
check "dies: it is killed" telegram_wait event=worker-stop unit=dies-worker.service reason=gone since="$seq"
check "dies: the move goes on" host_run tgswitchctl proceed "$(job_number dies)"
check_moved dies "$seq"
check "dies: another process waited at the gate" test "$(worker_pid dies)" != "${PIDS[dies]}"
check_equal "dies: and was started at the local server" 1 "$(telegram_count event=worker-start since="$seq" \
        unit=dies-worker.service root=http://127.0.0.1:8081)"

# ---- a daemon that dies while a worker holds ----

seq=$(telegram_seq)
check "gone: a move begins, and the worker holds" hold_begin gone
check "gone: the daemon is killed" daemon_kill
check "gone: the next one holds again" bot_wait gone Phase spool
check "gone: the worker still holds" test "$(telegram_count event=worker-released since="$seq" \
        unit=gone-worker.service)" -eq 0
# The next one dies between the two servers.
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[gone]},\"method\":\"getMe\",\"kind\":\"flood\",\"retry_after\":5}"
mark=$(bus_mark)
until host_run tgswitchctl proceed "$(job_number gone)" >/dev/null 2>&1; do
        bus_wait "$mark" '/job/[0-9]+".*"Holding":\{"type":"b","data":true\}' >/dev/null || break
done
check "gone: logged out, and not yet in" telegram_wait event=fault bot="${BOT_IDS[gone]}" since="$seq"
check "gone: the daemon is killed again" daemon_kill
check "gone: arrives" bot_wait gone Phase ""
check_equal "gone: at the local server" local "$(bot_property gone Seat)"
check_same gone
check "gone: it went on there" released "$seq" gone http://127.0.0.1:8081

# ---- what nobody has asked to hand over ----

check "gone: what was spooled is kept" test "$(bot_property gone SpooledUpdates)" -gt 0
check "gone: the worker is restarted by hand" host_run systemctl restart gone-worker.service
check "gone: and takes it" bot_wait gone SpooledUpdates 0

check "every update is accounted for" telegram_finish
check_verdict
tap_done
