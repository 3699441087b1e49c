# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A matrix of rights on a scratch host: who may do what. A row is one thing that can be tried, a column is somebody who
# tries it, and each cell is tried for real, by matrix-probe in one process a column. Sourced after host.sh.
#
# What is written of a cell:
#
#       yes     it was done
#       own     it may be done, and was refused for a reason of its own: a job is in the way, or the like
#       no      it was refused: who asks may not
#       auth    it was refused: the password of an administrator would do
#       polkit  it was refused, since polkit could not be asked
#       none    there is no such thing
#       empty   somebody listens, takes the connection and ends it without a word
#       -       it is not tried
#
# and for any other error its name.

MATRIX_SUBJECTS=()
MATRIX_TITLES=()        # of the rows: "GROUP: REST"; a group is checked as one
MATRIX_EXPECTED=()      # of each row, in the order of the subjects
MATRIX_WORDS=()         # what the probe is told, with tabs between
declare -A MATRIX_FOUND=() MATRIX_SAID=()
declare -A MATRIX_JOBS=()       # numbers of the jobs that rows name, by "job:BOT"

# The bot's worker that tries things in the name of all workers, as one of them.
MATRIX_WORKER=probe-worker.service

# matrix_install SUBJECT…: who they are, and the probe. To be called before host_boot, after host_install.
#
#       root, tgswitch  themselves
#       admin           a member of the group tgswitch-admin
#       keeper          somebody whom a rule of the host's allows each action for bots of its own: to move "shop" and
#                       "busy" to the local server, to move "back" to the cloud, and to manage "away"
#       sudo            a member of the group sudo, whose password polkit would take, and who cannot be asked for it
#       user            anybody
#       worker          $MATRIX_WORKER, a declared worker, in the sandbox of DynamicUser=
matrix_install()
{
        MATRIX_SUBJECTS=("$@")
        host_put /usr/bin/matrix-probe 755 <"$BUILD/tests/host/matrix-probe"
        host_put /etc/sysusers.d/matrix.conf <<'EOT'
u admin - - / /bin/sh
u keeper - - / /bin/sh
u sudoer - - / /bin/sh
u user - - / /bin/sh
u probe - - / /bin/sh
m admin tgswitch-admin
m sudoer sudo
EOT
        chroot "$HOST_ROOT" systemd-sysusers >>"$HOST_DISK/install.log" 2>&1 || host_bail "systemd-sysusers failed"
        host_put /etc/polkit-1/rules.d/40-keeper.rules <<'EOT'
polkit.addRule(function(action, subject) {
        var local = { "shop": true, "busy": true }, bot = action.lookup("bot");

        if (subject.user != "keeper")
                return polkit.Result.NOT_HANDLED;
        if (action.id == "org.tgswitch1.switch-to-local" && local[bot] === true)
                return polkit.Result.YES;
        if (action.id == "org.tgswitch1.switch-to-cloud" && bot == "back")
                return polkit.Result.YES;
        if (action.id == "org.tgswitch1.manage" && bot == "away")
                return polkit.Result.YES;
        return polkit.Result.NOT_HANDLED;
});
EOT
}

# matrix_worker BOT: makes $MATRIX_WORKER one of the bot's, which has to name it in its Worker=. Its user has a name that is
# known without nss-systemd(8): the bus takes nobody else.
matrix_worker()
{
        bot_worker_add "$1" "$MATRIX_WORKER"
        host_put "/etc/systemd/system/$MATRIX_WORKER.d/60-probe.conf" <<'EOT'
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/usr/bin/matrix-probe
User=probe
StandardInput=file:/run/matrix/cells
StandardOutput=truncate:/run/matrix/answers
EOT
        chroot "$HOST_ROOT" systemctl --quiet disable "$MATRIX_WORKER"
}

# ---- Rows ----

# matrix_row TITLE EXPECTED WORD…: EXPECTED is one text with a word for each subject, or one word for all of them.
matrix_row()
{
        local title=$1 expected words=()
        read -ra expected <<<"$2"
        shift 2

        if ((${#expected[@]} == 1)); then
                expected=("${MATRIX_SUBJECTS[@]/*/${expected[0]}}")
        fi
        ((${#expected[@]} == ${#MATRIX_SUBJECTS[@]})) ||
                host_bail "the row \"$title\" has ${#expected[@]} cells for ${#MATRIX_SUBJECTS[@]} subjects"
        matrix_expand words "$@"
        MATRIX_TITLES+=("$title")
        MATRIX_EXPECTED+=("${expected[*]}")
        MATRIX_WORDS+=("$(IFS=$'\t' && echo "${words[*]}")")
}

# matrix_rows: a table on standard input, one row a line: TITLE | EXPECTED | WORD…
matrix_rows()
{
        local title expected rest words

        while IFS='|' read -r title expected rest; do
                [[ -n $title ]] || continue
                read -ra words <<<"$rest"
                read -r title <<<"$title"
                matrix_row "$title" "$expected" "${words[@]}"
        done
}

# matrix_expand ARRAY WORD…: of a call to tgswitchd, such as "call shop Bot.Hold ts 1 why", the long form. Objects are
# named manager, job:BOT, or as their bot.
matrix_expand()
{
        # shellcheck disable=SC2034 # it is the caller's
        local -n ret=$1
        local kind=$2 object=${3:-} member=${4:-} path

        ret=("${@:2}")
        # What has a destination or is no call stays as it is.
        [[ $kind == call || $kind == ask ]] && [[ $object != org.* ]] || return 0
        case $object in
        manager) path=/org/tgswitch1 ;;
        log) path=/org/freedesktop/LogControl1 ;;
        job:*) path="/org/tgswitch1/job/{$object}" ;;
        *) path=/org/tgswitch1/bot/$object ;;
        esac
        case $member in
        DBus.*) member=org.freedesktop.$member ;;
        *) member=org.tgswitch1.$member ;;
        esac
        # shellcheck disable=SC2034
        ret=("$kind" org.tgswitch1 "$path" "${member%.*}" "${member##*.}" "${@:5}")
}

# matrix_clear: no rows any more.
matrix_clear()
{
        MATRIX_TITLES=() MATRIX_EXPECTED=() MATRIX_WORDS=()
        MATRIX_FOUND=() MATRIX_SAID=()
}

# ---- Cells ----

# matrix_cells SUBJECT [refused|allowed]: what the probe is told.
matrix_cells()
{
        local i column expected words job

        for ((column = 0; column < ${#MATRIX_SUBJECTS[@]}; column++)); do
                [[ ${MATRIX_SUBJECTS[column]} != "$1" ]] || break
        done
        for ((i = 0; i < ${#MATRIX_TITLES[@]}; i++)); do
                read -ra expected <<<"${MATRIX_EXPECTED[i]}"
                case ${2:-}:${expected[column]} in
                *:- | refused:yes | refused:own) continue ;;
                allowed:yes | allowed:own) ;;
                allowed:*) continue ;;
                esac
                words=${MATRIX_WORDS[i]}
                for job in "${!MATRIX_JOBS[@]}"; do
                        words=${words//"{$job}"/${MATRIX_JOBS[$job]}}
                done
                printf '%s\t%s\n' "$i" "$words"
        done
}

# matrix_run SUBJECT [refused|allowed]: tries the cells of one column, or those of it that are expected to be refused or
# allowed. Returns when all have their answer.
matrix_run()
{
        local line i result said

        matrix_cells "$@" >"$HOST_DISK/cells"
        if ! matrix_probe "$1" <"$HOST_DISK/cells" >"$HOST_DISK/answers" 2>"$HOST_DISK/matrix.log"; then
                tap_note "the probe of $1 failed: $(<"$HOST_DISK/matrix.log")"
        fi
        while IFS= read -r line; do
                i=${line%%$'\t'*}
                line=${line#*$'\t'}
                result=${line%%$'\t'*}
                said=${line#*$'\t'}
                [[ $result:$said != ok: || ${MATRIX_WORDS[i]} != connect* ]] || result=empty
                MATRIX_FOUND[$i,$1]=$(matrix_verdict "$result")
                MATRIX_SAID[$i,$1]="$result: $said"
        done <"$HOST_DISK/answers"
}

# matrix_probe SUBJECT: the probe, as the subject.
matrix_probe()
{
        case $1 in
        root) host_run matrix-probe ;;
        sudo) host_run setpriv --reuid=sudoer --regid=sudoer --init-groups matrix-probe ;;
        worker)
                host_put /run/matrix/cells 600
                host_run systemctl start "$MATRIX_WORKER" && cat "/proc/$HOST_LEADER/root/run/matrix/answers"
                # They may name files that are named by tokens.
                host_run rm -r /run/matrix
                ;;
        *) host_run setpriv --reuid="$1" --regid="$1" --init-groups matrix-probe ;;
        esac
}

# matrix_verdict RESULT: the cell, of what the probe says.
matrix_verdict()
{
        case $1 in
        ok) echo yes ;;
        ENOENT | *.UnknownObject | *.UnknownMethod | *.UnknownProperty | org.tgswitch1.Error.NoSuch*) echo none ;;
        EACCES | EPERM | EROFS | *.AccessDenied | *.PropertyReadOnly) echo no ;;
        *.InteractiveAuthorizationRequired) echo auth ;;
        org.tgswitch1.Error.PolkitUnavailable) echo polkit ;;
        org.freedesktop.systemd1.NoSuchUnit) echo none ;;
        org.tgswitch1.Error.* | org.freedesktop.systemd1.*) echo own ;;
        *) echo "${1##*.}" ;;
        esac
}

# ---- Results ----

# matrix_row_found I: the row's cells as they were found, in the order of the subjects.
matrix_row_found()
{
        local subject column=0 expected cells=()

        read -ra expected <<<"${MATRIX_EXPECTED[$1]}"
        for subject in "${MATRIX_SUBJECTS[@]}"; do
                if [[ ${expected[column++]} == - ]]; then
                        cells+=(-)
                else
                        cells+=("${MATRIX_FOUND[$1,$subject]:-silent}")
                fi
        done
        echo "${cells[*]}"
}

# matrix_row_why I: of each cell that is not as expected, what was said.
matrix_row_why()
{
        local subject column=0 expected found

        read -ra expected <<<"${MATRIX_EXPECTED[$1]}"
        read -ra found <<<"$(matrix_row_found "$1")"
        for subject in "${MATRIX_SUBJECTS[@]}"; do
                if [[ ${expected[column]} != "${found[column]}" ]]; then
                        printf '%s, %s: expected %s, found %s (%s)\n' "${MATRIX_TITLES[$1]}" "$subject" \
                                "${expected[column]}" "${found[column]}" "${MATRIX_SAID[$1,$subject]:-no answer}"
                fi
                ((++column))
        done
}

# matrix_check: one check for each group of rows.
matrix_check()
{
        local i group seen=() why
        local -A whys=() counts=()

        for ((i = 0; i < ${#MATRIX_TITLES[@]}; i++)); do
                group=${MATRIX_TITLES[i]%%: *}
                [[ -v counts[$group] ]] || seen+=("$group")
                ((++counts[$group]))
                [[ ${MATRIX_EXPECTED[i]} == "$(matrix_row_found "$i")" ]] || whys[$group]+=$(matrix_row_why "$i")$'\n'
        done
        for group in "${seen[@]}"; do
                why=${whys[$group]:-}
                if [[ -z $why ]]; then
                        tap_pass "$group: as the table says, for each of ${#MATRIX_SUBJECTS[@]} subjects"
                else
                        tap_fail "$group: as the table says, for each of ${#MATRIX_SUBJECTS[@]} subjects" "${why%$'\n'}"
                fi
        done
}

# matrix_unchanged DESCRIPTION BEFORE AFTER: two texts are the same and say something; prints only where not.
matrix_unchanged()
{
        if [[ -n $2 ]]; then
                check "$1" diff <(echo "$2") <(echo "$3")
        else
                tap_fail "$1" "nothing is known of what was before"
        fi
}

# matrix_print [REGEX]: what was found. Of groups that match, rows that are alike are one line.
matrix_print()
{
        local i group cells title seen=()
        local -A counts=()

        for ((i = 0; i < ${#MATRIX_TITLES[@]}; i++)); do
                group=${MATRIX_TITLES[i]}
                [[ -z ${1:-} || ! $group =~ $1 ]] || group=${group%%: *}
                group+="|$(matrix_row_found "$i")"
                [[ -v counts[$group] ]] || seen+=("$group")
                ((++counts[$group]))
        done
        printf '# %-58s' ""
        printf ' %-8s' "${MATRIX_SUBJECTS[@]}"
        echo
        for group in "${seen[@]}"; do
                title=${group%%|*}
                ((counts[$group] == 1)) || title+=" (${counts[$group]})"
                read -ra cells <<<"${group#*|}"
                printf '# %-58s' "$title"
                printf ' %-8s' "${cells[@]}"
                echo
        done
}

# matrix_print_for SUBJECT REGEX: what one of them may do, of the groups that match: a line for each, and a column for each
# REST of the titles.
matrix_print_for()
{
        local i group rest groups=() rests=()
        local -A table=() known=()

        for ((i = 0; i < ${#MATRIX_TITLES[@]}; i++)); do
                group=${MATRIX_TITLES[i]%%: *}
                rest=${MATRIX_TITLES[i]#*: }
                [[ $group =~ $2 ]] || continue
                [[ -v known[group:$group] ]] || groups+=("$group")
                [[ -v known[rest:$rest] ]] || rests+=("$rest")
                known[group:$group]=1 known[rest:$rest]=1
                table[$group:$rest]=${MATRIX_FOUND[$i,$1]:-silent}
        done
        printf '# %-23s' "$1"
        printf ' %-8s' "${rests[@]}"
        echo
        for group in "${groups[@]}"; do
                printf '# %-23s' "$group"
                for rest in "${rests[@]}"; do
                        printf ' %-8s' "${table[$group:$rest]:--}"
                done
                echo
        done
}
