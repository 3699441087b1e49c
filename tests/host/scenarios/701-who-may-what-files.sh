#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Who may read and write which file, who gets something from the socket of the gate, and who may look into the daemon.
# All files that are there are tried, and one that no line of the table knows fails. Defends L7: a token is read by root,
# the daemon's user, and the worker that was given it.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/matrix.sh
source "$(dirname "$0")/../matrix.sh"

shopt -s extglob
PLACES=(/etc/tgswitch /var/lib/tgswitch /run/tgswitch /run/credentials /var/lib/telegram-bot-api
        /var/cache/telegram-bot-api /usr/libexec/tgswitch)

# file_rows: of a table on standard input, PATTERN | READ | WRITE, for each file and directory below $PLACES, or that is
# named itself; the first pattern that matches it counts.
file_rows()
{
        local pattern read write file i patterns=() reads=() writes=() places=("${PLACES[@]}")
        local -A met=()

        while IFS='|' read -r pattern read write; do
                read -r pattern <<<"$pattern"
                patterns+=("$pattern") reads+=("$read") writes+=("$write")
                [[ $pattern == *'*'* ]] || places+=("$pattern")
        done
        while IFS= read -r file; do
                for ((i = 0; i < ${#patterns[@]}; i++)); do
                        # shellcheck disable=SC2053 # it is a pattern
                        [[ $file != ${patterns[i]} ]] || break
                done
                ((i < ${#patterns[@]})) || {
                        tap_fail "$file is in the table"
                        continue
                }
                met[${patterns[i]}]=1
                # The local server's directories are named by tokens.
                matrix_row "${patterns[i]} read: ${file//:AA*([^\/])/:AA…}" "${reads[i]}" read "$file"
                matrix_row "${patterns[i]} written: ${file//:AA*([^\/])/:AA…}" "${writes[i]}" write "$file"
        done < <(host_run find "${places[@]}" 2>/dev/null | grep -Ev "^/run/credentials(/systemd-.*)?$" | sort -u)
        for pattern in "${patterns[@]}"; do
                [[ -v met[$pattern] ]] || tap_fail "there is something that the table calls $pattern"
        done
}

# pid_of UNIT
pid_of()
{
        host_run systemctl show --property=MainPID --value "$1"
}

# process_rows NAME PID EXPECTED: one text with a word for each subject, as matrix_row takes it.
process_rows()
{
        local file

        for file in mem environ maps fd auxv; do
                matrix_row "/proc of $1: $file" "$3" read "/proc/$2/$file"
        done
        matrix_row "/proc of $1: ptrace" "$3" ptrace "$2"
}

host_create
host_install
telegram_start
matrix_install root admin sudo user tgswitch worker
server_local_mode
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
bot_add shop <<<"Worker=$MATRIX_WORKER"
matrix_worker shop
# Not as where the bus is asked: a user that systemd made for this one unit.
sed -i '/^User=/d' "$HOST_ROOT/etc/systemd/system/$MATRIX_WORKER.d/60-probe.conf"
bot_add told cloud <<<"ExportToken=yes"
canary_exports told told-worker.service
bot_add kept </dev/null
bot_add away local </dev/null
host_put /etc/tgswitch/secrets/shop 600 <<<"a-secret-of-a-webhook"
host_put /etc/tgswitch/certificates/shop <<<"not really a certificate"
chroot "$HOST_ROOT" systemctl --quiet enable telegram-bot-api.service
host_boot
check "the workers start" telegram_wait event=worker-start count=4
host_run systemctl stop kept-worker.service
telegram_inject kept 0 3
mark=$(bus_mark)
bot_switch kept 2 on-undrained s spool hold-at s log-out
check "kept: updates are spooled" phase_wait "$mark" kept spool
check "kept: and it holds" job_becomes "$mark" "$(job_number kept)" Holding true
check "the credentials of a unit are there when it runs" host_run test -e /run/credentials/shop-worker.service/bot-token

# ---- files; of: root admin sudo user tgswitch worker ----

file_rows <<'EOT'
/etc/tgswitch/tokens                      | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch/tokens/*                    | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch/secrets                     | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch/secrets/*                   | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch/*.encrypted                 | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch/telegram-bot-api.env        | yes no  no  no  no  no   | yes no no no no  no
/etc/tgswitch*                            | yes yes yes yes yes yes  | yes no no no no  no
/var/lib/tgswitch/spool/*                 | yes no  no  no  yes no   | yes no no no yes no
/var/lib/tgswitch*                        | yes no  no  no  yes no   | yes no no no yes no
/run/tgswitch/credential.sock             | -                        | yes no no no no  no
/run/tgswitch/credentials*                | yes no  no  no  no  no   | yes no no no no  no
/run/tgswitch/bots                        | yes yes yes yes yes yes  | yes no no no yes no
/run/tgswitch/bots/told.env               | yes no  no  no  yes no   | yes no no no yes no
/run/tgswitch/bots/*.env                  | yes no  no  no  yes no   | yes no no no yes no
/run/tgswitch                             | yes yes yes yes yes yes  | yes no no no no  no
/run/credentials/tgswitchd.service*       | yes no  no  no  yes none | no no no no no none
/run/credentials/*-worker.service*        | yes no  no  no  no  none | no no no no no none
/var/lib/telegram-bot-api                 | yes no  no  no  no  no   | yes no no no no  no
/var/lib/telegram-bot-api/*:*/*           | yes no  no  no  no  no   | yes no no no no  no
/var/lib/telegram-bot-api/*:*             | yes no  no  no  no  yes  | yes no no no no  no
/var/lib/telegram-bot-api/*               | yes no  no  no  no  no   | yes no no no no  no
/var/cache/telegram-bot-api*              | yes no  no  no  no  no   | yes no no no no  no
/usr/libexec/tgswitch*                    | yes yes yes yes yes yes  | yes no no no no  no
/usr/bin/tgswitchctl                      | yes yes yes yes yes yes  | yes no no no no  no
/usr/share/polkit-1/actions/org.tgswitch1.policy | yes yes yes yes yes yes | yes no no no no no
/usr/share/polkit-1/rules.d/50-org.tgswitch1.rules | yes no no no no no | yes no no no no no
/etc/polkit-1/rules.d/50-tgswitch.rules   | yes no  no  no  no  no   | yes no no no no  no
/usr/share/dbus-1/system.d/org.tgswitch1.conf | yes yes yes yes yes yes | yes no no no no no
/usr/lib/systemd/system/tgswitchd.service | yes yes yes yes yes yes  | yes no no no no  no
/usr/lib/systemd/system/telegram-bot-api.service | yes yes yes yes yes yes | yes no no no no no
/etc/systemd/system/shop-worker.service   | yes yes yes yes yes yes  | yes no no no no  no
/etc/systemd/system/shop-worker.service.d/50-tgswitch.conf | yes yes yes yes yes yes | yes no no no no no
EOT
# It has them only as long as it runs.
matrix_rows <<EOT
its own credentials: bot-token    | - - - - - yes | read /run/credentials/$MATRIX_WORKER/bot-token
its own credentials: bot-endpoint | - - - - - yes | read /run/credentials/$MATRIX_WORKER/bot-endpoint
its own credentials: written      | - - - - - no  | write /run/credentials/$MATRIX_WORKER/bot-token
EOT

# ---- the socket of the gate ----

# Root that takes systemd's address on is systemd, for all that the daemon can see. Nobody else even gets a connection.
SOCKET=/run/tgswitch/credential.sock
matrix_rows <<EOT
socket: without a name                 | empty no no no no no | connect $SOCKET
socket: a name of one's own            | empty no no no no no | connect $SOCKET some-name
socket: as a unit that is no worker    | empty no no no no no | connect $SOCKET 1234abcd/unit/other.service/bot-token
socket: as a worker, with a wrong id   | empty no no no no no | connect $SOCKET 1234abcd/unit/shop-worker.service/token
socket: as a worker, as systemd does   | yes   no no no no no | connect $SOCKET 1234abcd/unit/shop-worker.service/bot-endpoint
EOT

# ---- processes ----

daemon=$(daemon_pid)
process_rows "the daemon" "$daemon" "yes no no no no no"
process_rows "the local server" "$(pid_of telegram-bot-api.service)" "yes no no no no no"
process_rows "a worker with ExportToken=yes" "$(pid_of told-worker.service)" "yes no no no no no"
matrix_row "a signal to the daemon: may be sent" "yes no no no yes no" kill "$daemon"
matrix_row "a signal to a worker: may be sent" "yes no no no no no" kill "$(pid_of told-worker.service)"

for subject in worker tgswitch user sudo admin root; do
        tap_note "$subject"
        matrix_run "$subject"
done
matrix_check
matrix_print .
check_equal "the daemon is still the same process" "$daemon" "$(daemon_pid)"
check "the tokens that the daemon's user may read are there" host_run test -s /run/credentials/tgswitchd.service/token_shop
tap_done
