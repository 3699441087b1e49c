/* SPDX-License-Identifier: MIT */

/* What a configuration says is what was understood of it, or a sentence that names the file and the line. The input is
 * a sequence of files, each behind a line of its own:
 *
 *      =NAME   a file below the configuration's directory: tgswitch.conf, tgswitch.conf.d/…, bots.d/…
 *      ~NAME   the same in a directory of lower precedence
 *      !NAME   masked: a symbolic link to /dev/null in the first directory
 *
 * What can be used is copied, and the copy must say the same. */

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/bot-token.h"
#include "core/unit-result.h"
#include "fuzz.h"
#include "io/botapi-client.h"
#include "io/config-reader.h"
#include "io/config-text.h"
#include "io/config-value.h"

#define FILES_MAX        12u
#define MESSAGE_SIZE_MAX 1024u

/* ---- what is given ---- */

typedef struct Place {
        char *high, *low, *copy;
} Place;

static const char *const subdirectories[] = { "", "/" CONFIG_DROPINS, "/" CONFIG_BOTS };

static char *make_directory(const char *name)
{
        char *path;

        assert(asprintf(&path, "%s/%s", fuzz_directory(), name) > 0);
        FOREACH_ELEMENT(subdirectory, subdirectories) {
                _cleanup_free_ char *below = NULL;

                assert(asprintf(&below, "%s%s", path, *subdirectory) > 0);
                assert(mkdir(below, 0700) == 0);
        }
        return path;
}

static const Place *place(void)
{
        static Place p;

        if (!p.high)
                p = (Place){ make_directory("etc"), make_directory("lib"), make_directory("copy") };
        return &p;
}

static void remove_files(const char *directory)
{
        FOREACH_ELEMENT(subdirectory, subdirectories) {
                _cleanup_free_ char *path = NULL;
                struct dirent *entry;
                DIR *d;

                assert(asprintf(&path, "%s%s", directory, *subdirectory) > 0);
                d = opendir(path);
                assert(d);
                while ((entry = readdir(d)))
                        if (entry->d_type != DT_DIR)
                                assert(unlinkat(dirfd(d), entry->d_name, 0) == 0);
                closedir(d);
        }
}

static bool is_ours(const char *name)
{
        const char *file = startswith(name, CONFIG_DROPINS "/") ?: startswith(name, CONFIG_BOTS "/");

        if (!file)
                return streq(name, CONFIG_MAIN);
        return *file && strlen(file) <= NAME_MAX && !strchr(file, '/') && !streq(file, ".") && !streq(file, "..");
}

static void put_file(const char *directory, const char *name, const char *bytes, size_t size)
{
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -EBADF;

        if (!is_ours(name))
                return;
        assert(asprintf(&path, "%s/%s", directory, name) > 0);
        (void) unlink(path);
        if (!bytes) {
                assert(symlink("/dev/null", path) == 0);
                return;
        }
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert(fd >= 0 && write_all(fd, bytes, size) == 0);
}

static bool begins_file(char c)
{
        return c == '=' || c == '~' || c == '!';
}

static void put_files(FuzzInput in)
{
        for (unsigned n = 0; in.left > 0 && n < FILES_MAX; n++) {
                _cleanup_free_ char *head = fuzz_take_line(&in);
                const char *begin = in.next;

                while (in.left > 0 && !begins_file(in.next[0]))
                        free(fuzz_take_line(&in));
                if (head[0] == '=' || head[0] == '~')
                        put_file(head[0] == '=' ? place()->high : place()->low, head + 1, begin,
                                 (size_t) (in.next - begin));
                else if (head[0] == '!')
                        put_file(place()->high, head + 1, NULL, 0);
        }
}

/* ---- what is said ---- */

/* A path that was cleaned for people may not be one any more: then any line will do. */
static unsigned count_lines(const char *path)
{
        _cleanup_free_ char *bytes = NULL;
        unsigned n = 1;
        size_t size;

        if (read_file_at(AT_FDCWD, path, 0, CONFIG_FILE_MAX, &bytes, &size) < 0)
                return UINT_MAX;
        for (size_t i = 0; i < size; i++)
                n += bytes[i] == '\n';
        return n;
}

static void assert_no_secret(const char *text)
{
        for (size_t at = 0; text[at]; at++)
                assert(bot_token_secret_length(text, at) == 0);
}

static bool check_problems(const ConfigProblems *problems)
{
        bool usable = true;

        for (size_t i = 0; i < problems->n; i++) {
                const ConfigProblem *p = problems->items + i;

                fuzz_assert_text(p->message, MESSAGE_SIZE_MAX);
                fuzz_assert_text(p->path, PATH_MAX);
                assert_no_secret(p->message);
                assert(p->line <= count_lines(p->path));
                assert(p->line > 0 || strstr(p->message, "cannot be read") || strstr(p->message, "no name of a bot"));
                if (p->bot)
                        fuzz_assert_text(p->bot, NAME_MAX);
                else
                        usable = false;
        }
        return usable;
}

/* ---- what is understood ---- */

static void check_bot(const Config *c, const BotConfig *b)
{
        bool takes_spool = false;

        assert(bot_name_is_valid(b->name) && config_find_bot(c, b->name) == b);
        assert(b->initial_seat == SEAT_UNDECLARED || b->initial_seat == SEAT_CLOUD || b->initial_seat == SEAT_LOCAL);
        assert(b->move >= 0 && b->move < MOVE_MAX && b->fallback >= 0 && b->fallback < FALLBACK_MAX);
        assert(b->on_undrained >= 0 && b->on_undrained < ON_UNDRAINED_MAX);
        assert(b->stop_timeout_usec >= USEC_PER_SEC && b->stop_timeout_usec <= USEC_PER_HOUR);
        assert(b->hold_timeout_usec <= 24 * USEC_PER_HOUR && b->settle_usec <= 10 * USEC_PER_MIN);
        assert(strv_length(b->workers) <= RECORD_UNITS_MAX && strv_length(b->exports) <= RECORD_UNITS_MAX);
        STRV_FOREACH(worker, b->workers) {
                assert(unit_name_is_valid(*worker) != unit_name_is_glob(*worker));
                assert(!unit_name_matches(*worker, c->server_unit));
                takes_spool = takes_spool || (b->spool_to && unit_name_matches(*worker, b->spool_to));
                for (size_t i = 0; i < c->n_bots; i++)
                        assert(c->bots[i] == b || !strv_contains(c->bots[i]->workers, *worker));
        }
        assert(!b->spool_to || takes_spool);
        assert(!b->spool_to_given || b->spool_to);
        assert(!b->webhook_has_secret || b->webhook_secret_known);
        STRV_FOREACH(export, b->exports)
                assert(export_is_valid(*export));
}

static void check_config(const Config *c)
{
        const char *why;

        assert(botapi_root_check(c->cloud_root, &why) == 0 && botapi_root_check(c->local_root, &why) == 0);
        assert(unit_name_is_valid(c->server_unit));
        assert(!c->local_files || directory_is_valid(c->local_files));
        assert(c->connections_max >= 1 && c->connections_max <= 1000);
        assert(c->concurrency >= 1 && c->concurrency <= 64);
        assert(c->max_failures >= 1 && c->max_failures <= 1000);
        for (size_t i = 0; i < c->n_bots; i++) {
                assert(i == 0 || strcmp(c->bots[i - 1]->name, c->bots[i]->name) < 0);
                check_bot(c, c->bots[i]);
        }
}

/* ---- what is copied ---- */

static void assert_same_bot(const BotConfig *a, const BotConfig *b)
{
        assert(streq(a->name, b->name));
        assert(a->initial_seat == b->initial_seat);
        assert(strv_equal(a->workers, b->workers));
        assert(streq_ptr(a->spool_to, b->spool_to));
        assert(a->spool_to_given == b->spool_to_given);
        assert(a->move == b->move);
        assert(a->on_undrained == b->on_undrained);
        assert(a->on_undrained_given == b->on_undrained_given);
        assert(a->drain_timeout_usec == b->drain_timeout_usec);
        assert(a->stop_timeout_usec == b->stop_timeout_usec);
        assert(a->start_timeout_usec == b->start_timeout_usec);
        assert(a->spool_timeout_usec == b->spool_timeout_usec);
        assert(a->log_out_timeout_usec == b->log_out_timeout_usec);
        assert(a->log_in_timeout_usec == b->log_in_timeout_usec);
        assert(a->hold_timeout_usec == b->hold_timeout_usec);
        assert(a->settle_usec == b->settle_usec);
        assert(a->export_token == b->export_token);
        assert(strv_equal(a->exports, b->exports));
        assert(a->webhook_has_secret == b->webhook_has_secret);
        assert(a->webhook_secret_known == b->webhook_secret_known);
        assert(streq_ptr(a->webhook_ip_address, b->webhook_ip_address));
        assert(a->fallback == b->fallback);
        assert(a->fallback_grace_usec == b->fallback_grace_usec);
}

static void assert_same(const Config *a, const Config *b)
{
        assert(streq(a->cloud_root, b->cloud_root));
        assert(streq(a->local_root, b->local_root));
        assert(streq(a->server_unit, b->server_unit));
        assert(streq_ptr(a->local_files, b->local_files));
        assert(a->server_start_timeout_usec == b->server_start_timeout_usec);
        assert(a->login_probe == b->login_probe);
        assert(a->state_free_min == b->state_free_min);
        assert(a->connections_max == b->connections_max);
        assert(a->concurrency == b->concurrency);
        assert(a->max_failures == b->max_failures);
        assert(a->stop_when_unused == b->stop_when_unused);
        assert(a->server_probe_usec == b->server_probe_usec);
        assert(a->n_bots == b->n_bots);
        for (size_t i = 0; i < a->n_bots; i++)
                assert_same_bot(a->bots[i], b->bots[i]);
}

static Config *load_copy(void)
{
        const char *const directories[] = { place()->copy, NULL };
        ConfigProblems problems = {};
        Config *c = NULL;

        assert(config_load(directories, &c, &problems) == 0);
        assert(problems.n == 0);
        return c;
}

static void check_copy(const char *const *directories, const Config *c)
{
        _cleanup_(config_freep) Config *copy = NULL, *without = NULL;

        assert(config_save_copy(directories, place()->copy) == 0);
        copy = load_copy();
        assert_same(c, copy);
        /* the second time there is nothing to do */
        assert(config_save_copy(directories, place()->copy) == 0);
        if (c->n_bots == 0)
                return;
        assert(config_copy_forget_bot(place()->copy, c->bots[0]->name) == 0);
        without = load_copy();
        assert(without->n_bots == c->n_bots - 1 && !config_find_bot(without, c->bots[0]->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const char *const directories[] = { place()->high, place()->low, NULL };
        _cleanup_(config_problems_done) ConfigProblems problems = {};
        _cleanup_(config_freep) Config *c = NULL;
        bool usable;
        int r;

        remove_files(place()->high);
        remove_files(place()->low);
        remove_files(place()->copy);
        put_files(fuzz_input(data, size));

        r = config_load(directories, &c, &problems);
        usable = check_problems(&problems);
        assert(r == (usable ? 0 : -EINVAL));
        assert(usable == (c != NULL));
        if (c) {
                check_config(c);
                check_copy(directories, c);
        } else
                assert(config_save_copy(directories, place()->copy) == -EINVAL);
        return 0;
}
