#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Units as the documentation of a bot has them, with a token in a file and an address beside it, become workers by
# `tgswitchctl adopt`: with --exec, --environment and credentials, one of them a template. They move to the local server
# without another line being changed; what adopt wrote it takes out byte for byte; what it refuses it leaves alone.
# Defends L4, L7 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# bot_declare NAME [LINE…]: a bot that Telegram and tgswitchd know, and no unit of it.
bot_declare()
{
        local name=$1
        shift

        BOT_IDS[$name]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
        BOT_TOKENS[$name]=$(canary_token "${BOT_IDS[$name]}")
        telegram POST /bots "{\"token\":\"${BOT_TOKENS[$name]}\",\"username\":\"${name}_bot\",\"session\":\"cloud\"}" \
                >/dev/null || host_bail "Telegram does not take the bot $name"
        echo "${BOT_TOKENS[$name]}" | host_put "/etc/tgswitch/tokens/$name" 600
        printf '%s\n' "# $name" '[Bot]' 'InitialSeat=cloud' "$@" | host_put "/etc/tgswitch/bots.d/$name.conf"
}

# plain_unit UNIT BOT: as one finds them, with what it reads in a file. It looks at no credential.
plain_unit()
{
        canary_file "/etc/$2.env" "$2"
        canary_exports "$2" "$1"
        printf 'BOT_TOKEN=%s\nBOT_API_ROOT=https://api.telegram.org\n' "${BOT_TOKENS[$2]}" |
                host_put "/etc/$2.env" 600
        host_put "/etc/systemd/system/$1" <<EOT
[Service]
EnvironmentFile=/etc/$2.env
ExecStart=/usr/bin/env -u CREDENTIALS_DIRECTORY \\
        /usr/bin/telegram-worker
Restart=on-failure
RestartSec=200ms
DynamicUser=yes
[Install]
WantedBy=multi-user.target
EOT
}

# adopt ARGUMENT…: leaves $said, both streams, and $status.
adopt()
{
        said=$(host_run tgswitchctl adopt "$@" 2>&1 </dev/null)
        status=$?
}

# gives DESCRIPTION STATUS REGEX: what the last adopt() said; never a token.
gives()
{
        local token

        check_equal "$1: status" "$2" "$status"
        check_match "$1: says so" "$3" "$said"
        for token in "${BOT_TOKENS[@]}" "$planted"; do
                [[ $said != *"${token#*:}"* ]] || tap_fail "$1: a token is printed"
        done
}

# files: every file that adopt could have to do with, what is in it, whose it is.
files()
{
        local places=(/etc/systemd /etc/tgswitch)

        host_run find "${places[@]}" -type f -exec stat -c '%n %U %a' {} + -o -type d -print | sort
        host_run find "${places[@]}" -type f -exec sha256sum {} + | sort
}

# refused DESCRIPTION STATUS REGEX ARGUMENT…: and nothing is changed.
refused()
{
        local description=$1 expected=$2 regex=$3
        shift 3

        adopt "$@"
        gives "$description" "$expected" "$regex"
        check_equal "$description: nothing was changed" "" "$(diff <(echo "$before") <(files))"
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[Manager]
LocalFiles=/var/lib/telegram-bot-api
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
bot_declare shop
bot_declare page 'Export=BOT_API_ROOT={root}'
bot_declare news
canary_unit 'news@*.service' news
plain_unit shop.service shop
plain_unit page.service page
host_put /etc/systemd/system/news@.service <<'EOT'
[Service]
ExecStart=/usr/bin/telegram-worker --unit=news@%i.service
Environment=BOT_TOKEN=none
DynamicUser=yes
EOT
# What is no program of a bot, or none that could be one.
host_put /etc/systemd/system/shop.timer <<<$'[Timer]\nOnActiveSec=1h'
# Of no bot: what stands in a unit is told to everybody who asks systemd.
planted=7999999999:AAplantedplantedplantedplantedplanted
host_put /etc/systemd/system/argv.service <<<"[Service]
ExecStart=/usr/bin/telegram-worker --token=$planted"
host_put /etc/systemd/system/mine.service <<<$'[Service]\nExecStart=/bin/true'
host_put /etc/systemd/system/mine.service.d/50-tgswitch.conf <<<$'[Service]\nTimeoutStartSec=infinity'
host_put /etc/systemd/system/many.service <<<$'[Service]\nType=oneshot\nExecStart=/bin/true ; /bin/true'
host_put /etc/init.d/oldbot 755 <<'EOT'
#!/bin/sh
### BEGIN INIT INFO
# Provides: oldbot
# Required-Start:
# Required-Stop:
# Default-Start: 5
# Default-Stop:
### END INIT INFO
EOT
ln -s /dev/null "$HOST_ROOT/etc/systemd/system/masked.service"
chroot "$HOST_ROOT" systemctl --quiet enable shop.service page.service
host_boot
check "the daemon is ready" host_run systemctl start tgswitchd.service
for bot in shop page; do
        telegram_inject "$bot" 5
done
for bot in shop page; do
        check "$bot: its program runs as it was set up" telegram_wait event=worker-handled unit="$bot.service"
done

# ---- what is refused ----

host_run systemd-run --quiet --unit=passing.service sleep 1000
before=$(files)
refused "without a bot" 2 'Say with --bot=NAME' shop
refused "both ways" 2 'Give either --environment or --exec' shop --bot=shop --exec --environment
refused "an unknown bot" 3 "No bot is called 'shopp'.*tgswitchctl add shopp --worker=shop.service" shop --bot=shopp
refused "an unknown unit" 3 'There is no unit shopp.service' shopp --bot=shop
refused "a name that is none" 2 'is no name of a unit' 'a b' --bot=shop
refused "a timer" 2 'shop.timer starts shop.service: adopt that one' shop.timer --bot=shop
refused "a masked unit" 1 'systemctl unmask masked.service' masked --bot=shop
refused "a transient unit" 1 'passing.service is transient' passing --bot=shop
refused "a script of init" 1 'oldbot.service is made by a generator' oldbot --bot=shop
refused "the server" 2 'is part of tgswitch' telegram-bot-api --bot=shop
refused "the daemon" 2 'is part of tgswitch' tgswitchd --bot=shop
refused "a drop-in of somebody's own" 1 'was not written by adopt' mine --bot=shop --yes
refused "a token in a command" 1 'has a token in it, and would have it in another file' argv --bot=shop --exec --yes
refused "two commands in a line" 1 'several commands in one line' many --bot=shop --exec --yes
refused "what was never adopted" 3 'shop.service is not adopted' shop --undo --yes
said=$(host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl adopt shop --bot=shop --yes 2>&1)
status=$?
gives "without root" 8 'run it as root'
refused "without a terminal" 2 'carries the token now.*Nothing was changed: without a terminal' shop --bot=shop --exec
host_run mkdir /etc/systemd/system/many.service.d
host_run mount -t tmpfs -o ro,mode=755 none /etc/systemd/system/many.service.d
before=$(files)
refused "half-way: what was written is put back" 1 'cannot be written: Read-only.*Everything was put back' many --bot=shop --yes
check_equal "half-way: also in the daemon" '[]' "$(bot_property shop Workers)"
host_run umount /etc/systemd/system/many.service.d
host_run rmdir /etc/systemd/system/many.service.d
plain=$(files)

# ---- --exec ----

json=$(host_run tgswitchctl adopt shop --bot=shop --exec --json 2>/dev/null)
check_equal "JSON has all of it, and no token" \
        'shop.service|exec|true|Worker=shop.service|BOT_TOKEN={token} BOT_API_ROOT={root}|shop.service' \
        "$(jq -r '[.unit, .way, .changes, (.bot_file.after | split("\n")[] | select(startswith("Worker="))),
                ([.variables[].assignment] | join(" ")), .running[]] | join("|")' <<<"$json")"
check_equal "and was only shown" "" "$(diff <(echo "$plain") <(files))"
adopt shop --bot=shop --exec --yes
gives "shop" 0 'shop.service is adopted'
check_match "shop: the file says whose it is" $'\n    \\+ # Written by tgswitchctl adopt: bot=shop mode=exec' "$said"
check_match "shop: the command is wrapped" 'ExecStart=/usr/libexec/tgswitch/tgswitch-exec --set=BOT_API_ROOT=\{root\} -- /usr/bin/env' "$said"
check_match "shop: it may read the local server's files" $'\n    \\+ SupplementaryGroups=tgswitch-files' "$said"
check_match "shop: that it still runs as it was is told" 'shop.service runs and keeps the wiring that it was started with' "$said"
check_match "shop: that it looks at no credential is thought of" "'tgswitchctl spool shop' shows it" "$said"
check_match "shop: the checks are made" 'pass +gate +shop.service' "$said"
check_equal "shop: no check failed" "" "$(grep ' fail ' <<<"$said")"
check_equal "shop: the file is root's and everybody may read it" "root 644" \
        "$(host_run stat -c '%U %a' /etc/systemd/system/shop.service.d/50-tgswitch.conf)"
check "shop: the daemon may start it" host_run grep -q '"shop.service": true' /etc/polkit-1/rules.d/50-tgswitch.rules
adopted=$(files)
adopt shop --bot=shop --exec --yes
gives "once more" 0 'adopted by the bot shop already; there is nothing to do'
adopt shop.service --bot=shop --yes
gives "and without saying how" 0 'adopted by the bot shop already; there is nothing to do'
check_equal "changes nothing" "" "$(diff <(echo "$adopted") <(files))"
before=$adopted
refused "another bot" 1 'is a worker of the bot shop already' shop --bot=page --yes
# As adopt says.
host_run sed -i '/^BOT_/d' /etc/shop.env
adopt shop --bot=shop --yes
gives "with the old token gone" 0 'there is nothing to do'

# ---- --environment, and a template ----

adopt page --bot=page --environment --restart --yes
gives "page" 0 'page.service is adopted'
check_match "page: the token is exported" $'\n    \\+ ExportToken=yes' "$said"
check_match "page: its endpoint is Export='s" 'BOT_API_ROOT= in /etc/page.env carries the endpoint now; Export=' "$said"
host_run sed -i '/^BOT_/d' /etc/page.env
adopt news@ --bot=news --yes
gives "news" 0 'news@.service is adopted'
check "news: for all instances" host_run grep -qx 'Worker=news@\*.service' /etc/tgswitch/bots.d/news.conf
check_match "news: that nobody would get the spool is told" 'unless SpoolTo= in /etc/tgswitch/bots.d/news.conf names one' "$said"
host_run sed -i '$aSpoolTo=news@a.service' /etc/tgswitch/bots.d/news.conf
before=$(files)
adopt news@b --bot=news --yes
gives "news: an instance by itself" 0 'news@b.service.d/50-tgswitch.conf, a new file:.*news@b.service is adopted'
check_match "news: which the bot's file covers already" '^[^/]*/etc/systemd/system/news@b.service.d/50-tgswitch.conf$' \
        "$(diff <(echo "$before") <(files) | grep -o '/etc/.*50-tgswitch.conf$' | sort -u)"
adopt news@b --undo --yes
gives "news: and back" 0 'news@b.service is as it was before it was adopted'
check_equal "news: without a trace" "" "$(diff <(echo "$before") <(files))"
check "news: an instance starts behind the gate" host_run systemctl start news@a.service
check "and is told to the daemon" host_run systemctl reload tgswitchd.service
check "news: with its credentials" telegram_wait event=worker-start unit=news@a.service root=https://api.telegram.org
telegram_inject news 5
check "page: was started anew, with what it has now" host_run sh -c 'tr "\0" "\n" <"/proc/$(systemctl show \
        --property=MainPID --value page.service)/environ" | grep -q "^TGSWITCH_BOT=page"'

# ---- the move ----

# These two look at no credential, and so at no update that was kept for them.
check "nothing is under way" telegram_finish
seq=$(telegram_seq)
before=$(files)
mark=$(bus_mark)
bot_switch shop 1 hold-at s stop-workers
job=$(job_number shop)
check "shop: holds before its workers are stopped" job_becomes "$mark" "$job" Holding true
refused "undo on the way" 7 "shop is on its way.*tgswitchctl wait $job" shop --undo --force --yes
check "shop: goes on" host_run tgswitchctl proceed "$job"
for bot in page news; do
        bot_switch "$bot"
done
for bot in shop page news; do
        check "$bot: arrives" bot_wait "$bot" Seat local
        telegram_inject "$bot" 5
done
for bot in shop page news; do
        check_moved "$bot" "$(telegram_wait event=logout-applied bot="${BOT_IDS[$bot]}" since="$seq" | json seq)"
done
check "shop: by tgswitch-exec, which has become the program" host_run sh -c 'pid=$(systemctl show --property=MainPID \
        --value shop.service); test "$(readlink "/proc/$pid/exe")" = /usr/bin/telegram-worker'
check "every update is accounted for" telegram_finish
check_verdict twice

# ---- undo ----

before=$(files)
refused "undo away from the cloud" 5 'shop is not at the cloud \(its seat is local\)' shop --undo --yes
host_run sed -i 's/infinity/20min/' /etc/systemd/system/shop.service.d/50-tgswitch.conf
before=$(files)
refused "undo of a changed file" 1 'was changed after adopt had written it' shop --undo --yes
# Their programs would go back to the cloud, as they were told before anybody adopted them.
host_run systemctl disable --now --quiet shop.service page.service
host_run systemctl stop news@a.service
host_run sed -i '/^SpoolTo=/d' /etc/tgswitch/bots.d/news.conf
for unit in shop page news@; do
        adopt "$unit" --undo --force --yes
        gives "$unit: undo" 0 "$unit.*is as it was before it was adopted"
done
host_run systemctl --quiet enable shop.service page.service
for bot in shop page; do
        printf 'BOT_TOKEN=%s\nBOT_API_ROOT=https://api.telegram.org\n' "${BOT_TOKENS[$bot]}" | host_put "/etc/$bot.env" 600
done
check_equal "every file is what it was" "" "$(diff <(echo "$plain") <(files))"
check_equal "the daemon has no worker any more" '[] [] []' \
        "$(for bot in shop page news; do bot_property "$bot" Workers; done | xargs)"

tap_done
