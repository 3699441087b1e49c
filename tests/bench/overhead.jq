# SPDX-License-Identifier: MIT
#
# The stamps of stamp-preload.c, as od(1) writes them, one an array of numbers -> each move of theirs:
#
#       us      from the last byte of logOut's reply, read, to the first byte of getMe, about to be written
#       sync_us how much of that some thread spent in fsync()
#       syncs   how long each fsync() took from logOut to the next one
#       steps   what happened in between: microseconds after the reply, thread, what

["-", "loop", "received", "sends", "sends logOut", "sends getMe", "fsync begins", "fsync ends", "renames", "message",
        "encrypts", "connects"] as $kinds
| [.[] | select(.[2] > 0) | { t: (.[0] / 1000), thread: .[1], what: $kinds[.[2]], fd: .[3], port: .[4], size: .[5] }]
| sort_by(.t)

# One slice for each logOut, up to the next.
| [to_entries[] | select(.value.what == "sends logOut").key] as $begins
| . as $all
| [range($begins | length) as $i | $all[$begins[$i]:($begins[$i + 1] // ($all | length))]]

| def tenths: . * 10 | round / 10;
def syncs:
        # Of one thread an end follows its beginning.
        [group_by(.thread)[] | map(select(.what | startswith("fsync"))) | . as $s | range(0; length - 1; 2)
                | { from: $s[.].t, to: $s[. + 1].t }];
.[]
| .[0].fd as $cloud
| map(select(.what == "received" and .fd == $cloud).t) as $replies
# What opens a connection to the local server early, while logOut is under way, is no login.
| ([.[] | select(.what == "sends getMe" and .port != 443 and .t > $replies[0])][0].t) as $to
| select($replies[0] and $to)
| ($replies | map(select(. < $to))[-1]) as $from
| (syncs | sort_by(.from)) as $syncs
| { us: ($to - $from | tenths),
    # Threads may wait side by side.
    sync_us: (reduce $syncs[] as $s ({ sum: 0, seen: $from };
                ([$s.from, .seen] | max) as $a | ([$s.to, $to] | min) as $b
                | if $b > $a then { sum: (.sum + $b - $a), seen: $b } else . end) | .sum | tenths),
    syncs: ($syncs | map(.to - .from | tenths)),
    steps: map(select(.t >= $from and .t <= $to) | { us: (.t - $from | tenths), thread, what, size, port }) }
