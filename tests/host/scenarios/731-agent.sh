#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A user who may become root types the password on a terminal, as for systemctl: pkttyagent asks for it, polkit and PAM
# look at it, and the call is carried out in the user's name. Without it, with a wrong one, or with Ctrl-C nothing is
# changed. Defends L9.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"

PASSWORD="open $(od -An -N6 -tx1 /dev/urandom | tr -d ' \n')"

# as USER COMMAND…: without a terminal.
as()
{
        local user=$1
        shift

        host_run setpriv --reuid="$user" --regid="$user" --init-groups env HOME=/tmp TERM=dumb "$@"
}

# terminal USER COMMAND: begins the command on a terminal of its own, where the user has logged in: polkit looks for a
# fallback agent only for who has a session.
terminal()
{
        rm -f "$HOST_DISK/keys"
        mkfifo "$HOST_DISK/keys"
        screen=
        exec {TERMINAL_SCREEN}< <(
                host_run TERM=dumb script --quiet --command "login -f $1" /dev/null <"$HOST_DISK/keys" 2>&1
        )
        exec {TERMINAL_KEYS}>"$HOST_DISK/keys"
        # The echo of what is typed has no number in it.
        terminal_type "$2; echo status=\$?; exit"$'\n'
}

# terminal_asked DESCRIPTION: somebody is asked for a password, and may type; $screen is what was shown by then.
terminal_asked()
{
        local character deadline=$((SECONDS + 60))

        while [[ ! $screen =~ Password:\ *$ ]]; do
                IFS= read -r -N 1 -t $((deadline - SECONDS + 1)) -u "$TERMINAL_SCREEN" character || break
                screen+=$character
        done
        check_match "$1" 'Password: *$' "$screen"
        check "$1, and what is typed will not be shown" terminal_hides
}

# terminal_hides: returns when the agent has switched the echo off. It does so after it has printed its question, and
# drops what was typed before.
terminal_hides()
{
        local name deadline=$((SECONDS + 60))

        name=$(host_run ps -o tty= -C pkttyagent) || return
        until [[ " $(host_run stty -F "/dev/${name%% *}" -a) " == *" -echo "* ]]; do
                ((SECONDS < deadline)) || return
        done
}

# terminal_type TEXT
terminal_type()
{
        printf '%s' "$1" >&"$TERMINAL_KEYS"
}

# terminal_end: the command has ended; leaves $screen and $status.
terminal_end()
{
        local rest

        rest=$(timeout 180 cat <&"$TERMINAL_SCREEN")
        screen+=$rest
        exec {TERMINAL_KEYS}>&- {TERMINAL_SCREEN}<&-
        status=
        [[ ! $screen =~ status=([0-9]+) ]] || status=${BASH_REMATCH[1]}
}

# held NAME: why the bot is held, or nothing.
held()
{
        bot_property "$1" HeldReason
}

# gone PROGRAM: returns when it runs no more; one that has ended stays in the list for as long as who began it.
gone()
{
        local deadline=$((SECONDS + 20))

        while host_run pgrep -x --runstates R,S,D "$1" >/dev/null; do
                ((SECONDS < deadline)) || return
        done
}

host_create
host_install
telegram_start
bot_add shop </dev/null
chroot "$HOST_ROOT" useradd --create-home --groups sudo --shell /bin/sh alice
chroot "$HOST_ROOT" useradd --create-home --shell /bin/sh mallory
chroot "$HOST_ROOT" chpasswd <<<"alice:$PASSWORD"
host_boot
check "the daemon runs" host_run systemctl start tgswitchd.service
check "the worker runs" telegram_wait event=worker-start bot="${BOT_IDS[shop]}"

# ---- the password ----

terminal alice "tgswitchctl hold shop --reason=typed"
terminal_asked "alice is asked"
check_match "for what it is" 'AUTHENTICATING FOR org\.tgswitch1\.manage' "$screen"
check_equal "before she has answered nothing is changed" "" "$(held shop)"
terminal_type "$PASSWORD"$'\n'
terminal_end
check_equal "with the password it is done" 0 "$status"
check_match "and said" 'shop: no automatic moves until' "$screen"
check_equal "the bot is held" typed "$(held shop)"
[[ $screen != *"$PASSWORD"* ]] || tap_fail "the password is shown"

terminal alice "tgswitchctl switch local shop --yes"
terminal_asked "alice is asked for a move"
check_match "a move to the local server" 'AUTHENTICATING FOR org\.tgswitch1\.switch-to-local' "$screen"
terminal_type "$PASSWORD"$'\n'
terminal_end
check_equal "the bot is moved" 0 "$status"
check_equal "to the local server" local "$(bot_property shop Seat)"
check_match "the history has her name" "^uid $(host_run id -u alice)(,|$)" \
        "$(host_run busctl --json=short get-property org.tgswitch1 /org/tgswitch1/bot/shop org.tgswitch1.Bot LastJob |
                jq -r '.data.requester.data')"
check_equal "no agent is left behind" "" "$(host_run pgrep -x pkttyagent)"

# ---- without it ----

# denied DESCRIPTION REGEX: the last command on the terminal, which wanted to release the bot.
denied()
{
        check_equal "$1: status" 8 "$status"
        check_match "$1: says so" "$2" "$screen"
        check_equal "$1: nothing was changed" typed "$(held shop)"
        check_equal "$1: no agent is left behind" "" "$(host_run pgrep -x pkttyagent)"
}
terminal alice "tgswitchctl release shop"
terminal_asked "a wrong password: she is asked"
terminal_type "not $PASSWORD"$'\n'
terminal_end
denied "a wrong password" 'othing was changed'

terminal alice "tgswitchctl release shop"
terminal_asked "Ctrl-C: she is asked"
terminal_type $'\003'
terminal_end
denied "Ctrl-C" 'othing was changed'

# The first one ends the question. Where the answer does not come, since the daemon stands still, a second one is for us.
terminal alice "tgswitchctl release shop"
terminal_asked "Ctrl-C twice: she is asked"
pid=$(daemon_pid)
host_run kill -s STOP "$pid"
terminal_type $'\003'
check "the first one ends the agent" gone pkttyagent
check "and nothing else" host_run pgrep -x tgswitchctl
# After it the shell has forgotten the rest of the line.
terminal_type $'\003'
check "the second one the program" gone tgswitchctl
terminal_type "echo status=\$?; exit"$'\n'
terminal_end
check_equal "by the signal" 130 "$status"
host_run kill -s CONT "$pid"
check_equal "Ctrl-C twice: nothing was changed" typed "$(held shop)"

terminal alice "stty -a"
terminal_end
check_match "the terminal shows what is typed" '[^-]echo ' "$screen"

terminal alice "tgswitchctl release shop --no-ask-password"
terminal_end
denied "--no-ask-password" "needs an administrator's password, and there is nobody to ask for it.*Nothing was changed"
[[ $screen != *Password:* ]] || tap_fail "--no-ask-password: she is asked all the same"

screen=$(as alice tgswitchctl release shop 2>&1 </dev/null)
status=$?
denied "without a terminal" 'Nothing was changed'

# Who is no administrator may know the password of one, as everywhere.
terminal mallory "tgswitchctl release shop"
terminal_asked "mallory is asked"
check_match "and not for his own password" 'Authenticating as: alice' "$screen"
terminal_type $'\003'
terminal_end
denied "mallory" 'othing was changed'

# ---- who need not be asked ----

terminal alice "tgswitchctl list"
terminal_end
check_equal "reading needs no password" 0 "$status"
[[ $screen != *Password:* ]] || tap_fail "reading asks for a password"
host_run systemctl stop polkit.service
host_run systemctl mask --quiet --runtime polkit.service
screen=$(as alice tgswitchctl release shop 2>&1 </dev/null)
status=$?
denied "without polkitd" 'Only root may manage bots as long as polkitd does not answer.*Nothing was changed'
check "root goes on" host_run tgswitchctl release shop
check_equal "the hold is over" "" "$(held shop)"

tap_done
