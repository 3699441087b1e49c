#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A host without build tools gets the Debian package, and a bot by the commands of the manual's example; it is upgraded
# while bots are between two servers, which go on, and nothing else is started or stopped; it is removed, installed
# again, purged: what stays and what goes, file by file. Defends L5 and L7 across the package.

# Before the namespaces, where the packages of this machine are still to be asked for.
if [[ ${HOST_NAMESPACES:-} != inside ]] &&
        ! output=$(make -s -C "$(dirname "$0")/../../.." BUILDROOT="${BUILDROOT:-build}" deb 2>&1); then
        echo "$output"
        echo "Bail out! The package is not built."
        exit 1
fi
# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

version=$(sed -n 's/^VERSION *:= *//p' "$SOURCE_DIR/Makefile")
deb=$(dirname "$BUILD")/deb/tgswitch_${version}_$(dpkg --print-architecture).deb
# What nobody but the administrator starts.
quiet_units=(tgswitch-local.service tgswitch-cloud.service telegram-bot-api.service)

# apt ARGUMENT…: leaves $said, both streams, and $status. There is no network, and nobody to ask.
apt()
{
        said=$(host_run DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
                -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" 2>&1 </dev/null)
        status=$?
}

# done_well DESCRIPTION: the last apt() has.
done_well()
{
        check_equal "$1" 0 "$status" || tap_note "$said"
        check_equal "$1: nothing is half done" "" "$(host_run dpkg --audit)"
        check_equal "$1: no script complains" "" "$(grep -iE 'warning|error|fail|denied|not found' <<<"$said")"
}

# package_newer FILE: the same package, of a version more, with other files where that matters.
package_newer()
{
        local tree=$HOST_DISK/newer

        dpkg-deb -R "$deb" "$tree" &&
                sed -i "s/^Version: .*/Version: $version+1/" "$tree/DEBIAN/control" &&
                sed -i 's/^Description=.*/Description=A newer one/' "$tree/lib/systemd/system/tgswitchd.service" \
                        "$tree/lib/systemd/system/telegram-bot-api.service" &&
                echo "# A newer one." | tee -a "$tree"/etc/tgswitch/{tgswitch.conf,bots.d/example.conf} >/dev/null &&
                (cd "$tree" && find etc lib usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums) &&
                dpkg-deb --root-owner-group -b "$tree" "$1" >/dev/null
}

# property UNIT PROPERTY
property()
{
        host_run systemctl show --property="$2" --value "$1"
}

# unit_state UNIT: as "enabled active".
unit_state()
{
        echo "$(host_run systemctl is-enabled "$1" 2>/dev/null)" "$(property "$1" ActiveState)"
}

# tree: every file on the host's disk, with its mode and owner, and those of /etc with their contents. Without what
# systemd, dpkg and apt keep for themselves, and the lists of users.
tree()
{
        local path others=()

        for path in var/{log,tmp,backups} var/lib/{apt,dpkg,systemd} var/cache/{apt,debconf,ldconfig} etc/ld.so.cache \
                'etc/*passwd*' 'etc/*group*' 'etc/*shadow*' 'etc/sub?id*' etc/.pwd.lock; do
                others+=(${others:+-o} -path "$path")
        done
        (
                cd "$HOST_ROOT" || exit
                find etc usr var \( "${others[@]}" \) -prune -o -printf '%M %U:%G /%p %l\n'
                find etc \( "${others[@]}" \) -prune -o -type f -exec sha256sum {} +
        ) | sort
}

# came TREE: paths that have come since, in one line; went TREE: that have gone.
came()
{
        comm -13 <(echo "$1") <(tree) | sed -n 's|^[^ ]* [0-9]*:[0-9]* \(/[^ ]*\) .*|\1|p' | sort -u | paste -sd ' '
}

went()
{
        comm -23 <(echo "$1") <(tree) | sed -n 's|^[^ ]* [0-9]*:[0-9]* \(/[^ ]*\) .*|\1|p' | sort -u | paste -sd ' '
}

# manual TEXT: the commands of the example in tgswitchctl(1) that comes after this text, as the package has the page.
manual()
{
        dpkg-deb --fsys-tarfile "$deb" | tar -xO ./usr/share/man/man1/tgswitchctl.1.gz | zcat |
                sed -e 's/\\-/-/g; s/\\&//g; s/\\(aq/'"'"'/g; s/\\(ti/~/g' |
                awk -v text="$1" '
                        index($0, text) { here = 1 }
                        here && /^\.fi/ { exit }
                        here && inside { print }
                        here && /^\.nf/ { inside = 1 }' | sed -n 's/^sudo //p'
}

# by_hand COMMAND: as somebody types it who has the package and the token's file in /srv. Leaves $said and $status.
by_hand()
{
        said=$(host_run DEBIAN_FRONTEND=noninteractive sh -c "cd /srv && $1" 2>&1 </dev/null)
        status=$?
}

# set_up NAME: a bot with a service that is there and does not run yet.
set_up()
{
        check "$1: is set up" host_run tgswitchctl add "$1" --worker="$1.service" --yes <<<"${BOT_TOKENS[$1]}"
        check "$1: its service starts" host_run systemctl start "$1.service"
        check "$1: it works at the cloud" telegram_wait event=worker-start unit="$1.service" \
                root=https://api.telegram.org
}

bots=(shop news page late)

host_create
telegram_start
rm -r "$HOST_ROOT/etc/tgswitch"
# The documentation is part of the package.
rm -f "$HOST_ROOT/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
for bot in "${bots[@]}"; do
        BOT_IDS[$bot]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
        BOT_TOKENS[$bot]=$(canary_token "${BOT_IDS[$bot]}")
        telegram POST /bots "{\"token\":\"${BOT_TOKENS[$bot]}\",\"username\":\"${bot}_bot\",\"session\":\"cloud\"}" \
                >/dev/null
        canary_unit "$bot.service" "$bot"
        host_put "/etc/systemd/system/$bot.service" <<'EOT'
[Service]
Type=exec
ExecStart=/usr/bin/telegram-worker
DynamicUser=yes
EOT
done
host_put "/srv/tgswitch_$version.deb" <"$deb"
check "there is a newer package" package_newer "$HOST_ROOT/srv/newer.deb"
host_boot
check "the host has no compiler" fails host_run sh -c 'command -v gcc cc clang make pkg-config'
before=$(tree)

# ---- installed ----

mapfile -t manual < <(manual 'The same by a script')
check_equal "the manual's example has three commands" 3 "${#manual[@]}"
by_hand "${manual[0]}"
done_well "the package is installed"
check_equal "all of its files are there, and as they should be" "" "$(host_run dpkg -V tgswitch)"
for unit in tgswitchd.service tgswitchd-credential.socket; do
        check_equal "$unit runs" "enabled active" "$(unit_state "$unit")"
done
check_equal "nothing that logs a bot out is enabled, and nothing else runs" \
        "disabled inactive static inactive disabled inactive" \
        "$(for unit in "${quiet_units[@]}"; do unit_state "$unit"; done | paste -sd ' ')"
check_equal "no unit has failed" "" "$(host_run systemctl list-units --failed --plain --no-legend)"
check_equal "no timer of it is enabled" "" \
        "$(host_run systemctl list-unit-files --no-legend --state=enabled 'tgswitch*.timer')"
check "the journal knows its events" host_run sh -c 'journalctl --list-catalog | grep " tgswitch: "'
check "everybody may look" host_run setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl list
check_equal "what has secrets is root's alone" \
        "$(printf 'root 700 %s\n' secrets secrets.encrypted tokens tokens.encrypted)" \
        "$(cd "$HOST_ROOT/etc/tgswitch" && stat -c '%U %a %n' secrets secrets.encrypted tokens tokens.encrypted)"
check_equal "the users can't log in" 2 \
        "$(host_run getent passwd tgswitch telegram-bot-api | grep -c ':/usr/sbin/nologin$')"
for page in man7/tgswitch.7 man1/tgswitchctl.1 man8/tgswitchd.8; do
        check "there is a manual: $page" test -s "$HOST_ROOT/usr/share/man/$page.gz"
done

# ---- set up ----

host_put /etc/tgswitch/telegram-bot-api.env 600 <<<$'TELEGRAM_API_ID=1\nTELEGRAM_API_HASH=0123456789abcdef'
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=500ms
SettleSec=200ms
LogInTimeoutSec=1
EOT
# One that is there and runs, with its token in a file of its own; from now on its token is elsewhere.
host_put /etc/systemd/system/shop.service <<'EOT'
[Service]
EnvironmentFile=-/etc/shop.env
ExecStart=/usr/bin/env -u CREDENTIALS_DIRECTORY /usr/bin/telegram-worker
DynamicUser=yes
EOT
printf 'BOT_TOKEN=%s\nBOT_API_ROOT=https://api.telegram.org\n' "${BOT_TOKENS[shop]}" | host_put /etc/shop.env 600
host_put /srv/shop.token 600 <<<"${BOT_TOKENS[shop]}"
canary_environ shop shop.service
canary_file /etc/shop.env shop
canary_file /srv/shop.token shop
host_run systemctl daemon-reload
check "shop: its service runs" host_run systemctl start shop.service
check "shop: at the cloud" telegram_wait event=worker-start unit=shop.service root=https://api.telegram.org
seq=$(telegram_seq)
by_hand "${manual[1]}"
check_equal "shop: is set up by the manual's command" 0 "$status" || tap_note "$said"
check_match "shop: the server was asked, and what comes next is said" \
        'the cloud has accepted the token.*What to do next:.*tgswitchctl switch local shop' "$said"
check "shop: its service was restarted, behind the gate" telegram_wait event=worker-start unit=shop.service \
        root=https://api.telegram.org since="$seq"
host_run rm /etc/shop.env /srv/shop.token
for bot in news page late; do
        set_up "$bot"
done
host_run mv /usr/bin/telegram-bot-api /usr/bin/away
missing='its program /usr/bin/telegram-bot-api is not there. It is in no package of Debian: build it as .*THE LOCAL SERVER'
for verb in "plan local shop" "check local shop" "switch local shop --yes"; do
        # shellcheck disable=SC2086
        said=$(host_run tgswitchctl $verb 2>&1)
        check "without the program of the server '$verb' fails" test $? -ne 0
        # A sentence may be cut into lines for the terminal's sake.
        check_match "and says what is missing, and how to get it" "$missing" "$(tr -s ' \n' ' ' <<<"$said")"
done
check_equal "and changes nothing" cloud "$(bot_property shop Seat)"
host_put /etc/systemd/system/telegram-bot-api.service.d/50-other.conf <<<$'[Service]\nExecStart=\nExecStart=/usr/bin/podman'
host_run systemctl daemon-reload
check_match "of another program it says where it should come from" \
        'its program /usr/bin/podman is not there. Install what it belongs to, or correct ExecStart= of the unit' \
        "$(host_run tgswitchctl check local shop 2>&1 | tr -s ' \n' ' ')"
host_run rm -r /etc/systemd/system/telegram-bot-api.service.d
host_run systemctl daemon-reload
host_run mv /usr/bin/away /usr/bin/telegram-bot-api
# At this boot only one is to move.
check "the others are held" host_run tgswitchctl hold news page late
by_hand "${manual[2]}"
check_equal "and the bots move, by the manual's last command" 0 "$status"
check_equal "shop is at the local server" local "$(bot_property shop Seat)"
check "and works there" telegram_wait event=worker-start unit=shop.service root=http://127.0.0.1:8081
check_equal "news is where it was" cloud "$(bot_property news Seat)"
check "the administrator wants the move at each boot" host_run systemctl --quiet enable tgswitch-local.service \
        tgswitch-local@late.service
host_run sed -i '$a# Mine.' /etc/tgswitch/tgswitch.conf

# ---- upgraded in mid-cutover ----

for bot in "${bots[@]}"; do
        telegram_inject "$bot" 5
done
mark=$(bus_mark)
check "news: a move begins that holds before log-out" bot_switch news 1 hold-at s log-out
held=$(job_number news)
check "news: it holds" job_becomes "$mark" "$held" Holding true
telegram_fault "{\"bot\":${BOT_IDS[page]},\"role\":\"local\",\"method\":\"getMe\",\"kind\":\"hang\",\"times\":0}"
check "page: a move begins" bot_switch page
moving=$(job_number page)
check "page: it is logged out and not in again" telegram_wait event=logout-applied bot="${BOT_IDS[page]}"
seq=$(telegram_seq)
daemon=$(daemon_pid)
# unit_runs: of what must not notice: which process, since when.
unit_runs()
{
        local unit

        for unit in {shop,late,telegram-bot-api,tgswitch-local}.service tgswitchd-credential.socket; do
                echo "$unit $(property "$unit" MainPID) $(property "$unit" ActiveEnterTimestampMonotonic)" \
                        "$(property "$unit" InvocationID)"
        done
}
running=$(unit_runs)

apt install /srv/newer.deb
done_well "the upgrade"
check_equal "the newer one is installed" "$version+1" "$(host_run dpkg-query -W -f '${Version}' tgswitch)"
check "the daemon was restarted" test "$(daemon_pid)" -ne "$daemon"
check_equal "by its new unit" "A newer one" "$(property tgswitchd.service Description)"
check_equal "nothing else was started, stopped or restarted" "$running" "$(unit_runs)"
check_equal "what the administrator has enabled is enabled" "enabled inactive" "$(unit_state tgswitch-local.service)"
check_equal "the settings that were changed are kept, beside the new ones" $'# Mine.\n# A newer one.' \
        "$(cd "$HOST_ROOT/etc/tgswitch" && tail -q -n 1 tgswitch.conf tgswitch.conf.dpkg-dist)"
check_equal "those that were not are new" "# A newer one." "$(tail -n 1 "$HOST_ROOT/etc/tgswitch/bots.d/example.conf")"
check_equal "news: has the same job" "$held" "$(job_number news)"
check_equal "news: still waits" true "$(host_run busctl --json=short get-property org.tgswitch1 \
        "/org/tgswitch1/job/$held" org.tgswitch1.Job Holding | json data)"
check_equal "news: its worker does not run" inactive "$(property news.service ActiveState)"
check "news: goes on" host_run tgswitchctl proceed "$held"
check_equal "page: has the same job" "$moving" "$(job_number page)"
telegram DELETE /faults >/dev/null
for bot in news page; do
        check_moved "$bot" "$seq"
        check_equal "$bot: one logOut was enough" 1 \
                "$(telegram_count event=request method=logout role=cloud bot="${BOT_IDS[$bot]}")"
done

# ---- not removed in mid-cutover ----

mark=$(bus_mark)
check "late: a move begins that holds" bot_switch late 1 hold-at s stop-workers
check "late: it holds" job_becomes "$mark" "$(job_number late)" Holding true
apt remove tgswitch
check "the package is not removed" test "$status" -ne 0
check_match "and says why, and what to do" 'not removed, because a bot is on its way.*"tgswitchctl wait BOT"' "$said"
check_equal "it is still installed" "ii " "$(host_run dpkg-query -W -f '${db:Status-Abbrev}' tgswitch)"
check_equal "and runs" "enabled active" "$(unit_state tgswitchd.service)"
mark=$(bus_mark)
check "late: is taken back" host_run tgswitchctl cancel "$(job_number late)"
check "late: has arrived where it was" bot_wait late Phase ""
check "every update is accounted for" telegram_finish
check_verdict twice

# ---- removed ----

running=$(unit_runs | grep -E '^(shop|late|telegram-bot-api)')
files=$(host_run dpkg -L tgswitch)
records=$(cd "$HOST_ROOT/var/lib/tgswitch" && find . -type f -name '*.state' -exec sha256sum {} + | sort)
installed=$(tree)
apt remove tgswitch
done_well "the removal"
check_match "it names those who will miss it" \
        'cannot be started without it: late.service news.service page.service shop.service' "$said"
check_equal "of the package's files only the administrator's stay" \
        "/etc/tgswitch/bots.d/example.conf /etc/tgswitch/tgswitch.conf" \
        "$(for file in $files; do [[ -f $HOST_ROOT$file ]] && echo "$file"; done | sort | paste -sd ' ')"
# dpkg knows what is below /usr/lib as /lib, too.
check_equal "of what came later the rule for polkit goes" /etc/polkit-1/rules.d/50-tgswitch.rules \
        "$(for file in $(went "$installed"); do
                grep -qxF -e "$file" -e "${file#/usr}" <<<"$files" || echo "$file"
        done)"
check_equal "nothing has come" "" "$(came "$installed")"
check_equal "the bots' records are what they were" "$records" \
        "$(cd "$HOST_ROOT/var/lib/tgswitch" && find . -type f -name '*.state' -exec sha256sum {} + | sort)"
check "there are four" test "$(wc -l <<<"$records")" -eq 4
check "nothing is left in /run" fails host_run test -e /run/tgswitch
check "the daemon has ended" fails host_run pgrep -u tgswitch
check_equal "workers and server run on" "$running" "$(unit_runs | grep -E '^(shop|late|telegram-bot-api)')"

# ---- and back ----

apt install /srv/newer.deb
done_well "the package is installed again"
check_equal "the daemon runs" "enabled active" "$(unit_state tgswitchd.service)"
check_equal "what was enabled is enabled" "enabled inactive" "$(unit_state tgswitch-local.service)"
for bot in shop news page; do
        check_equal "$bot: is where it was" local "$(bot_property "$bot" Seat)"
done
check_equal "late: is where it was" cloud "$(bot_property late Seat)"
seq=$(telegram_seq)
check "a worker starts" host_run systemctl restart shop.service
check "with its token, at its server" telegram_wait event=worker-start unit=shop.service since="$seq" \
        root=http://127.0.0.1:8081

# ---- purged ----

for bot in "${bots[@]}"; do
        host_run systemctl stop "$bot.service"
done
apt purge tgswitch
done_well "the purge"
check_equal "only what adopt has written is left of it all" \
        "$(for bot in late news page shop; do echo "/etc/systemd/system/$bot.service.d"
                echo "/etc/systemd/system/$bot.service.d/50-tgswitch.conf"; done | paste -sd ' ')" "$(came "$before")"
check_equal "and nothing has gone" "" "$(went "$before")"
check_equal "no token is on the disk" "" "$(printf '%s\n' "${BOT_TOKENS[@]}" >"$HOST_DISK/tokens"
        grep -rlFf "$HOST_DISK/tokens" "$HOST_ROOT"/{etc,usr,var,srv} 2>/dev/null)"
check_equal "systemd's helper has forgotten the units" "" \
        "$(cd "$HOST_ROOT/var/lib/systemd" && find deb-systemd-helper-* -name '*tgswitch*' -o -name 'telegram*')"
check "the local server has ended" fails host_run pgrep -x telegram-bot-api
check_equal "dpkg knows it no more" "" "$(host_run dpkg-query -W -f '${db:Status-Abbrev}' tgswitch 2>/dev/null)"
check "the journal knows its events no more" fails host_run sh -c 'journalctl --list-catalog | grep " tgswitch: "'
check "the users stay" host_run getent passwd tgswitch telegram-bot-api

apt install "/srv/tgswitch_$version.deb"
done_well "after that it is installed as if it had never been"
check_equal "the daemon runs" "enabled active" "$(unit_state tgswitchd.service)"
check_equal "nothing is enabled that was" "disabled inactive" "$(unit_state tgswitch-local.service)"
check_equal "it knows no bot" '[]' \
        "$(host_run busctl --json=short call org.tgswitch1 /org/tgswitch1 org.tgswitch1.Manager ListBots |
                jq -c '.data[0]')"
tap_done
