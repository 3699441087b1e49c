/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/strv.h"
#include "unit-fixture.h"

static void on_job(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        UnitFixture *f = userdata;

        f->n_called++;
        f->result = result;
        free(f->error);
        f->error = error ? strdup(error) : NULL;
        if (f->free_in_handler) {
                f->call = unit_call_free(f->call);
                f->other = unit_call_free(f->other);
        }
}

static void begin_job(UnitFixture *f, UnitVerb verb, usec_t timeout_usec)
{
        f->systemd->calls = strv_free(f->systemd->calls);
        f->n_called = 0;
        f->call = unit_call_free(f->call);
        assert_int_equal(unit_client_job(f->client, "shop.service", verb, timeout_usec, on_job, f, &f->call), 0);
        assert_int_equal(f->n_called, 0);
        unit_settle(f);
}

static void assert_result(UnitFixture *f, UnitJobResult result)
{
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        assert_int_equal(f->result, result);
}

static void test_subscribes_first(void **state)
{
        UnitFixture *f = *state;

        unit_assert_calls(f, "Subscribe");
}

static void test_start(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace");
        fake_systemd_job_removed(f->systemd, NULL, 10, "failed");
        fake_systemd_job_removed(f->systemd, NULL, 12, "failed");
        unit_settle(f);
        assert_int_equal(f->n_called, 0);

        fake_systemd_job_removed(f->systemd, NULL, 11, "done");
        assert_result(f, UNIT_JOB_DONE);
        assert_null(f->error);

        fake_systemd_job_removed(f->systemd, NULL, 11, "failed");
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
}

/* A unit that has failed too often is started all the same; where that is not allowed, the start has its own answer. */
static void test_start_does_not_wait_for_the_reset(void **state)
{
        UnitFixture *f = *state;

        f->systemd->refuses_reset = true;
        begin_job(f, UNIT_START, USEC_INFINITY);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace");
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
        assert_null(f->error);

        /* of two calls without an answer, the later one gets it */
        f->systemd->refuses_reset = false;
        f->systemd->silent = true;
        begin_job(f, UNIT_START, USEC_INFINITY);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace");
        fake_systemd_answer_kept(f->systemd, NULL);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
}

static void test_verbs(void **state)
{
        static const struct {
                UnitVerb verb;
                const char *calls;
        } verbs[] = {
                { UNIT_START_PLAIN, "StartUnit shop.service replace" },
                { UNIT_STOP, "StopUnit shop.service replace" },
                { UNIT_RESTART, "RestartUnit shop.service replace" },
                { UNIT_TRY_RESTART, "TryRestartUnit shop.service replace" },
                { UNIT_RELOAD, "ReloadUnit shop.service replace" },
        };
        UnitFixture *f = *state;

        FOREACH_ELEMENT(v, verbs) {
                begin_job(f, v->verb, USEC_INFINITY);
                unit_assert_calls(f, v->calls);
                fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "timeout");
                assert_result(f, UNIT_JOB_TIMEOUT);
        }
}

static void test_end_overtakes_the_answer(void **state)
{
        UnitFixture *f = *state;

        f->systemd->overtaken_by = "dependency";
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_result(f, UNIT_JOB_DEPENDENCY);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace");
}

/* More ends than are kept for later: then systemd is asked, and the unit's state decides. */
static void test_too_many_ends_overtake_the_answer(void **state)
{
        UnitFixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        for (uint32_t id = 1000; id < 6000; id++)
                fake_systemd_job_removed(f->systemd, NULL, id, "done");
        f->systemd->last_job = 5999;
        f->systemd->job_exists = false;
        f->systemd->active_state = "inactive";
        fake_systemd_answer_kept(f->systemd, NULL);
        assert_result(f, UNIT_JOB_DONE);
        unit_assert_calls(f, "StopUnit shop.service replace, GetJob, Get org.freedesktop.systemd1.Unit ActiveState");
}

#define UNIT_FILE "correct its unit file, then run 'systemctl daemon-reload' as root"

/* Each has the words of systemd and what to do. */
static void test_refusals(void **state)
{
        static const struct {
                const char *name;
                UnitJobResult result;
                const char *cure;
        } refusals[] = {
                { SD_BUS_ERROR_ACCESS_DENIED, UNIT_JOB_DENIED,
                  "see that polkitd is installed, and run 'systemctl reload tgswitchd' as root so that the polkit rule "
                  "names this unit" },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, UNIT_JOB_DENIED,
                  "run 'systemctl reload tgswitchd' as root so that the polkit rule names this unit" },
                { "org.freedesktop.systemd1.ShuttingDown", UNIT_JOB_SHUTDOWN,
                  "tgswitchd goes on when the host is up again" },
                { "org.freedesktop.systemd1.NoSuchUnit", UNIT_JOB_REFUSED,
                  "install the unit, or correct its name in tgswitch's configuration" },
                { "org.freedesktop.systemd1.UnitMasked", UNIT_JOB_REFUSED,
                  "run 'systemctl unmask shop.service' as root" },
                { "org.freedesktop.systemd1.LoadFailed", UNIT_JOB_REFUSED, UNIT_FILE },
                { "org.freedesktop.systemd1.BadUnitSetting", UNIT_JOB_REFUSED, UNIT_FILE },
                { "org.freedesktop.systemd1.OnlyByDependency", UNIT_JOB_REFUSED,
                  "remove RefuseManualStart= and RefuseManualStop= from the unit" },
                { "org.freedesktop.systemd1.JobTypeNotApplicable", UNIT_JOB_REFUSED,
                  "its unit does not support this; give it what it lacks, an ExecReload= for instance" },
                { "org.freedesktop.systemd1.TransactionIsDestructive", UNIT_JOB_REFUSED,
                  "wait for the jobs that 'systemctl list-jobs' shows, or cancel them" },
                { "org.freedesktop.systemd1.TransactionJobsConflicting", UNIT_JOB_REFUSED,
                  "see Conflicts= of the unit and of what it requires" },
                { "org.freedesktop.systemd1.TransactionOrderIsCyclic", UNIT_JOB_REFUSED,
                  "see After= and Before= of the unit with 'systemd-analyze verify shop.service'" },
                { "org.example.NeverHeardOf", UNIT_JOB_REFUSED, "see 'systemctl status shop.service'" },
        };
        UnitFixture *f = *state;

        FOREACH_ELEMENT(refusal, refusals) {
                const char *cure;

                f->systemd->refusal = refusal->name;
                begin_job(f, UNIT_STOP, USEC_INFINITY);
                assert_result(f, refusal->result);
                assert_non_null(f->error);
                cure = startswith(f->error, "systemd refused to stop shop.service: Said so; ");
                assert_non_null(cure);
                assert_string_equal(cure, refusal->cure);
        }
}

/* No job has this number, so no end can be told from it. */
static void test_answer_that_names_no_job(void **state)
{
        UnitFixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->systemd->last_job = 0;
        fake_systemd_answer_kept(f->systemd, NULL);
        assert_result(f, UNIT_JOB_REFUSED);
        assert_string_equal(f->error, "systemd was to stop shop.service, and whether it does so is not known (Bad "
                                      "message); see 'systemctl status shop.service'");
}

/* What systemd says then is about polkit's own unit, and must not read as if it were about the worker's. */
static void test_refused_for_want_of_polkit(void **state)
{
        static const struct {
                const char *name, *text;
        } refusals[] = {
                { "org.freedesktop.systemd1.UnitMasked", "Unit polkit.service is masked." },
                { SD_BUS_ERROR_NO_REPLY, "Failed to activate service 'org.freedesktop.PolicyKit1': timed out" },
        };
        UnitFixture *f = *state;

        FOREACH_ELEMENT(refusal, refusals) {
                f->systemd->refusal = refusal->name;
                f->systemd->refusal_text = refusal->text;
                begin_job(f, UNIT_STOP, USEC_INFINITY);
                assert_result(f, UNIT_JOB_DENIED);
                assert_non_null(strstr(f->error, "run 'systemctl start polkit' as root"));
                assert_null(strstr(f->error, "unmask shop.service"));
        }
}

/* The jobs of a shutdown contradict ours. The same answer on a host that stays up is a refusal. */
static void test_refused_by_a_shutdown(void **state)
{
        UnitFixture *f = *state;

        f->systemd->refusal = "org.freedesktop.systemd1.TransactionIsDestructive";
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_result(f, UNIT_JOB_REFUSED);
        assert_non_null(f->error);
        f->systemd->system_state = "stopping";
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_result(f, UNIT_JOB_SHUTDOWN);
}

static void test_cancelled_by_a_shutdown(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "canceled");
        assert_result(f, UNIT_JOB_CANCELED);

        f->systemd->system_state = "stopping";
        begin_job(f, UNIT_START, USEC_INFINITY);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "canceled");
        assert_result(f, UNIT_JOB_SHUTDOWN);

        /* whoever cancelled a stop, the unit was not stopped by it */
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "canceled");
        assert_result(f, UNIT_JOB_CANCELED);
}

static void wait_for_call(UnitFixture *f)
{
        while (f->n_called == 0)
                assert_true(sd_event_run(f->event, USEC_INFINITY) >= 0);
}

/* Begins a job whose deadline comes when it is queued already, however slow this machine is. */
static void begin_job_with_deadline(UnitFixture *f, UnitVerb verb)
{
        usec_t timeout_usec = 2 * USEC_PER_MSEC;

        do {
                timeout_usec *= 2;
                begin_job(f, verb, timeout_usec);
        } while (f->n_called > 0);
}

static void test_timeout_of_a_job(void **state)
{
        UnitFixture *f = *state;

        begin_job_with_deadline(f, UNIT_STOP);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
        unit_assert_calls(f, "StopUnit shop.service replace, GetJob");
}

/* A job that was held for as long as it took has its time from the moment at which somebody begins to wait for it. */
static void test_limit_that_comes_later(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        f->systemd->job_exists = true;
        assert_int_equal(unit_job_limit(f->call, 1), 0);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace, GetJob");

        /* one that ends in time has ended */
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_int_equal(unit_job_limit(f->call, USEC_PER_MIN), 0);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
}

static void test_timeout_of_the_call(void **state)
{
        UnitFixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_START, 1);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
        unit_assert_calls(f, "ResetFailed, StartUnit shop.service replace");

        begin_job(f, UNIT_STOP, 1);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);

        /* an answer that comes too late finds nobody */
        fake_systemd_answer_kept(f->systemd, NULL);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_TIMEOUT);
}

/* L3: a stop whose end nobody saw counts as done only if the unit says so. */
static void test_missed_end(void **state)
{
        static const struct {
                UnitVerb verb;
                const char *state;
                UnitJobResult result;
        } ends[] = {
                { UNIT_STOP, "inactive", UNIT_JOB_DONE },        { UNIT_STOP, "failed", UNIT_JOB_DONE },
                { UNIT_STOP, "active", UNIT_JOB_CANCELED },      { UNIT_STOP, "activating", UNIT_JOB_CANCELED },
                { UNIT_STOP, "maintenance", UNIT_JOB_CANCELED }, { UNIT_START, "active", UNIT_JOB_DONE },
                { UNIT_START, "failed", UNIT_JOB_FAILED },       { UNIT_START, "activating", UNIT_JOB_FAILED },
                { UNIT_START, "inactive", UNIT_JOB_CANCELED },   { UNIT_RELOAD, "active", UNIT_JOB_CANCELED },
                { UNIT_TRY_RESTART, "active", UNIT_JOB_DONE },   { UNIT_TRY_RESTART, "inactive", UNIT_JOB_DONE },
                { UNIT_TRY_RESTART, "failed", UNIT_JOB_FAILED },
        };
        UnitFixture *f = *state;

        FOREACH_ELEMENT(end, ends) {
                begin_job(f, end->verb, USEC_INFINITY);
                fake_systemd_reloading(f->systemd, NULL, true);
                unit_settle(f);
                f->systemd->job_exists = true;
                fake_systemd_reloading(f->systemd, NULL, false);
                unit_settle(f);
                assert_int_equal(f->n_called, 0); /* it is still there */

                f->systemd->job_exists = false;
                f->systemd->active_state = end->state;
                fake_systemd_reloading(f->systemd, NULL, false);
                assert_result(f, end->result);
        }
}

static void test_missed_end_shows_at_the_timeout(void **state)
{
        UnitFixture *f = *state;

        f->systemd->job_exists = false;
        begin_job_with_deadline(f, UNIT_START);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_DONE);
}

/* The broker may go before us when the host does. That says nothing about the unit, so it must not look as
 * if it had failed. */
static void test_lost_connection(void **state)
{
        UnitFixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        sd_bus_close(f->systemd->server);
        assert_result(f, UNIT_JOB_SHUTDOWN);
        assert_non_null(f->error);
}

static void test_freed_calls_stay_silent(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        f->call = unit_call_free(f->call);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        unit_settle(f);
        assert_int_equal(f->n_called, 0);

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->call = unit_call_free(f->call);
        fake_systemd_answer_kept(f->systemd, NULL);
        unit_settle(f);
        assert_int_equal(f->n_called, 0);
}

/* Two calls wait for one job, as systemd merges them, and the first handler frees both. */
static void test_handler_frees_other_calls(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->systemd->last_job--;
        assert_int_equal(unit_client_job(f->client, "shop.service", UNIT_STOP, USEC_INFINITY, on_job, f, &f->other), 0);
        unit_settle(f);
        f->free_in_handler = true;
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
        assert_null(f->call);
        assert_null(f->other);
}

static void test_handler_frees_its_call(void **state)
{
        UnitFixture *f = *state;

        f->free_in_handler = true;
        f->systemd->refusal = SD_BUS_ERROR_ACCESS_DENIED;
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_result(f, UNIT_JOB_DENIED);
        f->systemd->refusal = NULL;
        begin_job_with_deadline(f, UNIT_START);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
}

static void test_bad_names(void **state)
{
        UnitFixture *f = *state;

        assert_int_equal(unit_client_job(f->client, "shop", UNIT_STOP, 1, on_job, f, &f->call), -EINVAL);
        assert_int_equal(unit_client_job(f->client, "shop*.service", UNIT_STOP, 1, on_job, f, &f->call), -EINVAL);
        assert_null(f->call);
}

/* ---- On a bus ----------------------------------------------------------------------------------------- */

/* L3, L4: every local user may send us a signal that says a worker is stopped. */
static void test_forged_end(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        fake_systemd_job_removed(f->systemd, FAKE_FORGER, f->systemd->last_job, "done");
        unit_settle(f);
        assert_int_equal(f->n_called, 0);

        /* neither by way of a new owner, nor by making us ask at bad moments */
        fake_systemd_owner_changed(f->systemd, FAKE_FORGER, FAKE_FORGER);
        fake_systemd_reloading(f->systemd, FAKE_FORGER, false);
        fake_systemd_job_removed(f->systemd, FAKE_FORGER, f->systemd->last_job, "done");
        unit_settle(f);
        assert_int_equal(f->n_called, 0);
        unit_assert_calls(f, "StopUnit shop.service replace");

        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "failed");
        assert_result(f, UNIT_JOB_FAILED);
}

/* systemctl daemon-reexec: systemd leaves the bus and comes back under another unique name, jobs and all. */
static void test_reexec(void **state)
{
        UnitFixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->systemd->calls = strv_free(f->systemd->calls);
        fake_systemd_owner_changed(f->systemd, NULL, "");
        f->systemd->owner = ":1.8";
        fake_systemd_owner_changed(f->systemd, NULL, ":1.8");
        unit_settle(f);
        unit_assert_calls(f, "Subscribe, GetJob");
        assert_int_equal(f->n_called, 0);

        fake_systemd_job_removed(f->systemd, FAKE_OWNER, f->systemd->last_job, "failed");
        unit_settle(f);
        assert_int_equal(f->n_called, 0);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
}

static void test_reexec_loses_the_call(void **state)
{
        UnitFixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        fake_systemd_answer_kept(f->systemd, SD_BUS_ERROR_NO_REPLY);
        unit_settle(f);
        unit_assert_calls(f, "StopUnit shop.service replace, StopUnit shop.service replace");
        fake_systemd_answer_kept(f->systemd, NULL);
        unit_settle(f);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);

        /* but not for ever */
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(f->n_called, 0);
                fake_systemd_answer_kept(f->systemd, SD_BUS_ERROR_NO_REPLY);
                unit_settle(f);
        }
        assert_result(f, UNIT_JOB_REFUSED);
}

static void on_stopping(UnitCall *call, bool stopping, void *userdata)
{
        *(int *) userdata = stopping;
        unit_call_free(call);
}

static void test_is_the_host_going_down(void **state)
{
        UnitFixture *f = *state;
        int stopping = -1, never = -1;
        UnitCall *call;

        assert_int_equal(unit_client_ask_stopping(f->client, on_stopping, &stopping, &call), 0);
        assert_int_equal(stopping, -1);
        unit_settle(f);
        assert_int_equal(stopping, false);

        f->systemd->system_state = "stopping";
        assert_int_equal(unit_client_ask_stopping(f->client, on_stopping, &stopping, &call), 0);
        unit_settle(f);
        assert_int_equal(stopping, true);

        assert_int_equal(unit_client_ask_stopping(f->client, on_stopping, &never, &call), 0);
        unit_call_free(call);
        unit_settle(f);
        assert_int_equal(never, -1);
}

#define DIRECT(name) cmocka_unit_test_setup_teardown(name, unit_setup_direct, unit_teardown)
#define BUS(name)    cmocka_unit_test_setup_teardown(name, unit_setup_bus, unit_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                DIRECT(test_subscribes_first),
                DIRECT(test_start),
                DIRECT(test_start_does_not_wait_for_the_reset),
                DIRECT(test_verbs),
                DIRECT(test_end_overtakes_the_answer),
                DIRECT(test_too_many_ends_overtake_the_answer),
                DIRECT(test_refusals),
                DIRECT(test_answer_that_names_no_job),
                DIRECT(test_refused_for_want_of_polkit),
                DIRECT(test_refused_by_a_shutdown),
                DIRECT(test_cancelled_by_a_shutdown),
                DIRECT(test_is_the_host_going_down),
                DIRECT(test_timeout_of_a_job),
                DIRECT(test_limit_that_comes_later),
                DIRECT(test_timeout_of_the_call),
                DIRECT(test_missed_end),
                DIRECT(test_missed_end_shows_at_the_timeout),
                DIRECT(test_lost_connection),
                DIRECT(test_freed_calls_stay_silent),
                DIRECT(test_handler_frees_other_calls),
                DIRECT(test_handler_frees_its_call),
                DIRECT(test_bad_names),
                BUS(test_subscribes_first),
                BUS(test_start),
                BUS(test_end_overtakes_the_answer),
                BUS(test_forged_end),
                BUS(test_reexec),
                BUS(test_reexec_loses_the_call),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
