/* SPDX-License-Identifier: MIT */
#pragma once

#include <errno.h>

#include "base/macro.h"

/* What an administrator may have to act on: each event has a MESSAGE_ID, by which lines are found whatever their words
 * ('journalctl MESSAGE_ID=…'), and a text in packaging/catalog/tgswitch.catalog, which 'journalctl -x' shows below the
 * line (systemd-journald(8), journalctl(1)). An id is never given to another event: scripts and alerts know it. */
#define LOG_EVENTS(E)                                                  \
        E(JOB_BEGUN, "d25ae56bd99042cdbc7662b51ba40093")               \
        E(JOB_RESUMED, "8e6ce31252354bb5a5f0b13d2b6153df")             \
        E(PHASE_ENTERED, "0422856357a24e05a3e3d9da2bf55046")           \
        E(LOGGED_OUT, "a2f9b4fe66ea46e9b74e2a90eacfa9c2")              \
        E(LOGOUT_UNKNOWN, "b7c06c99e56642dfb32932a67859ce0f")          \
        E(LOGIN_REFUSED, "565d01a3ceb3434c83a7508d71c3e412")           \
        E(JOB_DONE, "79f22ba2fa684b0c978ec0be097fc1b2")                \
        E(JOB_FAILED, "91743d4f13274886a629ae736d26e298")              \
        E(JOB_CANCELED, "453604d8ef34466d9f4f6f122ec46d86")            \
        E(WINDOW_OVER, "7a82046f6dc94de4960c1b9cd06efa97")             \
        E(FALLBACK_BEGUN, "5f64d002701b4cf4b1e36710f7d1e08e")          \
        E(STALE_SESSION, "e2320206362448e0b5fe23127181f90f")           \
        E(STALE_SESSION_ENDED, "87066d0d400c46dc9c738dcd02a0abe3")     \
        E(BOT_HELD, "c56c8402874a48cdb6a541c272b32380")                \
        E(BOT_RELEASED, "c8c8a88ae2554f979d79df7acba06a22")            \
        E(SEAT_DECLARED, "5e62bf8293ad4791b6206b33f4ebbb1f")           \
        E(TOKEN_UNUSABLE, "8db278946d71498992e0b39f970910b5")          \
        E(WEBHOOK_SECRET_UNUSABLE, "6ef4d582b94b4c57a702e830a7efd89b") \
        E(CONFIG_BAD, "53bb79e70ad7430495f3086917d61a99")              \
        E(RECORD_BAD, "921ca5410f8542ca9bd2fa8cde502dbe")              \
        E(RECORD_UNWRITTEN, "06dc3f2dfbe146c2adadf411440a313a")        \
        E(GATE_REFUSED, "cbbfcbdf9929420c83364b092f2dabab")            \
        E(GATE_HELD, "727efc85189247de83f9eeb21c38a0e3")               \
        E(SERVER_DEAD, "34aa1d84975749209ad995c3007afd72")             \
        E(SERVER_WELL, "9f50e79c79014c37beb34bf6ef36c0e8")             \
        E(WORKERS_FAILED, "506e7585679140e6ac028bb636c12814")          \
        E(UPDATES_UNTAKEN, "a99b4b7aea6b44838a7f6117cf2262d2")         \
        E(SPOOL_KEPT, "6969e9b18e2f465c9e3df74a9fb99028")

/* clang-format off */
typedef enum LogEvent {
        LOG_EVENT_NONE, /* a line that has no id */
#define LOG_EVENT(name, id) LOG_EVENT_##name,
        LOG_EVENTS(LOG_EVENT)
#undef LOG_EVENT
        LOG_EVENT_MAX,
        LOG_EVENT_INVALID = -EINVAL,
} LogEvent;
/* clang-format on */

/* The MESSAGE_ID; NULL of LOG_EVENT_NONE. */
const char *log_event_id(LogEvent event) _const_;
