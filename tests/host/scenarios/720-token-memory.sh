#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Where the tokens are in the daemon's memory: each of them once, in a page that is locked and not dumped, whatever has
# happened before; and elsewhere only as long as a request is under way. All that the process has is searched, freed
# memory and stacks too. A token that it no longer has use for is nowhere, a crash leaves no core, and what has a token
# for a worker keeps it in the worker's environment alone. Defends L7.

# shellcheck source=tests/host/host.sh
source "$(dirname "$0")/../host.sh"
# shellcheck source=tests/host/points.sh
source "$(dirname "$0")/../points.sh"
# shellcheck source=tests/host/back.sh
source "$(dirname "$0")/../back.sh"

MEMORY_ROWS=()

# memory_search PID: every place with a token of a bot, as memory-search prints it.
memory_search()
{
        local name

        for name in "${!BOT_TOKENS[@]}"; do
                printf '%s %s\n' "$name" "${BOT_TOKENS[$name]#*:}"
        done | host_run /usr/bin/memory-search "$1"
}

# in_place, elsewhere: of what memory_search has found, where a token may be and where not.
in_place()
{
        grep ' whole lo,dd .*\[anonymous\]$'
}

elsewhere()
{
        grep -v ' whole lo,dd .*\[anonymous\]$'
}

# memory_row MOMENT FOUND
memory_row()
{
        local places

        places=$(elsewhere <<<"$2" | awk 'NF { n[$2 " in " $5]++ } END { for (p in n) print n[p], p }' | sort |
                paste -s -d ',' | sed 's/,/, /g')
        MEMORY_ROWS+=("$(printf '%-48s | %6d | %s' "$1" "$(in_place <<<"$2" | wc -l)" "${places:-nowhere}")")
}

# check_memory MOMENT [GONE]: each token is in its place once, but for that of the bot GONE, and nowhere else.
check_memory()
{
        local found name

        found=$(memory_settled)
        memory_row "$1" "$found"
        for name in "${!BOT_TOKENS[@]}"; do
                check_equal "$1: copies of the token of $name" "$([[ $name == "${2:-}" ]]; echo $?)" \
                        "$(in_place <<<"$found" | grep -c "^$name ")"
        done
        check_equal "$1: none is anywhere else" "" "$(elsewhere <<<"$found")"
}

# memory_settled: what is found, at once or, where a token is elsewhere, when the requests that were under way have
# had their answers: the daemon looks after who has moved by itself, whenever it likes.
memory_settled()
{
        local found role request

        found=$(memory_search "$(daemon_pid)")
        if [[ -n $(elsewhere <<<"$found") ]]; then
                while read -r role request; do
                        telegram_wait event=answer role="$role" req="$request" timeout_ms=20000 >/dev/null
                done < <(jq -n -r 'reduce inputs as $e ({};
                        "\($e.role) \($e.req)" as $key |
                        if $e.event == "request" and ($e.agent | strings | startswith("tgswitch/")) then .[$key] = true
                        elif $e.event == "answer" or $e.event == "undelivered" then del(.[$key])
                        else . end) | keys[]' <"$TELEGRAM_LEDGER")
                # It has read the answers when it gives one.
                bot_property plain Seat >/dev/null
                found=$(memory_search "$(daemon_pid)")
        fi
        printf '%s\n' "$found"
}

# core_remains DIRECTORY: whether a core is in it; removes it.
core_remains()
{
        [[ -n $(find "$HOST_ROOT$1" -maxdepth 1 -name 'core*' -print -delete) ]]
}

if [[ $CONFIG == asan ]]; then
        canary_none "there is no host"
        tap_pass "each token is in the daemon's memory once # SKIP AddressSanitizer keeps what is freed"
        tap_done
fi
host_create
host_install
faults_install
telegram_start
host_put /usr/bin/memory-search 755 <"$BUILD/tests/host/memory-search"
host_put /etc/tgswitch/tgswitch.conf.d/50-test.conf <<'EOT'
[BotDefaults]
DrainTimeoutSec=300ms
SettleSec=200ms
EOT
bot_add plain cloud <<<"ExportToken=yes"
canary_exports plain plain-worker.service
bot_add gone </dev/null
bot_add late cloud <<<"LogInTimeoutSec=2"
bot_add hook cloud <<<"WebhookSecret=yes"
bot_worker_add hook hook-worker.service --webhook=9001 --secret=hush-hook --answer=/etc/hook-answer
echo 500 | host_put /etc/hook-answer
host_put /etc/tgswitch/secrets/hook 600 <<<hush-hook
# The one that the cloud takes as well.
web_server_start
bot_add far cloud <<<"WebhookSecret=no"
webhook_set far "$HOOK_URL?${BOT_TOKENS[far]}" "$(webhook_certificate far)"
webhook_set hook "http://127.0.0.1:9001/${BOT_TOKENS[hook]}" '{"secret_token":"hush-hook"}'
server_local_mode
# One program that gets its environment made, and does nothing with it.
bot_add wrapped </dev/null
canary_environ wrapped wrapped-worker.service
host_put /etc/systemd/system/wrapped-worker.service.d/60-exec.conf <<'EOT'
[Service]
ExecStart=
ExecStart=/usr/libexec/tgswitch/tgswitch-exec /usr/bin/sleep infinity
EOT
# What a crash would leave is made as easy as can be: no limit, and a directory that the daemon may write to.
host_put /etc/systemd/system/tgswitchd.service.d/60-core.conf <<'EOT'
[Service]
LimitCORE=infinity
WorkingDirectory=/var/lib/tgswitch
EOT
host_boot
check "the workers start" telegram_wait event=worker-start count=5
pid=$(daemon_pid)

# ---- the table ----

check_memory "after the start"

telegram_inject plain 0 5
telegram_inject hook 0 5
check "hook: its webhook refuses updates" telegram_wait event=update-delivered bot="${BOT_IDS[hook]}" role=cloud
mark=$(bus_mark)
check "hook: begins a move" bot_switch hook 1 hold-at s log-out
job=$(job_number hook)
check "hook: holds before log-out" job_becomes "$mark" "$job" Holding true
check_equal "hook: its updates are in the spool" 5 "$(bot_property hook SpooledUpdates)"
check_memory "with a spool"
echo 200 | host_put /etc/hook-answer
telegram_fault "{\"role\":\"local\",\"bot\":${BOT_IDS[late]},\"method\":\"getMe\",\"kind\":\"unauthorized\"}"
check "hook: goes on" host_run tgswitchctl proceed "$job"
check "others move to the local server" host_run tgswitchctl switch local --yes plain late far
check "hook: its updates are posted" bot_wait hook SpooledUpdates 0
check_equal "hook: is at the local server" local "$(bot_property hook Seat)"
check "late: the login was refused first" telegram_wait event=answer role=local method=getme code=401 \
        bot="${BOT_IDS[late]}"
check_memory "after the move to the local server"

telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[gone]},\"method\":\"logOut\",\"times\":1,\"kind\":\"drop-after\"}"
check "gone: moves, with a logOut that is not answered" host_run tgswitchctl switch local --yes gone
time_pass $(($(window_left gone cloud) + 1))
seq=$(telegram_seq)
check "they go back to the cloud" host_run tgswitchctl switch cloud --yes plain late far gone
check "far: the cloud has its webhook again" telegram_wait event=webhook-set role=cloud bot="${BOT_IDS[far]}" \
        since="$seq"
check_memory "after the move back to the cloud"

check "the configuration is read again" host_run tgswitchctl reload
host_run systemctl restart plain-worker.service
check_memory "after a reload and a worker's restart"

# ---- as long as a request is under way ----

# For longer than two searches take on a busy machine; the daemon waits twice as long.
seq=$(telegram_seq)
telegram_fault "{\"role\":\"cloud\",\"bot\":${BOT_IDS[plain]},\"method\":\"getMe\",\"kind\":\"delay\",\"ms\":10000}"
# As a unit: nsenter(1) stops for good when its program is stopped for a moment.
exec {checked}< <(host_run systemd-run --quiet --wait --unit=asks /usr/bin/tgswitchctl check local plain 2>&1)
check "a request is with the cloud" telegram_wait event=request role=cloud method=getme bot="${BOT_IDS[plain]}" \
        since="$seq"
found=$(memory_search "$pid")
memory_row "while a request is under way" "$found"
check_match "its token is found, and no other" '^plain( plain)*$' \
        "$(elsewhere <<<"$found" | cut -d ' ' -f 1 | paste -s -d ' ')"
check_equal "who asked for it has none" "" \
        "$(memory_search "$(host_run systemctl show --property=MainPID --value asks.service)" 2>&1)"
check "and all that was before the answer" host_run systemctl is-active --quiet asks.service
cat <&"$checked" >/dev/null
check_memory "after its answer"

# ---- a bot that is no more ----

time_pass 2000
rm "$HOST_ROOT/etc/tgswitch/bots.d/gone.conf"
mark=$(bus_mark)
host_run tgswitchctl reload >/dev/null 2>&1
check "gone: is forgotten" bus_wait "$mark" '"NBots":\{"type":"u","data":5\}'
check_memory "after a bot was removed" gone
check_equal "all of it was one and the same process" "$pid" "$(daemon_pid)"

# ---- other processes ----

worker=$(host_run systemctl show --property=MainPID --value wrapped-worker.service)
check_equal "tgswitch-exec has become the program" sleep "$(host_run cat "/proc/$worker/comm")"
found=$(memory_search "$worker")
memory_row "a program that tgswitch-exec started" "$found"
check_match "which has its own token" '^wrapped whole' "$found"
check_equal "in its environment alone" "" "$(grep -v '^wrapped whole .*\[stack\]$' <<<"$found")"
check "and not among its arguments" fails host_run grep -qF -f /etc/tgswitch/tokens/wrapped "/proc/$worker/cmdline"

# ---- a crash ----

check_equal "the daemon may not be swapped" 0 "$(host_run systemctl show --property=MemorySwapMax --value tgswitchd)"
check_equal "the unit as it is shipped allows no core" "LimitCORE=0" \
        "$(grep '^LimitCORE=' "$SOURCE_DIR/units/tgswitchd.service")"
if [[ $(</proc/sys/kernel/core_pattern) =~ ^core ]]; then
        # The same user, limit and directory, and another process. systemd makes one dollar of two.
        host_run systemd-run --quiet --wait --property=User=tgswitch --property=LimitCORE=infinity \
                --property=WorkingDirectory=/var/lib/tgswitch /bin/sh -c 'kill -ABRT $$$$' 2>/dev/null
        check "another process that crashes there leaves a core" core_remains /var/lib/tgswitch
        for signal in ABRT SEGV; do
                check "the daemon crashes by SIG$signal" daemon_kill "$signal"
                check "and leaves none" fails core_remains /var/lib/tgswitch
                check "another one takes over" bot_wait plain Seat cloud
        done
else
        tap_pass "a crash leaves no core # SKIP core_pattern is $(</proc/sys/kernel/core_pattern)"
fi
# proc(5), /proc/PID/: what cannot be dumped belongs to root.
check_equal "the daemon's memory is root's" root "$(host_run stat --format=%U "/proc/$(daemon_pid)/mem")"
check_memory "in the next process" gone

# ---- where locking is not allowed ----

host_put /etc/systemd/system/tgswitchd.service.d/70-lock.conf <<<$'[Service]\nLimitMEMLOCK=0'
host_run systemctl daemon-reload
check "the daemon starts without the right to lock" host_run systemctl restart tgswitchd.service
host_run journalctl --sync
check_match "which it tells" "could not be locked.*LimitMEMLOCK=" \
        "$(host_run journalctl --unit=tgswitchd.service --output=cat --grep="could not be locked")"
found=$(memory_search "$(daemon_pid)")
memory_row "with LimitMEMLOCK=0" "$found"
check_equal "the tokens are where they may be swapped, and not dumped" 5 \
        "$(grep -c ' whole -,dd .*\[anonymous\]$' <<<"$found")"

printf '# %-48s | %6s | %s\n' moment copies "and elsewhere"
printf '# %s\n' "${MEMORY_ROWS[@]}"
check_verdict twice
tap_done
