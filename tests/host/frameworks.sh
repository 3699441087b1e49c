# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Bots made with the frameworks of tests/frameworks as workers of a scratch host. Sourced after points.sh and back.sh; a
# scenario needs, before host.sh takes its network away:
#
#       FRAMEWORKS=$(tests/frameworks/install) || exit

FRAMEWORK_DIRECTORY=/opt/frameworks
# How each is told token and endpoint.
declare -A FRAMEWORK_INPUT=([gramio]=credentials [grammy]=credentials [telegraf]=environment
        [node_telegram_bot_api]=environment)
FRAMEWORK_RATE=20       # updates a second, for each of them

# frameworks_install: the bots and what they import, into a host that is off.
frameworks_install()
{
        local modules=$HOST_ROOT$FRAMEWORK_DIRECTORY/node_modules

        mkdir -p "$modules" &&
                cp "$SOURCE_DIR"/tests/frameworks/{package.json,*.js} "$HOST_ROOT$FRAMEWORK_DIRECTORY" &&
                mount --bind "$FRAMEWORKS/node_modules" "$modules" &&
                mount -o remount,bind,ro "$modules" || host_bail "can't install the frameworks"
}

# framework_add FRAMEWORK [VARIANT]: a bot of the same name, whose worker runs tests/frameworks/FRAMEWORK[-VARIANT].js.
# More of bots.d/NAME.conf comes from standard input.
framework_add()
{
        local name=$1 program exec=/usr/bin/node

        program=${name//_/-}${2:+-$2}.js
        if [[ ${FRAMEWORK_INPUT[$name]} != credentials ]]; then
                exec="/usr/libexec/tgswitch/tgswitch-exec --pending-updates=PENDING_UPDATES $exec"
                canary_environ "$name" "$name-worker.service"
        fi
        bot_add "$name"
        host_put "/etc/systemd/system/$name-worker.service.d/60-framework.conf" <<EOT
[Service]
ExecStart=
ExecStart=$exec $FRAMEWORK_DIRECTORY/$program
# The authority that signed the certificate of this host's api.telegram.org.
Environment=NODE_EXTRA_CA_CERTS=/etc/ssl/certs/scratch-host.pem
EOT
        host_put /etc/ssl/certs/scratch-host.pem <"$HOST_DISK/ca.pem"
}

# ---- Webhooks ----

# framework_webhook_add FRAMEWORK: the same with a webhook, its name, address, port and certificate as the cloud wants
# them: public, if only in this namespace.
framework_webhook_add()
{
        local name=$1 host=${1//_/-}.example.org address secret

        address=93.184.215.$((${#BOT_IDS[@]} + 1))
        ip address add "$address/32" dev lo
        secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
        framework_add "$name" webhook <<<"WebhookSecret=yes"
        host_put "/etc/tgswitch/secrets/$name" 600 <<<"$secret"
        echo "$address $host" >>"$HOST_ROOT/etc/hosts"
        host_put "/etc/ssl/private/$name.key" 600 <"$HOST_DISK/webhook.key"
        host_put "/etc/ssl/certs/$name.pem" <"$HOST_DISK/webhook.pem"
        host_put "/etc/systemd/system/$name-worker.service.d/70-webhook.conf" <<EOT
[Service]
Environment=WEBHOOK_LISTEN=$address:8443
LoadCredential=webhook-secret:/etc/tgswitch/secrets/$name
LoadCredential=webhook-key:/etc/ssl/private/$name.key
LoadCredential=webhook-certificate:/etc/ssl/certs/$name.pem
EOT
        telegram POST /settings '{"strict_webhooks":1}' >/dev/null
        telegram POST /webhook-settings "{\"bot\":${BOT_IDS[$name]},\"url\":\"https://$host:8443/telegram\",
                \"secret_token\":\"$secret\",\"max_connections\":7}" >/dev/null ||
                host_bail "Telegram does not take the webhook of $name"
}

# frameworks_network: what Telegram needs to find these webhooks and to trust them, beside the host as well as in it. To
# be called after telegram_start, which makes the authority.
frameworks_network()
{
        (
                cd "$HOST_DISK" || exit
                openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=example.org" \
                        -keyout webhook.key -out webhook.csr &&
                        openssl x509 -req -in webhook.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                                -out webhook.pem -extfile <(echo "subjectAltName=DNS:*.example.org")
        ) >>"$HOST_DISK/openssl.log" 2>&1 &&
                mount --bind "$HOST_ROOT/etc/hosts" /etc/hosts &&
                mount --bind "$HOST_ROOT/etc/ssl/certs/ca-certificates.crt" /etc/ssl/certs/ca-certificates.crt ||
                host_bail "Telegram can't be told of the webhooks"
}

# ---- The course ----

# frameworks_move cloud|local: all of them go there, and each has then handled updates of that server.
frameworks_move()
{
        local TARGET=$1 seq mark bot

        seq=$(telegram_seq)
        mark=$(bus_mark)
        check "systemctl start tgswitch-$TARGET succeeds" host_run systemctl start "tgswitch-$TARGET.service" ||
                host_bail "the bots did not move"
        for bot in "${!FRAMEWORK_INPUT[@]}"; do
                check_equal "$bot: the job is done" 'done' "$(job_wait "$mark" "$bot")"
                check "$bot: arrives at the $TARGET server with all of its spool" move_arrives "$bot"
                check "$bot: handles updates there" frameworks_busy "$bot" "$seq"
        done
}

# frameworks_busy BOT SEQ: since SEQ of the ledger it has handled two seconds' updates of the server at $TARGET.
frameworks_busy()
{
        telegram_wait event=worker-handled bot="${BOT_IDS[$1]}" root="${SEAT_ROOT[$TARGET]}" since="$2" \
                count=$((2 * FRAMEWORK_RATE))
}

# frameworks_there_and_back: the course of the scenarios, from a host that has booted to the verdict.
frameworks_there_and_back()
{
        local bot left wait=0 TARGET=cloud

        for bot in "${!FRAMEWORK_INPUT[@]}"; do
                check "$bot: the worker starts on the cloud" telegram_wait event=worker-start \
                        unit="$bot-worker.service" root="${SEAT_ROOT[cloud]}"
                telegram_inject "$bot" "$FRAMEWORK_RATE"
        done
        for bot in "${!FRAMEWORK_INPUT[@]}"; do
                check "$bot: handles updates" frameworks_busy "$bot" 0
        done

        frameworks_move local
        for bot in "${!FRAMEWORK_INPUT[@]}"; do
                left=$(window_left "$bot" cloud)
                ((left <= wait)) || wait=$left
        done
        time_pass $((wait + 1))
        frameworks_move cloud

        check "every update is accounted for" telegram_finish
        check_verdict
        frameworks_table
        check_equal "no worker had to be killed, and none failed" "" "$(frameworks_failures)"
}

# ---- The verdict ----

# frameworks_failures: what systemd says of ends that were not in good order. Each program has ended at least twice.
frameworks_failures()
{
        local log

        log=$(host_run journalctl --output=cat --unit='*-worker.service')
        (($(grep -c 'Deactivated successfully' <<<"$log") >= 2 * ${#FRAMEWORK_INPUT[@]})) || echo "ends are missing"
        grep -E 'code=killed|status=[1-9]|Failed with|Killing' <<<"$log"
}

# frameworks_spooled: what the daemon says of its jobs, as {"BOT": UPDATES}, from all messages of the bus.
frameworks_spooled()
{
        jq -n 'reduce (inputs | select(.member == "PropertiesChanged" or .member == "JobNew")) as $m ({};
                        if $m.member == "JobNew" then
                                .job[$m.payload.data[1]] = $m.payload.data[2]
                        else
                                ($m.payload.data[1].Spooled.data // null) as $n
                                | if $n != null then .n[$m.path] = $n else . end
                        end)
                | . as $all | reduce ((.n // {}) | to_entries[]) as $e ({}; .[$all.job[$e.key]] += $e.value)' \
                <"$HOST_DISK/bus.log"
}

# frameworks_table: what became of the updates of each, for people.
frameworks_table()
{
        local name ids=()

        for name in "${!FRAMEWORK_INPUT[@]}"; do
                ids+=("$name" "${BOT_IDS[$name]}")
        done
        {
                echo "framework injected cloud spooled handed-over local race blind twice downtime-ms blind-ms"
                telegram GET /verdict | jq -r --argjson spooled "$(frameworks_spooled)" --args '
                        ($ARGS.positional | [range(0; length; 2) as $i | {(.[$i + 1]): .[$i]}] | add) as $names
                        | .bots[] | $names["\(.bot)"] as $name | select($name)
                        | [$name, .injected, .handled_cloud, $spooled[$name] // 0, .handed_over, .handled_local,
                           .wiped_race, .lost, .handled_twice, (.downtime_ms | join("+")), (.blind_ms | join("+"))]
                        | map(if . == "" then "-" else . end) | join(" ")' "${ids[@]}"
        } | awk '{ printf "# %-21s", $1; for (i = 2; i <= NF; i++) printf " %11s", $i; print "" }'
}
