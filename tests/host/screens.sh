# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The screens in the documentation: what a terminal really shows. In the Markdown each stands in a block of its own,
# behind a comment with its name:
#
#       <!-- screen: status -->
#       ```console
#       host# tgswitchctl status
#       …
#       ```
#
# The commands are those of the documentation: a scenario types what stands behind "host#" there, and what comes out has
# to be what stands below it. What differs from run to run counts as the same: see screens_normal. Sourced after
# host.sh.

# shellcheck source=tests/host/terminal.sh
source "$HOST_DIR/terminal.sh"

SCREENS_FILES=("$SOURCE_DIR/packaging/doc/screens.md" "$SOURCE_DIR/README.md")
SCREENS=$HOST_DISK/screens

# screens_names: of all screens in the documentation.
screens_names()
{
        sed -n 's/^<!-- screen: \([a-z0-9-]*\) -->$/\1/p' "$@"
}

# screen_text NAME FILE: the block, without its fences.
screen_text()
{
        awk -v marker="<!-- screen: $1 -->" '
                inside && /^```$/ { exit }
                inside { print }
                marked && /^```/ { inside = 1 }
                { marked = $0 == marker }' "$2"
}

# screen_open NAME: a terminal with the first command of the screen typed, and all others in $commands.
screen_open()
{
        local file

        for file in "${SCREENS_FILES[@]}"; do
                mapfile -t commands < <(screen_text "$1" "$file" | sed -n "s/^$TERMINAL_PROMPT //p")
                ((${#commands[@]} == 0)) || break
        done
        ((${#commands[@]})) || host_bail "the documentation has no screen '$1', or no command in it"
        terminal_open 120 40
        terminal_begin "${commands[0]}" || host_bail "the terminal does not take '${commands[0]}'"
        commands=("${commands[@]:1}")
}

# screen_answer REGEX TEXT: types the text when the screen ends with something that matches. screen_paste REGEX: so with
# a line of standard input, such as a token.
screen_answer()
{
        terminal_shows "($1)\$" || tap_fail "the screen does not end with '$1'" "$screen"
        terminal_type "$2"
        terminal_key Enter
}

screen_paste()
{
        terminal_shows "($1)\$" || tap_fail "the screen does not end with '$1'" "$screen"
        terminal_paste
}

# screen_keep NAME: what is seen now is that screen.
screen_keep()
{
        mkdir -p "$SCREENS"
        sed -e '${/^'"$TERMINAL_PROMPT"'$/d}' <<<"$screen" >"$SCREENS/$1"
}

# screen_next: the command that was begun ends, and the next one is typed.
screen_next()
{
        terminal_ends || tap_fail "the command before '${commands[0]:-}' does not end" "$screen"
        terminal_begin "${commands[0]}" || tap_fail "the terminal does not take '${commands[0]:-}'" "$screen"
        commands=("${commands[@]:1}")
}

# screen_moment NAME REGEX: what is seen when it matches is that screen; the command goes on.
screen_moment()
{
        terminal_shows "$2" || tap_fail "$1: nothing like '$2' is seen" "$screen"
        screen_keep "$1"
}

# screen_end NAME: the command that was begun ends, and so do all others; all of it is the screen.
screen_end()
{
        while ((${#commands[@]})); do
                screen_next
        done
        terminal_ends || tap_fail "$1: the command does not end" "$screen"
        screen_keep "$1"
        terminal_close
}

# screen NAME [REGEX TEXT]…: from the first command to the last. To a question that ends like that this is answered.
screen()
{
        local name=$1 commands=()
        shift

        screen_open "$name"
        while (($#)); do
                screen_answer "$1" "$2"
                shift 2
        done
        screen_end "$name"
}

# screens_normal: standard input without what no two runs have in common: times, dates, how long something took, numbers
# of jobs and updates, free space; the blanks that fill up a column; and the last phases of a move, which may pass so
# quickly that the bus tells of two at once.
screens_normal()
{
        sed -E -e 's/\b[0-9]{4}-[0-9]{2}-[0-9]{2} //g' \
                -e 's/\b[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?\b/TIME/g' \
                -e 's/\b[0-9]+(\.[0-9]+)?( s|ms|s|min|h|d)( [0-9]+(s|min|h))?\b/SPAN/g' \
                -e 's/\b[0-9]+:[0-9]{2}\b/SPAN/g' \
                -e 's/\b([Jj]obs?|wait|cancel|proceed) +[0-9]+\b/\1 N/g' \
                -e 's/\b[0-9]+ MiB\b/N MiB/g' \
                -e 's/\b[0-9]{6,}(\.[0-9]+)?\b/N/g' \
                -e 's/ +/ /g' -e 's/ $//' \
                -e '/^[a-z]+ (restore-webhook|publish|start-workers|confirm) SPAN$/d' \
                -e '/ phase: (restore-webhook|publish|start-workers|confirm), after [a-z-]+ in SPAN$/d'
}

# screens_check: each screen in the documentation was made by this run, and says the same.
screens_check()
{
        local file name

        for file in "${SCREENS_FILES[@]}"; do
                for name in $(screens_names "$file"); do
                        if [[ ! -e $SCREENS/$name ]]; then
                                tap_fail "${file##*/}: $name is what is really seen" "no command of the script makes it"
                        else
                                check_equal "${file##*/}: $name is what is really seen" "" \
                                        "$(screen_diff "$name" "$file")"
                        fi
                done
        done
        check_equal "each screen that was made stands in the documentation" "$(screens_names "${SCREENS_FILES[@]}" |
                sort -u)" "$(cd "$SCREENS" && printf '%s\n' * | sort)"
}

# screen_diff NAME FILE: prints what differs. Where the real run is right, `make screens` writes it.
screen_diff()
{
        diff -u --label "$1, documentation" --label "$1, real run; if this is right: make screens" \
                <(screen_text "$1" "$2" | screens_normal) <(screens_normal <"$SCREENS/$1")
}

# screens_write: puts all of them into the documentation, so that they are of one run, and tells which ones differ.
screens_write()
{
        local file name

        for file in "${SCREENS_FILES[@]}"; do
                for name in $(screens_names "$file"); do
                        [[ -e $SCREENS/$name ]] || continue
                        [[ -z $(screen_diff "$name" "$file") ]] || tap_note "another one: ${file##*/}: $name"
                        awk -v marker="<!-- screen: $name -->" -v text="$SCREENS/$name" '
                                inside && /^```$/ { inside = 0 }
                                inside { next }
                                { print }
                                marked && /^```/ { inside = 1; while ((getline line <text) > 0) print line }
                                { marked = $0 == marker }' "$file" >"$HOST_DISK/written" &&
                                cat "$HOST_DISK/written" >"$file"
                done
        done
}
