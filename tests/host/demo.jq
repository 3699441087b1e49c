# SPDX-License-Identifier: MIT
#
# The judge's verdict on a bot, for people. Ends with an error where the move was no good one.

def row(text; value): "    " + text + (" " * ([44 - (text | length), 1] | max)) + (value | tostring);
def times: map("\(.) ms") | join(", ") | if . == "" then "-" else . end;

.bots[] | select(.bot == $bot)
| row("injected"; .injected),
  row("handled on the cloud, up to the drain's end"; .handled_cloud),
  row("spooled, and handed over after the move"; .handed_over),
  row("handled on the local server"; .handled_local),
  row("wiped by logOut in the race"; .wiped_race),
  row("wiped by logOut otherwise"; .wiped_other),
  row("arrived in the blind time"; .lost),
  row("handled again after they were confirmed"; .handled_after_confirmed),
  row("not accounted for"; .missing + .queued + .dropped),
  "",
  row("downtime (no worker handles an update)"; .downtime_ms | times),
  row("blind time (the bot is logged in nowhere)"; .blind_ms | times),
  row("  of that, spent by Telegram itself"; .blind_floor_ms | times),
  row("violated laws"; .violations | length),
  (.violations[] | "      \(.law): \(.text)")
