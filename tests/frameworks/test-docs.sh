#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The lines that tgswitch-workers(7) gives for the frameworks of the scenarios are those that are run there, and
# README.md says the same as the page.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

PAGE=packaging/man/tgswitch-workers.7.scd

# code SECTION: the lines of its examples.
code()
{
        awk -v section="# $1" '/^# / { inside = $0 == section }
                /^```/ { example = !example; next }
                inside && example && NF' "$PAGE"
}

# missing_from FILE: prints the lines of standard input that the file has not.
missing_from()
{
        grep -vxFf "$1"
}

for framework in gramio grammy telegraf node-telegram-bot-api; do
        lines=$(code "${framework^^}")
        check "$framework: the page has its lines" test "$(wc -l <<<"$lines")" -ge 5
        check_equal "$framework: they stand in the bot that is run" "" \
                "$(missing_from "tests/frameworks/$framework.js" <<<"$lines")"
        # Those for SIGTERM and for the start are of polling.
        check_equal "$framework: the first of them in the one with a webhook, too" "" \
                "$(sed '/^await\|^for/,$d' <<<"$lines" | missing_from "tests/frameworks/$framework-webhook.js")"
done

# snippets: what stands as code in the table of README.md, up to where something is left out.
snippets()
{
        sed -n '/^## Frameworks$/,/^## /p' README.md | grep '^|' | tail -n +3 | cut -d '|' -f 3,4 |
                grep -oE '``[^|]+``|`[^`|]+`' | sed -e 's/^``*//' -e 's/ ``$//' -e 's/`$//' -e 's/….*//'
}

# sections: of the page, one for each framework.
sections()
{
        sed -n '/^# GRAMIO$/,/^# ANYTHING ELSE$/p' "$PAGE" | grep '^# ' | grep -vx '# PYTHON\|# GO\|# ANYTHING ELSE'
}

check_equal "README.md has as many frameworks as the page" "$(sections | wc -l)" \
        "$(($(sed -n '/^## Frameworks$/,/^## /p' README.md | grep -c '^|') - 2))"
check "and some code for them" test "$(snippets | wc -l)" -ge "$(sections | wc -l)"
while read -r snippet; do
        check "the page has $snippet, too" grep -qF -- "$snippet" "$PAGE"
done < <(snippets)
tap_done
