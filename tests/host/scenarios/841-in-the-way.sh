#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What may stand in the way of the verbs that write files, `add`, `adopt`, `set-token`, `remove` and those before the
# start of tgswitchd: files that are not what they should be, or change in between; systemd that refuses; a tgswitchd
# that does not start. Each is told with what to do about it, and what was there is there still. Defends L7, L8 and L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/terminal.sh
source "$HOST_DIR/terminal.sh"

# bot_known NAME: to Telegram alone.
bot_known()
{
        BOT_IDS[$1]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
        BOT_TOKENS[$1]=$(canary_token "${BOT_IDS[$1]}")
        telegram POST /bots "{\"token\":\"${BOT_TOKENS[$1]}\",\"username\":\"${1}_bot\",\"session\":\"cloud\"}" \
                >/dev/null || host_bail "Telegram does not take the bot $1"
}

# token_put NAME: as it is.
token_put()
{
        echo "${BOT_TOKENS[$1]}" | host_put "/etc/tgswitch/tokens/$1" 600
}

# files: every file that a verb could have to do with, what is in it, whose it is.
files()
{
        host_run sh -c 'cd /etc && find tgswitch systemd/system ! -type d -exec stat -c "%n %U %a" {} + -type f \
                -exec sha256sum {} +' | sort
}

# says DESCRIPTION STATUS REGEX ARGUMENT…: what tgswitchctl does with $token on its standard input. Leaves $said.
token=
says()
{
        local description=$1 expected=$2 regex=$3 status other
        shift 3

        said=$(host_run tgswitchctl "$@" 2>&1 <<<"$token")
        status=$?
        check_equal "$description: status" "$expected" "$status" || tap_note "$said"
        check_match "$description: says so" "$regex" "$said"
        for other in "${BOT_TOKENS[@]}"; do
                [[ $said != *"${other#*:}"* ]] || tap_fail "$description: a token is printed"
        done
}

# refused: the same, and no file is changed.
refused()
{
        local before

        before=$(files)
        says "$@"
        check_equal "$1: nothing was changed" "" "$(diff <(echo "$before") <(files))"
}

# deny [METHOD…]: of systemd's; the bus lets nobody call them. Without one all may be called again.
deny()
{
        {
                echo '<busconfig><policy context="mandatory">'
                (($# == 0)) ||
                        printf '<deny send_interface="org.freedesktop.systemd1.Manager" send_member="%s"/>\n' "$@"
                echo '</policy></busconfig>'
        } | host_put /etc/dbus-1/deny.conf
        # The bus reads it as soon as it is there.
        host_run mv /etc/dbus-1/deny.conf /etc/dbus-1/system.d/deny.conf
        host_run busctl --quiet call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig
}

# previous_stays NAME: the file in which the token before is kept is there and cannot be removed, nor moved: something is
# mounted on it. previous_gone NAME: not any more.
previous_stays()
{
        host_run touch "/etc/tgswitch/tokens/.$1.previous"
        host_run mount --bind /etc/motd "/etc/tgswitch/tokens/.$1.previous"
}

previous_gone()
{
        host_run umount "/etc/tgswitch/tokens/.$1.previous"
        host_run rm "/etc/tgswitch/tokens/.$1.previous"
}

# daemon_with [LINE…]: of a [Service] that is laid over tgswitchd's.
daemon_with()
{
        if (($#)); then
                printf '%s\n' '[Service]' "$@" | host_put /run/systemd/system/tgswitchd.service.d/90-test.conf
        else
                host_run rm /run/systemd/system/tgswitchd.service.d/90-test.conf
        fi
        host_run systemctl daemon-reload
}

host_create
host_install
canary_exports shop shop.service two.service
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
EOT
for bot in shop news vendor link late fresh; do
        bot_known "$bot"
done
bot_add page </dev/null
for bot in shop news vendor; do
        token_put "$bot"
done
host_put /etc/tgswitch/bots.d/shop.conf <<<$'[Bot]\nInitialSeat=cloud'
host_put /etc/tgswitch/bots.d/news.conf <<<$'[Bot]\nInitialSeat=cloud'
host_put /usr/lib/tgswitch/bots.d/vendor.conf <<<$'[Bot]\nInitialSeat=cloud'
for unit in shop two; do
        host_put "/etc/systemd/system/$unit.service" <<EOT
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/test ! -e /run/$unit.broken
ExecStart=/usr/bin/sh -c 'test ! -e /run/$unit.slow || exec sleep infinity'
[Install]
WantedBy=multi-user.target
EOT
done
host_put /etc/systemd/system/wrapped.service <<<'[Service]
ExecStart=/usr/libexec/tgswitch/tgswitch-exec -- /usr/bin/true'
host_put /etc/systemd/system/stops.service <<<$'[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=/usr/bin/true'
host_put /etc/systemd/system/nothing.service <<<$'[Service]\nType=simple'
host_put /etc/systemd/system/mine.service <<<$'[Service]\nExecStart=/usr/bin/true'
host_put /etc/systemd/system/mine.service.d/50-tgswitch.conf <<<$'[Service]\nTimeoutStartSec=infinity'
host_put /etc/systemd/system/lone.path <<<$'[Path]\nPathExists=/none\nUnit=multi-user.target'
# The number of the bot is nowhere but in what the program calls itself.
host_put /etc/systemd/system/hidden.service <<<$'[Service]\nExecStart=/usr/local/bin/hidden'
host_put /usr/local/bin/hidden 755 <<<$'#!/bin/bash\nexec -a "$(</etc/hidden)" sleep infinity'
echo "worker of ${BOT_IDS[fresh]}" | host_put /etc/hidden
host_put /usr/lib/tgswitch-faults.so 755 <"$BUILD/tests/host/fault-preload.so"
chroot "$HOST_ROOT" systemctl --quiet enable shop.service two.service
host_boot
check "tgswitchd has started" host_run systemctl start tgswitchd.service
check "the services run" host_run systemctl start shop.service two.service hidden.service

# ---- files that are not what they should be ----

host_put /etc/tgswitch/link.good <<<$'[Bot]\nInitialSeat=cloud'
host_run ln -s ../link.good /etc/tgswitch/bots.d/link.conf
host_put /etc/tgswitch/bots.d/late.conf <<<$'[Bot]\nInitialSeat=local\nExportToken=no'
token=${BOT_TOKENS[vendor]}
refused "a bot of a package: add" 1 'vendor is set up by /usr/lib/tgswitch/bots.d/vendor.conf, which is not the admin' \
        add vendor --yes
refused "a bot of a package: remove" 1 'an empty file in /etc/tgswitch/bots.d of the same name has it ignored' \
        remove vendor --yes
refused "a bot of a package: adopt" 1 'copy it to /etc/tgswitch/bots.d/vendor.conf, which takes its place' \
        adopt shop --bot=vendor --yes
refused "a file that is a link: adopt" 1 \
        'link.conf cannot be read .*only a regular file can be changed. Set Worker=shop.service' \
        adopt shop --bot=link --yes
refused "a file that is a link: remove" 1 'link.conf cannot be read .*only a regular file can be taken away' \
        remove link --yes
refused "a bot that tgswitchd does not know" 2 "bot's seat +not known to tgswitchd yet" \
        adopt shop --bot=late --exec
refused "ExportToken=no" 1 'late.conf says ExportToken=no.*take that line out, or adopt with --exec' \
        adopt shop --bot=late --environment --yes
token=${BOT_TOKENS[late]}
refused "another seat than its file has" 5 'late is at the local server, as its file says: .*set-seat late cloud' \
        add late --initial-seat=cloud --yes
token=${BOT_TOKENS[shop]}
refused "the token of another bot" 5 \
        "the token of bot ${BOT_IDS[shop]}, which is called shop here: one bot has one name" \
        set-token late --yes
host_run sed -i '$aWroker=x' /etc/tgswitch/bots.d/late.conf
refused "a mistake in the bot's file" 1 'late.conf:4: .*Wroker.*\. Correct that first\.' adopt shop --bot=late --yes
host_put /etc/tgswitch/tgswitch.conf.d/90-bad.conf <<<$'[Manager]\nCloudServer=moon'
refused "a mistake that all depend on" 1 "The configuration cannot be used: 'tgswitchctl authorize' says why" \
        remove shop --yes
host_run rm /etc/tgswitch/tgswitch.conf.d/90-bad.conf /etc/tgswitch/bots.d/link.conf
host_run mkdir /etc/systemd/system/shop.service.d
host_run ln -s /etc/motd /etc/systemd/system/shop.service.d/50-tgswitch.conf
refused "a drop-in that is a link" 1 "50-tgswitch.conf cannot be read .*: only a regular file can be adopt's" \
        adopt shop --bot=shop --yes
host_run rm -r /etc/systemd/system/shop.service.d
refused "undo of somebody's own drop-in" 1 'was not written by adopt, so there is nothing that it could take back' \
        adopt mine --undo --force --yes
refused "a path of no service" 2 \
        'lone.path is no service, and only a service runs a bot' adopt lone.path --bot=shop --yes
refused "a unit that is broken" 1 'systemd cannot load nothing.service' adopt nothing --bot=shop --yes
refused "tgswitch-exec twice" 1 'runs its program with tgswitch-exec already' adopt wrapped --bot=shop --exec --yes
refused "no program" 1 'stops.service has no ExecStart= that could be taken over' adopt stops --bot=shop --exec --yes
host_run mv /usr/libexec/tgswitch/tgswitch-exec /root/tgswitch-exec
refused "tgswitch-exec is missing" 1 'tgswitch-exec, which --exec needs, is not installed with this tgswitchctl' \
        adopt shop --bot=shop --exec --yes
host_run mv /root/tgswitch-exec /usr/libexec/tgswitch/tgswitch-exec
token=${BOT_TOKENS[fresh]}
check_match "a service is found by what its program calls itself" \
        '^hidden.service the command line of its program has the number of this bot$' \
        "$(host_run tgswitchctl add fresh --json 2>/dev/null <<<"$token" | jq -r '.candidates[] | "\(.unit) \(.why)"')"

host_run mv /var/lib/tgswitch/bots /var/lib/tgswitch/bots.good
host_put /var/lib/tgswitch/bots </dev/null
refused "no records: add" 1 'The record of fresh cannot be read \(Not a directory\): look at /var/lib/tgswitch/bots' \
        add fresh --yes
refused "no records: set-token" 1 'The record of late cannot be read \(Not a directory\)' set-token late --yes
says "no records: authorize" 0 \
        'The records in /var/lib/tgswitch cannot be read \(Not a directory\).*Look at them as root' \
        authorize --output=/root/rule
host_run rm /var/lib/tgswitch/bots
host_run mv /var/lib/tgswitch/bots.good /var/lib/tgswitch/bots
says "a rule that cannot be read" 1 '/root cannot be read: .*Take it away, then run this again' authorize --output=/root
says "a rule that cannot be written" 1 '/none/rule cannot be written: No such file.*is polkitd installed' \
        authorize --output=/none/rule

host_run ln -s /etc/motd /etc/tgswitch/tokens.encrypted/late
says "an encrypted token that is a link" 1 \
        'tokens.encrypted/late cannot be decrypted on this host \(it is a symbolic link\)' \
        check-credentials
host_run rm /etc/tgswitch/tokens.encrypted/late
check_match "credentials are root's" 'check-credentials decrypts what only root may read: run it as root' \
        "$(host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl check-credentials 2>&1)"
host_run mv /run/tgswitch/credentials /run/tgswitch/credentials.good
host_put /run/tgswitch/credentials </dev/null
says "no place for credentials" 1 '/run/tgswitch/credentials cannot be made: Not a directory' check-credentials
host_run rm /run/tgswitch/credentials
host_run mv /run/tgswitch/credentials.good /run/tgswitch/credentials
host_run mv /usr/bin/systemd-creds /root/systemd-creds
host_put /usr/bin/systemd-creds 755 <<<$'#!/bin/sh\nexit 1'
token=${BOT_TOKENS[shop]}
refused "systemd-creds fails in silence" 1 'cannot be encrypted on this host \(systemd-creds does not say why\)' \
        set-token shop --encrypt --yes
host_put /usr/bin/systemd-creds 755 <<<$'#!/bin/sh\necho other'
refused "systemd-creds gives back something else" 1 \
        'cannot be encrypted on this host \(systemd-creds does not give back what it got\)' \
        set-token shop --encrypt --yes
host_run mv /root/systemd-creds /usr/bin/systemd-creds

# ---- systemd refuses ----

deny LoadUnit ListUnitsByPatterns
token=${BOT_TOKENS[fresh]}
refused "no list of services" 1 'systemd does not tell which services there are \(.+\): name them with --worker=' \
        add fresh --yes
refused "nothing about the service" 1 \
        "systemd does not tell about shop.service.*'systemctl cat shop.service' has to work" \
        adopt shop --bot=shop --yes
token=${BOT_TOKENS[page]}
refused "the workers cannot be found" 1 \
        'The token is stored, but the workers of page cannot be found out \(.+\): restart them' \
        set-token page --restart --yes
deny Reload
refused "systemd does not reload" 1 \
        "systemd does not read its units again .*'systemctl daemon-reload'.*Not all could be put" \
        adopt shop --bot=shop --yes
deny ReloadOrRestartUnit RestartUnit
refused "tgswitchd is not reloaded" 1 \
        'tgswitchd does not read its configuration again \(.+\): .*Not all could be put back' \
        adopt shop --bot=shop --yes
refused "tgswitchd is not restarted" 1 \
        "tgswitchd cannot be restarted \(.+\): .*Not all could be put back" remove news --yes
deny

# ---- tgswitchd does not do what it is asked for ----

daemon_with ExecReload= ExecReload=/usr/bin/false
refused "its reload fails" 1 'tgswitchd does not read its configuration again \(the reload has failed\)' \
        adopt shop --bot=shop --yes
daemon_with ExecReload= ExecReload=/usr/bin/true
refused "its reload does nothing" 1 \
        'tgswitchd does not take shop.service as a worker of shop .*Everything is put back' \
        adopt shop --bot=shop --yes
daemon_with TemporaryFileSystem=/etc/tgswitch/bots.d:ro
token=${BOT_TOKENS[fresh]}
refused "it does not see the bot" 1 'tgswitchd does not take fresh \(.+\): .*Everything was put back as it was' \
        add fresh --plain --worker=none --yes
daemon_with ExecStartPre=/usr/bin/false
host_put /etc/tgswitch/bots.d/late.conf <<<$'[Bot]\nInitialSeat=cloud'
token=${BOT_TOKENS[late]}
refused "it does not start" 1 \
        'tgswitchd cannot be restarted \(it did not start\).*late: The token was not taken up. It was removed again' \
        set-token late --yes
daemon_with
check "it starts again" host_run systemctl restart tgswitchd.service

# ---- a service that does not start again ----

host_run touch /run/shop.broken
says "adopt: the restart fails" 1 "shop.service is adopted, but its restart failed \(it did not start\)" \
        adopt shop --bot=shop --environment --restart --yes
token=${BOT_TOKENS[shop]}
says "set-token: the restart fails" 1 \
        'The token is stored, but shop.service cannot be restarted with it \(it did not start\)' \
        set-token shop --restart --yes
says "two: is adopted" 0 'two.service is adopted' adopt two --bot=shop --environment --yes
refused "what others need stays" 2 "ExportToken=yes stays in the bot's file, which has other workers" adopt shop --undo
refused "undo for another bot" 1 'shop.service was adopted by the bot shop, not by news: correct --bot=' \
        adopt shop --undo --bot=news --yes
check "shop is declared to be at the local server" host_run tgswitchctl set-seat shop local
refused "what runs may ask the cloud" 2 'The bot is not at the cloud. If the program that runs asks the cloud' \
        adopt two --bot=shop --exec
host_run tgswitchctl set-seat shop cloud
host_run sed -i '/^Worker=shop.service$/d' /etc/tgswitch/bots.d/shop.conf
refused "adopted by another bot" 1 "shop.service was adopted by the bot shop: 'tgswitchctl adopt shop.service --undo'" \
        adopt shop --bot=news --yes

# ---- tokens ----

telegram_fault "{\"bot\":${BOT_IDS[news]},\"role\":\"cloud\",\"method\":\"getMe\",\"kind\":\"bad-gateway\",\"times\":0}"
token=${BOT_TOKENS[news]}
says "the server does not answer" 0 'news: whether the token is good is not known yet' set-token news --yes
telegram DELETE /faults >/dev/null
# Where the token before would be kept stands something it could not be brought back from.
host_run mkdir /etc/tgswitch/tokens/.news.previous
refused "set-token: the one before could not be kept" 1 \
        'tokens/\.news\.previous is no file, .* to be put back: move it away\. Nothing was changed' set-token news --yes
refused "remove: the one before could not be kept" 1 'tokens/\.news\.previous is no file, .*: move it away' \
        remove news --yes
host_run rmdir /etc/tgswitch/tokens/.news.previous
# Or a file that stays there, whatever is done: something is mounted on it.
previous_stays news
previous_stays fresh
says "the one before cannot be removed" 1 \
        'The new token of news is stored, but the one before it cannot be removed \(.+\): remove .*/\.news\.previous' \
        set-token news --yes
token=$(canary_token "${BOT_IDS[news]}")
says "the one before cannot be put back" 1 \
        'news: The cloud server does not accept.*The token before it cannot be put back \(.+\): it is in .*/\.news\.prev' \
        set-token news --yes
previous_gone news
says "a token that is dead, with --force" 0 'does not accept the token.*It is kept because of --force' \
        set-token news --force --yes
token_put news
token=$(canary_token "${BOT_IDS[fresh]}")
says "add: a token that is dead cannot be taken away" 5 \
        'The token of fresh cannot be taken away again \(.+\): remove .*The rest was put back. Give the same' \
        add fresh --plain --worker=none --yes
host_run rm /etc/tgswitch/tokens/fresh
token=${BOT_TOKENS[fresh]}
says "add: what is left beside it" 1 \
        'fresh is set up, but what is left beside its token cannot be removed \(.+\): remove' \
        add fresh --plain --worker=none --yes
previous_gone fresh
host_run mkdir /etc/tgswitch/tokens.encrypted/fresh
refused "remove: a token that cannot be removed" 1 \
        'The token of fresh cannot be removed: .*Look at .*Not all could be put back' \
        remove fresh --yes
host_run rmdir /etc/tgswitch/tokens.encrypted/fresh
previous_stays fresh
says "remove: what is left beside it" 1 'fresh is removed, but its token cannot be wiped out \(.+\): remove' \
        remove fresh --yes

# ---- in between ----

terminal_open 100 50
terminal_begin 'tgswitchctl add news --worker=none --encrypt'
check "add asks" terminal_shows 'Write this\? \[y/N\] *$'
host_run tgswitchctl set-seat news local
terminal_key y Enter
terminal_ends
check_match "add: the bot is elsewhere by now" '7 .*news is at the local server by now: give the same command again' \
        "$status $screen"
terminal_close
host_run tgswitchctl set-seat news cloud

faults=/var/cache/faults
mkdir "$HOST_ROOT$faults"
mkfifo "$HOST_ROOT$faults/report"
exec {FAULT_REPORT}<>"$HOST_ROOT$faults/report"
# begin ARGUMENT…: of tgswitchctl, in which fault-preload.c does what it finds; its output goes to a file.
begin()
{
        # What the one before has reported.
        while read -r -t 0 -u "$FAULT_REPORT" && read -r -u "$FAULT_REPORT"; do :; done
        # By a shell in between: nsenter would stop with it, and for good.
        # shellcheck disable=SC2016
        host_run LD_PRELOAD=/usr/lib/tgswitch-faults.so FAULT_DIRECTORY="$faults" FAULT_PROGRAM=tgswitchctl sh -c \
                'exec 3<&0; tgswitchctl "$@" <&3 & echo $! >/var/cache/faults/pid; wait $!' - "$@" <<<"$token" \
                >"$HOST_DISK/begun.txt" 2>&1 &
}

# reported WORD
reported()
{
        local line

        while read -r -t 15 -u "$FAULT_REPORT" line; do
                [[ $line != $1* ]] || return 0
        done
        return 1
}

echo "rename 1 after /etc/tgswitch/bots.d" >"$HOST_ROOT$faults/at"
begin adopt mine --bot=news --force --yes
check "adopt has written one of its files" reported stopped
both=(/etc/tgswitch/bots.d/news.conf /etc/systemd/system/mine.service.d/50-tgswitch.conf)
echo "# mine" | host_run tee -a "${both[@]}" >/dev/null
host_run kill -CONT "$(<"$HOST_ROOT$faults/pid")"
wait $!
check_equal "files that change in between: status" 1 $?
said=$(<"$HOST_DISK/begun.txt")
check_match "files that change in between: nothing of it is lost" \
        '50-tgswitch.conf has changed since it was read; give' "$said"
check_match "files that change in between: not by putting back either" \
        'news.conf cannot be put back \(somebody has changed it meanwhile\).*Not all could be put back' "$said"
check_equal "files that change in between: both have the line" 2 \
        "$(host_run grep -lx '# mine' "${both[@]}" | wc -l)"

# It waits for a service that does not come up, and two minutes go by in no time.
host_run touch /run/two.slow
token=${BOT_TOKENS[shop]}
mark=$(bus_mark)
begin set-token shop --restart --yes
check "two: is being started anew" \
        bus_wait "$mark" '/unit/two_2eservice".*"ActiveState":\{"type":"s","data":"activating"\}'
reported ready
echo "0 0 200" >"$HOST_ROOT$faults/clock.new"
mv "$HOST_ROOT$faults/clock.new" "$HOST_ROOT$faults/clock"
check "it is later" reported ready
# Any job that ends wakes it up.
host_run systemctl restart hidden.service
wait $!
check_equal "a service that does not come up: status" 1 $?
check_match "a service that does not come up: is told" \
        "two.service still waits for its restart: 'tgswitchctl status' says" \
        "$(<"$HOST_DISK/begun.txt")"
host_run rm /run/two.slow
host_run systemctl kill two.service

# ---- what would be lost ----

host_run systemctl stop page-worker.service
telegram_inject page 0 3
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[page]},\"method\":\"getMe\",\"kind\":\"restart\",\"times\":0}"
mark=$(bus_mark)
bot_switch page
check "page: is logged out" phase_wait "$mark" page log-in
telegram DELETE /faults >/dev/null
check "page: arrives" bot_wait page Seat local
check "page: the move ends" bot_wait page Phase ""
refused "updates are kept" 5 \
        "3 updates are kept for its workers, and would be dropped: 'tgswitchctl spool page' shows" \
        remove page --yes

# Nobody knows where it is.
host_run systemctl stop --quiet tgswitchd.service 2>/dev/null
host_put /var/lib/tgswitch/bots/news.state <<<"rubbish"
check "with a damaged record" host_run systemctl start tgswitchd.service
refused "a bot whose record is damaged" 7 "is not known where news is logged in: 'tgswitchctl status news' says why" \
        remove news --yes --force
tap_done
