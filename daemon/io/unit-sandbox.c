/* SPDX-License-Identifier: MIT */
#include "base/strv.h"
#include "io/unit-client-internal.h"

/* No unit comes near these. */
#define BINDS_MAX                  4096
#define TEMPORARY_FILE_SYSTEMS_MAX 4096

int unit_sandbox_set_defaults(UnitSandbox *s)
{
        char **strings[] = { &s->user, &s->group, &s->root_directory, &s->root_image, &s->protect_home };

        FOREACH_ELEMENT(string, strings) {
                int r = unit_string_replace(*string, "");

                if (r < 0)
                        return r;
        }
        /* A right that systemd does not say is taken away may be there: that only keeps a check from being sure. */
        s->capabilities = UINT64_MAX;
        return 0;
}

void unit_sandbox_done(UnitSandbox *s)
{
        free(s->user);
        free(s->group);
        strv_free(s->supplementary_groups);
        free(s->root_directory);
        free(s->root_image);
        free(s->protect_home);
        strv_free(s->inaccessible_paths);
        strv_free(s->temporary_file_systems);
        for (size_t i = 0; i < s->n_binds; i++) {
                free(s->binds[i].source);
                free(s->binds[i].destination);
        }
        free(s->binds);
        *s = (UnitSandbox){};
}

int unit_property_temporary_file_systems(sd_bus_message *m, void *field)
{
        char ***paths = field;
        const char *path, *options;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(ss)", &path, &options)) > 0) {
                if (++n > TEMPORARY_FILE_SYSTEMS_MAX)
                        return -E2BIG;
                r = strv_extend(paths, path);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_bind(UnitSandbox *s, const char *source, const char *destination)
{
        UnitBind *grown, *fresh;
        int r;

        if (s->n_binds >= BINDS_MAX)
                return -E2BIG;
        grown = reallocarray(s->binds, s->n_binds + 1, sizeof(UnitBind));
        if (!grown)
                return -ENOMEM;
        s->binds = grown;
        fresh = &grown[s->n_binds++];
        *fresh = (UnitBind){};
        r = unit_string_replace(&fresh->source, source);
        if (r < 0)
                return r;
        return unit_string_replace(&fresh->destination, destination);
}

int unit_property_binds(sd_bus_message *m, void *field)
{
        UnitSandbox *s = field;
        const char *source, *destination;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssbt)");
        if (r < 0)
                return r;
        /* Whether a missing source is forgiven, and whether mounts below come along, is none of our business. */
        while ((r = sd_bus_message_read(m, "(ssbt)", &source, &destination, NULL, NULL)) > 0) {
                r = add_bind(s, source, destination);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
