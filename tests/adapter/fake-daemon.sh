# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The fake daemon of test-bus on a bus of its own, for tests of what speaks to tgswitchd. To be sourced, behind tap.sh
# and with $build set; everything goes with the script.

directory=$(mktemp -d)
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$directory/bus
export TZ=UTC
daemon='' bus='' client=''

# Whoever of ours is still there goes with us; $client is for the script's own use.
# shellcheck disable=SC2317
clean_up()
{
        local pid

        for pid in $client $daemon $bus; do
                kill "$pid" 2>/dev/null && wait "$pid"
        done
        rm -rf "$directory"
} 2>/dev/null
trap clean_up EXIT

start_bus()
{
        cat >"$directory/bus.conf" <<-CONF
                <busconfig><type>session</type><listen>unix:path=$directory/bus</listen><auth>EXTERNAL</auth>
                <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
                <allow receive_sender="*"/></policy></busconfig>
CONF
        chmod 755 "$directory"
        exec {announced}< <(exec dbus-daemon --config-file="$directory/bus.conf" --nofork --nosyslog --print-address \
                2>/dev/null)
        bus=$!
        # written once the socket listens
        read -r -u "$announced" _
}

name_is_owned()
{
        busctl --system --json=short call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
                NameHasOwner s org.tgswitch1 2>/dev/null | grep -q true
}

# start_daemon [--resumed|--ended|--strange]: returns once it has its name.
start_daemon()
{
        # shellcheck disable=SC2154
        "$build/tests/adapter/test-bus" --serve "$@" 2>"$directory/daemon.log" &
        daemon=$!
        until name_is_owned; do
                kill -0 "$daemon" || return
        done
}

stop_daemon()
{
        kill "$daemon"
        wait "$daemon"
        local status=$?
        daemon=''
        return "$status"
}

kill_daemon()
{
        kill -KILL "$daemon"
        wait "$daemon" 2>/dev/null
        daemon=''
}

# fake METHOD SIGNATURE ARGUMENT…
fake()
{
        busctl --system --quiet call org.tgswitch1 /fake org.tgswitch1.Fake "$@"
}
