#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tgswitch-exec: what the program behind it finds in its environment, and that it is not run with half of it. Defends L7
# where a token goes into an environment.
#
#       test-exec.sh BUILD
set -uo pipefail

exec=$(realpath "$1")/tgswitch-exec
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/host/tap.sh
source ../host/tap.sh

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
credentials=$directory/credentials
secret=AAtgCanary-0000_tgCanary-1111111_22
token=7100000001:$secret
root=http://127.0.0.1:8081

# put NAME: a credential from standard input.
put()
{
        cat >"$credentials/$1"
}

fresh()
{
        rm -rf "$credentials"
        mkdir "$credentials"
        echo "$token" | put bot-token
        printf %s "$root" | put bot-endpoint
        echo '[]' | put bot-pending-updates
}

# What tells which messages it brings out (tests/messages).
recorder=()
for variable in LD_PRELOAD MESSAGES_RECORD ASAN_OPTIONS; do
        [[ -z ${!variable:-} ]] || recorder+=("$variable=${!variable}")
done

# run ARGUMENT…: with nothing else in its environment; leaves $status, $output and $errors.
run()
{
        output=$(env -i "${recorder[@]}" PATH="$PATH" CREDENTIALS_DIRECTORY="$credentials" BOT_TOKEN=old OTHER=stays \
                "$exec" "$@" 2>"$directory/errors")
        status=$?
        errors=$(<"$directory/errors")
}

# refuses DESCRIPTION STATUS REGEX: nothing was run, and no secret was told.
refuses()
{
        if ((status == $2)) && [[ $errors =~ $3 && -z $output && $errors != *"$secret"* ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected status $2 and: $3" "got status $status" "$output" "$errors"
        fi
}

# variable NAME: of the environment that the program had.
variable()
{
        sed -n "s/^$1=//p" <<<"$output"
}

# ---- what the program gets ----

fresh
run env
check_equal "the program is run" 0 "$status"
check_equal "the root" "$root" "$(variable TELEGRAM_API_ROOT)"
check_equal "the root for those that put a token behind it" "$root/bot" "$(variable TELEGRAM_BASE_URL)"
check_equal "the root of files" "$root/file/bot" "$(variable TELEGRAM_BASE_FILE_URL)"
check_equal "the root for teloxide" "$root" "$(variable TELOXIDE_API_URL)"
check_equal "the token replaces an old one" "$token" "$(variable BOT_TOKEN)"
check_equal "the token for teloxide" "$token" "$(variable TELOXIDE_TOKEN)"
check_equal "other variables stay" stays "$(variable OTHER)"

run --set 'API={root}/bot{0}/{1}' --set='URL={root}/bot{token}' --pending-updates=PENDING -- env
check_equal "--set fills the root in" "$root/bot{0}/{1}" "$(variable API)"
check_equal "and the token" "$root/bot$token" "$(variable URL)"
check_equal "beside the usual names" "$token" "$(variable BOT_TOKEN)"
check_equal "--pending-updates names the file" "$credentials/bot-pending-updates" "$(variable PENDING)"

run --only --set 'TOKEN={token}' env
check_equal "--only sets this" "$token" "$(variable TOKEN)"
check_equal "and not the usual names" "old:" "$(variable BOT_TOKEN):$(variable TELEGRAM_API_ROOT)"

run -- printf '%s.' --set 'a b' ''
check_equal "arguments are the program's" "--set.a b.." "$output"
run printf '%s.' --only
check_equal "also without --" "--only." "$output"
# shellcheck disable=SC2016
run --argv0=another-name bash -c 'tr "\0" "\n" </proc/$$/cmdline'
check_equal "--argv0 is what it is called" another-name "$(head -n 1 <<<"$output")"
[[ $output != *"$secret"* ]]
check_equal "the token is in no argument" 0 $?

env -i PATH="$PATH" CREDENTIALS_DIRECTORY="$credentials" "$exec" sleep 1000 &
pid=$!
while [[ $(readlink "/proc/$pid/exe") != *sleep ]] && kill -0 "$pid"; do
        :
done
check_match "the program has the same process" "^sleep" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
kill "$pid"
wait "$pid" 2>/dev/null
check_equal "and gets its signals" 143 $?

# ---- what is refused ----

run
refuses "no program" 2 'Name the program to run'
run --only env
refuses "--only alone" 2 'would set nothing'
for wrong in A A=b '1={root}' 'A={root} b' 'A="{token}"' 'A={root}$B'; do
        run --set "$wrong" env
        refuses "--set $wrong" 2 'NAME=TEXT with \{root\} or \{token\}'
done
for wrong in '' 'A=b' '1' 'A B'; do
        run --pending-updates="$wrong" env
        refuses "--pending-updates=$wrong" 2 'the name of a variable'
done
run --nonsense env
refuses "an unknown option" 2 nonsense
run "$directory/nowhere"
refuses "a program that is not there" 127 'cannot be run \(No such file'
run "$directory"
refuses "one that is none" 126 'cannot be run \('

for name in bot-token bot-endpoint; do
        fresh
        : | put "$name"
        run env
        refuses "an empty $name" 243 "$name is empty: .*Worker="
        rm "$credentials/$name"
        run env
        refuses "no $name" 243 "no credential $name: add LoadCredential=$name:/run/tgswitch/credential.sock"
        head -c 5000 /dev/zero | tr '\0' a | put "$name"
        run env
        refuses "a $name without an end" 243 "$name has more than"
        rm "$credentials/$name"
        mkdir "$credentials/$name"
        run env
        refuses "a $name that is no file" 243 "$name cannot be read \\(.*run this as the user of the unit, from ExecStart="
        fresh
done
for wrong in "$secret" "7100000001" "7100000001:short" "$token$token$token" "$token x" "0$token"; do
        echo "$wrong" | put bot-token
        run env
        refuses "no token: ${wrong//$secret/SECRET}" 243 'bot-token is no token of a bot'
done
fresh
for wrong in "$token" "$root/" "ftp://h" "http://$token@h" "http://h x"; do
        echo "$wrong" | put bot-endpoint
        run env
        refuses "no endpoint: ${wrong//$secret/SECRET}" 243 'bot-endpoint is no address of a Bot API server \('
done
fresh
rm "$credentials/bot-pending-updates"
run --pending-updates=PENDING env
refuses "no pending updates" 243 'no credential bot-pending-updates'
run env
check_equal "which most programs do not need" 0 "$status"
rm -r "$credentials"
run env
refuses "no credentials" 243 'cannot be read \(No such file'
output=$(env -i "${recorder[@]}" "$exec" /bin/true 2>"$directory/errors")
status=$? errors=$(<"$directory/errors")
refuses "not started by systemd" 243 'CREDENTIALS_DIRECTORY is not set'
tap_done
