# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# shellcheck disable=SC2034 # status and rows are read by scenarios.
#
# Somebody at a terminal: tmux, which runs beside the host, and in it root's shell of the host. What is typed goes
# through the terminal's line discipline, so Ctrl-C is the signal that it is for a person; what is seen is what tmux, a
# terminal like others, makes of the program's output. Sourced after host.sh.
#
# Nothing waits for time to pass: each look at the screen comes after the program has written something.

TERMINAL_PROMPT="host#"
# How long anything is waited for.
TERMINAL_TIMEOUT_SEC=60
# The one that is looked at and typed at: the one that was opened last, unless a scenario sets it to another.
TERMINAL=
TERMINAL_COUNT=0
# Of each, the file descriptor that gets all that is written to it.
declare -A TERMINAL_OUTPUT=()
# What was seen when the terminal was last looked at, without blanks at the ends of lines and empty lines at the end;
# what has been left above the screen is part of it, and a line that the terminal had to wrap is one again.
screen=
# The same, as the rows of the terminal: a wrapped line has several.
rows=

terminal_tmux()
{
        tmux -u -S "$HOST_DISK/tmux" -f /dev/null "$@"
}

# terminal_open [COLUMNS [LINES [VARIABLE=VALUE…]]]: a new one, 80 by 24, with root's shell at its prompt.
terminal_open()
{
        local columns=${1:-80} lines=${2:-24} output
        shift $(($# < 2 ? $# : 2))

        TERMINAL=terminal$((++TERMINAL_COUNT))
        mkfifo "$HOST_DISK/$TERMINAL"
        # Opened for both, so that it has no end while nobody writes.
        exec {output}<>"$HOST_DISK/$TERMINAL"
        TERMINAL_OUTPUT[$TERMINAL]=$output
        # The terminal echoes what is typed, not the shell, so that the rows of a long command are one line to it. The
        # shell begins when its output is listened to.
        terminal_tmux new-session -d -s "$TERMINAL" -x "$columns" -y "$lines" \
                "tmux -S '$HOST_DISK/tmux' wait-for $TERMINAL; exec nsenter --target $HOST_LEADER --all -- \
                /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 SYSTEMD_PAGER= \
                TERM=\$TERM $* PS1='$TERMINAL_PROMPT ' PROMPT_COMMAND='echo \$? >/run/terminal-status' \
                bash --noprofile --norc --noediting -i" || host_bail "there is no terminal"
        terminal_tmux set-option -g status off
        terminal_tmux pipe-pane -t "$TERMINAL" "exec cat >'$HOST_DISK/$TERMINAL'"
        terminal_tmux wait-for -S "$TERMINAL"
        terminal_shows "^$TERMINAL_PROMPT\$" || host_bail "the terminal has no prompt: $screen"
}

# terminal_type TEXT; terminal_key KEY…: as tmux names keys, such as Enter and C-c.
terminal_type()
{
        terminal_tmux send-keys -t "$TERMINAL" -l -- "$1"
}

terminal_key()
{
        terminal_tmux send-keys -t "$TERMINAL" "$@"
}

# terminal_paste: standard input, which no list of processes shows.
terminal_paste()
{
        terminal_tmux load-buffer - && terminal_tmux paste-buffer -d -t "$TERMINAL"
}

# terminal_begin COMMAND: types it at the prompt, and returns when it is there. terminal_ends: returns when the shell is
# at its prompt again; leaves $status. terminal_run COMMAND: both.
terminal_begin()
{
        terminal_shows "(^|"$'\n'")$TERMINAL_PROMPT\$" || return
        terminal_type "$1"
        terminal_shows "(^|"$'\n'")$TERMINAL_PROMPT [^"$'\n'"]+\$" || return
        terminal_key Enter
        terminal_shows "$TERMINAL_PROMPT [^"$'\n'"]+"$'\n'
}

terminal_ends()
{
        terminal_shows "$TERMINAL_PROMPT\$" || return
        status=$(<"/proc/$HOST_LEADER/root/run/terminal-status")
}

terminal_run()
{
        terminal_begin "$1" && terminal_ends
}

# terminal_look: sets $screen and $rows, both from the same moment.
terminal_look()
{
        local both

        both=$(terminal_tmux capture-pane -p -J -S - -t "$TERMINAL" ';' display-message -p $'\x1e' ';' \
                capture-pane -p -S - -t "$TERMINAL" | sed 's/ *$//')
        screen=$(printf '%s' "${both%%$'\x1e'*}")
        rows=${both#*$'\x1e\n'}
}

# terminal_shows REGEX: returns when the screen matches, and fails where it does not in time.
terminal_shows()
{
        local deadline=$((SECONDS + TERMINAL_TIMEOUT_SEC))

        while terminal_look; [[ ! $screen =~ $1 ]]; do
                ((SECONDS <= deadline)) && terminal_news $((deadline - SECONDS + 1)) || return
        done
}

# terminal_news SECONDS: returns when something was written since it was last called, or is.
terminal_news()
{
        timeout "$1" dd bs=64K count=1 status=none <&"${TERMINAL_OUTPUT[$TERMINAL]}" >>"$HOST_DISK/$TERMINAL.raw"
}

# terminal_raw: all bytes that were written so far.
terminal_raw()
{
        while read -r -t 0 -u "${TERMINAL_OUTPUT[$TERMINAL]}"; do
                terminal_news 1
        done
        cat "$HOST_DISK/$TERMINAL.raw"
}

# terminal_resize COLUMNS LINES
terminal_resize()
{
        terminal_tmux resize-window -t "$TERMINAL" -x "$1" -y "$2"
}

# terminal_close: the terminal goes away; who runs in it gets SIGHUP.
terminal_close()
{
        local output=${TERMINAL_OUTPUT[$TERMINAL]}

        terminal_tmux kill-session -t "$TERMINAL"
        exec {output}>&-
}
