/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <libgen.h>

#include "base/fs-util.h"
#include "base/strv.h"
#include "core/unit-result.h"
#include "ctl/ctl-json.h"
#include "ctl/ctl-records.h"
#include "ctl/ctl-rules.h"
#include "ctl/ctl-units.h"
#include "io/config.h"

/* systemd may be starting us in this very moment: where it does not answer soon, the exact names have to do. */
#define SYSTEMD_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* Tells what is wrong and does not stop us. */
static int print_problem(const char *text, json_object *json)
{
        (void) ctl_error(CTL_OK, "%s", text);
        return json_object_array_add(json, json_text(text)) < 0 ? -ENOMEM : 0;
}

static int print_problems(const ConfigProblems *problems, json_object *json)
{
        for (size_t i = 0; i < problems->n; i++) {
                _cleanup_free_ char *text = config_problem_describe(problems->items + i);
                int r = text ? print_problem(text, json) : -ENOMEM;

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Sorts what the configuration names: units by name, and globs. */
static int collect_names(const Config *config, char ***units, char ***globs)
{
        int r;

        r = strv_extend_unique(units, config->server_unit);
        if (r < 0)
                return r;
        for (size_t i = 0; i < config->n_bots; i++)
                STRV_FOREACH(w, config->bots[i]->workers) {
                        r = strv_extend_unique(unit_name_is_valid(*w) ? units : globs, *w);
                        if (r < 0)
                                return r;
                }
        return 0;
}

/* Adds what systemd alone knows: instances behind globs, real names behind aliases, and what triggers a worker. */
static int ask_systemd(Ctl *c, char *const *globs, char ***units)
{
        _cleanup_strv_ char **workers = NULL;
        int r;

        if (!c->bus) {
                r = sd_bus_open_system(&c->bus);
                if (r < 0)
                        return r;
        }
        r = sd_bus_set_method_call_timeout(c->bus, SYSTEMD_TIMEOUT_USEC);
        if (r < 0)
                return r;
        if (strv_length(globs) > 0) {
                r = units_expand(c->bus, globs, units);
                if (r < 0)
                        return r;
        }
        r = strv_copy(*units, &workers);
        if (r < 0)
                return r;
        STRV_FOREACH(w, workers) {
                r = units_add_triggers(c->bus, *w, units);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* As long as part of the configuration cannot be read, or a bot is on its way, the daemon goes on with what it read
 * before, and may have those units to start: what the present rule names stays in it. */
static int keep_present(const char *present, char ***units)
{
        _cleanup_strv_ char **names = NULL;
        int r;

        r = rules_parse(present, &names);
        if (r < 0)
                return r;
        STRV_FOREACH(n, names) {
                r = strv_extend_unique(units, *n);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Returns 1 where the file was written, 0 where it had this content. */
static int write_rules(const char *file, const char *present, const char *text)
{
        _cleanup_free_ char *for_directory = strdup(file), *for_name = strdup(file);
        _cleanup_close_ int directory = -EBADF;
        int r;

        if (!for_directory || !for_name)
                return -ENOMEM;
        if (streq_ptr(present, text))
                return 0;
        directory = open(dirname(for_directory), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        r = write_file_atomic_at(directory, basename(for_name), text, strlen(text), 0644, WRITE_SYNC);
        return r < 0 ? r : 1;
}

static int read_present(const char *file, char **ret)
{
        size_t size;
        int r;

        r = read_file_at(AT_FDCWD, file, 0, RULES_SIZE_MAX, ret, &size);
        return r == -ENOENT ? 0 : r;
}

static CtlExit report(Ctl *c, const char *file, bool changed, char **units, json_object *problems)
{
        json_object *o, *names;

        if (!c->json) {
                printf("%s %s %zu units.\n", file, changed ? "now allows" : "is up to date and allows",
                       strv_length(units));
                return CTL_OK;
        }
        o = ctl_json_new();
        names = json_object_new_array();
        STRV_FOREACH(u, units)
                if (json_object_array_add(names, json_text(*u)) < 0)
                        abort();
        ctl_json_add(o, "file", json_text(file));
        ctl_json_add(o, "changed", json_object_new_boolean(changed));
        ctl_json_add(o, "units", names);
        ctl_json_add(o, "problems", json_object_get(problems));
        return ctl_print_json(o);
}

/* Which bots are on their way: such a one needs its workers until it has arrived, though its file may be gone by now,
 * or name others. Returns 1 where all records were looked at, 0 where they cannot be.
 *
 * The records are the unprivileged daemon's. So they only have names stay in the rule that the configuration, which is
 * root's, has put there; no record can bring in another. */
static int look_at_records(char ***ret_bots, json_object *problems)
{
        _cleanup_strv_ char **bots = NULL, **complaints = NULL;
        _cleanup_free_ char *directory = NULL, *text = NULL;
        const char *list = getenv("STATE_DIRECTORY");
        int r;

        /* systemd.exec(5): there may be more than one, with colons between */
        directory = isempty(list) ? strdup(STATE_DIRECTORY) : strndup(list, strcspn(list, ":"));
        if (!directory)
                return -ENOMEM;
        r = records_on_their_way(directory, &bots, &complaints);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                if (asprintf(&text,
                             "The records in %s cannot be read (%s), and some bot may be on its way: what the rule named "
                             "stays in it. Look at them as root, then run this again.",
                             directory, strerror(-r)) < 0) {
                        text = NULL;
                        return -ENOMEM;
                }
                return print_problem(text, problems);
        }
        STRV_FOREACH(c, complaints) {
                r = print_problem(*c, problems);
                if (r < 0)
                        return r;
        }
        *ret_bots = TAKE_PTR(bots);
        return 1;
}

/* Says why the rule has more names than the configuration. */
static int tell_kept(size_t n_kept, char *const *bots)
{
        _cleanup_free_ char *names = strv_join(bots, ", ");

        if (!names)
                return -ENOMEM;
        (void) ctl_error(CTL_OK,
                         "%s: on the way, so that the rule keeps %zu unit%s that the configuration does not name any "
                         "more; run 'systemctl reload tgswitchd' when %s arrived.",
                         names, n_kept, n_kept == 1 ? "" : "s", strv_length(bots) == 1 ? "it has" : "they have");
        return 0;
}

/* Adds what the present rule names, where that is needed still. */
static int keep_what_is_needed(const char *present, bool complete, char ***units, json_object *problems)
{
        _cleanup_strv_ char **bots = NULL;
        size_t n = strv_length(*units);
        int r;

        r = look_at_records(&bots, problems);
        if (r < 0)
                return r;
        if (!present || (complete && r > 0 && !bots))
                return 0;
        r = keep_present(present, units);
        if (r < 0)
                return r;
        return bots && strv_length(*units) > n ? tell_kept(strv_length(*units) - n, bots) : 0;
}

static int tell_unanswered(int r)
{
        (void) ctl_error(CTL_OK,
                         "systemd could not be asked (%s): the rule gets no further name; run 'systemctl reload "
                         "tgswitchd' later.",
                         strerror(-r));
        return 0;
}

/* All names: of the configuration, as far as it can be read, and of systemd, as far as that answers. */
static int collect_units(Ctl *c, const Config *config, bool *ret_answered, char ***units)
{
        _cleanup_strv_ char **globs = NULL;
        int r;

        r = collect_names(config, units, &globs);
        if (r < 0)
                return r;
        r = ask_systemd(c, globs, units);
        *ret_answered = r >= 0;
        if (r >= 0 || r == -ENOMEM)
                return r;
        return tell_unanswered(r);
}

/* Newer versions of systemd ask polkit about StartTransientUnit() as about StartUnit(): with the name of a unit that
 * does not exist, whoever took the daemon over could start any program as root. One that exists systemd does not let
 * anybody replace. */
static int leave_out_missing(Ctl *c, char ***units, json_object *problems)
{
        _cleanup_strv_ char **present = NULL, **missing = NULL;
        int r;

        r = units_split_missing(c->bus, *units, &present, &missing);
        if (r < 0)
                return r;
        strv_free(*units);
        *units = TAKE_PTR(present);
        STRV_FOREACH(m, missing) {
                _cleanup_free_ char *text = NULL;

                if (asprintf(&text,
                             "%s does not exist, so the rule leaves it out: run 'systemctl reload tgswitchd' when it is "
                             "installed.",
                             *m) < 0) {
                        text = NULL;
                        return -ENOMEM;
                }
                r = print_problem(text, problems);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Which units exist, systemd alone knows: as long as it does not say, the present rule is kept as it is. Where there is
 * none yet, the exact names have to do, without which the daemon could not move any bot. */
static int settle_units(Ctl *c, const char *present, bool answered, char ***units, json_object *problems)
{
        int r = 0;

        if (answered) {
                r = leave_out_missing(c, units, problems);
                if (r >= 0 || r == -ENOMEM)
                        return r;
                r = tell_unanswered(r);
        }
        if (!present)
                return r;
        *units = strv_free(*units);
        return keep_present(present, units);
}

static CtlExit authorize(Ctl *c, const char *file, const Config *config, bool complete, json_object *problems)
{
        _cleanup_strv_ char **units = NULL;
        _cleanup_free_ char *present = NULL, *text = NULL;
        bool answered;
        int r, changed;

        if (collect_units(c, config, &answered, &units) < 0)
                return ctl_oom();
        r = read_present(file, &present);
        if (r < 0)
                return ctl_error(CTL_FAILED, "%s cannot be read: %s. Take it away, then run this again.", file,
                                 strerror(-r));
        if (keep_what_is_needed(present, complete && answered, &units, problems) < 0)
                return ctl_oom();
        if (settle_units(c, present, answered, &units, problems) < 0)
                return ctl_oom();
        r = rules_render(units, &text);
        /* All names were valid when they were collected. */
        assert(r != -EINVAL);
        if (r < 0)
                return ctl_oom();
        changed = write_rules(file, present, text);
        if (changed < 0)
                return ctl_error(CTL_FAILED,
                                 "%s cannot be written: %s. Without it tgswitchd may not start or stop any "
                                 "unit; is polkitd installed?",
                                 file, strerror(-changed));
        return report(c, file, changed, units, problems);
}

CtlExit verb_authorize(Ctl *c)
{
        _cleanup_(config_problems_done) ConfigProblems problems = { 0 };
        _cleanup_(config_freep) Config *config = NULL;
        const char *file = c->output ?: RULES_FILE;
        json_object *json = json_object_new_array();
        CtlExit status;
        int r;

        r = config_load(config_directories, &config, &problems);
        if (print_problems(&problems, json) < 0)
                status = ctl_oom();
        else if (r == -EINVAL)
                status = ctl_error(CTL_OK,
                                   "The configuration cannot be used, and %s stays as it is; tgswitchd goes on with "
                                   "the configuration that it last read. Correct what is said above.",
                                   file);
        else if (r < 0)
                status = ctl_oom();
        else
                status = authorize(c, file, config, problems.n == 0, json);

        if (status == CTL_OK && c->strict && problems.n > 0)
                status = CTL_FAILED;
        json_object_put(json);
        return status;
}
