/* SPDX-License-Identifier: MIT */
#pragma once

#include "json-util.h"
#include "role.h"

/* What can be turned at run time. The truth owns the settings and pushes them to the local role. */
typedef struct Settings {
        /* Real time. */
        int64_t latency_msec, login_msec, logout_msec, close_msec;
        int64_t ahead_msec; /* of Telegram's clock, before ours */
        /* Telegram's time, which runs `scale` times faster than ours. */
        double scale;
        int64_t lock_sec, lock_young_sec, local_lock_sec, local_lock_young_sec, young_sec;
        int64_t window_sec, window_young_sec;
        bool lock_as_in_source;
        int64_t login_flood_sec; /* of real time */
        int64_t flood_per_minute, flood_per_hour;
        int64_t strict_webhooks; /* not 0: the cloud refuses what the real one refuses */
        char *cloud_root, *gateway_root;
        char *api_id, *api_hash;
} Settings;

void settings_init(Settings *settings);
void settings_done(Settings *settings);

/* Takes over what the object names. Returns the first unknown or impossible member, NULL where all is well;
 * then, and only then, something has changed. */
const char *settings_apply(Settings *settings, json_object *object);
json_object *settings_to_json(const Settings *settings);

/* Telegram's seconds in our µs. */
uint64_t settings_scaled_usec(const Settings *settings, double seconds);

/* Telegram's clock in µs: sessions, locks and limits are measured on it. It is ours and `ahead_ms`, so that a test can
 * have ten minutes pass without waiting. */
uint64_t settings_now_usec(const Settings *settings);

/* How long a server answers `Logged out` after a logOut that ended a session. */
uint64_t settings_lock_usec(const Settings *settings, Role role, bool young);
/* How long a client has to keep away from it: at the cloud what is promised, which the lock need not keep to; `young`
 * where the client can know that the session was. The local server promises nothing: its lock. */
uint64_t settings_window_usec(const Settings *settings, Role role, bool young);
