/* SPDX-License-Identifier: MIT */

/* What `tgswitchctl remove` does where the bot moves on while somebody reads, where a step fails, and where an earlier
 * run was killed: its files are real, on a disk that may fail, and everything else does as the test says. The rest of
 * it needs a host: tests/host/scenarios/840-add.sh. Defends L1, L2, L4 and L9. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fault-fs.h"
#include "scratch.h"

/* The objects of the program are not in the library. Of this one everything is real but systemd. */
#include "ctl/ctl-adopt-apply.h"
CtlExit reload_systemd_by_bus(Ctl *c);
#define adopt_reload_systemd reload_systemd_by_bus
#include "ctl/ctl-adopt-apply.c"
#undef adopt_reload_systemd
#include "ctl/ctl-remove.c"

#define BACK "Everything was put back as it was.\n"

/* ---- what is around it ---- */

static struct {
        char heard[4096]; /* each sentence with a newline */
        char done[256];   /* what was asked for, each with a blank */
        CtlBot bots[4];   /* what tgswitchd says of the bot, one after the other; without a name: it knows none */
        unsigned n_read;
        int state, clear, token; /* results */
} fake;

static void note(const char *what)
{
        strcat(fake.done, what);
        strcat(fake.done, " ");
}

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        size_t n = strlen(fake.heard);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(fake.heard + n, sizeof(fake.heard) - n - 1, format, ap);
        va_end(ap);
        strcat(fake.heard, "\n");
        return status;
}

CtlExit ctl_oom(void)
{
        return CTL_FAILED;
}

CtlExit ctl_call_failed(const char *subject, int r, const sd_bus_error *error)
{
        return ctl_error(CTL_FAILED, "%s: the call fails.", subject);
}

CtlExit adopt_reload_systemd(Ctl *c)
{
        note("reload");
        return CTL_OK;
}

int units_job(sd_bus *bus, const char *method, const char *unit, usec_t timeout_usec, sd_bus_error *error)
{
        return 1;
}

CtlExit daemon_restart(Ctl *c)
{
        note("restart");
        return CTL_OK;
}

int ctl_state_read(Ctl *c, CtlState *s, sd_bus_error *error)
{
        assert_true(fake.n_read < ELEMENTSOF(fake.bots));
        s->bots = fake.bots + fake.n_read++;
        s->n_bots = s->bots->name ? 1 : 0;
        return fake.state;
}

void ctl_state_done(CtlState *s)
{
}

CtlBot *ctl_state_bot(const CtlState *s, const char *name)
{
        return s->n_bots > 0 ? s->bots : NULL;
}

CtlExit ctl_begin(Ctl *c, CtlState *s)
{
        return CTL_OK;
}

usec_t ctl_bot_allowed_usec(const CtlBot *b, const char *seat)
{
        return streq(seat, "cloud") ? b->cloud_allowed_usec : b->local_allowed_usec;
}

int ctl_call(Ctl *c, const char *path, const char *interface, const char *member, sd_bus_error *error,
             sd_bus_message **ret, const char *types, ...)
{
        note(member);
        return fake.clear;
}

CtlExit token_store_open(TokenStore *s, const char *root, const char *bot)
{
        return CTL_OK;
}

void token_store_close(TokenStore *s)
{
}

char *token_path(TokenForm form, const char *bot)
{
        return NULL;
}

const char *token_form_to_string(TokenForm f)
{
        return "plain";
}

int token_remove(TokenStore *s)
{
        note("token-away");
        return fake.token;
}

int token_keep(TokenStore *s)
{
        note("token-wiped");
        return 0;
}

int token_put_back(TokenStore *s)
{
        note("token-back");
        return 0;
}

void adoption_done(Adoption *a)
{
}

CtlExit adoption_begin(Ctl *c, Adoption *a)
{
        return CTL_OK;
}

CtlExit adoption_plan_undo(Ctl *c, Adoption *a)
{
        return CTL_OK;
}

CtlExit adoption_check_seat(const Ctl *c, const Adoption *a, const CtlBot *b)
{
        return !b || streq(b->seat, "cloud") ? CTL_OK : ctl_error(CTL_CHECKS_FAILED, "%s is not there.", b->name);
}

CtlExit adoption_print(const Ctl *c, const Adoption *a, json_object *json)
{
        return CTL_OK;
}

CtlExit adopt_file_print(const Ctl *c, const AdoptFile *f)
{
        return CTL_OK;
}

CtlExit adoption_restart(Ctl *c, const Adoption *a, json_object *json)
{
        return CTL_OK;
}

bool ctl_ask(const char *format, ...)
{
        return true;
}

void seal_memory(void)
{
}

const char *show_place(const char *seat)
{
        return "the cloud";
}

char *show_window(char buffer[static SHOW_SIZE], const char *seat, usec_t allowed_usec, usec_t now_usec)
{
        (void) snprintf(buffer, SHOW_SIZE, "%s not before long", seat);
        return buffer;
}

json_object *ctl_json_new(void)
{
        return json_object_new_object();
}

void ctl_json_add(json_object *object, const char *key, json_object *value)
{
        (void) json_object_object_add(object, key, value);
}

json_object *json_text(const char *s)
{
        return json_object_new_string(s);
}

CtlExit ctl_print_json(json_object *object)
{
        json_object_put(object);
        return CTL_OK;
}

/* ---- tests ---- */

typedef struct Fixture {
        char *directory;
        Adoption adoption;
        Removal o;
} Fixture;

/* As after plan(): the bot at the cloud, with a service behind the gate and the token. */
static int set_up(void **state)
{
        static Fixture f;

        memset(&fake, 0, sizeof(fake));
        for (size_t i = 0; i < ELEMENTSOF(fake.bots); i++)
                fake.bots[i] = (CtlBot){ .name = (char *) "shop", .seat = (char *) "cloud" };
        f = (Fixture){ .directory = scratch_new(), .o = { .name = "shop", .store.form = TOKEN_PLAIN } };
        scratch_write(f.directory, "bots.d/shop.conf", "[Bot]\n");
        scratch_write(f.directory, "shop.service.d/50-tgswitch.conf", "[Service]\n");
        assert_true(asprintf(&f.o.bot_file.path, "%s/bots.d/shop.conf", f.directory) > 0);
        assert_true(asprintf(&f.adoption.drop_in.path, "%s/shop.service.d/50-tgswitch.conf", f.directory) > 0);
        f.adoption.drop_in.own_directory = true;
        assert_int_equal(adopt_file_read(&f.o.bot_file), 0);
        assert_int_equal(adopt_file_read(&f.adoption.drop_in), 0);
        f.o.adoptions = &f.adoption;
        f.o.n_adoptions = 1;
        f.o.state = fake.bots;
        *state = &f;
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        fault_fs_end();
        adopt_file_done(&f->o.bot_file);
        adopt_file_done(&f->adoption.drop_in);
        strv_free(f->o.losses);
        scratch_remove(f->directory);
        return 0;
}

static bool is_there(const char *directory, const char *name)
{
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
        return access(path, F_OK) == 0;
}

static void assert_files(const Fixture *f, bool present)
{
        assert_int_equal(is_there(f->directory, "bots.d/shop.conf"), present);
        assert_int_equal(is_there(f->directory, "shop.service.d/50-tgswitch.conf"), present);
}

/* The spool goes when nothing else can fail; the directory of the unit goes with its file, that of the bots does not.
 */
static void test_order(void **state)
{
        Fixture *f = *state;
        Ctl c = { .force = true };

        fake.bots[0].spooled = 3;
        assert_int_equal(change(&c, &f->o), CTL_OK);
        assert_string_equal(fake.done, "reload token-away restart ClearSpool token-wiped ");
        assert_string_equal(fake.heard, "");
        assert_files(f, false);
        assert_true(is_there(f->directory, "bots.d"));
        assert_false(is_there(f->directory, "shop.service.d"));
}

static void test_spool_stays(void **state)
{
        Fixture *f = *state;
        Ctl c = { .force = true };

        fake.bots[0].spooled = 3;
        fake.clear = -EIO;
        assert_int_equal(change(&c, &f->o), CTL_FAILED);
        assert_string_equal(fake.done, "reload token-away restart ClearSpool token-back restart reload ");
        assert_string_equal(fake.heard, "shop: the call fails.\n" BACK);
        assert_files(f, true);
}

/* A run that was killed had taken the drop-in, and systemd has not heard of it. */
static void test_reload_without_drop_in(void **state)
{
        Fixture *f = *state;
        Ctl c = {};

        f->o.n_adoptions = 0;
        assert_int_equal(change(&c, &f->o), CTL_OK);
        assert_string_equal(fake.done, "reload token-away restart token-wiped ");
}

/* While the question stood there, with the answer to it given. */
static void test_moved_on(void **state)
{
        static const struct {
                CtlBot now;
                CtlExit status;
                const char *heard;
        } rows[] = {
                { { .seat = (char *) "cloud", .job_id = 7 },
                  CTL_BUSY,
                  "shop is on its way and needs its token to arrive: 'tgswitchctl wait 7' first, or 'tgswitchctl cancel "
                  "7'. Nothing was changed.\n" },
                { { .seat = (char *) "none" },
                  CTL_BUSY,
                  "It is not known where shop is logged in: 'tgswitchctl status shop' says why. Nothing was changed.\n" },
                { { .seat = (char *) "local" }, CTL_CHECKS_FAILED, "shop is not there.\nNothing was changed.\n" },
                { { .seat = (char *) "cloud", .local_allowed_usec = USEC_INFINITY },
                  CTL_TOO_EARLY,
                  "shop: local not before long: nothing would keep a program with the token from asking there before, "
                  "which makes the lock longer.\nNothing was changed. Wait until nothing of this is so any more, or give "
                  "--force.\n" },
        };
        Fixture *f = *state;
        Ctl c = {};

        FOREACH_ELEMENT(row, rows) {
                fake.n_read = 0;
                fake.heard[0] = '\0';
                fake.bots[0] = row->now;
                fake.bots[0].name = (char *) "shop";
                assert_int_equal(change(&c, &f->o), row->status);
                assert_string_equal(fake.heard, row->heard);
                assert_string_equal(fake.done, "");
        }
        fake.n_read = 0;
        fake.heard[0] = '\0';
        fake.state = -EIO;
        assert_int_equal(change(&c, &f->o), CTL_FAILED);
        assert_string_equal(fake.heard, "shop: the call fails.\n");
        assert_string_equal(fake.done, "");
        assert_files(f, true);
}

/* In the last moment: tgswitchd has begun a move that it found on its disk when it came back, without the token. */
static void test_moved_in_the_last_moment(void **state)
{
        Fixture *f = *state;
        Ctl c = { .force = true };

        fake.bots[1].job_id = 7;
        assert_int_equal(change(&c, &f->o), CTL_BUSY);
        assert_string_equal(fake.done, "reload token-away restart token-back restart reload ");
        assert_string_equal(fake.heard, "shop is on its way and needs its token to arrive: 'tgswitchctl wait 7' first, "
                                        "or 'tgswitchctl cancel 7'.\n" BACK);
        assert_files(f, true);
}

/* What fails last has changed the file: it is put back, or it is said that it could not be. */
static void test_disk_fails(void **state)
{
        static const struct {
                FsCall call;
                unsigned n;
        } rows[] = { { FS_UNLINK, 1 }, { FS_FSYNC, 1 }, { FS_UNLINK, 2 }, { FS_FSYNC, 3 } };
        Fixture *f = *state;
        Ctl c = {};

        FOREACH_ELEMENT(row, rows) {
                fake.n_read = 0;
                fake.heard[0] = '\0';
                f->o.token_removed = f->o.daemon_restarted = f->o.bot_file.touched = f->adoption.drop_in.touched =
                                false;
                fault_fs_begin();
                fault_fs_fail(row->call, row->n, EIO);
                assert_int_equal(change(&c, &f->o), CTL_FAILED);
                assert_true(fault_fs_happened());
                fault_fs_end();
                assert_non_null(strstr(fake.heard, " cannot be written: Input/output error."));
                assert_non_null(strstr(fake.heard, BACK));
                assert_files(f, true);
                assert_null(strstr(fake.done, "token-away"));
        }
}

static void test_changed_meanwhile(void **state)
{
        Fixture *f = *state;
        AdoptFile *file = &f->o.bot_file;

        file->touched = true;
        scratch_write(f->directory, "bots.d/shop.conf", "# mine\n");
        assert_int_equal(adopt_file_put_back(file), CTL_FAILED);
        assert_non_null(strstr(fake.heard,
                               "cannot be put back (somebody has changed it meanwhile): look at it yourself"));
        fake.heard[0] = '\0';
        file->touched = false;
        assert_int_equal(adopt_file_write(file), CTL_FAILED);
        assert_false(file->touched);
        assert_non_null(strstr(fake.heard, "has changed since it was read; give the same command again"));
        assert_int_equal(adopt_file_put_back(file), CTL_OK);
        assert_true(is_there(f->directory, "bots.d/shop.conf"));
}

/* It is not offered to take away what is away. */
static void test_nothing_but_a_record(void **state)
{
        Fixture *f = *state;
        Removal *o = &f->o;

        o->n_adoptions = 0;
        fake.bots[0].last_error = (char *) "There is no bots.d/shop.conf any more";
        assert_int_equal(judge_rest(o), CTL_OK);
        free(o->bot_file.before);
        o->bot_file.before = NULL;
        assert_int_equal(judge_rest(o), CTL_OK);
        o->store.form = TOKEN_NONE;
        fake.bots[0].spooled = 1;
        assert_int_equal(judge_rest(o), CTL_OK);
        fake.bots[0].spooled = 0;
        assert_string_equal(fake.heard, "");
        assert_int_equal(judge_rest(o), CTL_NOT_FOUND);
        assert_string_equal(fake.heard,
                            "shop is removed already: tgswitchd keeps its record alone, half an hour at most, "
                            "and forgets it with the next restart or reload after that. Nothing was "
                            "changed.\n");
        /* tgswitchd has not looked since the file is gone */
        fake.bots[0].last_error = NULL;
        assert_int_equal(judge_rest(o), CTL_OK);
        o->state = NULL;
        o->store.unfinished = true;
        assert_int_equal(judge_rest(o), CTL_OK);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_spool_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_reload_without_drop_in, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_moved_on, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_moved_in_the_last_moment, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_disk_fails, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_changed_meanwhile, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_nothing_but_a_record, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
