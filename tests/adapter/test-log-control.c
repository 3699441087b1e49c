/* SPDX-License-Identifier: MIT */

/* What is logged: base/log.h where standard error is no journal, which is how tests see it (810-journal.sh has the
 * journal), and org.freedesktop.LogControl1, which changes level and target for root alone. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "bus-daemon.h"
#include "bus/bus-log-control.h"
#include "fake-manager.inc"

#include "bus-fixture.inc"

#define PROPERTIES "org.freedesktop.DBus.Properties"

/* ---- lines ---- */

/* What `log` writes to standard error. */
static char *logged(void (*log)(void))
{
        FILE *f = tmpfile();
        int before = dup(STDERR_FILENO);
        char *text = calloc(1, 512);

        assert_non_null(f);
        assert_non_null(text);
        assert_true(before >= 0);
        fflush(stderr);
        assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
        log();
        fflush(stderr);
        assert_true(dup2(before, STDERR_FILENO) >= 0);
        close(before);
        assert_true(pread(fileno(f), text, 511, 0) >= 0);
        fclose(f);
        return text;
}

static unsigned n_computed;

static const char *computed(const char *text)
{
        n_computed++;
        return text;
}

static void log_some_lines(void)
{
        LogContext context = {
                .event = LOG_EVENT_JOB_BEGUN,
                .fields = { [LOG_FIELD_BOT] = "shop", [LOG_FIELD_SEAT] = "cloud", [LOG_FIELD_UNIT] = "" },
        };

        log_debug("%s", computed("not logged"));
        log_info("%s", computed("logged"));
        assert_int_equal(log_full(LOG_ERR, -ENOENT, &context, "no such thing: %m"), -ENOENT);
        assert_int_equal(log_full(LOG_DEBUG, -ENOENT, &context, "%s", computed("not logged")), -ENOENT);
        log_event(LOG_WARNING, LOG_EVENT_SERVER_DEAD, "a.service", "dead");
        log_set_max_level(LOG_ERR);
        log_warning("%s", computed("not logged"));
        log_set_max_level(LOG_DEBUG);
        log_debug("%s", computed("logged now"));
        log_set_max_level(LOG_INFO);
}

static void test_lines_on_standard_error(void **state)
{
        _cleanup_free_ char *text = NULL;

        n_computed = 0;
        text = logged(log_some_lines);
        assert_string_equal(text, "logged\n"
                                  "shop: no such thing: No such file or directory\n"
                                  "dead\n"
                                  "logged now\n");
        /* what is not logged costs nothing */
        assert_int_equal(n_computed, 2);
}

static void test_words(void **state)
{
        for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
                assert_int_equal(log_level_from_string(log_level_to_string(level)), level);
        assert_int_equal(log_level_from_string("7"), LOG_DEBUG);
        assert_int_equal(log_level_from_string("8"), -EINVAL);
        assert_int_equal(log_level_from_string("77"), -EINVAL);
        assert_int_equal(log_level_from_string(""), -EINVAL);
        assert_null(log_level_to_string(-1));
        assert_null(log_level_to_string(LOG_DEBUG + 1));
        for (LogTarget t = 0; t < LOG_TARGET_MAX; t++)
                assert_int_equal(log_target_from_string(log_target_to_string(t)), t);
        assert_int_equal(log_target_from_string("kmsg"), LOG_TARGET_INVALID);
        assert_null(log_target_to_string(LOG_TARGET_MAX));
}

/* A file of the journal's own kind: 32 digits of hexadecimal, each of them once. */
static void test_each_event_has_an_id(void **state)
{
        assert_null(log_event_id(LOG_EVENT_NONE));
        assert_null(log_event_id(LOG_EVENT_MAX));
        for (LogEvent e = LOG_EVENT_NONE + 1; e < LOG_EVENT_MAX; e++) {
                assert_int_equal(strlen(log_event_id(e)), 32);
                assert_int_equal(strspn(log_event_id(e), "0123456789abcdef"), 32);
                for (LogEvent other = LOG_EVENT_NONE + 1; other < e; other++)
                        assert_string_not_equal(log_event_id(e), log_event_id(other));
        }
}

/* ---- on the bus ---- */

static void assert_property(Fixture *f, const char *name, const char *value)
{
        sd_bus_message *reply = call(f, BUS_LOG_CONTROL_PATH, PROPERTIES, "Get", "ss", BUS_LOG_CONTROL_INTERFACE, name);
        const char *found;

        assert_true(sd_bus_message_read(reply, "v", "s", &found) > 0);
        assert_string_equal(found, value);
        sd_bus_message_unref(reply);
}

static sd_bus_message *set_property(Fixture *f, const char *name, const char *value)
{
        return call(f, BUS_LOG_CONTROL_PATH, PROPERTIES, "Set", "ssv", BUS_LOG_CONTROL_INTERFACE, name, "s", value);
}

static void test_level_and_target(void **state)
{
        Fixture *f = *state;

        assert_property(f, "LogLevel", "info");
        assert_property(f, "LogTarget", "console");
        assert_property(f, "SyslogIdentifier", program_invocation_short_name);

        assert_done(set_property(f, "LogLevel", "debug"));
        assert_int_equal(log_max_level(), LOG_DEBUG);
        assert_property(f, "LogLevel", "debug");
        assert_error_says(set_property(f, "LogLevel", "loud"), SD_BUS_ERROR_INVALID_ARGS,
                          "There is no such log level: it is emerg, alert, crit, err, warning, notice, info or debug.");
        assert_property(f, "LogLevel", "debug");
        assert_done(set_property(f, "LogLevel", "6"));
        assert_property(f, "LogLevel", "info");

        assert_done(set_property(f, "LogTarget", "journal"));
        assert_property(f, "LogTarget", "journal");
        assert_error_says(set_property(f, "LogTarget", "kmsg"), SD_BUS_ERROR_INVALID_ARGS,
                          "tgswitchd does not log there: the target is journal, console or auto.");
        assert_property(f, "LogTarget", "journal");
        assert_done(set_property(f, "LogTarget", "auto"));
        assert_property(f, "LogTarget", "console");
        assert_error(set_property(f, "SyslogIdentifier", "another"), SD_BUS_ERROR_PROPERTY_READ_ONLY);
}

/* Whatever the bus's policy is: who is not root may look. */
static void test_only_root_writes(void **state)
{
        Fixture *f = *state;
        sd_bus *root = f->client;

        assert_int_equal(seteuid(NOBODY), 0); /* the bus daemon goes by who connects */
        f->client = connect_bus();
        assert_true(sd_bus_attach_event(f->client, f->event, 0) >= 0);
        assert_error(set_property(f, "LogLevel", "debug"), SD_BUS_ERROR_ACCESS_DENIED);
        assert_error(set_property(f, "LogTarget", "journal"), SD_BUS_ERROR_ACCESS_DENIED);
        assert_int_equal(seteuid(0), 0);
        assert_property(f, "LogLevel", "info");
        assert_property(f, "LogTarget", "console");
        sd_bus_flush_close_unref(f->client);
        f->client = root;
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lines_on_standard_error),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_each_event_has_an_id),
                cmocka_unit_test_setup_teardown(test_level_and_target, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_only_root_writes, set_up, tear_down),
        };

        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
