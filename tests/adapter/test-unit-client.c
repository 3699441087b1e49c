/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/strv.h"
#include "fake-systemd.h"
#include "io/unit-client.h"

#define FORGER ":1.666"

typedef struct Fixture {
        sd_event *event;
        FakeSystemd *systemd;
        sd_bus *bus;
        UnitClient *client;
        UnitCall *call;
        UnitCall *other;

        unsigned n_called;
        bool free_in_handler;
        UnitJobResult result;
        char *error;
        int r;
        UnitActiveState active;
        char sub_state[32];
} Fixture;

static void settle(Fixture *f)
{
        int r;

        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
        } while (r > 0);
}

static int setup_with(void **state, bool is_bus)
{
        Fixture *f = calloc(1, sizeof(Fixture));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        f->systemd = fake_systemd_new(f->event, is_bus, &f->bus);
        assert_int_equal(unit_client_new(&f->client, f->bus), 0);
        settle(f);
        *state = f;
        return 0;
}

static int setup_direct(void **state)
{
        return setup_with(state, false);
}

static int setup_bus(void **state)
{
        return setup_with(state, true);
}

static int teardown(void **state)
{
        Fixture *f = *state;

        unit_call_free(f->call);
        unit_call_free(f->other);
        unit_client_free(f->client);
        sd_bus_close_unref(f->bus);
        fake_systemd_free(f->systemd);
        sd_event_unref(f->event);
        free(f->error);
        free(f);
        return 0;
}

/* What systemd was asked since the last time, in one line. */
static void assert_calls(Fixture *f, const char *expected)
{
        _cleanup_free_ char *calls = strv_join(f->systemd->calls, ", ");

        assert_non_null(calls);
        assert_string_equal(calls, expected);
        f->systemd->calls = strv_free(f->systemd->calls);
}

/* ---- Jobs --------------------------------------------------------------------------------------------- */

static void on_job(UnitCall *call, UnitJobResult result, const char *error, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        f->result = result;
        free(f->error);
        f->error = error ? strdup(error) : NULL;
        if (f->free_in_handler) {
                f->call = unit_call_free(f->call);
                f->other = unit_call_free(f->other);
        }
}

static void begin_job(Fixture *f, UnitVerb verb, usec_t timeout_usec)
{
        f->systemd->calls = strv_free(f->systemd->calls);
        f->n_called = 0;
        f->call = unit_call_free(f->call);
        assert_int_equal(unit_client_job(f->client, "shop.service", verb, timeout_usec, on_job, f, &f->call),
                         0);
        assert_int_equal(f->n_called, 0);
        settle(f);
}

static void assert_result(Fixture *f, UnitJobResult result)
{
        settle(f);
        assert_int_equal(f->n_called, 1);
        assert_int_equal(f->result, result);
}

static void test_subscribes_first(void **state)
{
        Fixture *f = *state;

        assert_calls(f, "Subscribe");
}

static void test_start(void **state)
{
        Fixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_calls(f, "ResetFailed, StartUnit shop.service replace");
        fake_systemd_job_removed(f->systemd, NULL, 10, "failed");
        fake_systemd_job_removed(f->systemd, NULL, 12, "failed");
        settle(f);
        assert_int_equal(f->n_called, 0);

        fake_systemd_job_removed(f->systemd, NULL, 11, "done");
        assert_result(f, UNIT_JOB_DONE);
        assert_null(f->error);

        fake_systemd_job_removed(f->systemd, NULL, 11, "failed");
        settle(f);
        assert_int_equal(f->n_called, 1);
}

static void test_verbs(void **state)
{
        static const struct {
                UnitVerb verb;
                const char *calls;
        } verbs[] = {
                { UNIT_STOP, "StopUnit shop.service replace" },
                { UNIT_RESTART, "RestartUnit shop.service replace" },
                { UNIT_RELOAD, "ReloadUnit shop.service replace" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT (v, verbs) {
                begin_job(f, v->verb, USEC_INFINITY);
                assert_calls(f, v->calls);
                fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "timeout");
                assert_result(f, UNIT_JOB_TIMEOUT);
        }
}

static void test_end_overtakes_the_answer(void **state)
{
        Fixture *f = *state;

        f->systemd->overtaken_by = "dependency";
        begin_job(f, UNIT_START, USEC_INFINITY);
        assert_result(f, UNIT_JOB_DEPENDENCY);
        assert_calls(f, "ResetFailed, StartUnit shop.service replace");
}

/* More ends than are kept for later: then systemd is asked, and the unit's state decides. */
static void test_too_many_ends_overtake_the_answer(void **state)
{
        Fixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        for (uint32_t id = 1000; id < 6000; id++)
                fake_systemd_job_removed(f->systemd, NULL, id, "done");
        f->systemd->last_job = 5999;
        f->systemd->job_exists = false;
        f->systemd->active_state = "inactive";
        fake_systemd_answer_kept(f->systemd, NULL);
        assert_result(f, UNIT_JOB_DONE);
        assert_calls(f,
                     "StopUnit shop.service replace, GetJob, Get org.freedesktop.systemd1.Unit ActiveState");
}

static void test_refusals(void **state)
{
        static const struct {
                const char *name;
                UnitJobResult result;
                const char *error;
        } refusals[] = {
                { SD_BUS_ERROR_ACCESS_DENIED, UNIT_JOB_DENIED,
                  "systemd refused to stop shop.service: Said so; run 'systemctl reload tgswitchd' as root so that the "
                  "polkit rule names this unit" },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, UNIT_JOB_DENIED, NULL },
                { "org.freedesktop.systemd1.ShuttingDown", UNIT_JOB_SHUTDOWN, NULL },
                { "org.freedesktop.systemd1.NoSuchUnit", UNIT_JOB_REFUSED, NULL },
                { "org.freedesktop.systemd1.UnitMasked", UNIT_JOB_REFUSED,
                  "systemd refused to stop shop.service: Said so; run 'systemctl unmask shop.service' as root" },
                { "org.freedesktop.systemd1.LoadFailed", UNIT_JOB_REFUSED, NULL },
                { "org.example.NeverHeardOf", UNIT_JOB_REFUSED,
                  "systemd refused to stop shop.service: Said so; see 'systemctl status shop.service'" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT (refusal, refusals) {
                f->systemd->refusal = refusal->name;
                begin_job(f, UNIT_STOP, USEC_INFINITY);
                assert_result(f, refusal->result);
                assert_non_null(f->error);
                if (refusal->error)
                        assert_string_equal(f->error, refusal->error);
        }
}

/* The jobs of a shutdown contradict ours. The same answer on a host that stays up is a refusal. */
static void test_refused_by_a_shutdown(void **state)
{
        Fixture *f = *state;

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
        Fixture *f = *state;

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

static void wait_for_call(Fixture *f)
{
        while (f->n_called == 0)
                assert_true(sd_event_run(f->event, USEC_INFINITY) >= 0);
}

/* Begins a job whose deadline comes when it is queued already, however slow this machine is. */
static void begin_job_with_deadline(Fixture *f, UnitVerb verb)
{
        usec_t timeout_usec = 2 * USEC_PER_MSEC;

        do {
                timeout_usec *= 2;
                begin_job(f, verb, timeout_usec);
        } while (f->n_called > 0);
}

static void test_timeout_of_a_job(void **state)
{
        Fixture *f = *state;

        begin_job_with_deadline(f, UNIT_STOP);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
        assert_calls(f, "StopUnit shop.service replace, GetJob");
}

static void test_timeout_of_the_call(void **state)
{
        Fixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_START, 1);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_TIMEOUT);
        assert_calls(f, "ResetFailed");

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
                { UNIT_STOP, "inactive", UNIT_JOB_DONE },
                { UNIT_STOP, "failed", UNIT_JOB_DONE },
                { UNIT_STOP, "active", UNIT_JOB_CANCELED },
                { UNIT_STOP, "activating", UNIT_JOB_CANCELED },
                { UNIT_STOP, "maintenance", UNIT_JOB_CANCELED },
                { UNIT_START, "active", UNIT_JOB_DONE },
                { UNIT_START, "failed", UNIT_JOB_FAILED },
                { UNIT_START, "activating", UNIT_JOB_FAILED },
                { UNIT_START, "inactive", UNIT_JOB_CANCELED },
                { UNIT_RELOAD, "active", UNIT_JOB_DONE },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT (end, ends) {
                begin_job(f, end->verb, USEC_INFINITY);
                fake_systemd_reloading(f->systemd, NULL, true);
                settle(f);
                f->systemd->job_exists = true;
                fake_systemd_reloading(f->systemd, NULL, false);
                settle(f);
                assert_int_equal(f->n_called, 0); /* it is still there */

                f->systemd->job_exists = false;
                f->systemd->active_state = end->state;
                fake_systemd_reloading(f->systemd, NULL, false);
                assert_result(f, end->result);
        }
}

static void test_missed_end_shows_at_the_timeout(void **state)
{
        Fixture *f = *state;

        f->systemd->job_exists = false;
        begin_job_with_deadline(f, UNIT_START);
        wait_for_call(f);
        assert_result(f, UNIT_JOB_DONE);
}

/* The broker may go before us when the host does. That says nothing about the unit, so it must not look as
 * if it had failed. */
static void test_lost_connection(void **state)
{
        Fixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        sd_bus_close(f->systemd->server);
        assert_result(f, UNIT_JOB_SHUTDOWN);
        assert_non_null(f->error);
}

static void test_freed_calls_stay_silent(void **state)
{
        Fixture *f = *state;

        begin_job(f, UNIT_START, USEC_INFINITY);
        f->call = unit_call_free(f->call);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        settle(f);
        assert_int_equal(f->n_called, 0);

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->call = unit_call_free(f->call);
        fake_systemd_answer_kept(f->systemd, NULL);
        settle(f);
        assert_int_equal(f->n_called, 0);
}

/* Two calls wait for one job, as systemd merges them, and the first handler frees both. */
static void test_handler_frees_other_calls(void **state)
{
        Fixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->systemd->last_job--;
        assert_int_equal(unit_client_job(f->client, "shop.service", UNIT_STOP, USEC_INFINITY, on_job, f,
                                         &f->other),
                         0);
        settle(f);
        f->free_in_handler = true;
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
        assert_null(f->call);
        assert_null(f->other);
}

static void test_handler_frees_its_call(void **state)
{
        Fixture *f = *state;

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
        Fixture *f = *state;

        assert_int_equal(unit_client_job(f->client, "shop", UNIT_STOP, 1, on_job, f, &f->call), -EINVAL);
        assert_int_equal(unit_client_job(f->client, "shop*.service", UNIT_STOP, 1, on_job, f, &f->call),
                         -EINVAL);
        assert_null(f->call);
}

/* ---- On a bus ----------------------------------------------------------------------------------------- */

/* L3, L4: every local user may send us a signal that says a worker is stopped. */
static void test_forged_end(void **state)
{
        Fixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        fake_systemd_job_removed(f->systemd, FORGER, f->systemd->last_job, "done");
        settle(f);
        assert_int_equal(f->n_called, 0);

        /* neither by way of a new owner, nor by making us ask at bad moments */
        fake_systemd_owner_changed(f->systemd, FORGER, FORGER);
        fake_systemd_reloading(f->systemd, FORGER, false);
        fake_systemd_job_removed(f->systemd, FORGER, f->systemd->last_job, "done");
        settle(f);
        assert_int_equal(f->n_called, 0);
        assert_calls(f, "StopUnit shop.service replace");

        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "failed");
        assert_result(f, UNIT_JOB_FAILED);
}

/* systemctl daemon-reexec: systemd leaves the bus and comes back under another unique name, jobs and all. */
static void test_reexec(void **state)
{
        Fixture *f = *state;

        begin_job(f, UNIT_STOP, USEC_INFINITY);
        f->systemd->calls = strv_free(f->systemd->calls);
        fake_systemd_owner_changed(f->systemd, NULL, "");
        f->systemd->owner = ":1.8";
        fake_systemd_owner_changed(f->systemd, NULL, ":1.8");
        settle(f);
        assert_calls(f, "Subscribe, GetJob");
        assert_int_equal(f->n_called, 0);

        fake_systemd_job_removed(f->systemd, FAKE_OWNER, f->systemd->last_job, "failed");
        settle(f);
        assert_int_equal(f->n_called, 0);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);
}

static void test_reexec_loses_the_call(void **state)
{
        Fixture *f = *state;

        f->systemd->silent = true;
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        fake_systemd_answer_kept(f->systemd, SD_BUS_ERROR_NO_REPLY);
        settle(f);
        assert_calls(f, "StopUnit shop.service replace, StopUnit shop.service replace");
        fake_systemd_answer_kept(f->systemd, NULL);
        settle(f);
        fake_systemd_job_removed(f->systemd, NULL, f->systemd->last_job, "done");
        assert_result(f, UNIT_JOB_DONE);

        /* but not for ever */
        begin_job(f, UNIT_STOP, USEC_INFINITY);
        for (unsigned i = 0; i < 4; i++) {
                assert_int_equal(f->n_called, 0);
                fake_systemd_answer_kept(f->systemd, SD_BUS_ERROR_NO_REPLY);
                settle(f);
        }
        assert_result(f, UNIT_JOB_REFUSED);
}

/* ---- ResetFailed() ------------------------------------------------------------------------------------ */

static void on_reset(UnitCall *call, int r, const char *error, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        f->r = r;
        assert_true((r < 0) == (error != NULL));
        f->call = unit_call_free(f->call);
}

static void test_reset_failed(void **state)
{
        static const struct {
                const char *refusal;
                int r;
        } cases[] = {
                { NULL, 0 },
                { SD_BUS_ERROR_ACCESS_DENIED, -EACCES },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, -EACCES },
                { "org.freedesktop.systemd1.NoSuchUnit", -ENOENT },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT (c, cases) {
                f->systemd->refusal = c->refusal;
                f->n_called = 0;
                assert_int_equal(unit_client_reset_failed(f->client, "shop.service", on_reset, f, &f->call),
                                 0);
                settle(f);
                assert_int_equal(f->n_called, 1);
                assert_int_equal(f->r, c->r);
        }
}

/* ---- Properties --------------------------------------------------------------------------------------- */

static void on_service_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        static const uint8_t invocation_id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
        Fixture *f = userdata;

        f->n_called++;
        assert_int_equal(r, 0);
        assert_string_equal(info->name, "shop.service");
        assert_int_equal(info->load_state, UNIT_LOAD_LOADED);
        assert_int_equal(info->active_state, UNIT_ACTIVE);
        assert_string_equal(info->sub_state, "running");
        assert_string_equal(info->type, "exec");
        assert_string_equal(info->result, "success");
        assert_string_equal(info->fragment_path, "/etc/systemd/system/shop.service");
        assert_memory_equal(info->invocation_id, invocation_id, 16);
        assert_true(info->need_daemon_reload);
        assert_int_equal(info->job_id, 12);
        assert_int_equal(info->main_pid, 4711);
        assert_int_equal(info->main_start_usec, 123456789);
        assert_true(info->timeout_start_usec == USEC_INFINITY);
        assert_int_equal(strv_length(info->exec_start_pre), 2);
        assert_string_equal(info->exec_start_pre[0], "test -s /run/x");
        assert_string_equal(info->exec_start_pre[1], "true");
        assert_int_equal(info->n_credentials, 2);
        assert_string_equal(info->credentials[1].id, "bot-endpoint");
        assert_string_equal(info->credentials[1].path, "/run/tgswitch/credential.sock");
        assert_int_equal(strv_length(info->requires), 1);
        assert_true(strv_contains(info->requires, "c.service"));
        assert_int_equal(strv_length(info->after), 2);
        assert_null(info->triggered_by);
        f->call = unit_call_free(f->call);
}

static void test_info_of_a_service(void **state)
{
        Fixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_get(f->client, "shop.service", on_service_info, f, &f->call), 0);
        settle(f);
        assert_int_equal(f->n_called, 1);
        assert_calls(f, "LoadUnit shop.service, GetAll org.freedesktop.systemd1.Unit, "
                        "GetAll org.freedesktop.systemd1.Service");
}

static void on_timer_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        assert_int_equal(r, 0);
        assert_string_equal(info->type, "");
        assert_string_equal(info->result, "");
        assert_int_equal(info->n_credentials, 0);
}

static void test_info_of_a_timer(void **state)
{
        Fixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_get(f->client, "shop.timer", on_timer_info, f, &f->call), 0);
        settle(f);
        assert_int_equal(f->n_called, 1);
        assert_calls(f, "LoadUnit shop.timer, GetAll org.freedesktop.systemd1.Unit");
}

static void on_bad_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        f->r = r;
        assert_null(info);
}

static void test_info_that_cannot_be(void **state)
{
        Fixture *f = *state;

        f->systemd->n_requires = 100000;
        assert_int_equal(unit_client_get(f->client, "shop.service", on_bad_info, f, &f->call), 0);
        settle(f);
        assert_int_equal(f->n_called, 1);
        assert_int_equal(f->r, -E2BIG);

        f->systemd->n_requires = 0;
        f->systemd->odd_types = true;
        f->call = unit_call_free(f->call);
        assert_int_equal(unit_client_get(f->client, "shop.service", on_bad_info, f, &f->call), 0);
        settle(f);
        assert_int_equal(f->n_called, 2);
        assert_true(f->r < 0);
}

static void on_list(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        assert_int_equal(r, 0);
        assert_int_equal(n_rows, 2);
        assert_string_equal(rows[0].name, "shop@1.service");
        assert_int_equal(rows[0].load_state, UNIT_LOAD_LOADED);
        assert_int_equal(rows[0].active_state, UNIT_ACTIVE);
        assert_string_equal(rows[0].sub_state, "running");
        assert_int_equal(rows[0].job_id, 0);
        assert_int_equal(rows[1].load_state, UNIT_LOAD_MASKED);
        assert_int_equal(rows[1].active_state, UNIT_FAILED);
        assert_int_equal(rows[1].job_id, 12);
        f->call = unit_call_free(f->call);
}

static void test_list(void **state)
{
        char *patterns[] = { (char *) "shop@*.service", NULL }, *none[] = { NULL };
        Fixture *f = *state;

        assert_int_equal(unit_client_list(f->client, patterns, on_list, f, &f->call), 0);
        settle(f);
        assert_int_equal(f->n_called, 1);
        assert_int_equal(unit_client_list(f->client, none, on_list, f, &f->call), -EINVAL);
        assert_int_equal(unit_client_list(f->client, NULL, on_list, f, &f->call), -EINVAL);
}

/* ---- Watching ----------------------------------------------------------------------------------------- */

static void on_state(UnitCall *call, UnitActiveState active, const char *sub_state, void *userdata)
{
        Fixture *f = userdata;

        f->n_called++;
        f->active = active;
        snprintf(f->sub_state, sizeof(f->sub_state), "%s", sub_state);
        if (f->free_in_handler)
                f->call = unit_call_free(f->call);
}

static void assert_state(Fixture *f, unsigned n_called, UnitActiveState active, const char *sub_state)
{
        settle(f);
        assert_int_equal(f->n_called, n_called);
        assert_int_equal(f->active, active);
        assert_string_equal(f->sub_state, sub_state);
}

static void test_watch(void **state)
{
        Fixture *f = *state;

        assert_int_equal(unit_client_watch(f->client, "my\\x2dshop.service", on_state, f, &f->call), 0);
        assert_state(f, 1, UNIT_ACTIVE, "running");

        fake_systemd_unit_changed(f->systemd, NULL, "my\\x2dshop.service", "active", "running");
        fake_systemd_unit_changed(f->systemd, NULL, "news.service", "failed", "failed");
        assert_state(f, 1, UNIT_ACTIVE, "running");
        fake_systemd_unit_changed(f->systemd, NULL, "my\\x2dshop.service", "deactivating", "stop-sigterm");
        assert_state(f, 2, UNIT_DEACTIVATING, "stop-sigterm");
        fake_systemd_unit_changed(f->systemd, NULL, "my\\x2dshop.service", "inactive", "dead");
        assert_state(f, 3, UNIT_INACTIVE, "dead");

        /* a change without its values, and one that went by while systemd read its units anew */
        f->systemd->active_state = "activating";
        f->systemd->sub_state = "start-pre";
        fake_systemd_unit_invalidated(f->systemd, "my\\x2dshop.service");
        assert_state(f, 4, UNIT_ACTIVATING, "start-pre");
        f->systemd->active_state = f->systemd->sub_state = "failed";
        fake_systemd_reloading(f->systemd, NULL, false);
        assert_state(f, 5, UNIT_FAILED, "failed");

        f->free_in_handler = true;
        fake_systemd_unit_changed(f->systemd, NULL, "my\\x2dshop.service", "active", "running");
        fake_systemd_unit_changed(f->systemd, NULL, "my\\x2dshop.service", "inactive", "dead");
        assert_state(f, 6, UNIT_ACTIVE, "running");
}

static void test_forged_state(void **state)
{
        Fixture *f = *state;

        assert_int_equal(unit_client_watch(f->client, "shop.service", on_state, f, &f->call), 0);
        assert_state(f, 1, UNIT_ACTIVE, "running");
        fake_systemd_unit_changed(f->systemd, FORGER, "shop.service", "inactive", "dead");
        assert_state(f, 1, UNIT_ACTIVE, "running");
        fake_systemd_unit_changed(f->systemd, NULL, "shop.service", "inactive", "dead");
        assert_state(f, 2, UNIT_INACTIVE, "dead");
}

#define DIRECT(name) cmocka_unit_test_setup_teardown(name, setup_direct, teardown)
#define BUS(name)    cmocka_unit_test_setup_teardown(name, setup_bus, teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                DIRECT(test_subscribes_first),
                DIRECT(test_start),
                DIRECT(test_verbs),
                DIRECT(test_end_overtakes_the_answer),
                DIRECT(test_too_many_ends_overtake_the_answer),
                DIRECT(test_refusals),
                DIRECT(test_refused_by_a_shutdown),
                DIRECT(test_cancelled_by_a_shutdown),
                DIRECT(test_timeout_of_a_job),
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
                DIRECT(test_reset_failed),
                DIRECT(test_info_of_a_service),
                DIRECT(test_info_of_a_timer),
                DIRECT(test_info_that_cannot_be),
                DIRECT(test_list),
                DIRECT(test_watch),
                BUS(test_watch),
                BUS(test_forged_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
