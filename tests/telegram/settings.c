/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "clock.h"
#include "settings.h"

#define WINDOW_SEC       600
#define WINDOW_YOUNG_SEC 1800
#define LINGER_SEC       1
#define LINGER_YOUNG_SEC 1800

typedef struct IntSetting {
        const char *name;
        size_t offset;
} IntSetting;

typedef IntSetting TextSetting;

static const IntSetting int_settings[] = {
        { "latency_ms", offsetof(Settings, latency_msec) },
        { "login_ms", offsetof(Settings, login_msec) },
        { "logout_ms", offsetof(Settings, logout_msec) },
        { "close_ms", offsetof(Settings, close_msec) },
        { "lock_s", offsetof(Settings, lock_sec) },
        { "ahead_ms", offsetof(Settings, ahead_msec) },
        { "lock_young_s", offsetof(Settings, lock_young_sec) },
        { "local_lock_s", offsetof(Settings, local_lock_sec) },
        { "local_lock_young_s", offsetof(Settings, local_lock_young_sec) },
        { "window_s", offsetof(Settings, window_sec) },
        { "window_young_s", offsetof(Settings, window_young_sec) },
        { "login_flood_s", offsetof(Settings, login_flood_sec) },
        { "young_s", offsetof(Settings, young_sec) },
        { "flood_per_minute", offsetof(Settings, flood_per_minute) },
        { "flood_per_hour", offsetof(Settings, flood_per_hour) },
        { "strict_webhooks", offsetof(Settings, strict_webhooks) },
};

static const TextSetting text_settings[] = {
        { "cloud_root", offsetof(Settings, cloud_root) },
        { "gateway_root", offsetof(Settings, gateway_root) },
        { "api_id", offsetof(Settings, api_id) },
        { "api_hash", offsetof(Settings, api_hash) },
};

#define MEMBER(settings, type, offset) (*(type *) ((char *) (settings) + (offset)))

static char *duplicate(const char *s)
{
        char *copy = strdup(s ?: "");

        assert(copy);
        return copy;
}

void settings_init(Settings *settings)
{
        *settings = (Settings){
                .scale = 1,
                .lock_sec = WINDOW_SEC,
                .lock_young_sec = WINDOW_YOUNG_SEC,
                .local_lock_sec = LINGER_SEC,
                .local_lock_young_sec = LINGER_YOUNG_SEC,
                .window_sec = WINDOW_SEC,
                .window_young_sec = WINDOW_YOUNG_SEC,
                .young_sec = LINGER_YOUNG_SEC,
                .flood_per_minute = 20,
                .flood_per_hour = 600,
                .cloud_root = duplicate("https://api.telegram.org"),
                .gateway_root = duplicate(""),
                .api_id = duplicate(""),
                .api_hash = duplicate(""),
        };
}

void settings_done(Settings *settings)
{
        FOREACH_ELEMENT(text, text_settings)
                free(MEMBER(settings, char *, text->offset));
        *settings = (Settings){ 0 };
}

static const IntSetting *find(const IntSetting *table, size_t n, const char *name)
{
        for (size_t i = 0; i < n; i++)
                if (streq(table[i].name, name))
                        return table + i;
        return NULL;
}

static bool member_valid(const char *name, json_object *value)
{
        if (find(int_settings, ELEMENTSOF(int_settings), name))
                return json_object_is_type(value, json_type_int) && json_object_get_int64(value) >= 0;
        if (find(text_settings, ELEMENTSOF(text_settings), name))
                return json_object_is_type(value, json_type_string);
        if (streq(name, "scale"))
                return json_object_get_double(value) > 0;
        if (streq(name, "lock"))
                return streq_ptr(json_object_get_string(value), "contract") ||
                       streq_ptr(json_object_get_string(value), "source");
        return false;
}

static void member_apply(Settings *settings, const char *name, json_object *value)
{
        const IntSetting *entry;

        if ((entry = find(int_settings, ELEMENTSOF(int_settings), name))) {
                MEMBER(settings, int64_t, entry->offset) = json_object_get_int64(value);
        } else if ((entry = find(text_settings, ELEMENTSOF(text_settings), name))) {
                free(MEMBER(settings, char *, entry->offset));
                MEMBER(settings, char *, entry->offset) = duplicate(json_object_get_string(value));
        } else if (streq(name, "scale")) {
                settings->scale = json_object_get_double(value);
        } else {
                settings->lock_as_in_source = streq(json_object_get_string(value), "source");
        }
}

const char *settings_apply(Settings *settings, json_object *object)
{
        json_object_object_foreach(object, checked_name, checked_value)
        {
                if (!member_valid(checked_name, checked_value))
                        return checked_name;
        }
        json_object_object_foreach(object, name, value)
        {
                member_apply(settings, name, value);
        }
        return NULL;
}

json_object *settings_to_json(const Settings *settings)
{
        json_object *object = json_object_new_object();

        FOREACH_ELEMENT(number, int_settings)
                json_set_int(object, number->name, MEMBER(settings, int64_t, number->offset));
        FOREACH_ELEMENT(text, text_settings)
                json_set_text(object, text->name, MEMBER(settings, char *, text->offset));
        json_object_object_add(object, "scale", json_object_new_double(settings->scale));
        json_set_text(object, "lock", settings->lock_as_in_source ? "source" : "contract");
        return object;
}

uint64_t settings_scaled_usec(const Settings *settings, double seconds)
{
        return (uint64_t) (seconds * (double) USEC_PER_SEC / settings->scale);
}

uint64_t settings_now_usec(const Settings *settings)
{
        return clock_now_usec() + (uint64_t) settings->ahead_msec * USEC_PER_MSEC;
}

uint64_t settings_lock_usec(const Settings *settings, Role role, bool young)
{
        int64_t seconds;

        if (role == ROLE_LOCAL)
                seconds = young ? settings->local_lock_young_sec : settings->local_lock_sec;
        else if (settings->lock_as_in_source)
                seconds = young ? LINGER_YOUNG_SEC : LINGER_SEC;
        else
                seconds = young ? settings->lock_young_sec : settings->lock_sec;
        return settings_scaled_usec(settings, (double) seconds);
}

uint64_t settings_window_usec(const Settings *settings, Role role, bool young)
{
        if (role == ROLE_LOCAL)
                return settings_lock_usec(settings, role, young);
        return settings_scaled_usec(settings, (double) (young ? settings->window_young_sec : settings->window_sec));
}
