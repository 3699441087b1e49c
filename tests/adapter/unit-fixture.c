/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/strv.h"
#include "unit-fixture.h"

void unit_settle(UnitFixture *f)
{
        int r;

        do {
                r = sd_event_run(f->event, 0);
                assert_true(r >= 0);
        } while (r > 0);
}

static int setup_with(void **state, bool is_bus)
{
        UnitFixture *f = calloc(1, sizeof(UnitFixture));

        assert_non_null(f);
        assert_true(sd_event_new(&f->event) >= 0);
        f->systemd = fake_systemd_new(f->event, is_bus, &f->bus);
        assert_int_equal(unit_client_new(&f->client, f->bus), 0);
        unit_settle(f);
        *state = f;
        return 0;
}

int unit_setup_direct(void **state)
{
        return setup_with(state, false);
}

int unit_setup_bus(void **state)
{
        return setup_with(state, true);
}

int unit_teardown(void **state)
{
        UnitFixture *f = *state;

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

void unit_assert_calls(UnitFixture *f, const char *expected)
{
        _cleanup_free_ char *calls = strv_join(f->systemd->calls, ", ");

        assert_non_null(calls);
        assert_string_equal(calls, expected);
        f->systemd->calls = strv_free(f->systemd->calls);
}
