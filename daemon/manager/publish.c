/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "core/template.h"
#include "manager/bot.h"

/* The environment file of a bot's workers: the endpoint in the shapes that frameworks expect. Read by systemd as root,
 * after the gate where the unit has an ExecStartPre= (systemd.exec(5), EnvironmentFile=). */

static int put_variable(FILE *f, const char *assignment, const char *root, const char *token)
{
        _cleanup_wipe_ char *line = template_fill(assignment, root, token);

        if (!line)
                return -ENOMEM;
        fprintf(f, "%s\n", line);
        return 0;
}

static int put_variables(FILE *f, const char *const *assignments, const char *root, const char *token)
{
        for (const char *const *a = assignments; a && *a; a++) {
                int r = put_variable(f, *a, root, token);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Nothing stands behind the "=", instead of no line at all: then Environment= of the unit gives no endpoint either. */
static void put_empty(FILE *f, const char *const *assignments)
{
        for (const char *const *a = assignments; a && *a; a++)
                fprintf(f, "%.*s=\n", (int) strcspn(*a, "="), *a);
}

static int put_hold(FILE *f, const Bot *b)
{
        put_empty(f, template_endpoint_variables);
        if (b->config)
                put_empty(f, (const char *const *) b->config->exports);
        if (b->config && b->config->export_token)
                put_empty(f, template_token_variables);
        return 0;
}

static int put_endpoint(FILE *f, const Bot *b, Seat seat)
{
        const char *root = bot_root(b, seat);
        int r;

        r = put_variables(f, template_endpoint_variables, root, NULL);
        if (r >= 0 && b->config)
                r = put_variables(f, (const char *const *) b->config->exports, root, NULL);
        if (r >= 0 && b->config && b->config->export_token && b->token)
                r = put_variables(f, template_token_variables, root, bot_token_reveal(b->token));
        return r;
}

static int put_environment(FILE *f, const Bot *b, Seat seat)
{
        fprintf(f, "# Written by tgswitchd. It changes whenever the bot moves.\n");
        fprintf(f, "TGSWITCH_BOT=%s\n", b->name);
        fprintf(f, "TGSWITCH_ENDPOINT=%s\n", seat_to_string(seat));
        return seat == SEAT_NONE ? put_hold(f, b) : put_endpoint(f, b, seat);
}

/* As nearly always after a restart of the daemon. */
static bool is_published(int directory, const char *name, const char *text, size_t size)
{
        char *bytes = NULL;
        size_t n = 0;
        bool same;

        if (read_file_at(directory, name, O_NOFOLLOW, size, &bytes, &n) < 0)
                return false;
        same = n == size && memcmp(bytes, text, size) == 0;
        explicit_bzero(bytes, n);
        free(bytes);
        return same;
}

int publish_environment(Bot *b, Seat seat)
{
        _cleanup_close_ int fd = -EBADF;
        char name[64], *text = NULL;
        size_t size = 0;
        FILE *f;
        int r;

        fd = open(b->manager->runtime_directory, O_DIRECTORY | O_CLOEXEC | O_RDONLY);
        if (fd < 0)
                return -errno;
        f = open_memstream(&text, &size);
        if (!f)
                return -errno;
        r = put_environment(f, b, seat);
        if (fclose(f) != 0 && r >= 0)
                r = -errno;
        snprintf(name, sizeof(name), "%s.env", b->name);
        if (r >= 0 && !is_published(fd, name, text, size))
                r = write_file_atomic_at(fd, name, text, size, 0600, WRITE_NO_SYNC);
        if (text)
                explicit_bzero(text, size);
        free(text);
        return r;
}
