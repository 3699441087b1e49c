/* SPDX-License-Identifier: MIT */

/* org.tgswitch1 as others see it, over a bus daemon of the test's own and with a fake manager behind it.
 * Defends L9 (a call answered by an error has changed nothing), the rule that without polkit root alone changes
 * anything (test-bus-polkit.c has the rest), and what org.tgswitch1(5) promises of signals and their order. With
 * --serve it is a daemon for test-ctl.sh to talk to. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <systemd/sd-bus.h>

#include "bus-daemon.h"
#include "bus/bus-call.h"
#include "bus/bus-names.h"
#include "bus/bus-options.h"
#include "bus/bus-service.h"
#include "fake-manager.inc"
#include "fake-serve.inc"

#include "bus-fixture.inc"

#define SHOP BUS_BOT_PREFIX "shop"
#define NEWS BUS_BOT_PREFIX "news"

/* ---- tests: what there is ---- */

static void test_introspection_is_complete(void **state)
{
        static const struct {
                const char *path, *members;
        } objects[] = {
                { BUS_PATH, "SwitchToLocal SwitchToCloud ListBots GetBot ListJobs GetHistory Reload JobNew JobRemoved "
                            "Version LocalServerState NBots NJobs NCloud NLocal GetManagedObjects" },
                { SHOP,
                  "SwitchToLocal SwitchToCloud Hold Release Check CheckToken SetSeat ReadSpool ClearSpool Name Id Seat "
                  "Phase Target Endpoint Workers LoggedOutUSec CloudAllowedUSec LocalAllowedUSec StaleSession "
                  "HeldUntilUSec HeldReason PendingUpdates PendingUpdatesUSec SpooledUpdates Job LastJob LastResult "
                  "LastError" },
                { BUS_JOB_PREFIX "1", "Cancel Proceed Id Bot Target Phase Reason StartedUSec PhaseStartedUSec "
                                      "NotBeforeUSec Holding Cancellable Drained Spooled HandedOver BlindUSec "
                                      "DowntimeUSec Error" },
        };
        Fixture *f = *state;

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        FOREACH_ELEMENT(o, objects) {
                _cleanup_free_ char *xml = introspect(f, o->path), *ours = NULL, *members = strdup(o->members);
                char *rest = members, name[64];

                for (const char *member; (member = strsep(&rest, " "));) {
                        (void) snprintf(name, sizeof(name), " name=\"%s\"", member);
                        if (!strstr(xml, name))
                                fail_msg("%s has no %s", o->path, member);
                }
                /* every argument of ours is named; the standard interfaces stand before */
                ours = strdup(strstr(xml, "<interface name=\"org.tgswitch1."));
                for (char *arg = strstr(ours, "<arg "); arg; arg = strstr(arg + 1, "<arg "))
                        assert_true(strstr(arg, "name=\"") && strstr(arg, "name=\"") < strchr(arg, '>'));
        }
}

static void test_lists(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply;
        const char *path, *bot, *phase;
        uint32_t id;

        assert_jobs(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListBots", ""), "lost=lost news=news shop=shop");

        reply = call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", "news");
        assert_true(sd_bus_message_read(reply, "o", &path) > 0);
        assert_string_equal(path, NEWS);
        sd_bus_message_unref(reply);
        assert_error_says(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", "nobody"), BUS_ERROR_NO_SUCH_BOT,
                          "No bot is called 'nobody'; see 'tgswitchctl list'.");

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        reply = call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListJobs", "");
        assert_true(sd_bus_message_enter_container(reply, 'a', "(usos)") > 0);
        assert_true(sd_bus_message_read(reply, "(usos)", &id, &bot, &path, &phase) > 0);
        assert_int_equal(id, 1);
        assert_string_equal(bot, "shop");
        assert_string_equal(path, BUS_JOB_PREFIX "1");
        assert_string_equal(phase, "check");
        assert_int_equal(sd_bus_message_at_end(reply, false), 1);
        sd_bus_message_unref(reply);
}

static void test_name_of_somebody_else(void **state)
{
        Fixture *f = *state;
        Manager *other = fake_manager_new(f->event);
        BusService *second = NULL;
        int named = 1;

        assert_int_equal(bus_service_new(&second, f->client, other), 0);
        assert_int_equal(bus_service_request_name(second, on_named, &named), 0);
        while (named > 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_int_equal(named, -EEXIST);
        bus_service_free(second);
        fake_manager_free(other);
}

/* ---- tests: switching ---- */

static void test_a_job_from_begin_to_end(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply;
        const char *path;

        reply = call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "reason", "s", "größer");
        assert_true(sd_bus_message_read(reply, "o", &path) > 0);
        assert_string_equal(path, BUS_JOB_PREFIX "1");
        sd_bus_message_unref(reply);
        assert_string_equal(f->shop->requester, "uid 0");
        assert_string_equal(f->shop->job.reason, "größer");
        assert_string_equal(heard(f), "InterfacesAdded 1\n"
                                      "JobNew 1 /org/tgswitch1/job/1 shop\n"
                                      "Changed shop Phase=check Target=local Job\n"
                                      "Changed tgswitch1 NJobs\n");

        /* asked again it is the same job */
        forget(f);
        assert_jobs(switch_bots(f, STRV("shop")), "shop=1");
        assert_string_equal(heard(f), "");

        while (f->shop->state != CUTOVER_CONFIRM)
                assert_true(fake_advance(f->shop));
        forget(f);
        assert_true(fake_advance(f->shop));
        assert_string_equal(heard(f),
                            "Changed shop Phase= Target= Endpoint=http://127.0.0.1:8081 Job LastJob LastResult=done\n"
                            "Changed 1 Phase= Drained=12 Spooled=3 HandedOver=3 BlindUSec=74000 "
                            "DowntimeUSec=1900000\n"
                            "JobRemoved 1 /org/tgswitch1/job/1 shop done\n"
                            "InterfacesRemoved 1\n"
                            "Changed tgswitch1 NJobs\n");
        assert_false(job_exists(f, BUS_JOB_PREFIX "1"));

        /* already there: no job */
        forget(f);
        assert_jobs(switch_bots(f, STRV("shop", "ne*")), "news=2 shop=/");
}

static void test_changes_are_told_together_and_only_changes(void **state)
{
        Fixture *f = *state;

        f->shop->pending = 5;
        fake_changed(f->shop);
        f->shop->pending = 6;
        f->shop->pending_usec = 99;
        fake_changed(f->shop);
        fake_changed(f->news);
        assert_string_equal(heard(f), "Changed shop PendingUpdates=6 PendingUpdatesUSec=99\n");

        forget(f);
        f->shop->cloud_allowed_usec = UINT64_MAX;
        f->shop->local_allowed_usec = 77;
        f->shop->stale = true;
        fake_changed(f->shop);
        assert_string_equal(heard(f), "Changed shop CloudAllowedUSec=18446744073709551615 LocalAllowedUSec=77 "
                                      "StaleSession\n");

        /* there and back within one round is no change */
        forget(f);
        f->shop->pending = 7;
        fake_changed(f->shop);
        f->shop->pending = 6;
        fake_changed(f->shop);
        assert_string_equal(heard(f), "");

        /* text of a server that is no UTF-8 does not take the reply along */
        fake_set_string(&f->shop->error, "bad \xff byte");
        fake_changed(f->shop);
        assert_string_equal(heard(f), "Changed shop LastError=bad ? byte\n");

        /* nor does what is UTF-8, and no character */
        forget(f);
        fake_set_string(&f->shop->error, "bad \xef\xbf\xbf character");
        fake_changed(f->shop);
        assert_string_equal(heard(f), "Changed shop LastError=bad ??? character\n");

        forget(f);
        f->manager->server_state = "inactive";
        f->manager->observer->manager_changed(f->manager, f->manager->observer->userdata);
        assert_string_equal(heard(f), "Changed tgswitch1 LocalServerState=inactive\n");
}

static void test_choice_of_bots(void **state)
{
        char *many[4098] = { NULL }, long_name[80] = "";
        Fixture *f = *state;

        assert_error_says(switch_bots(f, STRV("shop", "nobody")), BUS_ERROR_NO_SUCH_BOT,
                          "No configured bot is called or matches 'nobody'; nothing was changed.");
        assert_error(switch_bots(f, STRV("x*")), BUS_ERROR_NO_SUCH_BOT);
        memset(long_name, 'a', sizeof(long_name) - 1);
        assert_error_says(switch_bots(f, STRV(long_name)), SD_BUS_ERROR_INVALID_ARGS,
                          "A name or pattern has at most 64 characters, and at most 2 asterisks.");
        for (size_t i = 0; i + 1 < ELEMENTSOF(many); i++)
                many[i] = (char *) "shop";
        assert_error_says(switch_bots(f, many), SD_BUS_ERROR_INVALID_ARGS,
                          "At most 4096 names can be given, and 16 patterns.");
        /* anybody can have these tried, before polkit is asked */
        assert_error_says(switch_bots(f, STRV("*s*h*o*p*")), SD_BUS_ERROR_INVALID_ARGS, "asterisks");
        for (size_t i = 0; i < 17; i++)
                many[i] = (char *) "s*";
        many[17] = NULL;
        assert_error_says(switch_bots(f, many), SD_BUS_ERROR_INVALID_ARGS, "16 patterns");
        assert_nothing_changed(f);

        assert_jobs(switch_bots(f, STRV("s*", "shop", "[m-o]ews")), "news=1 shop=2");
}

/* They come back in the sentence that refuses them, and go to a terminal there. */
static void test_words_that_are_no_text(void **state)
{
        static const char *const words[] = { "shop\x1b[2J", "new\ns", "\x7f", "\302\23331m" };
        static const char instead[] = "'(a name with control characters)'";
        char long_name[BUS_WORD_SHOWN_MAX + 2] = "";
        Fixture *f = *state;

        FOREACH_ELEMENT(word, words) {
                assert_error_says(switch_bots(f, STRV(*word)), BUS_ERROR_NO_SUCH_BOT, instead);
                assert_error_says(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", *word), BUS_ERROR_NO_SUCH_BOT,
                                  instead);
                assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, *word, "s", "fail"),
                                  SD_BUS_ERROR_INVALID_ARGS, instead);
        }
        memset(long_name, 'a', sizeof(long_name) - 1);
        assert_error_says(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", long_name), BUS_ERROR_NO_SUCH_BOT,
                          "No bot is called '(a very long name)'");
        assert_nothing_changed(f);
}

static void test_options_are_strict(void **state)
{
        char long_reason[BUS_REASON_MAX + 2];
        Fixture *f = *state;
        const struct {
                const char *key, *type, *value, *words;
        } bad[] = {
                { "on-undrain", "s", "fail",
                  "There is no option 'on-undrain'; known are on-undrained, hold-at, when-allowed, automatic, batch and "
                  "reason." },
                { "on-undrained", "s", "perhaps", "'on-undrained' takes fail, spool or wait." },
                { "hold-at", "s", "check", "'hold-at' takes stop-workers or log-out." },
                { "hold-at", "s", "none", "'hold-at' takes stop-workers or log-out." },
                { "reason", "s", "a\nb", "'reason' takes at most 256 bytes of text without control characters." },
                { "reason", "s",
                  "\xc2\x9b"
                  "31m",
                  "without control characters" },
                { "reason", "s", long_reason, "at most 256 bytes" },
                { "reason", "o", "/", "'reason' takes a string." },
                { "when-allowed", "s", "yes", "'when-allowed' takes a boolean." },
                { "automatic", "s", "true", "'automatic' takes a boolean." },
                { "batch", "s", "1", "'batch' takes the number of a job (type u)." },
                { "", "s", "", "There is no option ''" },
        };

        memset(long_reason, 'r', sizeof(long_reason) - 1);
        long_reason[sizeof(long_reason) - 1] = '\0';
        FOREACH_ELEMENT(o, bad)
                assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, o->key, o->type,
                                       o->value),
                                  SD_BUS_ERROR_INVALID_ARGS, o->words);
        assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 2, "reason", "s", "a", "reason",
                               "s", "b"),
                          SD_BUS_ERROR_INVALID_ARGS, "The option 'reason' was given twice.");
        assert_nothing_changed(f);

        long_reason[BUS_REASON_MAX] = '\0';
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 3, "reason", "s", long_reason, "hold-at",
                         "s", "log-out", "on-undrained", "s", "wait"));
        assert_int_equal(f->shop->job.hold_at, HOLD_AT_LOG_OUT);
        assert_int_equal(f->shop->job.on_undrained, ON_UNDRAINED_WAIT);
}

static void test_each_refusal_has_its_name(void **state)
{
        static const struct {
                AskResult result;
                const char *name;
        } refusals[] = {
                { ASK_NO_TOKEN, BUS_ERROR_NO_TOKEN },
                { ASK_UNDECLARED, BUS_ERROR_UNDECLARED },
                { ASK_BAD_RECORD, BUS_ERROR_BAD_RECORD },
                { ASK_BAD_CONFIG, BUS_ERROR_BAD_CONFIG },
                { ASK_JOB_RUNNING, BUS_ERROR_JOB_RUNNING },
                { ASK_NOT_CANCELLABLE, BUS_ERROR_NOT_CANCELLABLE },
                { ASK_NOT_HOLDING, BUS_ERROR_NOT_HOLDING },
                { ASK_NOT_SETTLED, BUS_ERROR_NOT_SETTLED },
                { ASK_FAILED, BUS_ERROR_FAILED },
                { ASK_FALLBACK_WINDOW, BUS_ERROR_FALLBACK_WINDOW },
                { ASK_HELD, BUS_ERROR_HELD },
        };
        Fixture *f = *state;

        assert_int_equal(ELEMENTSOF(refusals), ASK_RESULT_MAX - 3);
        FOREACH_ELEMENT(i, refusals) {
                f->shop->refusal = i->result;
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 0), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SetSeat", "s", "local"), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_MAX, ""), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Release", ""), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Check", "s", "local"), i->name);
                assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "CheckToken", "b", false), i->name);
        }
        assert_nothing_changed(f);
}

static void test_cancel_and_proceed(void **state)
{
        Fixture *f = *state;

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "hold-at", "s", "stop-workers"));
        assert_error(call(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Proceed", ""), BUS_ERROR_NOT_HOLDING);
        assert_true(fake_advance(f->shop));
        forget(f);
        assert_true(fake_advance(f->shop));
        assert_non_null(strstr(heard(f), " Holding"));
        assert_done(call(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Proceed", ""));
        assert_int_equal(f->shop->state, CUTOVER_STOP_WORKERS);
        assert_done(call(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Cancel", ""));
        assert_error(call(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Cancel", ""), SD_BUS_ERROR_UNKNOWN_OBJECT);

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        while (f->shop->state != CUTOVER_LOG_IN)
                assert_true(fake_advance(f->shop));
        assert_error(call(f, BUS_JOB_PREFIX "2", BUS_JOB_INTERFACE, "Cancel", ""), BUS_ERROR_NOT_CANCELLABLE);
}

/* ---- tests: windows, queue, holds ---- */

static void test_the_way_back(void **state)
{
        Fixture *f = *state;

        f->shop->seat = SEAT_LOCAL;
        f->shop->cloud_allowed_usec = fake_job_start_usec + USEC_PER_MIN;
        fake_changed(f->shop);
        forget(f);

        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 0), BUS_ERROR_FALLBACK_WINDOW);
        assert_error(switch_bots_to(f, "SwitchToCloud", STRV("shop"), NULL, 0), BUS_ERROR_FALLBACK_WINDOW);
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 1, "when-allowed", "b", 0),
                     BUS_ERROR_FALLBACK_WINDOW);
        assert_nothing_changed(f);

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}", 1, "when-allowed", "b", 1));
        assert_true(f->shop->job.when_allowed);
        assert_string_equal(heard(f), "InterfacesAdded 1\n"
                                      "JobNew 1 /org/tgswitch1/job/1 shop\n"
                                      "Changed shop Phase=queued Target=cloud Job "
                                      "LastError=It waits until the server takes the bot again.\n"
                                      "Changed tgswitch1 NJobs\n");
        forget(f);
        assert_true(fake_advance(f->shop));
        assert_string_equal(heard(f), "Changed shop Phase=check LastError=\n"
                                      "Changed 1 Phase=check PhaseStartedUSec=1700000000250000 NotBeforeUSec=0 "
                                      "Error=\n");
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0), BUS_ERROR_JOB_RUNNING);
}

static void test_hold(void **state)
{
        Fixture *f = *state;

        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_C(0), ""), SD_BUS_ERROR_INVALID_ARGS);
        assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_C(1700000000000000), ""),
                          SD_BUS_ERROR_INVALID_ARGS, "A bot is held until a moment to come, or until Release()");
        assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_MAX, "a\nb"), SD_BUS_ERROR_INVALID_ARGS,
                          "A reason has at most 256 bytes of text without control characters.");
        assert_nothing_changed(f);

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "Hold", "ts", UINT64_MAX, "release day"));
        assert_string_equal(heard(f), "Changed shop HeldUntilUSec=18446744073709551615 HeldReason=release day\n");
        assert_error(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "automatic", "b", 1),
                     BUS_ERROR_HELD);
        assert_error(switch_bots_to(f, "SwitchToLocal", STRV("news", "shop"), "automatic", 1), BUS_ERROR_HELD);
        assert_nothing_begun(f);
        forget(f);
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "Release", ""));
        assert_string_equal(heard(f), "Changed shop HeldUntilUSec=0 HeldReason=\n");
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 1, "automatic", "b", 1));
}

/* ---- tests: the rest of a bot ---- */

static void test_check(void **state)
{
        const char *check, *subject, *verdict, *explanation;
        Fixture *f = *state;
        sd_bus_message *reply;

        f->shop->check_fails = true;
        reply = call(f, SHOP, BUS_BOT_INTERFACE, "Check", "s", "local");
        assert_true(sd_bus_message_enter_container(reply, 'a', "(ssss)") > 0);
        assert_true(sd_bus_message_read(reply, "(ssss)", &check, &subject, &verdict, &explanation) > 0);
        assert_string_equal(check, "token");
        assert_string_equal(verdict, "pass");
        assert_true(sd_bus_message_read(reply, "(ssss)", &check, &subject, &verdict, &explanation) > 0);
        assert_string_equal(subject, "shop.service");
        assert_string_equal(verdict, "fail");
        sd_bus_message_unref(reply);

        assert_error_says(call(f, SHOP, BUS_BOT_INTERFACE, "Check", "s", "none"), SD_BUS_ERROR_INVALID_ARGS,
                          "A seat is either cloud or local.");
        assert_nothing_changed(f);
}

/* The configuration is read again while checks are under way: the call is answered, and nothing of the bot
 * is used. */
static void test_bot_goes_while_it_is_checked(void **state)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Fixture *f = *state;

        m = new_call(f, SHOP, BUS_BOT_INTERFACE, "Check");
        assert_true(sd_bus_message_append(m, "s", "local") >= 0);
        f->replied = false;
        assert_true(sd_bus_call_async(f->client, NULL, m, on_reply, f, 0) >= 0);
        fake_hold_checks = true;
        while (fake_held_checks == 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_hold_checks = false;

        fake_bot_remove(f->shop);
        while (!f->replied)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        assert_error_says(f->reply, BUS_ERROR_NO_SUCH_BOT, "The bot shop was removed from the configuration meanwhile");
        assert_int_equal(fake_held_checks, 0);
        assert_string_equal(heard(f), "InterfacesRemoved shop\nChanged tgswitch1 NBots NCloud\n");
}

static void test_spool(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply;
        char bytes[64] = "";
        int fd;

        reply = call(f, SHOP, BUS_BOT_INTERFACE, "ReadSpool", "");
        assert_true(sd_bus_message_read(reply, "h", &fd) > 0);
        assert_true(read(fd, bytes, sizeof(bytes) - 1) > 0);
        assert_string_equal(bytes, "[{\"update_id\":7},{\"update_id\":8}]");
        sd_bus_message_unref(reply);

        f->shop->spooled = 2;
        fake_changed(f->shop);
        forget(f);
        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "ClearSpool", ""));
        assert_string_equal(heard(f), "Changed shop SpooledUpdates=0\n");
}

static void test_set_seat(void **state)
{
        Fixture *f = *state;

        assert_error(call(f, BUS_BOT_PREFIX "lost", BUS_BOT_INTERFACE, "SetSeat", "s", "unknown"),
                     SD_BUS_ERROR_INVALID_ARGS);
        assert_done(call(f, BUS_BOT_PREFIX "lost", BUS_BOT_INTERFACE, "SetSeat", "s", "cloud"));
        assert_string_equal(heard(f), "Changed lost Seat=cloud\nChanged tgswitch1 NCloud\n");
}

static void test_reload(void **state)
{
        Fixture *f = *state;
        sd_bus_message *reply;
        const char *problems;

        f->manager->reload_message = "bots.d/shop.conf:3: Unknown key.";
        reply = call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", "");
        assert_true(sd_bus_message_read(reply, "s", &problems) > 0);
        assert_string_equal(problems, f->manager->reload_message);
        sd_bus_message_unref(reply);

        f->manager->reload_result = -EINVAL;
        assert_error(call(f, BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", ""), BUS_ERROR_BAD_CONFIG);
}

/* ---- tests: who may ask ---- */

static void test_without_polkit_root_changes_and_everybody_reads(void **state)
{
        static const struct {
                const char *path, *interface, *member, *types;
        } changes[] = {
                { BUS_PATH, BUS_MANAGER_INTERFACE, "SwitchToLocal", "asa{sv}" },
                { BUS_PATH, BUS_MANAGER_INTERFACE, "SwitchToCloud", "asa{sv}" },
                { BUS_PATH, BUS_MANAGER_INTERFACE, "Reload", "" },
                { SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}" },
                { SHOP, BUS_BOT_INTERFACE, "SwitchToCloud", "a{sv}" },
                { SHOP, BUS_BOT_INTERFACE, "Hold", "ts" },
                { SHOP, BUS_BOT_INTERFACE, "Release", "" },
                { SHOP, BUS_BOT_INTERFACE, "Check", "s" },
                { SHOP, BUS_BOT_INTERFACE, "SetSeat", "s" },
                { SHOP, BUS_BOT_INTERFACE, "ReadSpool", "" },
                { SHOP, BUS_BOT_INTERFACE, "ClearSpool", "" },
        };
        Fixture *f = *state;

        FOREACH_ELEMENT(c, changes)
                as_nobody(f, c->path, c->interface, c->member, c->types, "local", BUS_ERROR_POLKIT_UNAVAILABLE);
        assert_nothing_changed(f);
        assert_int_equal(f->shop->seat, SEAT_CLOUD);
        assert_int_equal(f->shop->held_until_usec, 0);

        assert_done(call(f, SHOP, BUS_BOT_INTERFACE, "SwitchToLocal", "a{sv}", 0));
        as_nobody(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Cancel", "", NULL, BUS_ERROR_POLKIT_UNAVAILABLE);
        as_nobody(f, BUS_JOB_PREFIX "1", BUS_JOB_INTERFACE, "Proceed", "", NULL, BUS_ERROR_POLKIT_UNAVAILABLE);
        assert_true(bot_job_running(f->shop));

        as_nobody(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListBots", "", NULL, "ok");
        as_nobody(f, BUS_PATH, BUS_MANAGER_INTERFACE, "ListJobs", "", NULL, "ok");
        as_nobody(f, BUS_PATH, BUS_MANAGER_INTERFACE, "GetBot", "s", "shop", "ok");
        as_nobody(f, SHOP, "org.freedesktop.DBus.Properties", "GetAll", "s", BUS_BOT_INTERFACE, "ok");
        as_nobody(f, BUS_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", NULL, "ok");
}

/* Calls that nobody has answered yet go with the service, and nothing of them comes back to life. */
static void test_service_goes_with_calls_under_way(void **state)
{
        Fixture *f = *state;

        fake_hold_checks = true;
        for (int i = 0; i < 3; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_call(f, SHOP, BUS_BOT_INTERFACE, "Check");

                assert_true(sd_bus_message_append(m, "s", "local") >= 0);
                assert_true(sd_bus_call_async(f->client, NULL, m, on_reply, f, 0) >= 0);
        }
        while (fake_held_checks == 0)
                assert_true(sd_event_run(f->event, UINT64_MAX) >= 0);
        fake_hold_checks = false;
        f->service = bus_service_free(f->service);
        assert_int_equal(fake_held_checks, 0);
        assert_null(f->manager->observer);
        fake_changed(f->shop);
}

int main(int argc, char *argv[])
{
        static const struct CMUnitTest tests[] = {
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
                TEST(test_introspection_is_complete),
                TEST(test_lists),
                TEST(test_name_of_somebody_else),
                TEST(test_a_job_from_begin_to_end),
                TEST(test_changes_are_told_together_and_only_changes),
                TEST(test_choice_of_bots),
                TEST(test_words_that_are_no_text),
                TEST(test_options_are_strict),
                TEST(test_each_refusal_has_its_name),
                TEST(test_cancel_and_proceed),
                TEST(test_the_way_back),
                TEST(test_hold),
                TEST(test_check),
                TEST(test_bot_goes_while_it_is_checked),
                TEST(test_spool),
                TEST(test_set_seat),
                TEST(test_reload),
                TEST(test_without_polkit_root_changes_and_everybody_reads),
                TEST(test_service_goes_with_calls_under_way),
#undef TEST
        };

        if (argc > 1 && streq(argv[1], "--serve"))
                return fake_serve(fake_past_from_string(argv[2]));
        return run_on_a_bus(tests, ELEMENTSOF(tests));
}
