/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>

#include "ctl/ctl-drop-in.h"
#include "io/config.h"

#define MARK          "# Written by tgswitchctl adopt: "
#define MARK_CHECKSUM " checksum="

static const char *const modes[ADOPT_MODE_MAX] = {
        [ADOPT_CREDENTIALS] = "credentials",
        [ADOPT_ENVIRONMENT] = "environment",
        [ADOPT_EXEC] = "exec",
};

const char *adopt_mode_to_string(AdoptMode m)
{
        return m >= 0 && m < ADOPT_MODE_MAX ? modes[m] : NULL;
}

AdoptMode adopt_mode_from_string(const char *s)
{
        for (AdoptMode m = 0; m < ADOPT_MODE_MAX; m++)
                if (streq(modes[m], s))
                        return m;
        return ADOPT_MODE_INVALID;
}

/* Without bot-pending-updates what is spooled stays with tgswitchd. A program that does not look at it must not get it,
 * since what was served counts as handed over. */
static void put_gate(FILE *f, bool pending)
{
        static const char *const credentials[] = { "bot-token", "bot-endpoint", "bot-pending-updates" };
        size_t n = pending ? 3 : 2;

        for (size_t i = 0; i < n; i++)
                fprintf(f, "LoadCredential=%s:/run/tgswitch/credential.sock\n", credentials[i]);
        fputs("ExecStartPre=/usr/bin/test", f);
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s -s %%d/%s", i > 0 ? " -a" : "", credentials[i]);
        fputc('\n', f);
}

static void put_body(FILE *f, const DropIn *d)
{
        fprintf(f, "# 'tgswitchctl adopt %s --undo' takes it out again. Put changes into another file.\n\n", d->unit);
        fputs("[Unit]\n"
              "Wants=tgswitchd-credential.socket tgswitchd.service\n"
              "After=tgswitchd-credential.socket tgswitchd.service\n\n"
              "[Service]\n"
              "# The unit's start waits here while its bot is between two servers.\n",
              f);
        put_gate(f, d->pending);
        fprintf(f, "EnvironmentFile=-/run/tgswitch/bots/%s.env\n", d->bot);
        fputs("TimeoutStartSec=infinity\n", f);
        if (d->group || d->bind)
                fputs("# Files that a local server with --local has stored.\n", f);
        if (d->group)
                fprintf(f, "SupplementaryGroups=%s\n", d->group);
        if (d->bind)
                fprintf(f, "BindReadOnlyPaths=%s\n", d->bind);
        if (d->mode != ADOPT_EXEC)
                return;
        fputs("# The unit's own command, behind a program that sets token and endpoint.\nExecStart=\n", f);
        for (char *const *e = d->exec_start; e && *e; e++)
                fprintf(f, "ExecStart=%s\n", *e);
}

static uint32_t checksum(const char *mark, size_t mark_size, const char *body)
{
        uLong crc = crc32_z(crc32_z(0, NULL, 0), (const Bytef *) mark, mark_size);

        return (uint32_t) crc32_z(crc, (const Bytef *) body, strlen(body));
}

int drop_in_render(const DropIn *d, char **ret)
{
        _cleanup_free_ char *body = NULL, *mark = NULL;
        char *text;
        size_t size;
        FILE *f = open_memstream(&body, &size);

        if (!f)
                return -errno;
        put_body(f, d);
        if (fclose(f) != 0)
                return -ENOMEM;
        if (asprintf(&mark, MARK "bot=%s mode=%s pending=%u added=%u", d->bot, adopt_mode_to_string(d->mode),
                     d->pending, d->added) < 0) {
                mark = NULL;
                return -ENOMEM;
        }
        if (asprintf(&text, "%s" MARK_CHECKSUM "%08" PRIx32 "\n%s", mark, checksum(mark, strlen(mark), body), body) < 0)
                return -ENOMEM;
        *ret = text;
        return 0;
}

int drop_in_recognise(const char *text, DropInMark *ret)
{
        const char *end = strchrnul(text, '\n'), *body = *end ? end + 1 : end, *sum;
        _cleanup_free_ char *line = strndup(text, (size_t) (end - text));
        char bot[33], mode[16];
        DropInMark m = {};
        unsigned pending;
        uint32_t crc;

        if (!line)
                return -ENOMEM;
        sum = strstr(line, MARK_CHECKSUM);
        if (!sum || sscanf(line, MARK "bot=%32s mode=%15s pending=%u added=%u", bot, mode, &pending, &m.added) != 4 ||
            sscanf(sum, MARK_CHECKSUM "%8" SCNx32, &crc) != 1)
                return -ENOENT;
        m.mode = adopt_mode_from_string(mode);
        if (m.mode < 0 || !bot_name_is_valid(bot))
                return -ENOENT;
        m.pending = pending > 0;
        m.edited = crc != checksum(line, (size_t) (sum - line), body);
        m.bot = strdup(bot);
        if (!m.bot)
                return -ENOMEM;
        *ret = m;
        return 0;
}

void drop_in_mark_done(DropInMark *m)
{
        free(m->bot);
        *m = (DropInMark){};
}
