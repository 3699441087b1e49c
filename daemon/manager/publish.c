/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "manager/bot.h"

/* The environment file of a bot's workers: the endpoint in the shapes that frameworks expect. Read by systemd as root,
 * after the gate where the unit has an ExecStartPre= (systemd.exec(5), EnvironmentFile=). */

/* Writes `template` with {root} filled in; the configuration has been checked for other braces. */
static void put_template(FILE *f, const char *template, const char *root)
{
        for (const char *p = template; *p;) {
                const char *rest = startswith(p, "{root}");

                if (rest) {
                        fputs(root, f);
                        p = rest;
                } else {
                        fputc(*p++, f);
                }
        }
        fputc('\n', f);
}

static void put_environment(FILE *f, const Bot *b, Seat seat)
{
        const char *root = bot_root(b, seat);

        fprintf(f, "# Written by tgswitchd. It changes whenever the bot moves.\n");
        fprintf(f, "TGSWITCH_BOT=%s\n", b->name);
        fprintf(f, "TGSWITCH_ENDPOINT=%s\n", seat_to_string(seat));
        fprintf(f, "TELEGRAM_API_ROOT=%s\n", root);
        fprintf(f, "TELEGRAM_BASE_URL=%s/bot\n", root);
        fprintf(f, "TELEGRAM_BASE_FILE_URL=%s/file/bot\n", root);
        fprintf(f, "TELOXIDE_API_URL=%s\n", root);
        STRV_FOREACH(template, b->config ? b->config->exports : NULL)
                put_template(f, *template, root);
        if (b->config && b->config->export_token && b->token)
                fprintf(f, "BOT_TOKEN=%s\n", bot_token_reveal(b->token));
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
        put_environment(f, b, seat);
        r = fclose(f) == 0 ? 0 : -errno;
        snprintf(name, sizeof(name), "%s.env", b->name);
        if (r >= 0)
                r = write_file_atomic_at(fd, name, text, size, 0600, WRITE_NO_SYNC);
        if (text)
                explicit_bzero(text, size);
        free(text);
        return r;
}
