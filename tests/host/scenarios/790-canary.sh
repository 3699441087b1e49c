#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The search that ends every scenario has to be able to find something: a token is put in each kind of place, one kind
# after the other, and is found there and nowhere else. Before that, on the same busy host, nothing is found, with one bot
# that has its token exported. Defends L7.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

# planted DESCRIPTION REGEX…: what is found now are lines that match these, one each, and no other. Then it is as if it
# had never been there.
planted()
{
        local description=$1 found regex rest
        shift

        found=$(canary_search)
        rest=$found
        for regex; do
                check_match "$description: found" "(^|"$'\n'")$regex("$'\n'"|\$)" "$found"
                rest=$(grep -vxE -- "$regex" <<<"$rest")
        done
        check_equal "$description: and nothing else" "" "$rest"
        rm -f "$HOST_DISK/canary-left"
}

# host_told SCRIPT [TEXT]: for the shell of the host, where $t is the text, the token by itself.
host_told()
{
        host_run sh -c "read -r t; $1" <<<"${2:-$token}"
}

host_create
host_install
telegram_start
bot_add shop </dev/null
bot_add news cloud <<<"ExportToken=yes"
canary_exports news news-worker.service
host_put /etc/systemd/system/news-worker.service.d/60-export.conf \
        <<<$'[Service]\nEnvironmentFile=-/run/tgswitch/bots/news.env'
host_put /usr/bin/canary-plant 755 <"$BUILD/tests/host/canary-plant"
# What programs began with is not seen everywhere: see canary.sh.
began=('')
[[ $CONFIG != asan ]] || began=()
token=${BOT_TOKENS[shop]}
other=${BOT_TOKENS[news]}

host_boot
check "the workers start" telegram_wait event=worker-start count=2
check "the bots move" host_run systemctl start tgswitch-local.service
check "the one worker has its token in its environment" host_run sh -c 'tr "\0" "\n" <"/proc/$(systemctl show \
        --property=MainPID --value news-worker.service)/environ" | grep -q ":AAtg[C]anary"'
planted "nothing"

# ---- files ----

places=(/run /tmp /var/tmp /dev /dev/shm /etc /usr/local /root /home /opt /var/lib/tgswitch)
regexes=()
for place in "${places[@]}"; do
        host_told "echo \$t >$place/planted; : >$place/\$t"
        regexes+=("in $place/planted" "name $place/\\{token\\}")
done
host_told 'ln -s /$t /var/tmp/link'
planted "files and their names" "${regexes[@]}" 'link /var/tmp/link' "${began[@]/%/argv of ln as it began, unit -}"
host_run rm /var/tmp/link
for place in "${places[@]}"; do
        # Not by rm, whose arguments are another place.
        host_run find "$place" -maxdepth 1 '(' -name planted -o -name "${token%%:*}:*" ')' -delete
done
planted "when they are gone: nothing"

# As a program may write it that means no harm.
secret=${token#*:}
regexes=()
while IFS=$'\t' read -r form text; do
        host_told "cat >'/var/tmp/$form'" "$text"$'\n'"$text"
        regexes+=("in /var/tmp/$form")
done <<EOF
its secret	$secret
12 characters of its secret	${secret:0:12}
its end	${secret:16}
a URL	https%3A%2F%2Fapi.telegram.org%2Fbot${token/:/%3A}%2FgetMe
base64	$(base64 -w 0 <<<"$token")
base64 at another offset	$(base64 -w 0 <<<"x$token")
base64 at the third offset	$(base64 -w 0 <<<"xx$token")
hexadecimal	$(od -An -v -tx1 <<<"$token" | tr -d ' \n')
HEXADECIMAL	$(od -An -v -tx1 <<<"$token" | tr -d ' \n' | tr a-f A-F)
bytes	$(od -An -v -tu1 <<<"$token" | xargs)
JSON of bytes	$(od -An -v -tu1 <<<"$token" | xargs | tr ' ' ,)
across two readings	$(head -c $(((1 << 20) - 25)) /dev/zero | tr '\0' x)$token
EOF
planted "tokens in other forms" "${regexes[@]}"
host_run find /var/tmp -type f -delete

# A place that is allowed is so for its own bot.
host_told 'echo $t >>/etc/tgswitch/tokens/shop' "$other"
planted "a stranger's token beside the own one" "in /etc/tgswitch/tokens/shop"
host_told 'echo $t >/etc/tgswitch/tokens/shop'
host_told 'echo $t >>/run/tgswitch/bots/news.env'
planted "a stranger's token in an environment file" "in /run/tgswitch/bots/news.env"
host_run sed -i '$d' /run/tgswitch/bots/news.env
# Neither here nor there: the file of a bot that exports nothing.
host_told 'echo $t >>/run/tgswitch/bots/shop.env'
planted "a token in an environment file that is to have none" "in /run/tgswitch/bots/shop.env"
host_run sed -i '$d' /run/tgswitch/bots/shop.env
# As a unit gets it that may have the token of one bot, from a file that has another's.
canary_unit stranger.service news
canary_environ news stranger.service
host_told 'echo PLANTED=$t >/run/planted
        systemd-run --quiet --unit=stranger.service --property=Type=exec \
                --property=LoadCredential=bot-token:/run/planted --property=EnvironmentFile=/run/planted sleep infinity
        rm /run/planted'
planted "a stranger's token in a worker's credential and environment" 'in /run/credentials/stranger.service/bot-token' \
        'environ /proc/[0-9]+/environ' "${began[@]/%/environ of sleep as it began, unit stranger.service}"
host_run systemctl stop stranger.service

# ---- processes ----

host_told 'mkdir /var/tmp/plant'
coproc PLANT { host_run canary-plant /var/tmp/plant; }
echo "$token" >&"${PLANT[1]}"
read -r -t 60 word <&"${PLANT[0]}"
check_equal "a process has it" planted "${word:-nothing}"
planted "memfds, nameless files, mapped ones, extended attributes, and processes themselves" \
        'argv /proc/[0-9]+/cmdline' 'environ /proc/[0-9]+/environ' \
        "${began[@]/%/argv of canary-plant as it began, unit -}" \
        "${began[@]/%/environ of canary-plant as it began, unit -}" \
        'fd /proc/[0-9]+/fd/[0-9]+ /memfd:planted \(deleted\)' 'fd /proc/[0-9]+/fd/[0-9]+ .*/nameless \(deleted\)' \
        'map /proc/[0-9]+/map_files/.*/nameless \(deleted\)' 'xattr /var/tmp/plant/xattr' 'comm /proc/[0-9]+/comm'
plant=$PLANT_PID
stdin=${PLANT[1]}
exec {stdin}>&-
wait "$plant"
host_run rm -r /var/tmp/plant

if [[ $CONFIG != asan ]]; then
        host_told 'export PLANTED=$t; /bin/true' "$other$(head -c 5000 /dev/zero | tr '\0' x)$token"
        planted "what is too long to be told whole" 'long-environ of true as it began, unit -'
        host_told '/bin/true $t'
        planted "an argument of what has ended long since" 'argv of true as it began, unit -'
        host_told 'export PLANTED=$t; /bin/true'
        planted "an environment of what has ended long since" 'environ of true as it began, unit -'
        host_told 'systemd-run --quiet --wait --unit=planted.service --property=EnvironmentFile=/run/planted true' \
                "$(host_told 'echo PLANTED=$t >/run/planted')"
        planted "the environment of a unit" 'environ of true as it began, unit planted.service' 'in /run/planted'
        host_told 'systemd-run --quiet --wait --unit=news-worker-2.service --property=EnvironmentFile=/run/planted true' \
                "$(host_told 'echo PLANTED=$t >/run/planted' "$other")"
        planted "an exported token in another unit" 'environ of true as it began, unit news-worker-2.service' \
                'in /run/planted'
        host_run rm /run/planted
fi

# A directory of a unit's own, which nobody else sees.
host_put /etc/systemd/system/private.service <<'EOF'
[Service]
Type=exec
TemporaryFileSystem=/opt
ExecStart=/bin/sh -c 'cp /run/planted /opt && rm /run/planted && systemd-notify --ready && exec sleep infinity'
Type=notify
NotifyAccess=all
EOF
host_told 'echo $t >/run/planted; systemctl daemon-reload; systemctl start private.service'
planted "a unit's private file system" 'in /opt/planted'
host_run systemctl stop private.service

# ---- what systemd and the bus know ----

host_told 'printf "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nEnvironment=PLANTED=%s\n" $t \
        >/run/systemd/system/planted.service; systemctl daemon-reload; systemctl start planted.service
        rm /run/systemd/system/planted.service'
planted "a unit's property" 'in canary-said/answers' \
        "${began[@]/%/environ of true as it began, unit planted.service}"
host_run systemctl stop planted.service
host_run systemctl daemon-reload

host_told 'systemctl set-environment PLANTED=$t'
planted "systemd's own environment" 'in canary-said/answers' \
        "${began[@]/%/argv of systemctl as it began, unit -}"
host_run systemctl unset-environment PLANTED

host_told 'busctl emit /planted org.example.Planted Planted s $t'
planted "a message on the bus" 'in bus.log' "${began[@]/%/argv of busctl as it began, unit -}"
: >"$HOST_DISK/bus.log"
read -r -a bytes < <(od -An -v -tu1 <<<"$token" | xargs)
host_run busctl emit /planted org.example.Planted Planted ay ${#bytes[@]} "${bytes[@]}"
planted "one of bytes" 'in bus.log'
: >"$HOST_DISK/bus.log"

echo "$token" >>"$HOST_DISK/console"
planted "the console" 'in console'
: >"$HOST_DISK/console"

# What gives no answer has nothing to be found in.
host_run chmod 644 /usr/bin/tgswitchctl
planted "who is to be asked and gives no answer" '"setpriv .* tgswitchctl list" could not be asked' \
        '"setpriv .* tgswitchctl status" could not be asked' '"setpriv .* tgswitchctl status --json" could not be asked'
host_run chmod 755 /usr/bin/tgswitchctl
host_run systemctl --quiet stop tgswitchd.service 2>/dev/null
planted "a daemon that was stopped: nothing"
host_run systemctl start tgswitchd.service

# ---- what is gone by the end ----

host_told 'echo $t >/run/planted'
host_shutdown
host_boot
check "nothing is there any more" host_run test ! -e /run/planted
planted "what was in memory before the host was shut down" 'in /run/planted'
host_told 'echo $t >/var/tmp/planted; sync'
host_power_cut
host_boot
host_run rm /var/tmp/planted
planted "what a power cut has left" 'in /var/tmp/planted'

# The journal forgets nothing, so this comes last.
host_told 'printf "MESSAGE=nothing\nPLANTED=%s\n" $t | logger --journald; journalctl --sync --rotate'
planted "a field of the journal" 'in /var/log/journal/.*\.journal'
# Nor does the kernel, where it lets us.
if (echo "$HOST_NAME: $token" >/dev/kmsg && dmesg | grep -F "$token") >/dev/null 2>&1; then
        planted "the kernel's log" 'in canary-said/kernel' 'in /var/log/journal/.*\.journal'
else
        tap_pass "the kernel's log: found # SKIP it can't be written to and read here"
fi

canary_none "what is found here was put there"
tap_done
