# SPDX-License-Identifier: MIT
#
# bench.json -> tables in Markdown: with $part "readme" the short ones, with "page" all there is.

include "bench";

# Rows of cells; a column that has numbers is one of numbers.
def table(headings; rows):
        def line: "| " + (map(tostring) | join(" | ")) + " |";
        rows as $rows
        | [headings | line]
                + [[range($rows[0] | length) as $i | if any($rows[][$i]; type == "number") then "---:" else "---" end] | line]
                + [$rows[] | line]
        | join("\n");

# Each once, where it comes first.
def in_order: reduce .[] as $x ([]; if any(.[]; . == $x) then . else . + [$x] end);

def bots: "\(.) bot\(if . == 1 then "" else "s" end)";

def heading: if $part == "page" then "## \(.)" else "**\(.)**" end;

# section(TITLE; KEY; TEXT): what was not measured is not left out in silence.
def section(title; key; text):
        (title | heading) + "\n\n" + if (.[key] // []) == [] then "Not measured in this run." else text end + "\n";

def machine:
        .machine | "Measured \(.date) on \(.cores) cores (\(.cpu)), \(.memory_mib) MiB of memory, Linux \(.kernel), "
                + "systemd \(.systemd); load before: \(.load).";

def losses: if .injected > 0 then "\(.lost + .race + .wiped) of \(.injected)" else "-" end;
def times: if . then (.down.median | ms), (.blind.median | ms) else "-", "-" end;
def ratio(a; b): if a and b then a / b | short else "-" end;

def cutover_short:
        table(["latency ms", "updates/s", "recipe: down", "blind", "lost", "bare floor: down", "floor: down", "blind",
                        "tgswitchd: down", "blind", "lost", "down / floor", "blind / floor"];
                cutovers | map([.latency_ms, .rate, (.recipe | times), (.recipe // { injected: 0 } | losses),
                        (if .bare then .bare.down.median | ms else "-" end), (.floor | times), (.tgswitch | times),
                        (.tgswitch // { injected: 0 } | losses),
                        ratio(.tgswitch.down.median; .floor.down.median),
                        ratio(.tgswitch.blind.median; .floor.blind.median)]));

def cutover_long:
        def spread: (.median | ms), (.p10 | ms), (.p90 | ms);
        table(["latency ms", "updates/s", "way", "moves", "down ms", "p10", "p90", "blind ms", "p10", "p90", "updates",
                        "lost while blind", "wiped in the race", "wiped otherwise"];
                cutovers | map({ latency_ms, rate } as $at | ["recipe", "bare", "floor", "tgswitch"][] as $way
                        | .[$way] | select(.) | [$at.latency_ms, $at.rate, $way, .runs, (.down | spread), (.blind | spread),
                                .injected, .lost, .race, .wiped]))
        + "\n\nThe floor takes the updates that are pending and hands them to nobody. The bare floor moves a worker whose "
        + "unit has no gate: no credentials, no ExecStartPre=.";

def overhead:
        table(["state on", "latency ms", "moves", "µs", "p10", "p90", "of it in fsync", "one fsync", "p10", "p90"];
                overheads | map([.setting, .latency_ms, .moves] + ([.us.median, .us.p10, .us.p90, .sync_us,
                        .one_sync_us.median, .one_sync_us.p10, .one_sync_us.p90] | map(short))));

# Whatever its script has measured, by the names that it gave; a column for each of its lines.
def size:
        def figure: if type == "number" then short elif . == null then "-" else tostring end;
        .size as $lines
        | ($lines | map(keys_unsorted[]) | in_order - ["bots", "moved"]) as $keys
        | table([""] + ($lines | map((.bots | bots) + if .moved then ", after moves" else "" end));
                [$keys[] as $k | [$k | gsub("_"; " ")] + ($lines | map(.[$k] | figure))]);

def many:
        def each(cpu; n): if cpu then cpu / n | short else "-" end;
        table(["to", "latency ms", "at once", "bots", "floor ms", "tgswitchd ms", "tgswitchd / floor",
                        "of it the flood limit's ms", "ms a bot", "CPU ms a bot", "the host's", "the floor's"];
                manies | map([.to, .latency_ms, .concurrency, .bots, (.floor.ms | short), (.tgswitch.ms | short),
                        ratio(.tgswitch.ms; .floor.ms), (.tgswitch.waits_ms | short), each(.tgswitch.ms; .bots),
                        each(.tgswitch.cpu_ms; .bots), each(.tgswitch.host_cpu_ms; .bots),
                        each(.floor.host_cpu_ms; .bots)]))
        + ([exponents[] | "\n\nTime to \(.to) grows with the number of bots to the power of \(.tgswitch | short) "
                + "(between the two greatest \(.last | short)), the floor's of \(.floor | short)."] | join(""));

def bus:
        .bus as $lines
        | ([$lines[].bots] | unique) as $bots
        | table(["call"] + [$bots[] | (bots + ": µs"), "CPU µs", "bytes"];
                [$lines | map(.call) | in_order[] as $call | [$call] + [$bots[] as $n
                        | ([$lines[] | select(.call == $call and .bots == $n)][0] // {}) | (.us, .cpu_us, .bytes) | short]]);

def readme:
        machine, "",
        section("Downtime and blind time of one move, ms"; "cutover"; cutover_short),
        section("From logOut's reply to getMe, inside tgswitchd"; "overhead"; overhead),
        section("Size"; "size"; size),
        section("Many"; "many"; many),
        section("Calls on the bus"; "bus"; bus);

def page:
        "# Measurements", "",
        "Written by `make bench`. What is measured, and how, is said in the scripts of `tests/bench`.", "",
        machine, "",
        section("Downtime and blind time of one move"; "cutover"; cutover_short + "\n\n" + cutover_long),
        section("From logOut's reply to getMe, inside tgswitchd"; "overhead"; overhead),
        section("Size"; "size"; size),
        section("Many"; "many"; many),
        section("Calls on the bus"; "bus"; bus);

if $part == "page" then page else readme end
