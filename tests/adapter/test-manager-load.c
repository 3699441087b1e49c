/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/strv.h"
#include "core/webhook-rules.h"
#include "manager-fixture.h"
#include "scratch.h"

/* What the manager finds when it begins or reads its configuration again, and cannot use: it says so with file and
 * cure, and does for the bot what can still be done, which may be nothing (L5). */

#define AT_CLOUD "InitialSeat=cloud\nWorker=shop.service"

/* ---- the boot ---- */

static bool boot_is_unknown;

/* In place of libsystemd's, which reads /proc. */
int sd_id128_get_boot(sd_id128_t *ret)
{
        if (boot_is_unknown)
                return -EACCES;
        *ret = SD_ID128_MAKE(b0, 07, b0, 07, b0, 07, b0, 07, b0, 07, b0, 07, b0, 07, b0, 07);
        return 0;
}

/* Without it no window could be counted (L8). */
static void test_unknown_boot(void **state)
{
        ManagerFixture *f = *state;

        boot_is_unknown = true;
        assert_int_equal(manager_begin(f), -EACCES);
        boot_is_unknown = false;
        manager_assert_logged(f,
                              "Failed to read the boot id, without which no window can be counted: Permission denied. "
                              "/proc/sys/kernel/random/boot_id has to be readable in the sandbox of "
                              "tgswitchd.service.");
}

static void test_no_configuration(void **state)
{
        ManagerFixture *f = *state;

        manager_configure(f, "ServerStartTimeout=5");
        assert_true(manager_begin(f) < 0);
        manager_assert_logged(f, "/etc/tgswitch.conf:4: ");
        manager_assert_logged(f, "The configuration cannot be used, and there is no earlier one: correct what is said "
                                 "above, then run 'systemctl restart tgswitchd'.");
}

/* For a typing mistake no bot stands still, neither in a process that runs nor in the next one. */
static void test_last_good_configuration(void **state)
{
        static const char words[] =
                        "The configuration cannot be used; the last good one stays in force. Correct what is "
                        "said above, then run 'systemctl reload tgswitchd'.\n";
        ManagerFixture *f = *state;
        char *message = NULL;

        manager_store_bot(f, "shop", AT_CLOUD);
        manager_begin_with(f, "shop");
        manager_configure(f, "ServerStartTimeout=5");
        assert_true(manager_reload(f->manager, &message) < 0);
        assert_non_null(strstr(message, "did you mean ServerStartTimeoutSec="));
        free(message);
        manager_assert_logged(f, words);
        assert_null(manager_find_bot(f->manager, "shop")->config_error);

        f->manager = manager_free(f->manager);
        manager_forget_log(f);
        assert_null(manager_begin_with(f, "shop")->config_error);
        manager_assert_logged(f, words);
}

/* ---- credentials ---- */

static void store_long_credential(ManagerFixture *f, const char *name, size_t size)
{
        _cleanup_free_ char *bytes = malloc(size);

        assert_non_null(bytes);
        memset(bytes, 'x', size);
        scratch_write_bytes(f->directory, name, bytes, size);
}

static void test_long_token(void **state)
{
        static const char words[] =
                        "The credential token_shop cannot be read: File too large. Store the token anew with "
                        "'tgswitchctl set-token shop'.";
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        store_long_credential(f, "credentials/token_shop", 4097);
        b = manager_begin_with(f, "shop");
        assert_string_equal(bot_last_error(b), words);
        manager_assert_logged(f, words);
}

static void test_long_secret(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        store_long_credential(f, "credentials/secret_shop", 513);
        b = manager_begin_with(f, "shop");
        assert_null(b->webhook_secret);
        manager_assert_logged(f, "Failed to read the credential secret_shop: File too large. Put the secret into "
                                 "/etc/tgswitch/secrets/shop anew and run 'systemctl restart tgswitchd'.");
}

static void test_long_certificate(void **state)
{
        ManagerFixture *f = *state;
        Bot *b;

        manager_store_bot(f, "shop", AT_CLOUD);
        store_long_credential(f, "credentials/certificate_shop", WEBHOOK_CERTIFICATE_SIZE_MAX + 1);
        b = manager_begin_with(f, "shop");
        assert_null(b->webhook_certificate);
        manager_assert_logged(f, "Failed to read the credential certificate_shop: File too large. Put the certificate "
                                 "into /etc/tgswitch/certificates/shop anew and run 'systemctl restart tgswitchd'.");
        assert_string_equal(
                        b->webhook_certificate_problem,
                        "The webhook's certificate cannot be used, /etc/tgswitch/certificates/shop cannot be read, or "
                        "has more than 64 KiB: put the certificate alone there, in PEM, and run 'systemctl restart "
                        "tgswitchd'.");
}

/* ---- a move without its token ---- */

/* Between the two servers, so that nothing can be put back. */
static Bot *begin_between_servers(ManagerFixture *f)
{
        _cleanup_free_ char *token = NULL;
        Record record;
        Bot *b;

        record_init(&record);
        record.bot_id = FIXTURE_BOT_ID;
        record.seat = SEAT_CLOUD;
        record.state = CUTOVER_LOG_IN;
        record.job = (RecordJob){
                .id = 7, .batch = 7, .source = SEAT_CLOUD, .wanted = SEAT_LOCAL, .target = SEAT_LOCAL
        };
        manager_store_bot(f, "shop", AT_CLOUD);
        manager_store_record(f, "shop", &record);
        assert_true(asprintf(&token, "%s/credentials/token_shop", f->directory) > 0);
        assert_int_equal(unlink(token), 0);
        b = manager_begin_with(f, "shop");
        assert_true(bot_job_running(b));
        return b;
}

static void test_move_without_token(void **state)
{
        static const char words[] = "The bot is in the middle of a cutover (log-in) and has no usable token: store it "
                                    "with 'tgswitchctl set-token shop'. Until then nothing is done.";
        ManagerFixture *f = *state;
        Bot *b = begin_between_servers(f);
        char *message = NULL;

        manager_assert_logged(f, words);
        assert_string_equal(bot_last_error(b), words);
        manager_assert_answer(bot_cancel(b, &message), ASK_NO_TOKEN, &message, words);
        manager_assert_answer(bot_proceed(b, &message), ASK_NO_TOKEN, &message, words);
        assert_int_equal(f->n_bot_requests, 0);
}

/* The servers that a move has begun with are those that it ends with. */
static void test_other_servers_in_a_move(void **state)
{
        static const char words[] =
                        "CloudServer=, LocalServer= and LocalServerUnit= cannot change while a bot is moved "
                        "(shop, job 7): wait for it with 'tgswitchctl wait 7', then reload again.";
        ManagerFixture *f = *state;
        char *message = NULL;

        begin_between_servers(f);
        manager_configure(f, "LocalServerUnit=other.service");
        assert_int_equal(manager_reload(f->manager, &message), -EBUSY);
        assert_string_equal(message, words);
        free(message);
        manager_assert_logged(f, words);
        assert_string_equal(f->manager->config->server_unit, "telegram-bot-api.service");
}

/* A host without logind can still move bots. */
static void test_no_inhibitor(void **state)
{
        ManagerFixture *f = *state;

        begin_between_servers(f);
        manager_close_bus(f);
        manager_inhibit(f->manager);
        manager_assert_logged(f, "Failed to ask logind for a delay of shutdown and sleep, ignoring: ");
        assert_null(f->manager->inhibitor);
}

/* ---- the door to the servers ---- */

/* L1, whoever has forgotten it. */
static void test_refused_request(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin_between_servers(f);
        BotApiCall *call = NULL;

        assert_int_equal(bot_token_new(&b->token, FIXTURE_TOKEN, strlen(FIXTURE_TOKEN)), 0);
        assert_int_equal(bot_call(b, SEAT_CLOUD, BOTAPI_GET_ME, NULL, 0, NULL, NULL, NULL, &call), -EPERM);
        assert_null(call);
        manager_assert_logged(f,
                              "shop: Refused to send getMe to the cloud server in state log-in, in which nothing may "
                              "go there. This is a mistake in tgswitchd: report it.");
        assert_int_equal(f->n_bot_requests, 0);
}

/* ---- workers at the gate ---- */

static void assert_refused(ManagerFixture *f, const char *unit, const char *id, const char *line)
{
        CredentialPeer peer = {};
        char *data = NULL;
        size_t size;

        snprintf(peer.unit, sizeof(peer.unit), "%s", unit);
        snprintf(peer.id, sizeof(peer.id), "%s", id);
        assert_int_equal(gate_decide(&peer, &data, &size, f->manager), CREDENTIAL_REFUSE);
        assert_null(data);
        manager_assert_logged(f, line);
}

static void test_refused_workers(void **state)
{
        ManagerFixture *f = *state;

        manager_store_bot(f, "shop", AT_CLOUD);
        manager_store_bot(f, "bare", "InitialSeat=cloud\nWorker=bare.service");
        manager_store_bot(f, "lost", "Worker=lost.service");
        manager_store_bot(f, "torn", "InitialSeat=cloud\nWorker=torn.service");
        scratch_write(f->directory, "credentials/token_bare", "no token\n");
        scratch_write(f->directory, "state/bots/torn.state", "rubbish\n");
        manager_begin_with(f, "shop");
        assert_refused(f, "stranger.service", "bot-token",
                       "Refused the credential bot-token to stranger.service: no bot's configuration names this unit with "
                       "Worker=. Add it, or take the drop-in with LoadCredential= out of the unit.\n");
        assert_refused(f, "shop.service", "bot-secret",
                       "shop: Refused the credential bot-secret to shop.service: there is no such credential; there are "
                       "bot-token, bot-endpoint and bot-pending-updates.\n");
        assert_refused(f, "bare.service", "bot-token",
                       "bare: Refused the credential bot-token to bare.service: there is no usable token. Store it with "
                       "'tgswitchctl set-token'.\n");
        assert_refused(f, "lost.service", "bot-token",
                       "lost: Refused the credential bot-token to lost.service: nobody has said where the bot is logged "
                       "in. Set InitialSeat= in its file in bots.d/ and run 'systemctl reload tgswitchd'.\n");
        assert_refused(f, "torn.service", "bot-token", "torn: Refused the credential bot-token to torn.service: ");
        manager_assert_logged(f, "torn.state cannot be used");
}

static void assert_held(ManagerFixture *f, const char *line)
{
        static const CredentialPeer peer = { .unit = "shop.service", .id = "bot-token" };
        char *data = NULL;
        size_t size;

        assert_int_equal(gate_decide(&peer, &data, &size, f->manager), CREDENTIAL_HOLD);
        assert_null(data);
        manager_assert_logged(f, line);
}

static void test_worker_waits_for_a_seat(void **state)
{
        ManagerFixture *f = *state;
        Bot *b = begin_between_servers(f);

        assert_int_equal(bot_token_new(&b->token, FIXTURE_TOKEN, strlen(FIXTURE_TOKEN)), 0);
        assert_held(f, "shop: shop.service waits at the gate until it is settled where the bot is logged in.");
}

/* After a boot; the server is looked at from the loop, which has not run yet. */
static void test_worker_waits_for_the_server(void **state)
{
        ManagerFixture *f = *state;
        Record record;

        record_init(&record);
        record.bot_id = FIXTURE_BOT_ID;
        record.seat = SEAT_LOCAL;
        manager_store_bot(f, "shop", AT_CLOUD);
        manager_store_record(f, "shop", &record);
        assert_int_equal(manager_begin(f), 0);
        assert_held(f, "shop: shop.service waits at the gate until the local server runs.");
}

static void test_adopt_what_cannot_be_used(void **state)
{
        ManagerFixture *f = *state;
        /* Its flags cannot be set. */
        int fd = open("/", O_PATH | O_CLOEXEC);

        assert_true(fd >= 0);
        manager_store_bot(f, "shop", AT_CLOUD);
        manager_begin_with(f, "shop");
        assert_true(manager_adopt_fd(f->manager, fd, "credential-0123456789abcdef"));
        manager_assert_logged(f, "Failed to take over the connection of a worker that waits at the gate: Bad file "
                                 "descriptor. Its start fails: find it with 'systemctl --failed' and start it again.");
}

/* ---- a bot that is gone ---- */

static void test_remove_what_was_stored(void **state)
{
        ManagerFixture *f = *state;
        _cleanup_free_ char *copy = NULL, *file = NULL;
        char *message = NULL;

        manager_store_bot(f, "shop", AT_CLOUD);
        manager_begin_with(f, "shop");
        assert_true(asprintf(&copy, "%s/state/config/bots.d/shop.conf", f->directory) > 0);
        assert_true(asprintf(&file, "%s/etc/bots.d/shop.conf", f->directory) > 0);
        assert_int_equal(unlink(copy), 0);
        assert_int_equal(mkdir(copy, 0700), 0);
        assert_int_equal(unlink(file), 0);
        assert_int_equal(manager_reload(f->manager, &message), 0);
        free(message);
        assert_null(manager_find_bot(f->manager, "shop"));
        manager_assert_logged(f, "Failed to remove all that was stored of bot shop: Is a directory. What is left in ");
        manager_drain(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, manager_set_up, manager_tear_down)
                TEST(test_unknown_boot),
                TEST(test_no_configuration),
                TEST(test_last_good_configuration),
                TEST(test_long_token),
                TEST(test_long_secret),
                TEST(test_long_certificate),
                TEST(test_move_without_token),
                TEST(test_other_servers_in_a_move),
                TEST(test_no_inhibitor),
                TEST(test_refused_request),
                TEST(test_refused_workers),
                TEST(test_worker_waits_for_a_seat),
                TEST(test_worker_waits_for_the_server),
                TEST(test_adopt_what_cannot_be_used),
                TEST(test_remove_what_was_stored),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
