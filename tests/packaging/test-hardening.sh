#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the compiler and the linker are to do for programs that run with tokens, looked for in the programs that were
# built, and each check against a program that lacks it. Prints TAP.
# Usage: test-hardening.sh BUILD-DIRECTORY; the release build beside it is made where it is missing.
set -uo pipefail

BUILD=$(realpath -m "${1:?usage: test-hardening.sh BUILD-DIRECTORY}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
BUILDROOT=$(dirname "$BUILD")
unset MAKEFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS

# shellcheck source=tests/host/tap.sh
source tests/host/tap.sh

programs=(tgswitchd tgswitchctl tgswitch-exec)
machine=$(${CC:-cc} -dumpmachine)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Each has_… looks at one program and prints what is wrong with it.

has_pie()
{
        local header dynamic

        header=$(readelf -hW "$1")
        dynamic=$(readelf -dW "$1")
        grep -E '^ *Type: ' <<<"$header"
        # A shared library is of the same type.
        [[ $header =~ Type:\ +DYN && $dynamic =~ \(FLAGS_1\)[^$'\n']*PIE ]]
}

has_full_relro()
{
        readelf -lW "$1" | grep ' GNU_RELRO ' && has_bind_now "$1"
}

has_bind_now()
{
        local dynamic

        dynamic=$(readelf -dW "$1")
        grep FLAGS <<<"$dynamic"
        [[ $dynamic =~ \(FLAGS\)[^$'\n']*BIND_NOW || $dynamic =~ \(FLAGS_1\)[^$'\n']*\ NOW ]]
}

has_data_stack()
{
        local stack

        stack=$(readelf -lW "$1" | grep ' GNU_STACK ')
        echo "$stack"
        # Without that header the kernel makes it executable.
        [[ $stack =~ \ RW\ + ]]
}

has_no_text_relocations()
{
        ! readelf -dW "$1" | grep TEXTREL
}

has_no_run_path()
{
        ! readelf -dW "$1" | grep -E '\((RPATH|RUNPATH)\)'
}

has_separate_code()
{
        local program=$1

        # No segment holds both what is executed and the headers and constants: only one is executable, and it is not
        # the first.
        readelf -lW "$program" | grep -E '^ *LOAD'
        readelf -lW "$program" | awk '$1 == "LOAD" { n++; if ($0 ~ / R.E /) { executable++; if (n == 1) first = 1 } }
                                      END { exit executable != 1 || first }'
}

# The functions that are replaced wherever they are called; of the others, such as memcpy(), only those calls are in
# which gcc cannot tell that all is well.
has_fortified_calls()
{
        local calls

        calls=$(readelf -W --dyn-syms "$1" | grep -oE 'UND (__)?v?(f|as|d)?printf(_chk)?@')
        echo "$calls"
        [[ $calls == *_chk@* && ! $calls =~ printf@ ]]
}

has_stack_protector()
{
        readelf -W --dyn-syms "$1" | grep 'UND __stack_chk_fail' && has_flag "$1" -fstack-protector-strong
}

has_stack_clash_protection()
{
        has_flag "$1" -fstack-clash-protection
}

has_branch_protection()
{
        local marks='x86 feature: IBT, SHSTK'

        objdump -d --disassemble=main "$1" | grep -A1 '<main>:$'
        objdump -d --disassemble=main "$1" | grep -A1 '<main>:$' | grep 'endbr64$' >/dev/null || return
        # The linker marks the program where all of its objects are. In Debian 12 those of libc are not.
        if readelf -nW "$("${CC:-cc}" -print-file-name=Scrt1.o)" | grep "$marks"; then
                readelf -nW "$1" | grep "$marks" || return
        fi
        has_flag "$1" -fcf-protection=full
}

has_nothing_exported()
{
        local meant='^$'

        # What stands in for libc's in the libraries, too (daemon/wiping-free.c).
        [[ $1 == */tgswitchd ]] && meant='^(free|realloc)$'
        # Those with a version are variables of libc, such as stderr, that a program has a copy of.
        ! readelf -W --dyn-syms "$1" | awk '$7 != "UND" && $7 != "Ndx" && $8 != "" && $8 !~ /@/ { print $8 }' |
                grep -vE "$meant"
}

# has_flag PROGRAM FLAG: each unit of it was compiled so, as the compiler has written into the debug information.
has_flag()
{
        local units with

        units=$(readelf --debug-dump=info --dwarf-depth=1 "$1" 2>/dev/null | grep -c 'DW_AT_producer')
        with=$(readelf --debug-dump=info --dwarf-depth=1 "$1" 2>/dev/null | grep 'DW_AT_producer' | grep -c -e "$2")
        echo "$with of $units units are compiled with $2"
        ((units > 0 && with == units))
}

properties=(
        "pie:is position independent"
        "full_relro:has its relocations read-only"
        "bind_now:is bound before it runs"
        "data_stack:has no executable stack"
        "no_text_relocations:has no relocations in its code"
        "no_run_path:looks for libraries nowhere else"
        "separate_code:has code and constants on pages of their own"
        "fortified_calls:calls the checking functions of libc"
        "stack_protector:has canaries in its stack"
        "stack_clash_protection:touches each page of its stack"
        "branch_protection:marks what may be branched to"
        "nothing_exported:exports no symbol"
)

# check_program NAME PATH
check_program()
{
        local property

        for property in "${properties[@]}"; do
                if [[ $property == branch_protection:* && $machine != x86_64-* ]]; then
                        tap_pass "$1 ${property#*:} # SKIP no CET on $machine"
                else
                        check "$1 ${property#*:}" "has_${property%%:*}" "$2"
                fi
        done
}

# The contrary of everything, so that none of the checks above can pass whatever it is given. One of them does not
# exclude another: absolute addresses in code are only relocations where the rest is position independent.
check_checks()
{
        local property bare=$dir/bare

        cat >"$dir/bare.c" <<'EOF'
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
        char name[64];

        strcpy(name, argv[argc - 1]);
        return printf("%s\n", name) < 0;
}
EOF
        check "a program without all this is built" "${CC:-cc}" -O2 -g -U_FORTIFY_SOURCE -fno-stack-protector -fno-pie \
                -fno-stack-clash-protection -fcf-protection=none -no-pie -rdynamic -Wl,-z,norelro,-z,lazy,-z,execstack \
                -Wl,-z,noseparate-code -Wl,-rpath,/nowhere -o "$bare" "$dir/bare.c"
        cat >"$dir/textrel.s" <<'EOF'
        .text
        .globl main
main:   movabsq $main, %rax
        ret
        .section .note.GNU-stack,"",@progbits
EOF
        check "a program with relocations in its code is built" "${CC:-cc}" -pie -Wl,-z,notext -o "$dir/textrel" \
                "$dir/textrel.s"
        for property in "${properties[@]}"; do
                case $property in
                no_text_relocations:*)
                        check "a program with relocations in its code is found" fails has_no_text_relocations "$dir/textrel"
                        ;;
                *)
                        check "one that is not so is found: it ${property#*:}" fails "has_${property%%:*}" "$bare"
                        ;;
                esac
        done
}

# flags_of [VARIABLE=VALUE…]: those of one object, as make would compile it.
flags_of()
{
        env "$@" make -s --no-print-directory --eval 'print-flags: ; @echo "$(CPPFLAGS_ALL) $(CFLAGS_ALL)"' \
                CONFIG=release BUILDROOT="$dir" print-flags
}

# The flags that Debian gives to each build of a package: they and ours do not get in each other's way. One object will do
# for that, each is compiled in the same way.
check_distribution()
{
        local flags=() name object=$dir/release/daemon/base/parse-util.o

        if ! command -v dpkg-buildflags >/dev/null; then
                tap_pass "it builds with the flags of a Debian package # SKIP there is no dpkg-buildflags"
                return
        fi
        for name in CPPFLAGS CFLAGS LDFLAGS; do
                flags+=("$name=$(DEB_BUILD_MAINT_OPTIONS=hardening=+all dpkg-buildflags --get $name)")
        done
        check "it builds with the flags of a Debian package" env "${flags[@]}" make -s CONFIG=release BUILDROOT="$dir" \
                "$object" || return
        for name in -fstack-protector-strong -fstack-clash-protection -fcf-protection; do
                check "and has $name with them" has_flag "$object" "$name"
        done
}

check "the release is built" make -s -j"$(nproc)" CONFIG=release BUILDROOT="$BUILDROOT" all || tap_done
for program in "${programs[@]}"; do
        check_program "$program" "$BUILDROOT/release/$program"
done
if [[ $machine == x86_64-* ]]; then
        check_checks
fi
check_match "the third level of checking is asked for" "-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3( |$)" "$(flags_of)"
check_match "the level of a distribution stands" "-D_FORTIFY_SOURCE=2( |$)" "$(flags_of CPPFLAGS=-D_FORTIFY_SOURCE=2)"
check "and is defined once" fails grep -q -e -D_FORTIFY_SOURCE=3 <<<"$(flags_of CPPFLAGS=-D_FORTIFY_SOURCE=2)"
check_distribution
tap_done
