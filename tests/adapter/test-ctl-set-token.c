/* SPDX-License-Identifier: MIT */

/* What `tgswitchctl set-token` says where it does not get to its end, and what it leaves behind then: everything around
 * it does as the test says. Whether it does what it says, a host shows: tests/host/scenarios/730-tokens.sh. Defends L7.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../canary.h"

/* The objects of the program are not in the library. Of these two everything is real but the question to the daemon. */
#include "ctl/ctl-daemon.h"
int check_token_by_bus(Ctl *c, const char *bot, bool restore_webhook, TokenAnswer *answer);
#define daemon_check_token check_token_by_bus
#include "ctl/ctl-daemon.c"
#undef daemon_check_token
#include "ctl/ctl-set-token.c"
#include "ctl/ctl-token-workers.c"

#define ID    7100000001
#define TOKEN "7100000001:" CANARY_SECRET

/* ---- what is around it ---- */

static struct {
        char heard[4096]; /* each sentence with a newline */
        int job;          /* result of what systemd is asked for */
        const char *job_error;
        int keep, put_back;
        unsigned n_put_back;
        TokenSaid said;
        bool no_memory; /* for the answer */
        int64_t recorded_id;
        int record, phase, workers;
} fake;

CtlExit ctl_error(CtlExit status, const char *format, ...)
{
        size_t n = strlen(fake.heard);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(fake.heard + n, sizeof(fake.heard) - n - 1, format, ap);
        va_end(ap);
        strcat(fake.heard, "\n");
        assert_null(strstr(fake.heard, CANARY_SECRET));
        return status;
}

CtlExit ctl_oom(void)
{
        return CTL_FAILED;
}

int units_job(sd_bus *bus, const char *method, const char *unit, usec_t timeout_usec, sd_bus_error *error)
{
        if (fake.job_error)
                (void) sd_bus_error_set(error, SD_BUS_ERROR_FAILED, fake.job_error);
        return fake.job;
}

int units_expand(sd_bus *bus, char *const *globs, char ***units)
{
        return 0;
}

int daemon_check_token(Ctl *c, const char *bot, bool restore_webhook, TokenAnswer *answer)
{
        token_answer_done(answer);
        answer->said = fake.said;
        answer->explanation = strdup("The server says so.");
        return fake.no_memory ? -ENOMEM : 0;
}

CtlExit token_store_open(TokenStore *s, const char *root, const char *bot)
{
        return CTL_OK;
}

void token_store_close(TokenStore *s)
{
        s->token = bot_token_free(s->token);
}

CtlExit token_read(const char *bot, const char *file, BotToken **ret)
{
        return CTL_FAILED;
}

CtlExit token_store(TokenStore *s, const BotToken *token, TokenForm form)
{
        return CTL_OK;
}

int token_keep(TokenStore *s)
{
        return fake.keep;
}

int token_put_back(TokenStore *s)
{
        fake.n_put_back++;
        return fake.put_back;
}

const char *token_form_to_string(TokenForm f)
{
        return "plain";
}

int records_bot_id(const char *state_directory, const char *bot, int64_t *ret)
{
        *ret = fake.recorded_id;
        return fake.record;
}

int records_logs_out(const char *state_directory, const char *bot)
{
        return fake.phase;
}

CtlExit ctl_connect(Ctl *c)
{
        return CTL_OK;
}

int ctl_call_message(Ctl *c, sd_bus_message *m, usec_t timeout_usec, sd_bus_error *error, sd_bus_message **ret)
{
        return -EHOSTUNREACH;
}

CtlExit ctl_call_failed(const char *subject, int r, const sd_bus_error *error)
{
        return CTL_FAILED;
}

int ctl_state_read(Ctl *c, CtlState *s, sd_bus_error *error)
{
        return 0;
}

void ctl_state_done(CtlState *s)
{
}

CtlBot *ctl_state_bot(const CtlState *s, const char *name)
{
        return NULL;
}

int ctl_bot_read(Ctl *c, const char *name, CtlBot *b)
{
        return fake.workers;
}

void ctl_bot_done(CtlBot *b)
{
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

static int set_up(void **state)
{
        static Rotation o;

        memset(&fake, 0, sizeof(fake));
        fake.job = 1;
        fake.said = TOKEN_SAID_ACCEPTED;
        o = (Rotation){ .bot = "shop", .running = true, .store = { .form = TOKEN_PLAIN } };
        assert_int_equal(bot_token_new(&o.token, TOKEN, strlen(TOKEN)), 0);
        *state = &o;
        return 0;
}

static int tear_down(void **state)
{
        rotation_done(*state);
        return 0;
}

static void assert_heard(const char *sentences)
{
        assert_string_equal(fake.heard, sentences);
        fake.heard[0] = '\0';
}

#define BACK "The token before it is back in its place, and no worker was restarted.\n"

static void test_not_taken_up(void **state)
{
        Rotation *o = *state;
        Ctl c = {};

        fake.job = 0;
        assert_int_equal(take_up(&c, o), CTL_FAILED);
        assert_heard("tgswitchd cannot be restarted (it did not start): 'journalctl -u tgswitchd' says why.\n"
                     "shop: The token was not taken up. " BACK
                     "tgswitchd cannot be restarted (it did not start): 'journalctl -u tgswitchd' says why.\n");
        assert_int_equal(fake.n_put_back, 1);

        /* There was none before. */
        fake.job = -EIO;
        fake.job_error = "Unit tgswitchd.service is masked.";
        o->store.form = TOKEN_NONE;
        assert_int_equal(take_up(&c, o), CTL_FAILED);
        assert_heard("tgswitchd cannot be restarted (Unit tgswitchd.service is masked.): 'journalctl -u tgswitchd' says "
                     "why.\n"
                     "shop: The token was not taken up. It was removed again, and no worker was restarted.\n"
                     "tgswitchd cannot be restarted (Unit tgswitchd.service is masked.): 'journalctl -u tgswitchd' says "
                     "why.\n");
        fake.job = 1;
        fake.no_memory = true;
        o->store.form = TOKEN_PLAIN;
        assert_int_equal(take_up(&c, o), CTL_FAILED);
        assert_heard("shop: The token was not taken up. " BACK);
}

static void test_refused(void **state)
{
        Ctl c = {};

        fake.said = TOKEN_SAID_REFUSED;
        assert_int_equal(take_up(&c, *state), CTL_CHECKS_FAILED);
        assert_heard("shop: The server says so. " BACK);
        fake.put_back = -EIO;
        assert_int_equal(take_up(&c, *state), CTL_FAILED);
        assert_heard("shop: The server says so. The token before it cannot be put back (Input/output error): it is in "
                     "/etc/tgswitch/tokens*/.shop.previous.\n");

        c.force = true;
        assert_int_equal(take_up(&c, *state), CTL_OK);
        assert_heard("shop: The server says so. It is kept because of --force.\n");
        assert_int_equal(fake.n_put_back, 2);
}

static void test_not_known(void **state)
{
        Ctl c = {};

        fake.said = TOKEN_SAID_UNKNOWN;
        assert_int_equal(take_up(&c, *state), CTL_OK);
        assert_heard("shop: whether the token is good is not known yet. The server says so.\n");
        fake.said = TOKEN_SAID_NOT_ASKED;
        assert_int_equal(take_up(&c, *state), CTL_OK);
        assert_heard("shop: no server was asked about the token. The server says so.\n");
        assert_int_equal(fake.n_put_back, 0);
}

#define OLD_STAYS                                                                                                \
        "The new token of shop is stored, but the one before it cannot be removed (Input/output error): remove " \
        "/etc/tgswitch/tokens*/.shop.previous.\n"

static void test_old_one_stays(void **state)
{
        Rotation *o = *state;
        Ctl c = {};

        fake.keep = -EIO;
        assert_int_equal(take_up(&c, o), CTL_FAILED);
        assert_heard(OLD_STAYS);
        o->running = false;
        assert_int_equal(take_up(&c, o), CTL_FAILED);
        assert_heard(OLD_STAYS);
}

static void test_whose_token(void **state)
{
        CtlBot bots[] = { { .name = (char *) "page", .id = ID }, { .name = (char *) "shop" } };
        Rotation *o = *state;

        assert_int_equal(judge(o), CTL_OK);
        fake.recorded_id = ID;
        assert_int_equal(judge(o), CTL_OK);
        o->all.bots = bots;
        o->all.n_bots = ELEMENTSOF(bots);
        assert_int_equal(judge(o), CTL_CHECKS_FAILED);
        assert_heard("This is the token of bot 7100000001, which is called page here: one bot has one name. Nothing was "
                     "changed.\n");
        fake.recorded_id = ID + 1;
        assert_int_equal(judge(o), CTL_CHECKS_FAILED);
        assert_heard("This is the token of bot 7100000001, but shop is bot 7100000002: ask BotFather for the token of "
                     "that one, or give the other bot a name of its own. Nothing was changed.\n");
        fake.record = -EIO;
        assert_int_equal(judge(o), CTL_FAILED);
        assert_heard("The record of shop cannot be read (Input/output error): look at /var/lib/tgswitch/bots. Nothing "
                     "was changed.\n");
}

/* While a bot is logged out, and there is a token that this is done with. */
static void test_phase(void **state)
{
        Rotation *o = *state;
        Ctl c = {};

        fake.phase = -EIO;
        assert_int_equal(judge_phase(&c, o), CTL_OK);
        assert_int_equal(bot_token_new(&o->store.token, TOKEN, strlen(TOKEN)), 0);
        assert_int_equal(judge_phase(&c, o), CTL_FAILED);
        assert_heard("The record of shop cannot be read (Input/output error): look at /var/lib/tgswitch/bots. Nothing "
                     "was changed.\n");
        fake.phase = 1;
        assert_int_equal(judge_phase(&c, o), CTL_BUSY);
        assert_non_null(strstr(fake.heard, "shop is being logged out, and a mistyped token would look like success"));
        c.force = true;
        assert_int_equal(judge_phase(&c, o), CTL_OK);
}

static void test_workers(void **state)
{
        const Unit unit = { .name = (char *) "shop.service" };
        char *const workers[] = { (char *) "shop.service", NULL };
        usec_t timeout_usec = JOB_TIMEOUT_USEC;
        const CtlBot bot = {};
        Ctl c = {};

        fake.job = -EIO;
        fake.job_error = "Unit shop.service is masked.";
        assert_int_equal(restart_one(&c, &bot, &unit, &timeout_usec, NULL), CTL_FAILED);
        assert_heard("The token is stored, but shop.service cannot be restarted with it (Unit shop.service is masked.): "
                     "see 'systemctl status shop.service'.\n");
        fake.job = 0;
        fake.job_error = NULL;
        assert_int_equal(restart_one(&c, &bot, &unit, &timeout_usec, NULL), CTL_FAILED);
        assert_heard("The token is stored, but shop.service cannot be restarted with it (it did not start): see "
                     "'systemctl status shop.service'.\n");
        assert_int_equal(timeout_usec, JOB_TIMEOUT_USEC);
        fake.job = -ETIMEDOUT;
        assert_int_equal(restart_one(&c, &bot, &unit, &timeout_usec, NULL), CTL_FAILED);
        assert_heard("shop.service still waits for its restart: 'tgswitchctl status' says what for. It goes on by "
                     "itself.\n");
        assert_int_equal(timeout_usec, 0);

        fake.workers = -EHOSTUNREACH;
        assert_int_equal(token_workers_restart(&c, "shop", workers, NULL), CTL_FAILED);
        assert_heard("The token is stored, but the workers of shop cannot be found out (No route to host): restart "
                     "them yourself.\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_not_taken_up, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_not_known, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_old_one_stays, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_whose_token, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_phase, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_workers, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
