/* SPDX-License-Identifier: MIT */

/* The pure parts of `tgswitchctl adopt`: what it reads out of a unit's files and environment, what it writes, and that
 * what it wrote can be known again and taken out without a trace. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>

#include "../canary.h"
#include "base/fs-util.h"
#include "base/strv.h"

/* The objects of the program are not in the library. */
#include "ctl/ctl-adopt-look.c"
#include "ctl/ctl-adopt-notes.c"
#include "ctl/ctl-bot-file.c"
#include "ctl/ctl-drop-in.c"
#undef WHITESPACE
#include "ctl/ctl-unit-file.c"

#define TOKEN   "7100000001:" CANARY_SECRET
#define WRAPPER "/usr/libexec/tgswitch/tgswitch-exec"

static const char *const roots[] = { "https://api.telegram.org", "http://127.0.0.1:8081", NULL };

/* ---- unit files ---- */

static void assert_list(const UnitSettings *s, const char *key, const char *joined)
{
        _cleanup_strv_ char **list = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(unit_settings_list(s, "Service", key, &list), 0);
        text = strv_join(list, "|");
        assert_string_equal(text, joined);
}

static void test_unit_file(void **state)
{
        UnitSettings s = {};

        assert_int_equal(unit_settings_add(&s, "/a",
                                           "ExecStart=/no/section\n[Unit]\nExecStart=/other/section\n[Service]\n"
                                           " ExecStart = /usr/bin/a \\\n# a comment in between\n  \"b  c\" \\\n  d\t\n"
                                           "#ExecStart=/x\n;ExecStart=/x\nnonsense\nType=exec\n[Broken\nUser=a\\"),
                         0);
        assert_list(&s, "ExecStart", "/usr/bin/a    \"b  c\"    d");
        assert_string_equal(unit_settings_last(&s, "Service", "Type"), "exec");
        assert_string_equal(unit_settings_last(&s, "Service", "User"), "a");
        assert_null(unit_settings_last(&s, "Service", "Group"));
        assert_int_equal(unit_settings_add(&s, "/b", "[Service]\r\nExecStart=/2\r\n"), 0);
        assert_list(&s, "ExecStart", "/usr/bin/a    \"b  c\"    d|/2");
        assert_int_equal(unit_settings_add(&s, "/c", "[Service]\nExecStart=\nExecStart=/3\nType="), 0);
        assert_list(&s, "ExecStart", "/3");
        assert_string_equal(unit_settings_last(&s, "Service", "Type"), "");
        assert_string_equal(s.items[s.n - 1].path, "/c");
        /* a backslash that is escaped itself does not carry the line on, as systemd reads it; a third one does */
        assert_int_equal(unit_settings_add(&s, "/d",
                                           "[Service]\nExecStart=\nExecStart=/4 a\\\\\nUser=b\n"
                                           "ExecStart=/5 a\\\\\\\nb\n"),
                         0);
        assert_list(&s, "ExecStart", "/4 a\\\\|/5 a\\\\ b");
        assert_string_equal(unit_settings_last(&s, "Service", "User"), "b");
        unit_settings_done(&s);
}

static void test_exec_wrap(void **state)
{
        static const struct {
                const char *value, *wrapped;
        } good[] = {
                { "/usr/bin/bot", WRAPPER " --set=A={root} -- /usr/bin/bot" },
                { "/usr/bin/bot  -c 'a b' \"%i\" $X", WRAPPER " --set=A={root} -- /usr/bin/bot -c 'a b' \"%i\" $X" },
                { "-/usr/bin/bot", "-" WRAPPER " --set=A={root} -- /usr/bin/bot" },
                { "-+:/usr/bin/bot x", "-+:" WRAPPER " --set=A={root} -- /usr/bin/bot x" },
                { "!!/usr/bin/bot", "!!" WRAPPER " --set=A={root} -- /usr/bin/bot" },
                { "@/usr/bin/python3 'my bot' /x.py",
                  WRAPPER " --set=A={root} --argv0 'my bot' -- /usr/bin/python3 /x.py" },
                { "-@/usr/bin/a b", "-" WRAPPER " --set=A={root} --argv0 b -- /usr/bin/a" },
                { "\"/opt/my bot/run\" --x", WRAPPER " --set=A={root} -- \"/opt/my bot/run\" --x" },
                { "/opt/my\\x20bot/run a", WRAPPER " --set=A={root} -- /opt/my\\x20bot/run a" },
                { "node bot.js --semicolon=a;b ';'", WRAPPER " --set=A={root} -- node bot.js --semicolon=a;b ';'" },
        };
        static const struct {
                const char *value;
                int error;
        } bad[] = {
                { "", -EINVAL },
                { "-", -EINVAL },
                { "@/usr/bin/a", -EINVAL },
                { "/usr/bin/a b\\", -EINVAL },
                { "/usr/bin/a\\\\\\", -EINVAL },
                { "/bin/a ; /bin/b", -EOPNOTSUPP },
                { WRAPPER " -- /bin/a", -EALREADY },
                { "-" WRAPPER, -EALREADY },
        };
        char *options[] = { (char *) "--set=A={root}", NULL }, *wrapped = NULL;

        FOREACH_ELEMENT(row, good) {
                assert_int_equal(exec_wrap(row->value, WRAPPER, options, &wrapped), 0);
                assert_string_equal(wrapped, row->wrapped);
                free(wrapped);
        }
        wrapped = NULL;
        FOREACH_ELEMENT(row, bad)
                assert_int_equal(exec_wrap(row->value, WRAPPER, options, &wrapped), row->error);
        assert_null(wrapped);
        assert_int_equal(exec_wrap("/bin/a", WRAPPER, NULL, &wrapped), 0);
        assert_string_equal(wrapped, WRAPPER " -- /bin/a");
        free(wrapped);
}

/* ---- the drop-in ---- */

/* Lines that are neither empty nor a comment. */
static char **lines_of(const char *text)
{
        _cleanup_free_ char *copy = strdup(text);
        char **lines = NULL, *rest = copy;

        for (char *line; (line = strsep(&rest, "\n"));)
                if (line[0] && line[0] != '#')
                        assert_int_equal(strv_extend(&lines, line), 0);
        return lines;
}

static void test_drop_in_is_the_example(void **state)
{
        const DropIn d = { .unit = "shop.service", .bot = "shop", .pending = true };
        _cleanup_free_ char *text = NULL, *example = NULL;
        _cleanup_strv_ char **ours = NULL, **theirs = NULL;
        size_t size;

        assert_int_equal(read_file_at(AT_FDCWD, "units/worker-drop-in.conf.example", 0, 1 << 20, &example, &size), 0);
        assert_int_equal(drop_in_render(&d, &text), 0);
        ours = lines_of(text);
        theirs = lines_of(example);
        assert_true(strv_length(theirs) > 5);
        STRV_FOREACH(line, theirs)
                if (!strv_contains(ours, *line))
                        fail_msg("not in the drop-in: %s", *line);
        assert_int_equal(strv_length(ours), strv_length(theirs));
}

static void test_drop_in_is_known_again(void **state)
{
        char *commands[] = { (char *) WRAPPER " -- /bin/a", (char *) WRAPPER " -- /bin/b", NULL };
        const DropIn d = { .unit = "shop.service",
                           .bot = "shop",
                           .mode = ADOPT_EXEC,
                           .exec_start = commands,
                           .added = ADDED_WORKER | ADDED_EXPORT_TOKEN,
                           .group = "tgswitch-files",
                           .bind = "/srv/files" };
        _cleanup_free_ char *text = NULL, *again = NULL, *changed = NULL;
        DropInMark m = {};

        assert_int_equal(drop_in_render(&d, &text), 0);
        assert_int_equal(drop_in_render(&d, &again), 0);
        assert_string_equal(text, again);
        assert_non_null(strstr(text, "\nSupplementaryGroups=tgswitch-files\n"));
        assert_non_null(strstr(text, "\nBindReadOnlyPaths=/srv/files\n"));
        assert_non_null(strstr(text,
                               "\nExecStart=\nExecStart=" WRAPPER " -- /bin/a\nExecStart=" WRAPPER " -- /bin/b\n"));
        assert_int_equal(drop_in_recognise(text, &m), 0);
        assert_string_equal(m.bot, "shop");
        assert_int_equal(m.mode, ADOPT_EXEC);
        assert_int_equal(m.added, ADDED_WORKER | ADDED_EXPORT_TOKEN);
        assert_false(m.pending);
        assert_null(strstr(text, "bot-pending-updates"));
        assert_false(m.edited);
        drop_in_mark_done(&m);

        /* One more character, anywhere: also in the first line, which says what --undo takes out. */
        assert_true(asprintf(&changed, "%s#\n", text) > 0);
        assert_int_equal(drop_in_recognise(changed, &m), 0);
        assert_true(m.edited);
        drop_in_mark_done(&m);
        *strstr(text, "added=3") = 'a';
        strstr(text, "added=3")[6] = '1';
        assert_int_equal(drop_in_recognise(text, &m), 0);
        assert_int_equal(m.added, ADDED_WORKER);
        assert_true(m.edited);
        drop_in_mark_done(&m);

        static const char *const foreign[] = {
                "",
                "# SPDX-License-Identifier: MIT\n",
                "[Service]\n",
                "# Written by tgswitchctl adopt: bot=shop\n",
                "# Written by tgswitchctl adopt: bot=../shop mode=exec pending=0 added=0 checksum=00000000\n",
                "# Written by tgswitchctl adopt: bot=a mode=b pending=0 added=1 checksum=00000000\n"
        };
        FOREACH_ELEMENT(f, foreign)
                assert_int_equal(drop_in_recognise(*f, &m), -ENOENT);
}

/* ---- the bot's file ---- */

static void test_bot_file(void **state)
{
        static const struct {
                const char *before, *after;
        } rows[] = {
                { "[Bot]\n", "[Bot]\nWorker=a.service\n" },
                { "[Bot]", "[Bot]\nWorker=a.service" },
                { "# c\n\n[Bot]\nInitialSeat=cloud\n", "# c\n\n[Bot]\nWorker=a.service\nInitialSeat=cloud\n" },
                { "[Bot]\nWorker=b.service\nX=1\nWorker=\nWorker = c.service\n#Worker=d\n",
                  "[Bot]\nWorker=b.service\nX=1\nWorker=\nWorker = c.service\nWorker=a.service\n#Worker=d\n" },
                { "[Bot]\nWorker=b.service", "[Bot]\nWorker=b.service\nWorker=a.service" },
                { "[Other]\nWorker=x\n[Bot]\nX=1\n[Other]\nWorker=y\n",
                  "[Other]\nWorker=x\n[Bot]\nWorker=a.service\nX=1\n[Other]\nWorker=y\n" },
                { "[Bot]\r\nX=1\r\n", "[Bot]\r\nWorker=a.service\nX=1\r\n" },
                { "[Bot]\nWorkers=b\n", "[Bot]\nWorker=a.service\nWorkers=b\n" },
        };
        char *after = NULL, *before = NULL;

        FOREACH_ELEMENT(row, rows) {
                assert_int_equal(bot_file_add(row->before, "Worker=a.service", &after), 0);
                assert_string_equal(after, row->after);
                assert_int_equal(bot_file_remove(after, "Worker=a.service", &before), 0);
                assert_string_equal(before, row->before);
                free(after);
                free(before);
        }
        after = before = NULL;
        assert_int_equal(bot_file_add("# nothing\n", "Worker=a.service", &after), -ENOENT);
        assert_int_equal(bot_file_add("", "Worker=a.service", &after), -ENOENT);
        assert_int_equal(bot_file_remove("[Bot]\nWorker=a.service b.service\n", "Worker=a.service", &before), -ENOENT);
        assert_int_equal(bot_file_remove("[Other]\nWorker=a.service\n", "Worker=a.service", &before), -ENOENT);
        assert_null(after);
        assert_null(before);
}

/* ---- variables ---- */

static void test_tokens_and_roots(void **state)
{
        static const char *const tokens[] = { TOKEN, "--token=" TOKEN, "https://api.telegram.org/bot" TOKEN "/getMe",
                                              "\"" TOKEN "\"" };
        static const char *const none[] = {
                "",         "7100000001:short", CANARY_SECRET,
                "12:30:45", ":" CANARY_SECRET,  "image@sha256:7f16c1a8b1b0a3e4d2c5f697887960a1b2c3d4e5"
        };

        FOREACH_ELEMENT(t, tokens)
                assert_true(text_has_token(*t));
        FOREACH_ELEMENT(t, none)
                assert_false(text_has_token(*t));
        assert_true(text_has_root("--api https://api.telegram.org", roots));
        assert_true(text_has_root("--api=\"http://127.0.0.1:8081/bot\"", roots));
        assert_false(text_has_root("https://api.telegram.org.example.org", roots));
        assert_false(text_has_root("http://127.0.0.1:80812", roots));
}

static void test_variables(void **state)
{
        AdoptVariables v = {};
        const char *endpoint;

        assert_int_equal(adopt_variables_add(&v, "Environment=", "TOKEN=" TOKEN, roots), 0);
        assert_int_equal(adopt_variables_add(&v, "Environment=", "MODE=polling", roots), 0);
        assert_int_equal(adopt_variables_add_file(
                                         &v, "/etc/bot.env",
                                         "# BOT_TOKEN=" TOKEN "\n;X=" TOKEN "\n  BOT_TOKEN=\"" TOKEN "\"  \n"
                                         "API='https://api.telegram.org/bot'\nURL=http://127.0.0.1:8081/bot" TOKEN
                                         "/x\nODD=https://api.telegram.org $x\nMODE=https://h\n\nnonsense\n=x",
                                         roots),
                         0);
        assert_int_equal(v.n, 5);
        assert_string_equal(v.items[0].assignment, "TOKEN={token}");
        assert_string_equal(v.items[0].where, "Environment=");
        assert_string_equal(v.items[1].assignment, "BOT_TOKEN={token}");
        assert_string_equal(v.items[1].where, "/etc/bot.env");
        assert_true(adopt_variable_is_standard(v.items + 1));
        assert_string_equal(v.items[2].assignment, "API={root}/bot");
        assert_false(adopt_variable_is_standard(v.items + 2));
        assert_string_equal(v.items[3].assignment, "URL={root}/bot{token}/x");
        assert_int_equal(v.items[3].words, TEMPLATE_ROOT | TEMPLATE_TOKEN);
        assert_string_equal(v.items[4].name, "ODD");
        assert_null(v.items[4].assignment);
        assert_null(adopt_framework(&v, &endpoint));

        /* the later one counts, also where it is neither */
        assert_int_equal(adopt_variables_add(&v, "/etc/2.env", "TOKEN=", roots), 0);
        assert_int_equal(v.n, 4);
        assert_int_equal(adopt_variables_add(&v, "/etc/2.env", "TELOXIDE_TOKEN=" TOKEN, roots), 0);
        assert_string_equal(adopt_framework(&v, &endpoint), "teloxide");
        adopt_variables_done(&v);
}

/* ---- what is said, and what goes into the drop-in ---- */

typedef struct Fixture {
        AdoptUnit unit;
        Config config;
        BotConfig bot;
        AdoptView view;
} Fixture;

static void fixture_init(Fixture *f, const char *unit_file, const char *environment)
{
        *f = (Fixture){
                .unit = { .name = (char *) "shop.service", .fragment = (char *) "/f" },
                .config = { .cloud_root = (char *) roots[0],
                            .local_root = (char *) roots[1],
                            .server_unit = (char *) "telegram-bot-api.service" },
                .bot = { .name = (char *) "shop", .path = (char *) "/etc/tgswitch/bots.d/shop.conf" },
        };
        f->view = (AdoptView){ .unit = &f->unit, .config = &f->config, .bot = &f->bot };
        assert_int_equal(unit_settings_add(&f->unit.settings, "/f", unit_file), 0);
        assert_int_equal(adopt_variables_add_file(&f->unit.variables, "/etc/shop.env", environment, roots), 0);
}

static void fixture_done(Fixture *f)
{
        unit_settings_done(&f->unit.settings);
        adopt_variables_done(&f->unit.variables);
}

/* All notes as one text. */
static char *notes_of(Fixture *f, AdoptMode mode)
{
        _cleanup_strv_ char **notes = NULL;
        char *text;

        f->view.mode = mode;
        assert_int_equal(adopt_notes(&f->view, &notes), 0);
        text = strv_join(notes, "\n");
        assert_null(strstr(text, TOKEN));
        assert_null(strstr(text, CANARY));
        return text;
}

static void assert_notes(Fixture *f, AdoptMode mode, const char *part, bool expected)
{
        _cleanup_free_ char *text = notes_of(f, mode);

        if ((strstr(text, part) != NULL) != expected)
                fail_msg("%s \"%s\": %s", expected ? "does not have" : "has", part, text);
}

static void test_notes_on_variables(void **state)
{
        Fixture f;

        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot\n",
                     "BOT_TOKEN=" TOKEN "\nTG_TOKEN=" TOKEN "\nTG_API=https://api.telegram.org/bot\n"
                     "TELEGRAM_API_ROOT=https://api.telegram.org\n");
        assert_notes(&f, ADOPT_EXEC, "BOT_TOKEN= in /etc/shop.env carries the token now. tgswitch-exec sets it", true);
        assert_notes(&f, ADOPT_EXEC, "TG_TOKEN= in /etc/shop.env carries the token now. tgswitch-exec sets it", true);
        assert_notes(&f, ADOPT_EXEC, "TG_API= in /etc/shop.env carries the endpoint now; tgswitch-exec", true);
        assert_notes(&f, ADOPT_ENVIRONMENT, "BOT_TOKEN= in /etc/shop.env carries the token now. The environment file",
                     true);
        assert_notes(&f, ADOPT_ENVIRONMENT, "TG_TOKEN= in /etc/shop.env carries a token now, and nothing", true);
        assert_notes(&f, ADOPT_ENVIRONMENT, "Add Export=TG_API={root}/bot to /etc/tgswitch/bots.d/shop.conf", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "or be adopted with --environment", true);
        assert_notes(&f, ADOPT_CREDENTIALS,
                     "TELEGRAM_API_ROOT= in /etc/shop.env carries the endpoint now; the "
                     "environment file takes its place",
                     true);
        assert_notes(&f, ADOPT_CREDENTIALS, "No variable of", false);
        f.bot.exports = (char *[]){ (char *) "TG_API={root}/bot", NULL };
        assert_notes(&f, ADOPT_ENVIRONMENT, "TG_API= in /etc/shop.env carries the endpoint now; Export= takes", true);
        fixture_done(&f);

        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot\n", "");
        assert_notes(&f, ADOPT_CREDENTIALS, "No variable of shop.service carries an endpoint.", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "adopt it with --pending-updates, and it gets them", true);
        f.view.pending = true;
        assert_notes(&f, ADOPT_CREDENTIALS, "what it got counts as handled", true);
        f.unit.template = true;
        assert_notes(&f, ADOPT_CREDENTIALS, "unless SpoolTo= in /etc/tgswitch/bots.d/shop.conf names one", true);
        fixture_done(&f);
        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot\n", "TELOXIDE_TOKEN=" TOKEN);
        assert_notes(&f, ADOPT_EXEC, "those of teloxide, which reads TELOXIDE_API_URL= by itself", true);
        assert_notes(&f, ADOPT_EXEC, "No variable of", false);
        fixture_done(&f);
        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot\n", "BOT_DOMAIN=bot.example.org\n");
        assert_notes(&f, ADOPT_EXEC,
                     "those of Telegraf's command line, which takes no endpoint: a program of its own has to", true);
        fixture_done(&f);
        /* A word in braces is there already, so that no template can have the value. */
        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot\n", "ODD={token} https://api.telegram.org\n");
        assert_notes(&f, ADOPT_EXEC, "ODD= in /etc/shop.env has the address of a server in it, in a way that cannot",
                     true);
        fixture_done(&f);
}

static void test_notes_on_the_unit(void **state)
{
        Fixture f;

        fixture_init(&f,
                     "[Service]\nExecStart=/usr/bin/bot --token " TOKEN " --api https://api.telegram.org/\n"
                     "InaccessiblePaths=/mnt -/srv\n",
                     "");
        f.unit.binds_to = f.unit.after =
                        (char *[]){ (char *) "telegram-bot-api.service", (char *) "tgswitch-local.service", NULL };
        assert_notes(&f, ADOPT_CREDENTIALS, "ExecStart= has a token in it", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "Write ${TELEGRAM_API_ROOT} in its place", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "BindsTo=telegram-bot-api.service", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "ordered after tgswitch-local.service", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "InaccessiblePaths=", false);
        f.config.local_files = (char *) "/srv/files";
        assert_notes(&f, ADOPT_CREDENTIALS, "InaccessiblePaths= of shop.service hides /srv/files", true);
        assert_null(adopt_bind(&f.view));

        assert_int_equal(unit_settings_add(&f.unit.settings, "/d/40-a.conf", "[Service]\nEnvironmentFile=\n"), 0);
        assert_int_equal(unit_settings_add(&f.unit.settings, "/d/60-b.conf",
                                           "[Service]\nEnvironmentFile=/more\nTimeoutStartSec=5\nExecStart=/x\n"),
                         0);
        assert_notes(&f, ADOPT_CREDENTIALS, "40-a.conf", false);
        assert_notes(&f, ADOPT_CREDENTIALS,
                     "/d/60-b.conf comes after 50-tgswitch.conf and sets TimeoutStartSec=", true);
        assert_notes(&f, ADOPT_CREDENTIALS, "sets EnvironmentFile=", false);
        assert_notes(&f, ADOPT_CREDENTIALS, "sets ExecStart=", false);
        assert_notes(&f, ADOPT_EXEC, "/d/60-b.conf comes after 50-tgswitch.conf and sets ExecStart=", true);
        fixture_done(&f);
}

static void test_bind(void **state)
{
        static const struct {
                const char *settings;
                bool bind;
        } rows[] = {
                { "", false },
                { "RootDirectory=/chroot\n", true },
                { "RootDirectory=/chroot\nRootDirectory=\n", false },
                { "RootImage=/image\n", true },
                { "TemporaryFileSystem=/var:ro /srv:size=1M\n", true },
                { "TemporaryFileSystem=/srv/fil\n", false },
                { "TemporaryFileSystem=/\n", true },
                { "TemporaryFileSystem=/srv\nTemporaryFileSystem=\n", false },
        };

        FOREACH_ELEMENT(row, rows) {
                _cleanup_free_ char *text = NULL;
                Fixture f;

                assert_true(asprintf(&text, "[Service]\n%s", row->settings) > 0);
                fixture_init(&f, text, "");
                assert_null(adopt_bind(&f.view));
                f.config.local_files = (char *) "/srv/files";
                if (row->bind)
                        assert_string_equal(adopt_bind(&f.view), "/srv/files");
                else
                        assert_null(adopt_bind(&f.view));
                fixture_done(&f);
        }
}

static void test_commands(void **state)
{
        _cleanup_strv_ char **commands = NULL, **kept = NULL, **again = NULL;
        _cleanup_free_ char *text = NULL;
        DropIn d = { .unit = "shop.service", .bot = "shop", .mode = ADOPT_EXEC };
        Fixture f;

        fixture_init(&f, "[Service]\nExecStart=/old\nExecStart=\nExecStart=-/usr/bin/bot %i --set=X\nExecStart=/b\n",
                     "BOT_TOKEN=" TOKEN "\nTG_TOKEN=" TOKEN "\nTG_API=https://api.telegram.org/%s\nODD=" TOKEN " x\n");
        assert_int_equal(adopt_commands(&f.view, WRAPPER, NULL, &commands), 0);
        assert_int_equal(strv_length(commands), 2);
        assert_string_equal(commands[0], "-" WRAPPER " --set=TG_TOKEN={token} --set=TG_API={root}/%%s -- "
                                         "/usr/bin/bot %i --set=X");
        assert_string_equal(commands[1], WRAPPER " --set=TG_TOKEN={token} --set=TG_API={root}/%%s -- /b");

        /* Written once, read back, written again: the same, though the old token is gone from the file by now. */
        d.exec_start = commands;
        assert_int_equal(drop_in_render(&d, &text), 0);
        assert_int_equal(adopt_kept_options(text, &kept), 0);
        assert_int_equal(strv_length(kept), 2);
        adopt_variables_done(&f.unit.variables);
        assert_int_equal(adopt_commands(&f.view, WRAPPER, kept, &again), 0);
        assert_true(strv_equal(again, commands));
        fixture_done(&f);

        strv_freep(&again);
        again = NULL;
        fixture_init(&f, "[Service]\nExecStart=/usr/bin/bot " TOKEN "\n", "");
        assert_int_equal(adopt_commands(&f.view, WRAPPER, NULL, &again), -EUCLEAN);
        fixture_done(&f);
        fixture_init(&f, "[Service]\nType=oneshot\n", "");
        assert_int_equal(adopt_commands(&f.view, WRAPPER, NULL, &again), -ENOENT);
        fixture_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unit_file),
                cmocka_unit_test(test_exec_wrap),
                cmocka_unit_test(test_drop_in_is_the_example),
                cmocka_unit_test(test_drop_in_is_known_again),
                cmocka_unit_test(test_bot_file),
                cmocka_unit_test(test_tokens_and_roots),
                cmocka_unit_test(test_variables),
                cmocka_unit_test(test_notes_on_variables),
                cmocka_unit_test(test_notes_on_the_unit),
                cmocka_unit_test(test_bind),
                cmocka_unit_test(test_commands),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
