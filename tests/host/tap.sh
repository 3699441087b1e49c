# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# The Test Anything Protocol for scripts. Each check is one line, failed ones tell why in lines that begin with "# ".

TAP_COUNT=0
TAP_FAILED=0
TAP_STARTED_USEC=${EPOCHREALTIME/./}
# Commands whose checks are the last ones of every script.
TAP_LAST=()

# tap_pass DESCRIPTION
tap_pass()
{
        echo "ok $((++TAP_COUNT)) - $1"
}

# tap_fail DESCRIPTION [REASON…], each a line or more
tap_fail()
{
        echo "not ok $((++TAP_COUNT)) - $1"
        ((++TAP_FAILED))
        shift
        (($#)) && printf '%s\n' "$@" | sed 's/^/# /'
}

# check DESCRIPTION COMMAND…: passes where the command succeeds. What it prints is shown only where it does not.
check()
{
        local description=$1 output status
        shift

        output=$("$@" 2>&1)
        status=$?
        if ((status == 0)); then
                tap_pass "$description"
        else
                tap_fail "$description" "$(printf '%q ' "$@")-> $status" "$output"
        fi
        return "$status"
}

# check_equal DESCRIPTION EXPECTED ACTUAL
check_equal()
{
        if [[ $2 == "$3" ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected: $2" "actual:   $3"
                return 1
        fi
}

# check_match DESCRIPTION REGEX ACTUAL
check_match()
{
        if [[ $3 =~ $2 ]]; then
                tap_pass "$1"
        else
                tap_fail "$1" "expected to match: $2" "actual: $3"
                return 1
        fi
}

# fails COMMAND…: the opposite, for check.
fails()
{
        ! "$@"
}

# For what happened, with the seconds since the start of the script.
tap_note()
{
        local usec=$((${EPOCHREALTIME/./} - TAP_STARTED_USEC))

        printf '# [%3d.%03d] %s\n' $((usec / 1000000)) $((usec / 1000 % 1000)) "$*"
}

# Last line of every script. Its exit status is that of the script.
tap_done()
{
        local last

        for last in "${TAP_LAST[@]}"; do
                "$last"
        done
        echo "1..$TAP_COUNT"
        exit $((TAP_FAILED > 0))
}
