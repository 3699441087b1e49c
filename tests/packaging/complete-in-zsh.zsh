#!/bin/zsh -f
# SPDX-License-Identifier: MIT
#
# The same as complete-in-bash.sh, in an interactive zsh on a terminal of its own.
# Usage: complete-in-zsh.zsh DIRECTORY-OF-THE-COMPLETION LINE…
zmodload zsh/zpty

directory=$1
shift
zpty shell "PS1= PS2= zsh -f -i"
{
        zpty -w shell "unset zle_bracketed_paste; fpath=($directory \$fpath)
                autoload -Uz compinit; compinit -D -u
                zle -C all-matches complete-word _generic
                zstyle ':completion:all-matches::::' completer _all_matches _complete
                zstyle ':completion:all-matches:*' insert true
                bindkey '^Xa' all-matches
                show() { print -r -- \"<<\${(pj:\n:)@}>>\" }
                print RE\"\"ADY"
        # What is typed is echoed, and the pattern is not in it.
        zpty -r shell output '*READY*'
        for line; do
                zpty -w -n shell "$line"$'\C-xa\C-ashow \n'
                zpty -r shell output $'*<<*>>*' || exit 1
                print -r -- ${${${output##*<<}%%>>*}//$'\r'/}$'\n'
                print -rnu 2 -- ${(M)output##*_tgswitchctl*:<->:*}
        done
} always {
        zpty -d shell
}
