#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The packages as they are built: what lintian says of Debian's, that both have the same files, which are those of `make
# install`, with which modes, and what the scripts in them start and stop. What becomes of a host is the matter of the
# scenario 800-package.sh. Prints TAP.
# Usage: test-package.sh BUILD-DIRECTORY; packages and release build beside it are made where they are missing.
set -uo pipefail

BUILD=$(realpath -m "${1:?usage: test-package.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
BUILDROOT=$(dirname "$BUILD")
unset MAKEFLAGS MAKELEVEL

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
version=$(sed -n 's/^VERSION *:= *//p' Makefile)

# make_quietly ARGUMENT…: what it prints is worth reading only where it fails.
make_quietly()
{
        make -s -j"$(nproc)" CONFIG=release BUILDROOT="$BUILDROOT" "$@"
}

# Lists of files: mode, owner and path, with manual pages by the name that they have before they are compressed. Where
# zsh looks is another place for each kind of package.
in_one_form()
{
        sed -e 's| \./| /|' -e 's| /lib/systemd/| /usr/lib/systemd/|' -e '\| /usr/share/man/|s|\.gz$||' \
                -e '\|/README\.md\.gz$|s|\.gz$||' -e 's|/zsh/site-functions/|/zsh/vendor-completions/|' | sort -k 3
}

deb_files()
{
        dpkg-deb -c "$1" | awk '$1 !~ /^d/ { print $1, $2, $6 }' | in_one_form
}

rpm_files()
{
        rpm --dbpath "$dir/rpmdb" -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES}\n]' "$1" |
                grep -v '^d' | in_one_form
}

installed_files()
{
        find "$1" ! -type d -printf '%M %u/%g /%P\n' | in_one_form
}

# The licence and what only one kind of package has.
without_own()
{
        grep -vE -e ' /usr/share/doc/tgswitch/(LICENSE|copyright|changelog\.gz|README\.Debian)$' \
                -e ' /usr/share/(licenses/tgswitch/LICENSE|lintian/overrides/tgswitch)$'
}

# same_files LIST LIST: but for those. An empty list is one that could not be made.
same_files()
{
        local one other

        one=$(without_own <"$1")
        other=$(without_own <"$2")
        [[ -n $one && -n $other ]] && diff <(echo "$one") <(echo "$other")
}

# Everything that a maintainer script does with units, beside reading them anew; once each.
unit_actions()
{
        local script

        for script in preinst postinst prerm postrm; do
                dpkg-deb -I "$1" "$script" 2>/dev/null | sed -n "s/^[[:space:]]*/$script: /
                        s/ >.*//
                        s/ || true$//
                        /deb-systemd-invoke /p
                        /invoke-rc.d /p
                        /systemctl /p"
        done | grep -v 'systemctl --system daemon-reload$' | sort -u
}

# The same of an RPM, whose scripts are all in one list.
rpm_unit_actions()
{
        rpm --dbpath "$dir/rpmdb" -qp --scripts "$1" | sed -e ':more' -e '/\\$/{ N; s/ *\\\n */ /; b more; }' |
                sed -n 's/^ *\(systemctl .*[^ ]\) || :$/\1/p' |
                grep -v '^systemctl daemon-reload$' | sort -u
}

check_lintian()
{
        local said

        if ! command -v lintian >/dev/null; then
                tap_pass "lintian has nothing to say # SKIP lintian is not installed"
                return
        fi
        # Each line begins with a letter for how bad it is, with an O where an exception was made. An exception that is not
        # needed any more is a line, too.
        said=$(lintian --display-info --pedantic --show-overrides --tag-display-limit 0 "$changes" 2>&1 |
                grep '^[A-Z]: ')
        check_equal "lintian has nothing to say" "" "$(grep -v -e '^O: ' -e '^N: ' <<<"$said")"
        check_match "but for where exceptions are made, so it looks" 'O: tgswitch: spare-manual-page .*tgswitchd' "$said"
}

check_deb()
{
        local control

        deb=$BUILDROOT/deb/tgswitch_${version}_$(dpkg --print-architecture).deb
        changes=${deb%.deb}.changes
        check_equal "the package has the program's version" "$version" "$(dpkg-deb -f "$deb" Version)"
        control=$(dpkg-deb -f "$deb" Depends)
        check_match "it wants a systemd that can hold a credential back" 'systemd \(>= 252\.4\)' "$control"
        check_match "and polkit, without which no unit can be started" '(^|, )polkitd(,|$)' "$control"
        check_equal "the files of the administrator are conffiles" \
                "$(deb_files "$deb" | awk '$3 ~ "^/etc/" { print $3 }')" "$(dpkg-deb -I "$deb" conffiles | sort)"
        deb_files "$deb" >"$dir/deb"
        check_equal "root owns all files, who alone may write to them" "" \
                "$(grep -vE '^-rw(-r--r--|xr-xr-x) root/root ' "$dir/deb")"
        # As far as the administrator is concerned tgswitchd and its socket are all that happens by itself.
        check_equal "the scripts start and stop nothing else" \
                "postinst: deb-systemd-invoke \$_dh_action 'tgswitchd.service'
postinst: deb-systemd-invoke start 'tgswitchd-credential.socket'
postinst: invoke-rc.d dbus reload
postrm: deb-systemd-invoke stop telegram-bot-api.service
prerm: deb-systemd-invoke stop 'tgswitch*.timer'
prerm: deb-systemd-invoke stop 'tgswitchd-credential.socket'
prerm: deb-systemd-invoke stop 'tgswitchd.service'" "$(unit_actions "$deb")"
        check "it is unpacked" dpkg-deb -x "$deb" "$dir/unpacked"
        check_equal "nothing in it knows where it was built" "" "$(grep -rlF "$BUILDROOT" "$dir/unpacked")"
        check_lintian
}

# purged [COMMAND…]: what is left after a purge, of a root in which the administrator has made a unit for the local
# server by this command.
purged()
{
        local root=$dir/purged

        rm -rf "$root"
        mkdir -p "$root"/{etc/tgswitch/tokens,etc/systemd/system/multi-user.target.wants} \
                "$root"/var/{lib/tgswitch,lib/telegram-bot-api,cache/telegram-bot-api,lib/other}
        touch "$root/etc/tgswitch/tokens/shop" "$root"/var/{lib,cache}/telegram-bot-api/1
        ln -s /nowhere "$root/etc/systemd/system/multi-user.target.wants/tgswitch-local@shop.service"
        (($# == 0)) || "$@" "$root/etc/systemd/system/telegram-bot-api.service"
        DPKG_ROOT=$root sh packaging/debian/postrm purge || echo "status $?"
        (cd "$root" && find . ! -type d -o -empty) | sort | paste -sd ' '
}

check_purge()
{
        local links=./etc/systemd/system/multi-user.target.wants unit=./etc/systemd/system/telegram-bot-api.service

        check_equal "a purge leaves no token, nor what the local server has kept" "$links ./var/cache ./var/lib/other" \
                "$(purged)"
        check_equal "it keeps its hands off a server with a unit of the administrator's" \
                "$links $unit ./var/cache/telegram-bot-api/1 ./var/lib/other ./var/lib/telegram-bot-api/1" \
                "$(purged touch)"
        check_equal "but a mask is no such unit" "$links $unit ./var/cache ./var/lib/other" "$(purged ln -s /dev/null)"
}

check_removal()
{
        local root=$dir/removed textfiles=$dir/removed/var/lib/prometheus/node-exporter

        mkdir -p "$root/run/tgswitch" "$textfiles"
        touch "$textfiles"/{tgswitch,apt}.prom
        DPKG_ROOT=$root sh packaging/debian/postrm remove
        check_equal "what Prometheus was told does not outlive a removal" apt.prom "$(ls "$textfiles")"
}

check_rpm()
{
        if ! command -v rpmbuild >/dev/null; then
                tap_pass "the RPM is built # SKIP rpmbuild is not installed"
                return
        fi
        # What is in it is looked at, and not run.
        check "the RPM is built" make_quietly RPMBUILD_OPTIONS="--define 'optflags -O0'" rpm || return
        rpm=$(echo "$BUILDROOT"/rpm/RPMS/*/tgswitch-"$version"-*.rpm)
        rpm_files "$rpm" >"$dir/rpm"
        check "both packages have the same files" same_files "$dir/deb" "$dir/rpm"
        check_equal "its configuration stays as the administrator has made it" \
                $'/etc/tgswitch/bots.d/example.conf n\n/etc/tgswitch/tgswitch.conf n' \
                "$(rpm --dbpath "$dir/rpmdb" -qp --qf '[%{FILENAMES} %{FILEFLAGS:fflags}\n]' "$rpm" |
                        sed -n 's/ cn$/ n/p' | sort)"
        check_equal "tokens and secrets are root's alone" \
                "$(printf '/etc/tgswitch/%s\n' secrets secrets.encrypted tokens tokens.encrypted)" \
                "$(rpm --dbpath "$dir/rpmdb" -qp --qf '[%{FILEMODES:perms} %{FILENAMES}\n]' "$rpm" |
                        sed -n 's/^drwx------ //p' | sort)"
        check_equal "its scripts start and stop nothing else either" \
                "systemctl --no-reload disable tgswitchd-credential.socket tgswitchd.service tgswitch-local.service tgswitch-metrics.timer
systemctl --no-reload preset tgswitchd-credential.socket tgswitchd.service
systemctl reload dbus.service
systemctl start tgswitchd-credential.socket tgswitchd.service
systemctl stop tgswitchd-credential.socket tgswitchd.service 'tgswitch*.timer'
systemctl try-restart tgswitchd.service" "$(rpm_unit_actions "$rpm")"
}

check "the Debian package is built" make_quietly deb || tap_done
# From what was compiled for the package, and not beside it.
check "the project is installed" make -s -C "$BUILDROOT/deb/tgswitch-$version" CONFIG=release BUILDROOT=build \
        DESTDIR="$dir/root" install || tap_done
installed_files "$dir/root" >"$dir/installed"
check_deb
check "it has what is installed" same_files "$dir/installed" "$dir/deb"
sed '/tgswitchd\.service/d' "$dir/deb" >"$dir/less"
check "one that is missing is found" fails same_files "$dir/installed" "$dir/less"
sed '/bin\/tgswitchctl$/s/^-rwx/-rws/' "$dir/deb" >"$dir/other"
check "one with another mode is found" fails same_files "$dir/installed" "$dir/other"
check_purge
check_removal
check_rpm
tap_done
