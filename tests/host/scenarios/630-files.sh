#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The files of a server with --local: it tells a bot where a file is, and a worker has to be able to read it there, its own
# bot's and no other (L7). What `check` says of a worker is what comes of it on this host. And the directory of a server
# that ran with DynamicUser= is taken over.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

SERVER="telegram-bot-api.service"
FILES=/var/lib/telegram-bot-api
GROUP=SupplementaryGroups=tgswitch-files

# server_drop_in [LINE…]: of the local server's unit, in the place of the one before.
server_drop_in()
{
        { echo '[Service]' && printf '%s\n' "$@"; } | host_put "/etc/systemd/system/$SERVER.d/60-test.conf"
        host_run systemctl daemon-reload
}

# worker_drop_in [LINE…]: the same of the worker of the bot shop.
worker_drop_in()
{
        { echo '[Service]' && printf '%s\n' "$@"; } | host_put /etc/systemd/system/shop-worker.service.d/60-test.conf
        host_run systemctl daemon-reload
}

# file_of BOT: the path that the local server tells for a file of the bot. The token goes by a pipe.
file_of()
{
        curl -sS -K - <<<"url = http://127.0.0.1:8081/bot${BOT_TOKENS[$1]}/getFile?file_id=abc" | json result file_path
}

# as_worker SETTING… -- COMMAND: run by sh in a unit with the worker's user and these settings. The path of a file, on
# standard input, is in $path: as an argument, of cat as well, it would be seen by everybody.
as_worker()
{
        local settings=(--property=DynamicUser=yes)

        while [[ $1 != -- ]]; do
                settings+=("--property=$1")
                shift
        done
        host_run systemd-run --quiet --wait --pipe --collect "${settings[@]}" /bin/sh -c "read -r path; $2"
}

# said_of_files: verdict and words of every check of files on the way of the bot shop to the local server.
said_of_files()
{
        host_run tgswitchctl check local --json shop |
                jq -r '.. | objects | select(.check? == "files") | "\(.verdict) \(.subject): \(.explanation)"'
}

# check_says DESCRIPTION REGEX…: what is said of files matches each.
check_says()
{
        local description=$1 said regex
        shift

        said=$(said_of_files)
        for regex; do
                check_match "$description: $regex" "$regex" "$said"
        done
}

host_create
host_install
telegram_start
bot_add shop </dev/null
# Another bot of that server, whose files are none of the worker's business.
BOT_IDS[guest]=7100000099
BOT_TOKENS[guest]=$(canary_token "${BOT_IDS[guest]}")
telegram POST /bots "{\"token\":\"${BOT_TOKENS[guest]}\",\"session\":\"none\"}" >/dev/null
host_put "/etc/systemd/system/$SERVER.d/60-test.conf" <<'EOF'
[Service]
User=
Group=
DynamicUser=yes
StateDirectoryMode=0750
Environment=TELEGRAM_BOT_API_OPTIONS=--local
EOF
host_boot
check "the daemon is ready" host_run systemctl start tgswitchd.service
check "the worker starts on the cloud" telegram_wait event=worker-start unit=shop-worker.service

# ---- a server as older units had it ----

check_says "nobody said where files are" "skipped $SERVER: $SERVER runs with --local, .*LocalFiles= in tgswitch.conf"
printf '[Manager]\nLocalFiles=%s\n' "$FILES" | host_put /etc/tgswitch/tgswitch.conf.d/20-files.conf
check "LocalFiles= is understood" host_run systemctl reload tgswitchd.service
check "the server runs with DynamicUser=" host_run systemctl start "$SERVER"
check "it answers" telegram_wait event=server-start role=local
check_match "and stores files where only root gets in" "^/var/lib/private/.*/documents/" "$(file_of guest)"
worker_drop_in "$GROUP"
check_says "a group is of no use there" "fail shop-worker.service: $SERVER runs with DynamicUser=yes.*Group=tgswitch-files"

server_drop_in Environment=TELEGRAM_BOT_API_OPTIONS=--local
worker_drop_in
seq=$(telegram_seq)
check "the server restarts with a user of its own" host_run systemctl restart "$SERVER"
check "it answers again" telegram_wait event=server-start role=local since="$seq"
check_equal "its directory has moved" "directory telegram-bot-api:tgswitch-files 710" \
        "$(host_run stat -c '%F %U:%G %a' "$FILES")"
check "from where it was" fails host_run test -e "/var/lib/private/telegram-bot-api"
check_equal "so has the one for uploads" "telegram-bot-api:tgswitch-files 700" \
        "$(host_run stat -c '%U:%G %a' /var/cache/telegram-bot-api)"
path=$FILES/${BOT_TOKENS[guest]}/documents/file_abc
check_equal "with the files in it" "tgswitch-files 640" \
        "$(host_run sh -c 'read -r path; stat -c "%G %a" - <"$path"' <<<"$path")"
check_equal "and the session" "$path" "$(file_of guest)"
exposure=$(host_run systemd-analyze security --no-pager --threshold=11 "$SERVER")
check_equal "its exposure is at most 1.1" 0 $?
tap_note "$(tail -n 1 <<<"$exposure")"

# ---- a worker that can't read ----

check_says "no group" "pass $SERVER: $FILES lets the workers through" \
        "fail shop-worker.service: .*is not in the group tgswitch-files.*add $GROUP to a drop-in of it"
check "it could not" fails as_worker -- 'cat <"$path"' <<<"$path"
said=$(host_run tgswitchctl switch local --yes shop 2>&1)
check_equal "a move is refused" 1 $?
check_match "for that reason" "$GROUP" "$said"
check_equal "the bot stays at the cloud" cloud "$(bot_property shop Seat)"

worker_drop_in "$GROUP" TemporaryFileSystem=/var
check_says "an empty file system" \
        "fail shop-worker.service: .*TemporaryFileSystem=/var: add BindReadOnlyPaths=$FILES to a drop-in of it"
check "it could not" fails as_worker "$GROUP" TemporaryFileSystem=/var -- 'cat <"$path"' <<<"$path"

worker_drop_in "$GROUP" InaccessiblePaths=/var/lib "BindReadOnlyPaths=$FILES"
check_says "a path that is closed" "fail shop-worker.service: InaccessiblePaths=/var/lib keeps .*no bind mount helps"
check "it could not" fails as_worker "$GROUP" InaccessiblePaths=/var/lib "BindReadOnlyPaths=$FILES" -- 'cat <"$path"' \
        <<<"$path"

worker_drop_in DynamicUser=no PrivateUsers=yes
check_says "root in a user namespace" "fail shop-worker.service: .*add $GROUP"
check "it could not" fails as_worker DynamicUser=no PrivateUsers=yes -- 'cat <"$path"' <<<"$path"

# ---- a server that does not do what tgswitch.conf says ----

server_drop_in ExecStart= "ExecStart=/usr/bin/telegram-bot-api --http-ip-address=127.0.0.1 --dir=/var/lib/elsewhere"
check_says "another directory" "skipped $SERVER: .*stores its files in --dir=/var/lib/elsewhere"
server_drop_in Environment=TELEGRAM_BOT_API_OPTIONS=--local

# ---- a worker that can ----

worker_drop_in "$GROUP" PrivateUsers=yes TemporaryFileSystem=/var "BindReadOnlyPaths=$FILES"
check_says "group and bind mount" "pass shop-worker.service: .*can read the files"
check "the bot moves" host_run tgswitchctl switch local --yes shop
check "its worker polls there" telegram_wait event=worker-start unit=shop-worker.service root=http://127.0.0.1:8081
path=$(file_of shop)
own=("$GROUP" PrivateUsers=yes TemporaryFileSystem=/var "BindReadOnlyPaths=$FILES")
check_equal "it reads a file of its bot" "file abc of bot ${BOT_IDS[shop]}" \
        "$(as_worker "${own[@]}" -- 'cat <"$path"' <<<"$path")"
check "it can't change it" fails as_worker "${own[@]}" -- 'echo >"$path"' <<<"$path"
check_equal "it sees no other bot's directory" "" "$(as_worker "${own[@]}" -- "ls $FILES $FILES/*" 2>/dev/null <<<"$path")"
check "nor the server's own records" fails as_worker "${own[@]}" -- "cat $FILES/tqueue.binlog" <<<"$path"

check "every update is accounted for" telegram_finish
check_verdict
tap_done
