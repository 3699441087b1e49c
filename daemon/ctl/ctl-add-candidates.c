/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-add-candidates.h"
#include "ctl/ctl-adopt-unit.h"
#include "ctl/ctl-dict.h"
#include "ctl/ctl-units.h"

#define FILE_SIZE_MAX    (1024u * 1024u)
#define COMMAND_SIZE_MAX 4096u

/* ---- one unit ---- */

typedef struct Search {
        sd_bus *bus;
        const BotToken *token;
        const char *local_root;
} Search;

typedef struct Unit {
        char *name, *load_state, *fragment;
        char **drop_ins;
} Unit;

static const DictField unit_fields[] = {
        { "Id", DICT_STRING, offsetof(Unit, name) },
        { "LoadState", DICT_STRING, offsetof(Unit, load_state) },
        { "FragmentPath", DICT_STRING, offsetof(Unit, fragment) },
        { "DropInPaths", DICT_STRV, offsetof(Unit, drop_ins) },
        {},
};

static void unit_done(Unit *u)
{
        free(u->name);
        free(u->load_state);
        free(u->fragment);
        strv_free(u->drop_ins);
}

/* Of the unit itself, by whatever links systemd came to it. What cannot be read tells nothing. */
static int look_at_unit_file(const Search *s, Candidate *c, const char *path)
{
        char *text;
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, path, 0, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = candidate_look(c, path, text, CANDIDATE_TOKEN, s->token, s->local_root);
        explicit_bzero(text, size);
        free(text);
        return r;
}

/* Not by its size, which is 0 in /proc. A program says there what it likes. */
static int look_at_command(const Search *s, Candidate *c, uint32_t pid)
{
        _cleanup_close_ int fd = -EBADF;
        char path[32], text[COMMAND_SIZE_MAX + 1];
        ssize_t n;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cmdline", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, COMMAND_SIZE_MAX);
        if (n <= 0)
                return 0;
        for (ssize_t i = 0; i < n; i++)
                if (text[i] == '\0')
                        text[i] = ' ';
        text[n] = '\0';
        r = candidate_look(c, "the command line of its program", text, CANDIDATE_FRAMEWORK, s->token, s->local_root);
        explicit_bzero(text, sizeof(text));
        return r;
}

/* What programs read by themselves, and what says what they are made of. */
static int look_at_directory(const Search *s, Candidate *c, const char *directory)
{
        static const char *const names[] = { ".env",           "package.json", "requirements.txt",
                                             "pyproject.toml", "Cargo.toml",   "go.mod" };

        /* systemd marks with these one that may be missing, and that of the user */
        directory += strspn(directory, "!-");
        if (directory[0] != '/' || directory[1] == '\0')
                return 0;
        FOREACH_ELEMENT(name, names) {
                _cleanup_free_ char *path = NULL;
                int r;

                if (asprintf(&path, "%s/%s", directory, *name) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = candidate_look_at_file(c, path, s->token, s->local_root);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int look_at_environment(const Search *s, Candidate *c, const char *path)
{
        _cleanup_strv_ char **variables = NULL, **files = NULL;
        int r;

        r = sd_bus_get_property_strv(s->bus, SYSTEMD_NAME, path, SYSTEMD_NAME ".Service", "Environment", NULL,
                                     &variables);
        STRV_FOREACH(v, variables) {
                if (r >= 0)
                        r = candidate_look(c, "its Environment=", *v, CANDIDATE_TOKEN, s->token, s->local_root);
                explicit_bzero(*v, strlen(*v));
        }
        if (r >= 0)
                r = adopt_unit_environment_files(s->bus, path, &files);
        STRV_FOREACH(f, files)
                if (r >= 0)
                        r = candidate_look_at_file(c, *f, s->token, s->local_root);
        return r;
}

static int look_at_service(const Search *s, Candidate *c, const char *path)
{
        _cleanup_free_ char *directory = NULL;
        uint32_t pid;
        int r;

        r = look_at_environment(s, c, path);
        if (r < 0)
                return r;
        r = sd_bus_get_property_string(s->bus, SYSTEMD_NAME, path, SYSTEMD_NAME ".Service", "WorkingDirectory", NULL,
                                       &directory);
        if (r >= 0)
                r = look_at_directory(s, c, directory);
        if (r < 0)
                return r;
        r = sd_bus_get_property_trivial(s->bus, SYSTEMD_NAME, path, SYSTEMD_NAME ".Service", "MainPID", NULL, 'u',
                                        &pid);
        return r < 0 || pid == 0 ? r : look_at_command(s, c, pid);
}

/* Fills in `c`, whose unit stays NULL where this is none that could be adopted. */
static int look_at_unit(const Search *s, const char *unit, Candidate *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *loaded = NULL, *properties = NULL;
        _cleanup_(unit_done) Unit u = {};
        const char *path;
        int r;

        r = sd_bus_call_method(s->bus, SYSTEMD_NAME, SYSTEMD_PATH, SYSTEMD_INTERFACE, "LoadUnit", NULL, &loaded, "s",
                               unit);
        if (r >= 0)
                r = sd_bus_message_read(loaded, "o", &path);
        if (r >= 0)
                r = sd_bus_call_method(s->bus, SYSTEMD_NAME, path, "org.freedesktop.DBus.Properties", "GetAll", NULL,
                                       &properties, "s", SYSTEMD_NAME ".Unit");
        if (r >= 0)
                r = dict_read(properties, unit_fields, &u);
        /* by an alias it comes once more */
        if (r < 0 || !streq_ptr(u.load_state, "loaded") || isempty(u.fragment) || !streq_ptr(u.name, unit))
                return r;
        r = look_at_unit_file(s, c, u.fragment);
        STRV_FOREACH(d, u.drop_ins)
                if (r >= 0)
                        r = look_at_unit_file(s, c, *d);
        if (r >= 0)
                r = look_at_service(s, c, path);
        if (r >= 0)
                c->unit = TAKE_PTR(u.name);
        return r;
}

/* ---- all units ---- */

static void candidate_done(Candidate *c)
{
        free(c->unit);
        free(c->why);
        *c = (Candidate){};
}

void candidates_done(Candidates *l)
{
        for (size_t i = 0; i < l->n; i++)
                candidate_done(l->items + i);
        free(l->items);
        *l = (Candidates){};
}

static int compare(const void *a, const void *b)
{
        const Candidate *x = a, *y = b;

        return x->rank != y->rank ? (int) y->rank - (int) x->rank : strcmp(x->unit, y->unit);
}

/* tgswitch's own, the server, and what belongs to another bot. */
static bool is_taken(const Config *config, const char *bot, const char *unit)
{
        if (startswith(unit, "tgswitch") || streq(unit, config->server_unit))
                return true;
        for (size_t i = 0; i < config->n_bots; i++)
                STRV_FOREACH(w, config->bots[i]->workers)
                        if (!streq(config->bots[i]->name, bot) && unit_name_matches(*w, unit))
                                return true;
        return false;
}

/* Takes what is in `c`. */
static int add_candidate(Candidates *l, Candidate *c)
{
        Candidate *grown = reallocarray(l->items, l->n + 1, sizeof(Candidate));

        if (!grown)
                return -ENOMEM;
        l->items = grown;
        grown[l->n++] = *c;
        *c = (Candidate){};
        return 0;
}

int candidates_find(Ctl *c, const Config *config, const char *bot, const BotToken *token, Candidates *ret)
{
        static char *const all[] = { (char *) "*.service", NULL };
        const Search s = { .bus = c->bus, .token = token, .local_root = config->local_root };
        _cleanup_(candidates_done) Candidates l = {};
        _cleanup_strv_ char **units = NULL;
        int r;

        r = units_expand(c->bus, all, &units);
        if (r < 0)
                return r;
        STRV_FOREACH(u, units) {
                _cleanup_(candidate_done) Candidate found = {};

                if (is_taken(config, bot, *u))
                        continue;
                r = look_at_unit(&s, *u, &found);
                if (r >= 0 && found.unit && found.rank != CANDIDATE_NONE &&
                    (found.rank > CANDIDATE_FRAMEWORK || !found.other_bot))
                        r = add_candidate(&l, &found);
                /* one that systemd does not tell about, or no longer, is none */
                if (r == -ENOMEM)
                        return r;
        }
        if (l.n > 0)
                qsort(l.items, l.n, sizeof(Candidate), compare);
        *ret = l;
        l = (Candidates){};
        return 0;
}
