# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A scratch Debian host for one script: booted with its own systemd as PID 1, with a disk that survives power cuts and
# vanishes with the script. To be sourced first thing, by a script that may be run by hand:
#
#       source "$(dirname "$0")/../host.sh"
#       host_create
#       host_install
#       host_boot
#       host_run systemctl start tgswitch-local
#
# The script runs in mount, PID and network namespaces of its own: however it ends, even by SIGKILL, nothing goes on
# running or stays mounted. The only network is loopback, which script and host share: Telegram is simulated beside the
# host, not in it, and outlives its power cuts.

set -uo pipefail

HOST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SOURCE_DIR=$(cd "$HOST_DIR/../.." && pwd)
# Where the programs are taken from. A relative BUILDROOT counts from the top of the tree, as it does for make.
export BUILDROOT=${BUILDROOT:-build} CONFIG=${CONFIG:-release}
BUILD=$(cd "$SOURCE_DIR" && realpath -m "$BUILDROOT/$CONFIG")

if [[ ${HOST_NAMESPACES:-} != inside ]]; then
        if ((EUID != 0)); then
                echo "Bail out! Scratch hosts need root."
                exit 1
        fi
        HOST_BASE=$("$HOST_DIR/make-root") || exit 1
        export HOST_BASE HOST_NAMESPACES=inside
        scope=()
        # Where systemd is PID 1 out here too, it has to know that a part of its tree of control groups is ours.
        [[ -d /run/systemd/system ]] && scope=(systemd-run --quiet --scope --property=Delegate=yes)
        exec "${scope[@]}" unshare --mount --pid --net --fork --kill-child --mount-proc \
                -- "$BASH" "$0" "$@"
fi

HOST_NAME=tgswitch-test-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
HOST_DISK=/mnt                  # a tmpfs in this namespace alone
HOST_ROOT=$HOST_DISK/root       # the host's file system; /run and /tmp are mounted on it by the host itself
HOST_LEADER=                    # its PID 1, as seen from here; empty while it is off
HOST_NSPAWN=                    # the process that ends when the host does
HOST_BOOT_TIMEOUT_SEC=120
HOST_CGROUPS=()
# What is kept of a host whose script failed.
HOST_LOGS=${HOST_LOGS:-$BUILD/host-logs/$(basename "$0" .sh)}

# shellcheck source=tests/host/tap.sh
source "$HOST_DIR/tap.sh"
# shellcheck source=tests/host/telegram.sh
source "$HOST_DIR/telegram.sh"
# shellcheck source=tests/host/bots.sh
source "$HOST_DIR/bots.sh"
# shellcheck source=tests/host/canary.sh
source "$HOST_DIR/canary.sh"

# PID 1 of a namespace gets only the signals it has handlers for.
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'host_exit $?' EXIT

# Makes the disk of a new host: the shared root, and above it a layer that takes every change.
host_create()
{
        if ! {
                ip link set lo up &&
                        mount -t tmpfs -o mode=755 tgswitch-test "$HOST_DISK" &&
                        mkdir "$HOST_DISK"/{upper,work,root} &&
                        mount -t overlay -o "lowerdir=$HOST_BASE,upperdir=$HOST_DISK/upper,workdir=$HOST_DISK/work" \
                                tgswitch-test "$HOST_ROOT"
        }; then
                host_bail "can't make the host's disk"
        fi

        echo "$HOST_NAME" >"$HOST_ROOT/etc/hostname"
        printf '127.0.0.1 localhost %s\n' "$HOST_NAME" >"$HOST_ROOT/etc/hosts"
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$HOST_ROOT/etc/machine-id"
        mkfifo "$HOST_ROOT/var/lib/booted" "$HOST_ROOT/var/lib/watched"
        # The daemon says nothing on the bus that nobody hears.
        host_put /etc/systemd/system/booted.service.d/watched.conf <<'EOF'
[Unit]
Before=tgswitchd.service
[Service]
ExecStart=/bin/sh -c 'read -r _ </var/lib/watched'
EOF
        canary_install
        messages_install
        host_cgroups_create
}

# Has every program in the host tell which messages it brings out (tests/messages), into the file that the caller names.
# They all write into one FIFO, which a sandbox lets through.
messages_install()
{
        MESSAGES_READER=
        [[ -n ${MESSAGES_RECORD:-} && $CONFIG != asan ]] || return 0
        mkfifo --mode=622 "$HOST_ROOT/var/lib/messages"
        exec {MESSAGES}<>"$HOST_ROOT/var/lib/messages"
        sed '/^$/Q' <&"$MESSAGES" >>"$MESSAGES_RECORD" &
        MESSAGES_READER=$!
        host_put /usr/lib/record-preload.so 755 <"$BUILD/tests/messages/record-preload.so"
        echo /usr/lib/record-preload.so >>"$HOST_ROOT/etc/ld.so.preload"
}

# Nothing of the host runs any more. An empty line is the end of what it told.
messages_end()
{
        [[ -n ${MESSAGES_READER:-} ]] || return 0
        echo >&"$MESSAGES"
        wait "$MESSAGES_READER"
}

# Control groups of its own, in every hierarchy: PID 1 of the host takes the one it is started in for the whole tree,
# and two hosts in the same one would remove each other's.
host_cgroups_create()
{
        local hierarchy path parent

        while IFS=: read -r _ hierarchy path; do
                if [[ -z $hierarchy ]]; then
                        parent=$(findmnt -nf -o TARGET -t cgroup2)
                else
                        parent=$(findmnt -nf -o TARGET -t cgroup -O "$hierarchy")
                fi
                [[ -n $parent ]] || continue
                # Inside a container the mount may already be the path.
                [[ -d $parent$path ]] && parent=${parent}${path%/}
                # One that is read-only here is so for the host, too, and can do without.
                mkdir "$parent/$HOST_NAME" 2>/dev/null || continue
                HOST_CGROUPS+=("$parent/$HOST_NAME")
                # The kernel lets nobody into a new cpuset that lacks these.
                if [[ ,$hierarchy, == *,cpuset,* ]]; then
                        cat "$parent/cpuset.cpus" >"$parent/$HOST_NAME/cpuset.cpus"
                        cat "$parent/cpuset.mems" >"$parent/$HOST_NAME/cpuset.mems"
                fi
        done </proc/self/cgroup
}

# Turns the host on and returns when its basic system and its bus are up; what was enabled may still be starting. The
# host's booted.service says so, or the end of the host does. From here on the bus is watched. Its programs may lock
# memory, which nspawn by itself forbids.
host_boot()
{
        local word=

        exec {HOST_BOOTED}<>"$HOST_ROOT/var/lib/booted"
        (
                for cgroup in "${HOST_CGROUPS[@]}"; do
                        echo "$BASHPID" >"$cgroup/cgroup.procs"
                done
                systemd-nspawn --quiet --boot --directory="$HOST_ROOT" --machine="$HOST_NAME" --capability=CAP_NET_ADMIN \
                        --system-call-filter=@memlock \
                        --register=no --keep-unit --link-journal=no --settings=no --resolv-conf=off --timezone=off \
                        --console=pipe </dev/null >>"$HOST_DISK/console" 2>&1 {HOST_BOOTED}>&-
                echo ended >&"$HOST_BOOTED"
        ) &
        HOST_NSPAWN=$!
        read -r -t "$HOST_BOOT_TIMEOUT_SEC" -u "$HOST_BOOTED" word
        exec {HOST_BOOTED}>&-
        [[ $word == booted ]] || host_bail "the host did not boot: ${word:-no sign of it in $HOST_BOOT_TIMEOUT_SEC s}"
        HOST_LEADER=$(pgrep -P "$(pgrep -P "$HOST_NSPAWN")")
        BUS_WATCHED=
        bus_watch
        # shellcheck disable=SC2016
        timeout 60 sh -c 'echo >"$1"' - "$HOST_ROOT/var/lib/watched" || host_bail "the host does not boot any further"
}

# Runs a command in the host, as root. Its standard input is the caller's.
host_run()
{
        nsenter --target "$HOST_LEADER" --all -- /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
                LANG=C.UTF-8 SYSTEMD_PAGER= SYSTEMD_COLORS=0 "$@"
}

# Puts standard input into a file of the host, on or off: host_put PATH [MODE]. A file below /run needs a running one.
host_put()
{
        local path=$HOST_ROOT$1

        [[ $1 == /run/* ]] && path=/proc/$HOST_LEADER/root$1
        install -D -m "${2:-644}" /dev/stdin "$path"
}

# Installs the project as it was built, into a host that is on or off, and does what a package would do after it. All the
# bots of a scenario that are to move begin at once; what Concurrency= says about that is the matter of a scenario of its
# own, whose drop-in comes after this one.
host_install()
{
        if ! {
                make -s -C "$SOURCE_DIR" install DESTDIR="$HOST_ROOT" &&
                        chroot "$HOST_ROOT" systemd-sysusers &&
                        chroot "$HOST_ROOT" systemctl preset tgswitchd.service tgswitchd-credential.socket
        } >"$HOST_DISK/install.log" 2>&1; then
                host_bail "installation failed: $(tail -n 5 "$HOST_DISK/install.log")"
        fi
        host_put /etc/tgswitch/tgswitch.conf.d/10-host.conf <<<$'[Manager]\nConcurrency=64'
}

# Shuts the host down in good order, services and all.
host_shutdown()
{
        canary_going_off
        kill -s RTMIN+4 "$HOST_LEADER"
        host_wait_off
}

# Nobody in the host gets to run another instruction. What was written is there at the next host_boot, as after a kill
# of the machine, not of its disk.
host_power_cut()
{
        kill -s KILL "$HOST_LEADER"
        host_wait_off
}

# PID 1 is reaped only after everything else in its namespace, so then nothing of the host runs any more.
host_wait_off()
{
        wait "$HOST_NSPAWN"
        HOST_LEADER=''
        HOST_NSPAWN=''
        canary_off
}

host_bail()
{
        echo "Bail out! $*"
        exit 99
}

# The journals of all boots, the console and Telegram's ledger, for a reader after the end.
host_save_logs()
{
        mkdir -p "$HOST_LOGS" || return 0
        cp "$HOST_DISK/console" "$HOST_DISK"/*.log "$HOST_DISK"/*.jsonl "$HOST_LOGS" 2>/dev/null
        journalctl --directory="$HOST_ROOT/var/log/journal" --no-pager -o short-precise >"$HOST_LOGS/journal" 2>&1
        echo "# Journal, console and ledger of the host: $HOST_LOGS"
}

# Last thing of every script, whether it came to its end or not.
host_exit()
{
        local status=$1 cgroup

        trap - EXIT INT TERM
        [[ -n $HOST_LEADER ]] && kill -s KILL "$HOST_LEADER" && wait "$HOST_NSPAWN"
        messages_end
        if ((status != 0)) && mountpoint -q "$HOST_ROOT"; then
                host_save_logs
        fi
        for cgroup in "${HOST_CGROUPS[@]}"; do
                find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null
        done
        exit "$status"
}
