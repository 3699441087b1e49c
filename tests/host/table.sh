# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A table of odd things and what became of each, printed at the end of a scenario.

TABLE_ROWS=()

# table_row KIND DONE RESULT MESSAGE
table_row()
{
        TABLE_ROWS+=("$(printf '%-34s | %-34s | %-10s | %s' "$1" "$2" "$3" "${4:--}")")
}

table_print()
{
        printf '# %-34s | %-34s | %-10s | %s\n' worker "what was done" result message
        printf '# %s\n' "${TABLE_ROWS[@]}"
}
