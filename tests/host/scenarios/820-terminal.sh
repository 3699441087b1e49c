#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Somebody moves bots at a terminal: what is on the screen while a phase runs and what is left of it at the end, Ctrl-C,
# a narrow terminal, one that changes its size, one that goes away, thirty bots at once, a daemon that is killed
# meanwhile; and what comes out where there is no terminal, or a dumb one. Defends L9 for who says no, and that a move
# belongs to the daemon, whoever watches it.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/terminal.sh
source "$HOST_DIR/terminal.sh"

N_CROWD=30
NEWLINE=$'\n'
# A line of a phase that is over, with its end, as a regular expression.
OVER="(check|drain|stop-workers|spool|log-out|log-in|restore-webhook|publish|start-workers|confirm) +[0-9.]+m?s$NEWLINE"

# crowd_add: so many bots that nobody has sent anything, the last of them without a token. Their workers, instances of
# one unit, are not running.
crowd_add()
{
        local i bot

        canary_unit "crowd@*.service" "no bot"
        host_put /etc/systemd/system/crowd@.service <<<$'[Service]\nType=exec\nExecStart=/usr/bin/telegram-worker'
        sed 's/shop/%i/g' "$SOURCE_DIR/units/worker-drop-in.conf.example" |
                host_put /etc/systemd/system/crowd@.service.d/50-tgswitch.conf
        for ((i = 1; i <= N_CROWD; i++)); do
                bot=$(printf 'crowd_%02d' "$i")
                BOT_IDS[$bot]=$((BOT_FIRST_ID + ${#BOT_IDS[@]}))
                BOT_TOKENS[$bot]=$(canary_token "${BOT_IDS[$bot]}")
                telegram POST /bots "{\"token\":\"${BOT_TOKENS[$bot]}\",\"username\":\"${bot}_bot\"}" >/dev/null ||
                        host_bail "Telegram does not take the bot $bot"
                echo "${BOT_TOKENS[$bot]}" | host_put "/etc/tgswitch/tokens/$bot" 600
                printf '[Bot]\nInitialSeat=cloud\nWorker=crowd@%s.service\n' "$bot" |
                        host_put "/etc/tgswitch/bots.d/$bot.conf"
        done
        rm "$HOST_ROOT/etc/tgswitch/tokens/$bot"
}

# shows DESCRIPTION REGEX: the screen does, before long.
shows()
{
        terminal_shows "$2"
        check_match "$1" "$2" "$screen"
}

# shows_live DESCRIPTION REGEX: the line at the bottom is this, all of it and on one row.
shows_live()
{
        shows "$1" "$NEWLINE$2\$"
        check_equal "$1: on one row" "${screen##*"$NEWLINE"}" "${rows##*"$NEWLINE"}"
}

# ends DESCRIPTION STATUS: the command that was typed.
ends()
{
        status="none"
        terminal_ends
        check_equal "$1: status" "$2" "$status" || tap_note "$screen"
}

# control_characters: of standard input, as "\e" and "\r"; a terminal's own "\r\n" at the end of a line is none.
control_characters()
{
        sed 's/\r$//' | LC_ALL=C grep -ao $'[\x01-\x08\x0b-\x1f\x7f]' | sort -u |
                sed $'s/\e/\\\\e/; s/\r/\\\\r/' | paste -s -d ' '
}

# minutes_less TIME: one to three seconds less, as a regular expression.
minutes_less()
{
        local seconds=$((${1%:*} * 60 + 10#${1#*:}))

        printf '(%d:%02d|%d:%02d|%d:%02d)' $(((seconds - 1) / 60)) $(((seconds - 1) % 60)) $(((seconds - 2) / 60)) \
                $(((seconds - 2) % 60)) $(((seconds - 3) / 60)) $(((seconds - 3) % 60))
}

# follower_gone: returns when no tgswitchctl runs any more.
follower_gone()
{
        local deadline=$((SECONDS + 30))

        while host_run pgrep -x tgswitchctl >/dev/null; do
                ((SECONDS < deadline)) || return
        done
}

host_create
host_install
telegram_start
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=100ms
EOT
bot_add shop </dev/null
crowd_add
host_boot
check "shop: its worker runs" telegram_wait event=worker-start bot="${BOT_IDS[shop]}"

# ---- the question ----

terminal_open 100 40
terminal_begin "tgswitchctl switch local shop"
shows "somebody at a terminal is shown the plan and asked" \
        'no return is logOut.*Move 1 bot to the local server\? \[y/N\]$'
terminal_type "n"
terminal_key Enter
ends "who says no" 1
check_match "and is told that" "${NEWLINE}Nothing was changed\.$NEWLINE" "$screen"
terminal_begin "tgswitchctl switch local shop"
terminal_shows '\[y/N\]$'
terminal_key C-c
ends "Ctrl-C is no, too" 130
check_equal "nothing was begun" 0 "$(host_run tgswitchctl status --json | jq '.jobs | length')"

# ---- Ctrl-C, and back ----

terminal_begin "tgswitchctl switch local shop --hold-at=log-out"
terminal_shows '\[y/N\]$'
terminal_type "y"
terminal_key Enter
shows "who says yes sees each phase that is over, with its time" \
        "shop +check +[0-9.]+m?s${NEWLINE}shop +drain +[0-9.]+m?s$NEWLINE"
shows_live "a job that holds says so, and for how long" "shop: holds 0:0[0-9]; 'tgswitchctl proceed 1' lets it go on"
seconds=${screen##*"holds 0:0"}
shows_live "and the time goes on" "shop: holds 0:0[^${seconds%%;*}]; 'tgswitchctl proceed 1' lets it go on"
terminal_key C-c
ends "Ctrl-C" 130
check_match "Ctrl-C names the job, and how to come back to it" \
        "${NEWLINE}Detached\. Job 1 of shop goes on; follow it with 'tgswitchctl wait 1', or take it back" "$screen"
check_equal "the line at the bottom is gone" "" "$(grep -F 'shop: holds' <<<"$screen")"
check_equal "the job is not" 1 "$(job_number shop)"
terminal_run "tgswitchctl status shop"
check_match "status has it" \
        "job +1 to local: spool, holding before log-out since.*next +it waits for 'tgswitchctl proceed 1'" "$screen"
terminal_close

# ---- a terminal that goes away ----

terminal_open
terminal_begin "tgswitchctl wait 1"
shows_live "another terminal follows the job" "shop: holds [^$NEWLINE]+"
terminal_close
check "with the terminal goes who followed it" follower_gone
check_equal "and the job does not" 1 "$(job_number shop)"

# ---- narrow, of another size, and without the daemon meanwhile ----

telegram_fault "{\"role\":\"local\",\"method\":\"getMe\",\"bot\":${BOT_IDS[shop]},\"kind\":\"bad-gateway\",\"times\":0}"
terminal_open 40 24
terminal_begin "tgswitchctl wait 1"
shows_live "40 columns cut the line" "shop: holds [0-9:]+; 'tgswitchctl p.*\.\.\."
check "to less than 40" test "${#screen}" -gt 0 -a "$(tail -n 1 <<<"$rows" | wc -m)" -le 40
seq=$(telegram_seq)
check "the job goes on" host_run tgswitchctl proceed 1
check "the bot is logged out" telegram_wait event=logout-applied role=cloud since="$seq"
terminal_resize 100 24
shows_live "a wider terminal has the window" "shop: log-in [0-9:]+; the cloud takes it back in (10:0[0-5]|9:5[0-9])"
shows_live "which gets shorter" "shop: log-in [0-9:]+; the cloud takes it back in $(minutes_less "${screen##* }")"
terminal_resize 30 24
shows_live "a smaller one cuts the line again" "shop: log-in [0-9:]+; the [a-z.]+"
check_equal "and nothing of the longer one is left" 1 "$(grep -c 'shop: ' <<<"$rows")"
terminal_resize 100 24
daemon_kill
shows "that the daemon has gone is told" "${NEWLINE}tgswitchd has gone; waiting for it to come back\."
shows_live "and followed again when it is back" "shop: log-in [0-9:]+; the cloud takes it back in [0-9:]+"
telegram DELETE /faults >/dev/null
ends "the job is followed to its end" 0
# Only this, and nothing that was written over.
said="host# tgswitchctl wait 1${NEWLINE}shop +job 1 to the local server${NEWLINE}"
said+="(shop +holds before log-out; 'tgswitchctl proceed 1' [^$NEWLINE]+$NEWLINE|shop +$OVER|shop +log-in +[A-Z][^$NEWLINE]+$NEWLINE|"
said+="tgswitchd has gone; [^$NEWLINE]+$NEWLINE)+"
said+="shop is at the local server: [^$NEWLINE]+; cloud not before [0-9: -]+ \(in [^$NEWLINE]+\)\.${NEWLINE}host#"
check_match "what is left on the screen are lines of what has happened" "^$said\$" "$screen"
check_equal "the bot is there" local "$(bot_property shop Seat)"
terminal_close

# ---- several ----

terminal_open
terminal_begin "tgswitchctl switch local crowd_01 crowd_02 crowd_$N_CROWD --yes"
ends "one of three that is refused" 6
check_match "says why" "${NEWLINE}crowd_$N_CROWD: There is no usable token" "$screen"
check_match "and at the end how it went" "${NEWLINE}2 of 3 bots were moved; 1 refused\.${NEWLINE}host#\$" "$screen"
terminal_close

# ---- dumb, without colours, without a terminal ----

terminal_open
terminal_run "tgswitchctl list"
check_match "a terminal has colours" $'\e\[[0-9;]+m' "$(terminal_raw)"
terminal_close
terminal_open 80 24 NO_COLOR=1
terminal_begin "tgswitchctl switch local crowd_03 --yes --hold-at=log-out"
shows_live "with NO_COLOR there is the line" "crowd_03: holds [^$NEWLINE]+"
terminal_key C-c
ends "NO_COLOR, Ctrl-C" 130
terminal_run "tgswitchctl list"
check_equal "and no colour" "" "$(terminal_raw | grep -ao $'\e\[[0-9;]*m')"
terminal_close

mark=$(bus_mark)
host_run tgswitchctl wait "$(job_number crowd_03)" >"$HOST_DISK/piped" 2>&1 </dev/null &
follower=$!
terminal_open 80 24 TERM=dumb
terminal_begin "tgswitchctl wait $(job_number crowd_03)"
shows "a dumb terminal tells what has to be told" "crowd_03 +holds before log-out; 'tgswitchctl proceed"
host_run tgswitchctl proceed "$(job_number crowd_03)" >/dev/null
ends "dumb" 0
check_match "and what has ended" \
        "crowd_03 +confirm +[^$NEWLINE]+${NEWLINE}crowd_03 is at the local server: .*host#\$" "$screen"
check_equal "a dumb terminal gets no control characters" "" "$(terminal_raw | control_characters)"
check "without a terminal it ends as well" wait "$follower"
check_match "with the same lines" "crowd_03 +confirm +[^$NEWLINE]+${NEWLINE}crowd_03 is at the local server: " \
        "$(<"$HOST_DISK/piped")"
check_equal "and there is no control character, nor a carriage return" "" "$(control_characters <"$HOST_DISK/piped"
        grep -o $'\r' "$HOST_DISK/piped")"
check_match "no terminal, no question" 'without a terminal to ask on, --yes is needed' \
        "$(host_run tgswitchctl switch local crowd_04 2>&1 </dev/null)"
terminal_close

# ---- thirty, while somebody else looks on ----

# Two of them do not arrive, so that there is something to go on.
for bot in crowd_28 crowd_29; do
        telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[$bot]},\"method\":\"getMe\",\"kind\":\"hang\"}"
done
terminal_open 100 40
terminal_begin "tgswitchctl monitor crowd_04"
monitor=$TERMINAL
terminal_open
terminal_begin "tgswitchctl switch local 'crowd*' --yes"
shows_live "many bots are counted" "[1-9][0-9]* done, [0-9]+ moving, [0-9]+ waiting, 0 failed; [^$NEWLINE]+"
check "in less than 80 columns" test "$(tail -n 1 <<<"$rows" | wc -m)" -le 80
terminal_key C-c
ends "Ctrl-C" 130
check_match "Ctrl-C names those that go on" \
        "Detached\. [0-9]+ jobs go on; follow them with 'tgswitchctl wait( [0-9]+)+'" "$screen"
check_equal "no line was left behind" "" "$(grep -E ' moving, | 0 failed' <<<"$screen")"
terminal_close
TERMINAL=$monitor
shows "who monitors sees a bot move" "crowd_04 [^$NEWLINE]*done"
terminal_key C-c
ends "monitor, Ctrl-C" 0
check_match "and the prompt begins a line" "$NEWLINE$TERMINAL_PROMPT\$" "$screen"
check_equal "nothing was written over" "" "$(terminal_raw | grep -ao $'\e\[[0-9]*[JK]')"
terminal_close
# The others are not waited for.
host_run systemctl stop tgswitchd.service

tap_done
