/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/strv.h"
#include "unit-fixture.h"

/* ---- ResetFailed() ------------------------------------------------------------------------------------ */

static void on_reset(UnitCall *call, int r, const char *error, void *userdata)
{
        UnitFixture *f = userdata;

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
        UnitFixture *f = *state;

        FOREACH_ELEMENT(c, cases) {
                f->systemd->refusal = c->refusal;
                f->n_called = 0;
                assert_int_equal(unit_client_reset_failed(f->client, "shop.service", on_reset, f, &f->call), 0);
                unit_settle(f);
                assert_int_equal(f->n_called, 1);
                assert_int_equal(f->r, c->r);
        }
}

/* ---- Properties --------------------------------------------------------------------------------------- */

static void assert_sandbox(const UnitSandbox *s)
{
        assert_string_equal(s->user, "shop");
        assert_string_equal(s->group, "");
        assert_true(strv_equal(s->supplementary_groups, (char *[]){ (char *) "tgswitch-files", NULL }));
        assert_true(s->dynamic_user && s->private_users && s->private_tmp);
        assert_int_equal(s->capabilities, 6);
        assert_string_equal(s->root_directory, "/srv/root");
        assert_string_equal(s->root_image, "");
        assert_string_equal(s->protect_home, "tmpfs");
        assert_true(strv_equal(s->inaccessible_paths, (char *[]){ (char *) "-/etc/ssl", NULL }));
        assert_true(strv_equal(s->temporary_file_systems, (char *[]){ (char *) "/var", (char *) "/srv", NULL }));
        assert_int_equal(s->n_binds, 2);
        assert_string_equal(s->binds[0].source, "/a");
        assert_string_equal(s->binds[1].source, "/c");
        assert_string_equal(s->binds[1].destination, "/d");
}

static void on_service_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        static const uint8_t invocation_id[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
        UnitFixture *f = userdata;

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
        assert_string_equal(info->exec_start_pre[1], "-true");
        assert_true(strv_equal(info->exec_start, (char *[]){ (char *) "shop --poll", NULL }));
        assert_true(strv_equal(info->exec_reload, (char *[]){ (char *) "shop --reload", NULL }));
        assert_true(info->can_reload);
        assert_true(strv_equal(info->environment, (char *[]){ (char *) "A=b c", NULL }));
        assert_sandbox(&info->sandbox);
        assert_int_equal(info->n_credentials, 2);
        assert_string_equal(info->credentials[1].id, "bot-endpoint");
        assert_string_equal(info->credentials[1].path, "/run/tgswitch/credential.sock");
        assert_int_equal(strv_length(info->environment_files), 1);
        assert_string_equal(info->environment_files[0], "/run/tgswitch/bots/shop.env");
        assert_int_equal(strv_length(info->requires), 1);
        assert_true(strv_contains(info->requires, "c.service"));
        assert_int_equal(strv_length(info->after), 2);
        assert_null(info->triggered_by);
        assert_int_equal(strv_length(info->stopped_with), 2);
        assert_true(strv_contains(info->stopped_with, "d.service"));
        assert_true(strv_contains(info->stopped_with, "e.service"));
        assert_true(strv_contains(info->conflicts, "f.service"));
        assert_true(info->transient);
        assert_true(info->refuse_manual_stop);
        assert_false(info->refuse_manual_start);
        assert_false(info->remain_after_exit);
        assert_true(info->send_sigkill);
        assert_string_equal(info->kill_mode, "control-group");
        assert_int_equal(info->timeout_stop_usec, 90 * USEC_PER_SEC);
        f->call = unit_call_free(f->call);
}

static void test_info_of_a_service(void **state)
{
        UnitFixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_get(f->client, "shop.service", on_service_info, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        /* of all interfaces */
        unit_assert_calls(f, "GetAll");
}

static void on_timer_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        UnitFixture *f = userdata;

        f->n_called++;
        assert_int_equal(r, 0);
        assert_string_equal(info->type, "");
        assert_string_equal(info->result, "");
        assert_int_equal(info->n_credentials, 0);
}

static void test_info_of_a_timer(void **state)
{
        UnitFixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_get(f->client, "shop.timer", on_timer_info, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        unit_assert_calls(f, "GetAll org.freedesktop.systemd1.Unit");
}

static void on_bad_info(UnitCall *call, int r, const UnitInfo *info, void *userdata)
{
        UnitFixture *f = userdata;

        f->n_called++;
        f->r = r;
        assert_null(info);
}

static void test_info_that_cannot_be(void **state)
{
        UnitFixture *f = *state;

        f->systemd->n_requires = 100000;
        assert_int_equal(unit_client_get(f->client, "shop.service", on_bad_info, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        assert_int_equal(f->r, -E2BIG);

        f->systemd->n_requires = 0;
        f->systemd->odd_types = true;
        f->call = unit_call_free(f->call);
        assert_int_equal(unit_client_get(f->client, "shop.service", on_bad_info, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 2);
        assert_true(f->r < 0);
}

static void on_list(UnitCall *call, int r, const UnitRow *rows, size_t n_rows, void *userdata)
{
        UnitFixture *f = userdata;

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
        UnitFixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_list(f->client, patterns, on_list, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        unit_assert_calls(f, "ListUnitsByPatterns");
        assert_int_equal(unit_client_list(f->client, none, on_list, f, &f->call), -EINVAL);
        assert_int_equal(unit_client_list(f->client, NULL, on_list, f, &f->call), -EINVAL);
}

/* Names are looked up, patterns are compared with all units there are. */
static void test_list_of_names(void **state)
{
        char *names[] = { (char *) "shop@1.service", (char *) "shop@2.service", NULL };
        char *patterns[] = { (char *) "shop@1.service", (char *) "shop@*.service", NULL };
        UnitFixture *f = *state;

        f->systemd->calls = strv_free(f->systemd->calls);
        assert_int_equal(unit_client_list_named(f->client, names, on_list, f, &f->call), 0);
        unit_settle(f);
        assert_int_equal(f->n_called, 1);
        unit_assert_calls(f, "ListUnitsByNames");
        assert_int_equal(unit_client_list_named(f->client, patterns, on_list, f, &f->call), -EINVAL);
        assert_int_equal(unit_client_list_named(f->client, NULL, on_list, f, &f->call), -EINVAL);
}

/* ---- Watching ----------------------------------------------------------------------------------------- */

static void on_state(UnitCall *call, UnitActiveState active, const char *sub_state, void *userdata)
{
        UnitFixture *f = userdata;

        f->n_called++;
        f->active = active;
        snprintf(f->sub_state, sizeof(f->sub_state), "%s", sub_state);
        if (f->free_in_handler)
                f->call = unit_call_free(f->call);
}

static void assert_state(UnitFixture *f, unsigned n_called, UnitActiveState active, const char *sub_state)
{
        unit_settle(f);
        assert_int_equal(f->n_called, n_called);
        assert_int_equal(f->active, active);
        assert_string_equal(f->sub_state, sub_state);
}

static void test_watch(void **state)
{
        UnitFixture *f = *state;

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
        UnitFixture *f = *state;

        assert_int_equal(unit_client_watch(f->client, "shop.service", on_state, f, &f->call), 0);
        assert_state(f, 1, UNIT_ACTIVE, "running");
        fake_systemd_unit_changed(f->systemd, FAKE_FORGER, "shop.service", "inactive", "dead");
        assert_state(f, 1, UNIT_ACTIVE, "running");
        fake_systemd_unit_changed(f->systemd, NULL, "shop.service", "inactive", "dead");
        assert_state(f, 2, UNIT_INACTIVE, "dead");
}

#define DIRECT(name) cmocka_unit_test_setup_teardown(name, unit_setup_direct, unit_teardown)
#define BUS(name)    cmocka_unit_test_setup_teardown(name, unit_setup_bus, unit_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                DIRECT(test_reset_failed),
                DIRECT(test_info_of_a_service),
                DIRECT(test_info_of_a_timer),
                DIRECT(test_info_that_cannot_be),
                DIRECT(test_list),
                DIRECT(test_list_of_names),
                DIRECT(test_watch),
                BUS(test_watch),
                BUS(test_forged_state),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
