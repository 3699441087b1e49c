# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Tokens where they don't belong (L7). The secret of each bot of a scratch host has the word in it that
# tests/canary-forms shows in all its forms, and tap_done looks for it wherever a host leaves anything: no scenario
# calls that, and none can forget it.
#
# What is searched, and when:
#
#       disk            all that the host has written since it was made, at the end and each time it goes off: names,
#                       contents, links, extended attributes; so also the journal, which is not compressed here
#       memory          at the end, and before host_shutdown: each tmpfs of each mount namespace (/run, /tmp, /dev/shm,
#                       credentials, private directories); files that are open or mapped and have no name
#       programs        arguments and environment of each one as it begins (canary-preload.c), of all that run at the
#                       end
#       bus             every message from before the daemon's start on
#       systemd         the properties of all units, and its environment
#       tgswitchctl     what it says to a user; all properties that are on the bus
#       console, kernel
#
# What is not: the memory of processes (memory-search.c), what a power cut or a reboot from inside takes away with /run,
# systemd's private socket (what systemd knows by it, `systemctl show` shows), programs that are linked statically
# (ldconfig is), and with CONFIG=asan the arguments and environments of what has ended. What a scenario's own commands
# print is in its log, which tests/run-one searches. A piece of a token that has neither of the two words whole, of 20
# characters at most, is not known again; nor is one that was compressed, encrypted, or written in a form that
# tests/canary-forms does not have.

# Where tokens may be besides: of files, and of the environment of units, the bot whose own token it may be.
declare -A CANARY_FILES=() CANARY_ENVIRONS=() CANARY_UNITS=()
# Why this scenario is not searched.
CANARY_NONE=
CANARY_FIND=$BUILD/tests/host/canary-find
CANARY_LIBRARY=/usr/lib/canary-preload.so

# canary_token ID: a new token for the bot of that number.
canary_token()
{
        local random

        random=$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
        echo "$1:AAtgCanary${random:0:6}tgCanary${random:6:11}"
}

# canary_unit UNIT BOT: the unit gets the bot's token as its credential. UNIT may be a pattern.
canary_unit()
{
        CANARY_UNITS[$1]=$2
}

# canary_environ BOT UNIT…: the environment of these units has the bot's token, as by tgswitch-exec.
canary_environ()
{
        local bot=$1 unit
        shift

        for unit; do
                CANARY_ENVIRONS[$unit]=$bot
        done
}

# canary_exports BOT UNIT…: so has the file that it comes from, as by ExportToken=.
canary_exports()
{
        canary_file "/run/tgswitch/bots/$1.env" "$1"
        canary_environ "$@"
}

# canary_file PATH BOT: the scenario itself has put the bot's token there.
canary_file()
{
        CANARY_FILES[$1]=$2
}

# canary_none REASON: instead of the search.
canary_none()
{
        CANARY_NONE=$1
}

# ---- The host's side, for host.sh ----

# canary_install: into a new host.
canary_install()
{
        [[ -x $CANARY_FIND ]] || host_bail "nothing is built in $BUILD, call \"make tests\" first"
        # What is compressed can't be found, and what journalctl leaves out neither.
        host_put /etc/systemd/journald.conf.d/canary.conf <<<$'[Journal]\nCompress=no'
        mkfifo --mode=622 "$HOST_ROOT/var/lib/canary"
        exec {CANARY_EXECS}<>"$HOST_ROOT/var/lib/canary"
        [[ $CONFIG != asan ]] || return 0
        host_put "$CANARY_LIBRARY" 755 <"$BUILD/tests/host/canary-preload.so"
        host_put /etc/ld.so.preload <<<"$CANARY_LIBRARY"
}

# canary_off: the host is off. What it has left on its disk now may be gone before the end.
canary_off()
{
        canary_look "$HOST_DISK/upper" >>"$HOST_DISK/canary-left"
}

# canary_going_off: it will be, and its memory with it.
canary_going_off()
{
        canary_look --processes >>"$HOST_DISK/canary-left"
}

# ---- The search ----

# canary_search: prints every place outside the few allowed ones that has a token, and fails where there is one.
canary_search()
{
        local found

        # What can't be known again is not found.
        if grep -vq 'AAtgCanary.*tgCanary\|^tgCanary$' < <(printf '%s\n' "${BOT_TOKENS[@]:-tgCanary}"); then
                echo "a token that was not made by canary_token"
                return 1
        fi
        rm -rf "$HOST_DISK/canary-said"
        mkdir "$HOST_DISK/canary-said"
        # The kernel is everybody's: this host's tokens alone.
        dmesg 2>/dev/null | grep -aFf <(printf '%s\n' "${BOT_TOKENS[@]#*:}" "no bot") >"$HOST_DISK/canary-said/kernel"
        found=$(
                cat "$HOST_DISK/canary-left" 2>/dev/null
                if [[ -n $HOST_LEADER ]]; then
                        canary_ask
                        set -- --processes
                fi
                canary_look "$@" "$HOST_DISK/upper" "$HOST_DISK"/{bus.log,console,canary-said}
                canary_execs
        )
        [[ -z $found ]] || sort -u <<<"$found"
        [[ -z $found ]]
}

# canary_check: the check that tap_done makes of it.
canary_check()
{
        if [[ -n $CANARY_NONE ]]; then
                tap_pass "no token stands where it does not belong # SKIP $CANARY_NONE"
        else
                check_equal "no token stands where it does not belong" "" "$(canary_search)"
        fi
}
TAP_LAST+=(canary_check)

# canary_ask: what only says something when it is asked. A daemon that was stopped stays that way: a scenario may end
# like that, but not with one that has failed. Prints what gave no answer.
canary_ask()
{
        local mark

        mark=$(bus_mark)
        # shellcheck disable=SC2016
        host_run timeout 60 sh -c '
                ask()
                {
                        "$@" || echo "\"$*\" could not be asked" >&3
                }
                ask journalctl --sync
                ask systemctl show --all "*"
                ask systemctl show-environment
                state=$(systemctl show --property=ActiveState --value tgswitchd.service)
                case $state in
                inactive) ;;
                failed) echo "tgswitchd.service has failed and could not be asked" >&3 ;;
                *)
                        for verb in list status "status --json"; do
                                ask setpriv --reuid=65534 --regid=65534 --clear-groups tgswitchctl $verb
                        done
                        # The bus is watched.
                        ask busctl --quiet call org.tgswitch1 /org/tgswitch1 org.freedesktop.DBus.ObjectManager \
                                GetManagedObjects
                        ;;
                esac
                ask busctl emit /canary org.example.Canary Asked' \
                3>&1 >"$HOST_DISK/canary-said/answers" 2>&1 </dev/null || echo "the host could not be asked"
        bus_wait "$mark" '"member":"Asked"' >/dev/null || echo "nobody watches the bus"
        [[ $CONFIG == asan ]] || grep -q "$CANARY_LIBRARY" "/proc/$HOST_LEADER/maps" ||
                echo "nobody looks at programs as they begin"
}

# canary_look PLACE…: as canary-find(1) says it, without what may be there.
canary_look()
{
        local what path

        "$CANARY_FIND" "$SOURCE_DIR/tests/canary-forms" "$@" | sed -u -e "s|^\([a-z]* \)$HOST_DISK/upper|\1|" \
                -e "s|^\([a-z]* \)$HOST_DISK/|\1|" | while read -r what path; do
                canary_is_allowed "$what" "$path" || echo "$what $path"
        done
        ((PIPESTATUS[0] < 2)) || echo "the search does not work"
}

# canary_is_allowed WHAT PATH: the source of the credential, the credential, the local server's own directory, and what
# the scenario has named; each of a bot has the token of that one alone. What is gone by now counts as not found: workers
# and their credentials come and go during the search.
canary_is_allowed()
{
        local unit bot text file=/proc/$HOST_LEADER/root$2

        # Off, or covered by what is mounted there.
        [[ -n $HOST_LEADER && $2 == /run/* ]] || file=$HOST_ROOT$2
        case $1:$2 in
        *:/var/lib/telegram-bot-api/* | in:"$CANARY_LIBRARY") ;;
        in:/etc/tgswitch/tokens/* | in:/run/credentials/tgswitchd.service/*token_*)
                unit=${2##*/}
                canary_has_only "$file" "${CANARY_FILES[$2]:-${unit#*token_}}"
                ;;
        in:/run/credentials/*/bot-token)
                unit=${2#/run/credentials/}
                canary_bot_of "${unit%/*}" && canary_has_only "$file" "$bot"
                ;;
        in:*) [[ -v CANARY_FILES[$2] ]] && canary_has_only "$file" "${CANARY_FILES[$2]}" ;;
        environ:/proc/*)
                canary_text "$2" || return 0
                unit=$(grep -m 1 -E '^[0-9]*:(name=systemd)?:' "${2%/environ}/cgroup" 2>/dev/null) || return 0
                [[ -v CANARY_ENVIRONS[${unit##*/}] ]] && canary_is_of "$text" "${CANARY_ENVIRONS[${unit##*/}]}"
                ;;
        *) return 1 ;;
        esac
}

# canary_text FILE: sets $text; fails where the file is gone, or is that of a process that has ended.
canary_text()
{
        local parts=()

        mapfile -d '' -t parts 2>/dev/null <"$1"
        text=${parts[*]}
        [[ -n $text ]]
}

# canary_has_only FILE BOT: no token is in the file but the bot's own, old or new.
canary_has_only()
{
        local text

        canary_text "$1" || return 0
        canary_is_of "$text" "$2"
}

# canary_is_of TEXT BOT
canary_is_of()
{
        local text=$1

        [[ -n $2 && -v BOT_IDS[$2] ]] || return
        while [[ $text =~ (^|[^0-9])"${BOT_IDS[$2]}":[A-Za-z0-9_-]+ ]]; do
                text=${text/"${BASH_REMATCH[0]}"/}
        done
        [[ $text != *tgCanary* ]]
}

# canary_bot_of UNIT: sets $bot.
canary_bot_of()
{
        local pattern

        for pattern in "${!CANARY_UNITS[@]}"; do
                bot=${CANARY_UNITS[$pattern]}
                # shellcheck disable=SC2053
                [[ $1 != $pattern ]] || return 0
        done
        return 1
}

# canary_execs: what programs had in arguments or environment when they began, as canary-preload.c told it. Takes it out
# of the FIFO.
canary_execs()
{
        local what unit program text bot

        while read -r -t 0 -u "$CANARY_EXECS" && read -r -u "$CANARY_EXECS" what unit program text; do
                bot=${CANARY_ENVIRONS[$unit]:-}
                { [[ $what == environ ]] && canary_is_of "$text" "$bot"; } ||
                        echo "$what of $program as it began, unit $unit"
        done
}
