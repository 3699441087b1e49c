# SPDX-License-Identifier: MIT
#
# What tables.jq and judge.jq have in common. Their input is bench.json: the machine, and of each measurement the lines
# that its script has written.

def at(p): sort | .[length * p | floor];
def median: at(0.5);

# As many digits as anybody reads.
def short: if . == null then "-" elif . >= 100 or . <= -100 then round elif . >= 10 then . * 10 | round / 10
        else . * 100 | round / 100 end;
def ms: . / 1000 | short;

# The lines of each latency, rate and way -> {latency_ms, rate, recipe: {…}, floor: {…}, tgswitch: {…}}
def cutovers:
        [.cutover // [] | group_by([.latency_ms, .rate])[]
        | { latency_ms: .[0].latency_ms, rate: .[0].rate }
                + (group_by(.way) | map({ key: .[0].way, value: {
                        runs: length,
                        down: (map(.down_us) | { median: median, p10: at(0.1), p90: at(0.9) }),
                        blind: (map(.blind_us) | { median: median, p10: at(0.1), p90: at(0.9) }),
                        injected: (map(.injected) | add),
                        lost: (map(.lost) | add),
                        race: (map(.wiped_race) | add),
                        wiped: (map(.wiped_other) | add),
                        missing: (map(.missing) | add) } }) | from_entries)];

def overheads:
        [.overhead // [] | group_by([.setting, .latency_ms])[]
        | { setting: .[0].setting, latency_ms: .[0].latency_ms, moves: length,
            us: (map(.us) | { median: median, p10: at(0.1), p90: at(0.9) }),
            sync_us: (map(.sync_us) | median),
            one_sync_us: ([.[].syncs[]] | { median: median, p10: at(0.1), p90: at(0.9) }) }];

# The medians of each way, direction and number of bots.
def manies:
        [.many // [] | group_by([.to, .latency_ms, .bots])[]
        | { to: .[0].to, latency_ms: .[0].latency_ms, bots: .[0].bots, concurrency: .[0].concurrency }
                + (group_by(.way) | map({ key: .[0].way,
                        value: { ms: (map(.ms) | median), waits_ms: (map(.waits_ms // 0) | median),
                                cpu_ms: (map(.cpu_ms) | median), host_cpu_ms: (map(.host_cpu_ms) | median) } })
                        | from_entries)];

# Points [x, y] -> the slope of the straight line through their logarithms that errs least: how y grows with x.
def exponent:
        map(map(log)) | (map(.[0]) | add / length) as $x | (map(.[1]) | add / length) as $y
        | (map((.[0] - $x) * (.[1] - $y)) | add) / (map((.[0] - $x) * (.[0] - $x)) | add);

# exponents: of tgswitchd and of the floor, in each direction that has two numbers of bots; `last`: of tgswitchd between
# the two greatest, where what begins each run alike hides the least.
def exponents:
        [manies | group_by([.to, .latency_ms])[] | select(length > 1)
        | { to: .[0].to, latency_ms: .[0].latency_ms, most: .[-1].bots }
                + ([["tgswitch", "floor"][] as $way | map(select(.[$way]) | [.bots, .[$way].ms]) | select(length > 1)
                        | { key: $way, value: exponent },
                          if $way == "tgswitch" then { key: "last", value: (.[-2:] | exponent) } else empty end]
                        | from_entries)];
