#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The units as they are installed: systemd understands all of each, finds what it names, and how far each sandbox goes.
# Prints TAP, and the scores.
# Usage: test-units.sh BUILD-DIRECTORY; the release build beside it is made where it is missing.
set -uo pipefail

BUILD=$(realpath -m "${1:?usage: test-units.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
BUILDROOT=$(dirname "$BUILD")
unset MAKEFLAGS MAKELEVEL

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
units=$root/usr/lib/systemd/system

# What systemd-analyze(1) says at most, times ten, by systemd 252. 11 is what a service that talks to the Internet and to
# the bus comes to: of these two, of the addresses and of the root directory nothing can be taken away.
exposure_max()
{
        case $1 in
        tgswitchd.service | telegram-bot-api.service)
                echo 11
                ;;
        # Reads every token and may ask the TPM.
        tgswitchd-credentials.service)
                echo 12
                ;;
        # Clients of the bus without a network. Most of it is that they are root's.
        tgswitch-local*.service | tgswitch-cloud*.service | tgswitch-metrics.service)
                echo 5
                ;;
        # A service that nobody has thought about.
        *)
                echo 0
                ;;
        esac
}

# A root with systemd's units, ours, and something in place of the server that is not ours.
make_root()
{
        mkdir -p "$units" &&
                cp -a /usr/lib/systemd/system/. "$units" &&
                make -s CONFIG=release BUILDROOT="$BUILDROOT" DESTDIR="$root" install &&
                install -m 755 /dev/null "$root/usr/bin/telegram-bot-api"
}

# A worker with the drop-in that people copy.
make_worker()
{
        printf '[Service]\nExecStart=/usr/bin/tgswitchctl\n' >"$units/shop.service" &&
                install -m 755 /dev/null "$root/usr/bin/test" &&
                install -D -m 644 units/worker-drop-in.conf.example "$units/shop.service.d/50-tgswitch.conf"
}

# verify UNIT: succeeds where systemd has nothing to say about it.
verify()
{
        local complaints status

        complaints=$(systemd-analyze verify --root="$root" --man=no --recursive-errors=no "$1" 2>&1)
        status=$?
        echo "$complaints"
        [[ $status == 0 && -z $complaints ]]
}

# exposed UNIT: what systemd-analyze gives it, times ten.
exposed()
{
        systemd-analyze security --offline=true --no-pager "$units/$1" 2>&1 | sed -n 's/.*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p' |
                sed 's/^0*\(.\)/\1/'
}

# sandboxed UNIT THRESHOLD
sandboxed()
{
        local report status

        report=$(systemd-analyze security --offline=true --no-pager --threshold="$2" "$units/$1" 2>&1)
        status=$?
        grep -v '^✓' <<<"$report"
        return "$status"
}

# documented UNIT: each page of ours that it names is there.
documented()
{
        local page status=0

        while read -r page; do
                [[ -e $root/usr/share/man/man${page: -2:1}/${page%(*}.${page: -2:1} ]] && continue
                echo "there is no $page"
                status=1
        done < <(grep -oE 'man:[^ ]+' "$units/$1" | cut -d : -f 2)
        return "$status"
}

# Each of the checks against a unit that it has to find.
check_checks()
{
        sed 's/^PrivateTmp=/PrivateTemp=/' "$units/tgswitchd.service" >"$units/misspelt.service"
        check "a setting that systemd does not know is found" fails verify misspelt.service
        sed 's|/libexec/tgswitch/tgswitchd|/libexec/tgswitch/nothing|' "$units/tgswitchd.service" >"$units/missing.service"
        check "a program that is not there is found" fails verify missing.service
        sed '/^SystemCallFilter=/d' "$units/tgswitchd.service" >"$units/open.service"
        check "a sandbox that lost a line is found" fails sandboxed open.service "$(exposure_max tgswitchd.service)"
        sed 's/^Documentation=.*/Documentation=man:nothing(8)/' "$units/tgswitchd.service" >"$units/strange.service"
        check "a page that is not there is found" fails documented strange.service
}

check "everything is installed" make_root || tap_done
for path in units/*.service units/*.socket units/*.timer; do
        unit=${path#units/}
        check "systemd has nothing to say about $unit" verify "${unit/@./@shop.}"
        check "$unit names manual pages that there are" documented "$unit"
        [[ $unit == *.service ]] || continue
        check "the sandbox of $unit" sandboxed "$unit" "$(exposure_max "$unit")"
        tap_note "$unit: exposed $(exposed "$unit") of 100, at most $(exposure_max "$unit")"
done
make_worker
check "systemd has nothing to say about a worker with the drop-in" verify shop.service
check_checks
tap_done
