#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Types each LINE into an interactive bash and has readline insert all completions of its last word. Prints what has
# become of the line, a word a line, and an empty one after each. What bash complains about goes to standard error.
# Usage: complete-in-bash.sh COMPLETION-FILE LINE…
set -uo pipefail

file=$1
shift
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

cat >"$directory/rc" <<RC
PS1= PS2= HISTFILE=
show() { printf '%s\n' "\$@" ''; }
source $file
RC
# M-* inserts all completions; then the line becomes the arguments of show.
printf '%s\e*\001show \005\n' "$@" | INPUTRC=/dev/null bash --rcfile "$directory/rc" -i 2>"$directory/errors"
# Readline writes there as well.
grep -a "^bash: $file" "$directory/errors" >&2 || true
