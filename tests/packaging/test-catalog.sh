#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The events of the journal: those of daemon/base/log-events.h, the texts of the catalog, and the table in tgswitchd(8)
# are the same ones, systemd understands the catalog, and what it names is there. What the journal of a host says is the
# matter of the scenario 810-journal.sh. Prints TAP.
# Usage: test-catalog.sh BUILD-DIRECTORY, of which nothing is needed.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
events=daemon/base/log-events.h
catalog=packaging/catalog/tgswitch.catalog
manual=packaging/man/tgswitchd.8.scd

# event_ids FILE: in the order of the table.
event_ids()
{
        sed -nE 's/^ *E\(([A-Z_]+), "([0-9a-f]{32})"\).*/\2/p' "$1"
}

event_names()
{
        sed -nE 's/^ *E\(([A-Z_]+), "([0-9a-f]{32})"\).*/\1/p' "$1"
}

# The first column of the table in the manual page.
manual_ids()
{
        sed -nE 's/^\|  _([0-9a-f]{32})_$/\1/p' "$1"
}

catalog_ids()
{
        sed -nE 's/^-- ([0-9a-f]{32})$/\1/p' "$1"
}

# same_ids EVENTS CATALOG MANUAL: the same ids, in the same order; an empty list is one that could not be read.
same_ids()
{
        local ids

        ids=$(event_ids "$1")
        [[ -n $ids && $(grep -cE '^ *E\(' "$1") == "$(wc -l <<<"$ids")" ]] || return
        diff <(echo "$ids") <(catalog_ids "$2") && diff <(echo "$ids") <(manual_ids "$3")
}

# entries_complete CATALOG: after each id these lines, and a text whose lines a terminal has room for.
entries_complete()
{
        awk '
                function complain(what) { print FILENAME ":" NR ": " what; bad = 1 }
                /^-- / { at = NR }
                at && NR == at + 1 && !/^Subject: .+/ { complain("no subject") }
                at && NR == at + 2 && $0 != "Defined-By: tgswitch" { complain("not said by whom") }
                at && NR == at + 3 && !/^Documentation: man:[a-z0-9.-]+\([1-8]\)$/ { complain("no manual page") }
                at && NR == at + 4 && $0 != "" { complain("no empty line before the text") }
                at && NR == at + 5 && !/^[A-Za-z@]/ { complain("no text") }
                length() > 100 && !/^#/ { complain("too long a line") }
                /[ \t]$/ || /\t/ { complain("blanks") }
                END { exit bad }
        ' "$1"
}

# fields_known CATALOG: what is put in for @…@ are fields that the daemon's lines have.
fields_known()
{
        fails grep -vxFf <(grep -oE '"TGSWITCH_[A-Z]+"' daemon/base/log.c | tr -d '"') \
                <(grep -oE '@[A-Z_]+@' "$1" | tr -d @)
}

# Each page of ours that it names, in a field or in its text, and each verb.
names_there()
{
        local name status=0

        while read -r name; do
                [[ -e packaging/man/${name%(*}.${name: -2:1}.scd ]] && continue
                echo "there is no $name"
                status=1
        done < <(grep -ohE '\b(tgswitch[a-z-]*|org\.tgswitch1)(\.conf)?\([1-8]\)' "$1" | sort -u)
        while read -r name; do
                grep -qE "^\*$name(\*| )" packaging/man/tgswitchctl.1.scd && continue
                echo "there is no tgswitchctl $name"
                status=1
        done < <(grep -ohE '(^    |")tgswitchctl [a-z-]+' "$1" | awk '{ print $NF }' | sort -u)
        return "$status"
}

# events_used EVENTS: each of them is logged somewhere.
events_used()
{
        local name status=0

        while read -r name; do
                grep -rqE "\bLOG_EVENT_$name\b" daemon --include='*.c' && continue
                echo "nothing is logged with $name"
                status=1
        done < <(event_names "$1")
        return "$status"
}

# systemd_understands CATALOG: makes a database of it, and finds each entry there.
systemd_understands()
{
        local said

        rm -rf "${root:?}/usr" "${root:?}/var"
        install -D -m 644 "$1" "$root/usr/lib/systemd/catalog/tgswitch.catalog"
        mkdir -p "$root/var/lib/systemd/catalog"
        said=$(journalctl --root="$root" --update-catalog 2>&1) || { echo "$said"; return 1; }
        [[ -z $said ]] || { echo "$said"; return 1; }
        diff <(event_ids "$events" | sort) \
                <(journalctl --root="$root" --no-pager --list-catalog 2>&1 | awk '$2 == "tgswitch:" { print $1 }' | sort)
}

# Each of the checks against a mistake that it has to find.
check_checks()
{
        local id

        id=$(event_ids "$events" | sed -n 3p)
        grep -v "$id" "$events" >"$root/events"
        check "an event without its line in the code is found" fails same_ids "$root/events" "$catalog" "$manual"
        sed "s/^-- $id/-- 00000000000000000000000000000000/" "$catalog" >"$root/catalog"
        check "an event without a text is found" fails same_ids "$events" "$root/catalog" "$manual"
        check "and by systemd" fails systemd_understands "$root/catalog"
        sed "s/$id//" "$manual" >"$root/manual"
        check "an event that the manual has not is found" fails same_ids "$events" "$catalog" "$root/manual"
        sed '0,/^Defined-By:/{/^Defined-By:/d}' "$catalog" >"$root/catalog"
        check "a text without its head is found" fails entries_complete "$root/catalog"
        sed 's/@TGSWITCH_BOT@/@TGSWITCH_ROBOT@/' "$catalog" >"$root/catalog"
        check "a field that no line has is found" fails fields_known "$root/catalog"
        sed '0,/tgswitchctl status/s/tgswitchctl status/tgswitchctl state/' "$catalog" >"$root/catalog"
        check "a verb that is not there is found" fails names_there "$root/catalog"
        sed 's/man:tgswitch(7)/man:tgswitch(6)/' "$catalog" >"$root/catalog"
        check "a page that is not there is found" fails names_there "$root/catalog"
        sed 's/E(JOB_BEGUN,/E(JOB_IMAGINED,/' "$events" >"$root/events"
        check "an event that nothing is logged with is found" fails events_used "$root/events"
}

check "code, catalog and manual have the same events" same_ids "$events" "$catalog" "$manual"
check_equal "no id is there twice" "" "$(event_ids "$events" | sort | uniq -d)"
check "something is logged with each" events_used "$events"
check "each text has its head, and lines that fit" entries_complete "$catalog"
check "its fields are those of the daemon" fields_known "$catalog"
check "the pages and verbs that it names are there" names_there "$catalog"
check "systemd understands it" systemd_understands "$catalog"
check_checks
tap_note "$(event_ids "$events" | wc -l) events"
tap_done
