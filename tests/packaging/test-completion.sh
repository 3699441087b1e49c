#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The completions for bash and zsh, typed into both: they offer what --help names and the bus knows. Prints TAP.
# Usage: test-completion.sh BUILD-DIRECTORY
set -uo pipefail

build=$(realpath "${1:?usage: test-completion.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source tests/adapter/fake-daemon.sh

shells=(bash)
if command -v zsh >/dev/null; then
        shells+=(zsh)
else
        tap_pass "completion in zsh # SKIP zsh is not installed"
fi

# The program as it is installed, and a systemd with these services.
mkdir "$directory/bin"
ln -s "$build/tgswitchctl" "$directory/bin/tgswitchctl"
cat >"$directory/bin/systemctl" <<'SYSTEMCTL'
#!/bin/sh
echo "$@" >>"${0%/*}/../systemctl.log"
printf 'shop.service enabled enabled\nbot@.service disabled enabled\n'
[ "$1" = list-unit-files ] || echo 'bot@a.service loaded active running A bot'
SYSTEMCTL
chmod 755 "$directory/bin/systemctl"
export PATH=$directory/bin:$PATH

# type_into SHELL LINE…: leaves in ${offered[tgswitchctl LINE]} what is offered for its last word; sorted, separated by
# blanks.
declare -A offered
type_into()
{
        local shell=$1 line words=() word n
        shift

        offered=()
        case $shell in
        bash)
                tests/packaging/complete-in-bash.sh packaging/completion/bash/tgswitchctl "${@/#/tgswitchctl }"
                ;;
        zsh)
                zsh -f tests/packaging/complete-in-zsh.zsh "$PWD/packaging/completion/zsh" "${@/#/tgswitchctl }"
                ;;
        esac 2>"$directory/errors" >"$directory/typed"
        for line; do
                mapfile -t words < <(sed -n '/^$/q; p' "$directory/typed")
                sed -i '1,/^$/d' "$directory/typed"
                # As many words as were typed stay; of an option it is the value that was completed.
                n=$(xargs -n 1 <<<"tgswitchctl $line|" | wc -l)
                offered[tgswitchctl $line]=$(for word in "${words[@]:n - 1}"; do
                        [[ $line != *=* ]] || word=${word#--*=}
                        echo "$word"
                done | sort | paste -sd ' ')
        done
        check_equal "$shell has nothing to complain of" "" "$(<"$directory/errors")"
}

# check_offers SHELL LINE EXPECTED [DESCRIPTION]: in the order of `sort`.
check_offers()
{
        check_equal "$1: tgswitchctl $2<TAB>${4:+: $4}" "$3" "${offered[tgswitchctl $2]}"
}

# help_options [VERB]: as the program tells them, with their arguments.
help_options()
{
        tgswitchctl "$@" --help | sed -nE 's/^ +(-., )? *(--[a-z-]+=?).*/\2/p' | sort | paste -sd ' '
}

verbs=$(tgswitchctl --help | sed -nE '/^Verbs:/,/^$/s/^  ([a-z-]+) .*/\1/p')

check_names()
{
        local shell=$1 verb lines=("" "--")

        for verb in $verbs; do
                lines+=("$verb --")
        done
        type_into "$shell" "${lines[@]}"
        check_offers "$shell" "" "$(sort <<<"$verbs" | paste -sd ' ')" "every verb"
        check_offers "$shell" "--" "$(help_options)" "every option"
        for verb in $verbs; do
                check_offers "$shell" "$verb --" "$(help_options "$verb")" "those of the verb"
        done
}

check_values()
{
        local shell=$1

        type_into "$shell" "sw" "switch " "switch l" "switch local " "switch local news " "switch local n" \
                "switch --when-allowed cloud s" "switch --reason 'big files' " "switch local --hold-at=" \
                "switch local --hold-at " "switch local --hold-at=s" "switch --on-undrained=" "wait " "cancel " \
                "wait 7 " "set-seat shop " "adopt " "adopt b" "adopt bot@a" "adopt --bot=" "status shop " "list " \
                "is-local " "remove n" "add --initial-seat=" "add --worker=s" "-H elsewhere is-local " \
                "--host=elsewhere wait " \
                "switch local --reason=" "authorize --output=$directory/b"
        check_offers "$shell" "sw" "switch"
        check_offers "$shell" "switch " "cloud local"
        check_offers "$shell" "switch l" "local"
        check_offers "$shell" "switch local " "done lost news shop" "the bots, by the bus"
        check_offers "$shell" "switch local news " "done lost shop" "nobody twice"
        check_offers "$shell" "switch local n" "news"
        check_offers "$shell" "switch --when-allowed cloud s" "shop" "options may come first"
        check_offers "$shell" "switch --reason 'big files' " "cloud local" "a value may be a word of its own"
        check_offers "$shell" "switch local --hold-at=" "log-out stop-workers"
        check_offers "$shell" "switch local --hold-at " "log-out stop-workers"
        check_offers "$shell" "switch local --hold-at=s" "stop-workers"
        check_offers "$shell" "switch --on-undrained=" "fail spool wait"
        check_offers "$shell" "wait " "7" "the jobs that run"
        check_offers "$shell" "cancel " "7"
        check_offers "$shell" "wait 7 " ""
        check_offers "$shell" "set-seat shop " "cloud local"
        check_offers "$shell" "adopt " "bot@.service bot@a.service shop.service" "services"
        check_offers "$shell" "adopt b" "bot@.service bot@a.service" "services"
        check_offers "$shell" "adopt bot@a" "bot@a.service" "a word goes on over an @"
        check_offers "$shell" "adopt --bot=" "done lost news shop"
        check_offers "$shell" "status shop " "done lost news"
        check_offers "$shell" "list " "" "nothing where nothing may come"
        check_offers "$shell" "is-local " "done lost news shop"
        check_offers "$shell" "remove n" "news"
        check_offers "$shell" "add --initial-seat=" "cloud local"
        check_offers "$shell" "add --worker=s" "shop.service"
        check_offers "$shell" "-H elsewhere is-local " "" "nobody asks another host"
        check_offers "$shell" "--host=elsewhere wait " ""
        check_offers "$shell" "switch local --reason=" ""
        check_offers "$shell" "authorize --output=$directory/b" \
                "$directory/bin $directory/bus $directory/bus.conf" "files"
}

# Where tgswitchd does not run there is nothing to offer, and nobody starts it to find that out.
check_without_daemon()
{
        local shell=$1

        type_into "$shell" "switch local " "wait "
        check_offers "$shell" "switch local " ""
        check_offers "$shell" "wait " ""
}

start_bus
for shell in "${shells[@]}"; do
        check_without_daemon "$shell"
done
start_daemon --resumed
for shell in "${shells[@]}"; do
        check_names "$shell"
        check_values "$shell"
done
tap_done
