/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/strv.h"
#include "manager/check.h"

/* A worker that is wired in any way by which it could run at the wrong server, or stay away after a move, is refused
 * before anything is touched (L3, L4, L9), and the words tell what to do. */

#define SOCKET "/run/tgswitch/credential.sock"

/* A string literal where a list of strings that one may write to is asked for. */
#define LIST(...) ((char *[]){ __VA_ARGS__, NULL })
#define S(text)   ((char *) (text))

static UnitCredential good_credentials[] = {
        { S("bot-token"), S(SOCKET) },
        { S("bot-endpoint"), S(SOCKET) },
        { S("bot-pending-updates"), S(SOCKET) },
};

/* As the drop-in that is shipped makes it. */
static UnitInfo good_unit(void)
{
        static char *exec_start_pre[] = { S("/usr/bin/test -s /run/credentials/shop.service/bot-token"), NULL };
        static char *environment_files[] = { S("/etc/default/shop"), S("/run/tgswitch/bots/shop.env"), NULL };
        static char *after[] = { S("tgswitchd.service"), NULL };
        static char *conflicts[] = { S("shutdown.target"), NULL };

        return (UnitInfo){
                .name = S("shop.service"),
                .load_state = UNIT_LOAD_LOADED,
                .active_state = UNIT_ACTIVE,
                .sub_state = S("running"),
                .type = S("exec"),
                .result = S("success"),
                .fragment_path = S("/etc/systemd/system/shop.service"),
                .kill_mode = S("control-group"),
                .send_sigkill = true,
                .timeout_start_usec = USEC_INFINITY,
                .timeout_stop_usec = 90 * USEC_PER_SEC,
                .exec_start_pre = exec_start_pre,
                .credentials = good_credentials,
                .n_credentials = ELEMENTSOF(good_credentials),
                .environment_files = environment_files,
                .after = after,
                .conflicts = conflicts,
        };
}

static CheckUnitContext good_context(void)
{
        static char *workers[] = { S("shop.service"), S("shop-*@?.service"), NULL };

        return (CheckUnitContext){
                .bot = "shop",
                .server_unit = "telegram-bot-api.service",
                .socket_path = SOCKET,
                .spool_to = "shop.service",
                .environment_directory = "/run/tgswitch/bots",
                .workers = workers,
                .stop_timeout_usec = 100 * USEC_PER_SEC,
        };
}

static const CheckItem *find(const CheckList *l, const char *check, CheckVerdict verdict, const char *words)
{
        for (size_t i = 0; i < l->n; i++)
                if (streq(l->items[i].check, check) && l->items[i].verdict == verdict &&
                    strstr(l->items[i].explanation, words))
                        return l->items + i;
        return NULL;
}

static void print(const CheckList *l)
{
        for (size_t i = 0; i < l->n; i++)
                print_message("%s %s: %s\n", l->items[i].check, check_verdict_to_string(l->items[i].verdict),
                              l->items[i].explanation);
}

/* The unit gets the verdict with words of both its cause and its cure, and the list fails where that is FAIL alone. */
static void expect(const UnitInfo *info, const CheckUnitContext *context, const char *check, CheckVerdict verdict,
                   const char *cause, const char *cure)
{
        CheckList l = {};
        const CheckItem *item;

        check_unit(context, info, &l);
        item = find(&l, check, verdict, cause);
        if (!item || !strstr(item->explanation, cure) || check_list_passed(&l) != (verdict != CHECK_FAIL)) {
                print(&l);
                fail_msg("%s: '%s' and '%s' were expected", check_verdict_to_string(verdict), cause, cure);
        }
        assert_string_equal(item->subject, info->name);
        check_list_done(&l);
}

static void test_good(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();
        CheckList l = {};

        check_unit(&context, &info, &l);
        for (size_t i = 0; i < l.n; i++)
                if (l.items[i].verdict != CHECK_PASS)
                        fail_msg("%s", l.items[i].explanation);
        assert_int_equal(l.n, 3);
        check_list_done(&l);
}

static void test_loading(void **state)
{
        static const struct {
                UnitLoadState load_state;
                const char *cause, *cure;
        } rows[] = {
                { UNIT_LOAD_NOT_FOUND, "does not exist", "correct Worker= in bots.d/shop.conf" },
                { UNIT_LOAD_NOT_FOUND, "systemctl --user", "with User=" },
                { UNIT_LOAD_MASKED, "is masked", "systemctl unmask shop.service" },
                { UNIT_LOAD_BAD_SETTING, "cannot load", "systemctl status shop.service" },
                { UNIT_LOAD_ERROR, "cannot load", "systemctl status shop.service" },
                { UNIT_LOAD_OTHER, "cannot load", "systemctl status shop.service" },
        };
        CheckUnitContext context = good_context();

        FOREACH_ELEMENT(row, rows) {
                UnitInfo info = good_unit();

                info.load_state = row->load_state;
                expect(&info, &context, "worker", CHECK_FAIL, row->cause, row->cure);
        }
}

static void test_what_it_is(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();

        info.transient = true;
        expect(&info, &context, "worker", CHECK_FAIL, "made by systemd-run", "write a unit file");
        info = good_unit();
        info.refuse_manual_start = true;
        expect(&info, &context, "worker", CHECK_FAIL, "refuses to be started", "take RefuseManualStart=yes out");
        info = good_unit();
        info.refuse_manual_stop = true;
        expect(&info, &context, "worker", CHECK_FAIL, "refuses to be stopped", "take RefuseManualStop=yes out");
        info = good_unit();
        info.need_daemon_reload = true;
        expect(&info, &context, "worker", CHECK_FAIL, "has changed on disk", "systemctl daemon-reload");

        info = good_unit();
        context.other_bot = "news";
        expect(&info, &context, "worker", CHECK_FAIL, "is a worker of the bot news as well", "systemctl reload");
}

static void test_end(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();

        info.kill_mode = S("none");
        expect(&info, &context, "worker", CHECK_FAIL, "may leave processes behind", "take KillMode=none out");
        info = good_unit();
        info.send_sigkill = false;
        expect(&info, &context, "worker", CHECK_FAIL, "may leave processes behind", "take SendSIGKILL=no out");
        info = good_unit();
        info.kill_mode = S("process");
        expect(&info, &context, "worker", CHECK_SKIPPED, "its main process alone", "KillMode=mixed");
        info = good_unit();
        info.remain_after_exit = true;
        expect(&info, &context, "worker", CHECK_SKIPPED, "stays active when its program has ended", "ExecStop=");
        info = good_unit();
        info.timeout_stop_usec = context.stop_timeout_usec;
        expect(&info, &context, "worker", CHECK_SKIPPED,
               "has not ended within TimeoutStopSec=", "make the first shorter");
        info.timeout_stop_usec = USEC_INFINITY;
        expect(&info, &context, "worker", CHECK_SKIPPED,
               "has not ended within TimeoutStopSec=", "make the first shorter");
}

static void test_gate(void **state)
{
        UnitCredential others[] = {
                { S("bot-token"), S("/run/other.sock") },
                { S("bot-endpoint"), S(SOCKET) },
                { S("bot-pending-updates"), S(SOCKET) },
        };
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();

        info.n_credentials = 0;
        info.exec_start_pre = NULL;
        expect(&info, &context, "gate", CHECK_FAIL, "has no gate", "tgswitchctl adopt shop.service --bot shop");
        info.credentials = others;
        info.n_credentials = 1;
        expect(&info, &context, "gate", CHECK_FAIL, "has no gate",
               "/etc/systemd/system/shop.service.d/50-tgswitch.conf");

        info = good_unit();
        info.n_credentials = 1;
        expect(&info, &context, "gate", CHECK_FAIL, "does not load the credential bot-endpoint",
               "LoadCredential=bot-endpoint:" SOCKET);
        info = good_unit();
        info.n_credentials = 2;
        expect(&info, &context, "gate", CHECK_SKIPPED, "bot-pending-updates", "kept until somebody takes it");
        info = good_unit();
        info.credentials = others;
        expect(&info, &context, "gate", CHECK_FAIL, "loads the credential bot-token from /run/other.sock",
               "LoadCredential=bot-token:" SOCKET);
        info = good_unit();
        info.timeout_start_usec = 90 * USEC_PER_SEC;
        expect(&info, &context, "gate", CHECK_FAIL, "fail at its start timeout", "TimeoutStartSec=infinity");
}

static void test_exec_start_pre(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();

        info.exec_start_pre = NULL;
        expect(&info, &context, "gate", CHECK_FAIL,
               "has no ExecStartPre=", "ExecStartPre=/usr/bin/test -s %d/bot-token");
        info.exec_start_pre = LIST(S("-/usr/bin/test -s %d/bot-token"));
        expect(&info, &context, "gate", CHECK_FAIL, "starts even where its ExecStartPre= fails", "take the '-'");
        info.exec_start_pre = LIST(S("/bin/mkdir -p /srv/shop"), S("-/usr/bin/test -s %d/bot-token"));
        expect(&info, &context, "gate", CHECK_SKIPPED, "names bot-token", "/usr/bin/test -s %d/bot-token does");
}

static void test_environment(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();
        CheckList l = {};

        info.environment_files = LIST(S("/run/tgswitch/bots/shop2.env"));
        expect(&info, &context, "environment", CHECK_FAIL, "/run/tgswitch/bots/shop2.env",
               "EnvironmentFile=-/run/tgswitch/bots/shop.env");
        info.environment_files = LIST(S("/run/tgswitch/bots/shop.env"), S("/run/tgswitch/bots/sho.env"));
        expect(&info, &context, "environment", CHECK_FAIL, "/run/tgswitch/bots/sho.env", "shop.env");

        info.environment_files = LIST(S("/run/tgswitch/botsy/news.env"), S("/etc/news.env"));
        check_unit(&context, &info, &l);
        assert_true(check_list_passed(&l));
        check_list_done(&l);
}

static void test_ties(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();

        info.requires = LIST(S("sysinit.target"), S("telegram-bot-api.service"));
        expect(&info, &context, "ties", CHECK_FAIL, "requires or binds to telegram-bot-api.service", "take that");
        info = good_unit();
        info.conflicts = LIST(S("telegram-bot-api.service"));
        expect(&info, &context, "ties", CHECK_FAIL, "conflicts with telegram-bot-api.service", "take that Conflicts=");
        info = good_unit();
        info.after = LIST(S("tgswitch-local.service"));
        expect(&info, &context, "ties", CHECK_FAIL, "ordered after the cutover",
               "Take After=tgswitch-local.service out");
        info.after = LIST(S("tgswitch-local@shop.service"));
        expect(&info, &context, "ties", CHECK_FAIL, "ordered after the cutover", "After=tgswitchd.service is enough");
        info = good_unit();
        info.stopped_with = LIST(S("shop-metrics.service"));
        expect(&info, &context, "ties", CHECK_FAIL, "stops shop-metrics.service along", "Wants=shop.service");
}

/* Units that the move itself starts again, and such as run nothing. */
static void test_harmless_ties(void **state)
{
        CheckUnitContext context = good_context();
        UnitInfo info = good_unit();
        CheckList l = {};

        info.requires = LIST(S("postgresql.service"));
        info.stopped_with = LIST(S("shop-jobs@1.service"), S("shop.target"));
        info.after = LIST(S("tgswitch-local@news.service"));
        check_unit(&context, &info, &l);
        assert_true(check_list_passed(&l));
        check_list_done(&l);
}

/* Answers come in any order; what is read does not. */
static void test_order(void **state)
{
        static const char *const came[][2] = {
                { "worker", "b.service" }, { "disk", "state directory" }, { "worker", "a.service" },
                { "server", "s.service" }, { "gate", "b.service" },       { "token", "shop" },
                { "gate", "a.service" },   { "window", "shop" },
        };
        static const char *const expected[][2] = {
                { "window", "shop" },          { "token", "shop" },       { "server", "s.service" },
                { "disk", "state directory" }, { "worker", "a.service" }, { "gate", "a.service" },
                { "worker", "b.service" },     { "gate", "b.service" },
        };
        CheckList l = {};

        FOREACH_ELEMENT(c, came)
                check_list_add(&l, (*c)[0], (*c)[1], CHECK_PASS, "So it is.");
        check_list_sort(&l);
        assert_int_equal(l.n, ELEMENTSOF(expected));
        for (size_t i = 0; i < l.n; i++) {
                assert_string_equal(l.items[i].check, expected[i][0]);
                assert_string_equal(l.items[i].subject, expected[i][1]);
        }
        check_list_done(&l);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),          cmocka_unit_test(test_loading),
                cmocka_unit_test(test_what_it_is),    cmocka_unit_test(test_end),
                cmocka_unit_test(test_gate),          cmocka_unit_test(test_exec_start_pre),
                cmocka_unit_test(test_environment),   cmocka_unit_test(test_ties),
                cmocka_unit_test(test_harmless_ties), cmocka_unit_test(test_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
