#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What tgswitchd says where it cannot begin: wrong arguments, not started by systemd, no bus, no state directory, no
# right to its name, a file descriptor from somebody else; and where something goes while it runs. It ends with a
# failure or goes on, as said; what it is told of is what systemd would pass it, and the bus is one of this test.
#
#       test-daemon.sh BUILD
set -uo pipefail

build=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
# shellcheck source=tests/host/tap.sh
source ../host/tap.sh
# shellcheck source=tests/adapter/fake-daemon.sh
source fake-daemon.sh

mkdir "$directory/state" "$directory/runtime"
# Stands for the socket of tgswitchd-credential.socket: nobody connects.
mkfifo "$directory/socket"

# started [NAME=TEXT…] -- ARGUMENT…: as systemd starts it, with these variables changed. It has 30 seconds to end.
started()
{
        local variables=()

        while (($#)) && [[ $1 != -- ]]; do
                variables+=("$1")
                shift
        done
        shift
        # shellcheck disable=SC2016
        errors=$(STATE_DIRECTORY=$directory/state RUNTIME_DIRECTORY=$directory/runtime LISTEN_FDS=1 \
                LISTEN_FDNAMES=credential timeout 30 env "${variables[@]}" \
                bash -c 'LISTEN_PID=$$ exec "$@"' - "$build/tgswitchd" "$@" \
                3<>"$directory/socket" 4<>"$directory/socket" 2>&1 </dev/null)
        status=$?
}

# fails_with DESCRIPTION REGEX
fails_with()
{
        if ((status == 1)) && [[ $errors =~ $2 ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected status 1 and: $2" "got status $status and: $errors"
        fi
}

started -- now
fails_with "an argument" 'tgswitchd takes no arguments; see tgswitchd\(8\)'
started LISTEN_FDS=0 --
fails_with "no sockets" "Failed to take the sockets that systemd passes: .*; see 'systemctl status .*credential.socket'"
started LISTEN_FDNAMES=other --
fails_with "another socket" "is started by systemd, .* run 'systemctl start tgswitchd'"
started STATE_DIRECTORY= --
fails_with "no bus" "Failed to connect to the system bus: .*; see 'systemctl status dbus'"

start_bus
started STATE_DIRECTORY="$directory/socket" --
fails_with "no state directory" "Failed to open the state directory $directory/socket: Not a dir.* StateDirectory="
check_match "and it gives up" 'Failed to set up: Not a directory; systemd starts tgswitchd again' "$errors"

# Somebody else has the name.
start_daemon
started LISTEN_FDS=2 LISTEN_FDNAMES=credential:other --
fails_with "another tgswitchd" 'Failed to own org.tgswitch1 on the system bus: File exists.* no other tgswitchd may run'
check_match "a file descriptor that it knows nothing of" "file descriptor 'other' that nobody here knows, closing it" \
        "$errors"
check_match "and it ends, with what comes then" 'tgswitchd ends \(File exists\); systemd starts it again' "$errors"
stop_daemon

# ---- while it runs ----

# await REGEX: reads the daemon's output up to a line that matches.
await()
{
        local line

        while read -r -t 60 -u "$lines" line; do
                [[ $line =~ $1 ]] && return
        done
        return 1
}

# The configuration is looked for in /run/tgswitch too; there it is one of this test.
if unshare --mount true 2>/dev/null && [[ ! -e /etc/tgswitch ]]; then
        mkdir "$directory/config"
        # shellcheck disable=SC2016
        exec {lines}< <(STATE_DIRECTORY=$directory/state RUNTIME_DIRECTORY=$directory/runtime LISTEN_FDS=1 \
                LISTEN_FDNAMES=credential exec unshare --mount --propagation private bash -c '
                mount -t tmpfs none /run && mkdir /run/tgswitch && mount --bind "$1" /run/tgswitch &&
                        LISTEN_PID=$$ exec "$2"' - "$directory/config" "$build/tgswitchd" 3<>"$directory/socket" 2>&1)
        client=$!
        until name_is_owned; do
                kill -0 "$client" || break
        done
        echo nonsense >"$directory/config/tgswitch.conf"
        kill -HUP "$client"
        await 'SIGHUP changed nothing: correct the configuration as said above, then send it again'
        check_equal "a configuration that is wrong changes nothing" 0 $?
        kill "$bus"
        wait "$bus" 2>/dev/null
        await "The system bus has gone; see 'systemctl status dbus'. systemd starts tgswitchd again"
        check_equal "it says that the bus has gone" 0 $?
        wait "$client"
        check_equal "and ends with a failure" 1 $?
        client=''
else
        tap_pass "while it runs # SKIP needs a mount namespace and a host without /etc/tgswitch"
fi
tap_done
