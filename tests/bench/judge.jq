# SPDX-License-Identifier: MIT
#
# bench.json -> a line for each thing that the measurements have to show: "met", "missed" or "not measured", what, the
# worst figure, and how many of them are too great, separated by tabs.

include "bench";

# judge(WHAT; LIMIT; FIGURES): of [figure, where] each, the greatest counts.
def judge(what; limit; figures):
        [figures | select(.[0] != null)] as $all
        | if $all == [] then ["not measured", what, "-", "-"]
        else ($all | max_by(.[0])) as $worst | ($all | map(select(.[0] > limit)) | length) as $missed
                | [if $missed == 0 then "met" else "missed" end, what, "\($worst[0] | short)" + $worst[1],
                        "\($missed) of \($all | length)"] end
        | join("\t");

def over(a; b): if a and b and b > 0 then a / b else null end;
def where: " (\(.latency_ms) ms, \(.rate)/s)";

def size_of(n; moved): .size // [] | map(select(.bots == n and (.moved // false) == moved)) | .[0];

judge("downtime at most 1.1 x floor"; 1.1;
        cutovers[] | [over(.tgswitch.down.median; .floor.down.median), where]),
judge("blind time at most 1.1 x floor"; 1.1;
        cutovers[] | [over(.tgswitch.blind.median; .floor.blind.median), where]),
judge("blind time at most the recipe's"; 1;
        cutovers[] | [over(.tgswitch.blind.median; .recipe.blind.median), where]),
judge("updates wiped outside the race: 0"; 0; cutovers[] | [.tgswitch.wiped, where]),
judge("updates missing: 0"; 0; cutovers[] | [.tgswitch.missing, where]),

judge("logOut's reply to getMe, fsync on: at most 2,000 us"; 2000;
        overheads[] | select(.setting == "disk") | [.us.median, " (\(.latency_ms) ms)"]),
judge("logOut's reply to getMe, without fsync: at most 300 us"; 300;
        overheads[] | select(.setting == "memory") | [.us.median, " (\(.latency_ms) ms)"]),

judge("private dirty, 1 bot after its first move: at most 3,072 KiB"; 3072;
        size_of(1; true) | [.private_dirty_kib, ""]),
judge("RSS, 1 bot after its first move: at most 1.3 x a bare program's"; 1.3;
        size_of(1; true) as $moved | [.size // [] | .[].bare_rss_kib | values][0] as $bare
        | [over($moved.rss_kib; $bare), ""]),
judge("private dirty for each further bot: at most 4 KiB"; 4;
        . as $all | (.size // [])[] | select(.bots > 1) | . as $many | (.moved // false) as $moved
        | ($all | size_of(1; $moved)) as $one | select($one)
        | [($many.private_dirty_kib - $one.private_dirty_kib) / ($many.bots - 1), " (\($many.bots) bots)"]),
judge("wake-ups a minute at rest: at most 2"; 2; (.size // [])[] | [.wakeups_per_min, " (\(.bots) bots)"]),
judge("start to READY=1, 1 bot: at most 50 ms"; 50; (.size // [])[] | select(.bots == 1) | [.start_ms, ""]),
judge("start to READY=1, 1,000 bots: at most 500 ms"; 500; (.size // [])[] | select(.bots == 1000) | [.start_ms, ""]),

judge("1,000 bots to local at 50 ms: at most 1.2 x floor"; 1.2;
        manies[] | select(.to == "local" and .bots == 1000 and .latency_ms == 50) | [over(.tgswitch.ms; .floor.ms), ""]),
judge("exponent of time to local, up to 1,000 bots: at most 1.05"; 1.05;
        exponents[] | select(.to == "local" and .latency_ms == 50 and .most >= 1000)
        | [.tgswitch, " (all)"], [.last, " (the two greatest)"])
