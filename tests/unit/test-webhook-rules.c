/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/webhook-rules.h"

/* A webhook that the target refuses is found before logOut, or the bot stays without one (L9). One that it takes must
 * not be refused by us, or the bot cannot move at all. */

static int judge(const WebhookWish *w, bool local_mode, char **ret_why)
{
        int v = webhook_judge(w, "the cloud", local_mode, ret_why);

        assert_in_range(v, 0, WEBHOOK_VERDICT_MAX - 1);
        if (v == WEBHOOK_GOOD)
                assert_null(*ret_why);
        else
                assert_non_null(*ret_why);
        return v;
}

static void test_urls(void **state)
{
        static const struct {
                const char *url;
                WebhookVerdict verdict;
        } rows[] = {
                { "https://bots.example.org/hook", WEBHOOK_GOOD },
                { "https://bots.example.org", WEBHOOK_GOOD },
                { "https://bots.example.org?bot=shop", WEBHOOK_GOOD },
                { "HTTPS://BOTS.EXAMPLE.ORG./", WEBHOOK_GOOD },
                { "bots.example.org/hook", WEBHOOK_GOOD }, /* without a scheme it is https */
                { "https://user:p@ss@bots.example.org/", WEBHOOK_GOOD },
                { "https://b%C3%BCcher.example.org/", WEBHOOK_GOOD },
                { "https://b\xc3\xbc"
                  "cher.example.org/",
                  WEBHOOK_GOOD },
                { "https://bots.example.org:443/", WEBHOOK_GOOD },
                { "https://bots.example.org:80/", WEBHOOK_GOOD },
                { "https://bots.example.org:88/", WEBHOOK_GOOD },
                { "https://bots.example.org:08443/", WEBHOOK_GOOD },
                { "https://example.org/a:1@b", WEBHOOK_GOOD }, /* of the path */

                { "http://bots.example.org/", WEBHOOK_NOT_HTTPS },
                { "hTTp://bots.example.org:443/", WEBHOOK_NOT_HTTPS },
                { "https://bots.example.org:8080/", WEBHOOK_BAD_PORT },
                { "https://bots.example.org:65535/", WEBHOOK_BAD_PORT },

                { "", WEBHOOK_BAD_URL },
                { "https://", WEBHOOK_BAD_URL },
                { "https:///hook", WEBHOOK_BAD_URL },
                { "https://.", WEBHOOK_BAD_URL },
                { "ftp://bots.example.org/", WEBHOOK_BAD_URL },
                { "://bots.example.org/", WEBHOOK_BAD_URL },
                { "https://bots.example.org:/", WEBHOOK_BAD_URL },
                { "https://bots.example.org:0/", WEBHOOK_BAD_URL },
                { "https://bots.example.org:65536/", WEBHOOK_BAD_URL },
                { "https://bots.example.org:4294967739/", WEBHOOK_BAD_URL }, /* 2^32 + 443 */
                { "https://bots.example.org:-443/", WEBHOOK_BAD_URL },
                { "https://bots example.org/", WEBHOOK_BAD_URL },
                { "https://bots.example.org\n/", WEBHOOK_BAD_URL },
                { "https://bots.example.org/hook\r\nX-Line: 1", WEBHOOK_BAD_URL },
                { "https://bots.example.org/hook?a\x7f", WEBHOOK_BAD_URL },
                { "https://bots.example.org/h\xc3\xb6ok?a b", WEBHOOK_GOOD },
                { "https://bots%2", WEBHOOK_BAD_URL },
                { "https://bots%zz.example.org/", WEBHOOK_BAD_URL },
                { "https://user@", WEBHOOK_BAD_URL },
                { "https://[::1/", WEBHOOK_BAD_URL },
                { "https://[2001:db8::g]/", WEBHOOK_BAD_URL },
                { "https://[]/", WEBHOOK_BAD_URL },
        };

        FOREACH_ELEMENT(row, rows) {
                WebhookWish wish = { .bot = "shop", .url = row->url };
                _cleanup_free_ char *why = NULL, *why_local = NULL;
                int v = judge(&wish, false, &why), local = judge(&wish, true, &why_local);

                if (v != (int) row->verdict)
                        fail_msg("%s: %d, expected %d (%s)", row->url, v, row->verdict, why ?: "good");
                /* With --local a server takes whatever it understands. */
                assert_int_equal(local, v == WEBHOOK_BAD_URL ? WEBHOOK_BAD_URL : WEBHOOK_GOOD);
        }
}

static const struct {
        const char *host;
        WebhookVerdict verdict;
} hosts[] = {
        /* Each network with its ends, and what lies beyond them. */
        { "0.255.255.255", WEBHOOK_LOCAL_ADDRESS },
        { "1.0.0.0", WEBHOOK_GOOD },
        { "9.255.255.255", WEBHOOK_GOOD },
        { "10.0.0.0", WEBHOOK_LOCAL_ADDRESS },
        { "10.255.255.255", WEBHOOK_LOCAL_ADDRESS },
        { "11.0.0.0", WEBHOOK_GOOD },
        { "100.63.255.255", WEBHOOK_GOOD },
        { "100.64.0.0", WEBHOOK_LOCAL_ADDRESS },
        { "100.127.255.255", WEBHOOK_LOCAL_ADDRESS },
        { "100.128.0.0", WEBHOOK_GOOD },
        { "127.0.0.1", WEBHOOK_LOCAL_ADDRESS },
        { "128.0.0.0", WEBHOOK_GOOD },
        { "169.254.169.254", WEBHOOK_LOCAL_ADDRESS },
        { "169.255.0.0", WEBHOOK_GOOD },
        { "172.15.255.255", WEBHOOK_GOOD },
        { "172.16.0.0", WEBHOOK_LOCAL_ADDRESS },
        { "172.31.255.255", WEBHOOK_LOCAL_ADDRESS },
        { "172.32.0.0", WEBHOOK_GOOD },
        { "192.0.0.8", WEBHOOK_LOCAL_ADDRESS },
        { "192.0.1.0", WEBHOOK_GOOD },
        { "192.0.2.1", WEBHOOK_LOCAL_ADDRESS },
        { "192.0.3.0", WEBHOOK_GOOD },
        { "192.88.99.1", WEBHOOK_LOCAL_ADDRESS },
        { "192.168.1.1", WEBHOOK_LOCAL_ADDRESS },
        { "192.169.0.0", WEBHOOK_GOOD },
        { "198.18.0.1", WEBHOOK_LOCAL_ADDRESS },
        { "198.19.255.255", WEBHOOK_LOCAL_ADDRESS },
        { "198.20.0.0", WEBHOOK_GOOD },
        { "198.51.100.7", WEBHOOK_LOCAL_ADDRESS },
        { "203.0.113.7", WEBHOOK_LOCAL_ADDRESS },
        { "223.255.255.255", WEBHOOK_GOOD },
        { "224.0.0.1", WEBHOOK_LOCAL_ADDRESS },
        { "255.255.255.255", WEBHOOK_LOCAL_ADDRESS },
        /* Other forms of 127.0.0.1, and of a public address. */
        { "127.1", WEBHOOK_LOCAL_ADDRESS },
        { "0x7f.1", WEBHOOK_LOCAL_ADDRESS },
        { "2130706433", WEBHOOK_LOCAL_ADDRESS },
        { "8.8.2056", WEBHOOK_GOOD },

        { "[::1]", WEBHOOK_IPV6_ADDRESS },
        { "[fd00::1]", WEBHOOK_IPV6_ADDRESS },
        { "[2a00:1450::8a]", WEBHOOK_IPV6_ADDRESS },
        { "[::ffff:8.8.8.8]", WEBHOOK_IPV6_ADDRESS },

        { "localhost", WEBHOOK_LOCAL_NAME },
        { "LocalHost.", WEBHOOK_LOCAL_NAME },
        { "bots", WEBHOOK_LOCAL_NAME },
        { "bots.localhost", WEBHOOK_LOCAL_NAME },
        { "printer.Local", WEBHOOK_LOCAL_NAME },
        { "web.prod.internal", WEBHOOK_LOCAL_NAME },
        { "nas.home.arpa", WEBHOOK_LOCAL_NAME },
        { "nas.home.arpa.", WEBHOOK_LOCAL_NAME },
        { "bots.test", WEBHOOK_LOCAL_NAME },
        { "nolocal.example.org", WEBHOOK_GOOD },
        { "bots.nolocal", WEBHOOK_GOOD },
        { "local.org", WEBHOOK_GOOD },
};

static void test_hosts(void **state)
{
        FOREACH_ELEMENT(row, hosts) {
                _cleanup_free_ char *url = NULL, *why = NULL;
                WebhookWish wish = { .bot = "shop" };
                int v;

                assert_true(asprintf(&url, "https://%s:8443/hook", row->host) > 0);
                wish.url = url;
                v = judge(&wish, false, &why);
                if (v != (int) row->verdict)
                        fail_msg("%s: %d, expected %d (%s)", row->host, v, row->verdict, why ?: "good");
        }
}

/* What the server would use is judged, and nothing else. */
static void test_addresses(void **state)
{
        static const struct {
                const char *host, *pinned, *resolved;
                WebhookVerdict verdict;
                const char *said;
        } rows[] = {
                { "bots.example.org", NULL, "8.8.8.8", WEBHOOK_GOOD, NULL },
                { "bots.example.org", NULL, "", WEBHOOK_GOOD, NULL },
                { "bots.example.org", NULL, "<unknown>", WEBHOOK_GOOD, NULL }, /* as long as it is looked up */
                { "bots.example.org", NULL, "10.0.0.5", WEBHOOK_LOCAL_ADDRESS, "WebhookIPAddress=dns" },
                /* no address, though inet_aton() would stop at the blank: what follows is not for a terminal */
                { "bots.example.org", NULL, "10.0.0.5 \x1b[2J\xff", WEBHOOK_GOOD, NULL },
                { "bots.example.org", NULL, "10.0.0.5\n", WEBHOOK_GOOD, NULL },
                { "bots.example.org", NULL, "2a00::1", WEBHOOK_IPV6_ADDRESS, "2a00::1 now, an IPv6 address" },
                { "bots.example.org", "8.8.8.8", "10.0.0.5", WEBHOOK_GOOD, NULL },
                { "bots.example.org", "10.0.0.5", "8.8.8.8", WEBHOOK_LOCAL_ADDRESS, "WebhookIPAddress=10.0.0.5" },
                { "bots.example.org", "2a00::1", NULL, WEBHOOK_IPV6_ADDRESS, "IPv6" },
                { "bots", "8.8.8.8", NULL, WEBHOOK_GOOD, NULL },
                { "10.0.0.5", "8.8.8.8", NULL, WEBHOOK_GOOD, NULL },
                { "10.0.0.5", NULL, "10.0.0.5", WEBHOOK_LOCAL_ADDRESS, "has 10.0.0.5 as its host" },
        };

        FOREACH_ELEMENT(row, rows) {
                _cleanup_free_ char *url = NULL, *why = NULL, *why_local = NULL;
                WebhookWish wish = { .bot = "shop", .pinned_address = row->pinned, .resolved_address = row->resolved };

                assert_true(asprintf(&url, "https://%s/hook", row->host) > 0);
                wish.url = url;
                assert_int_equal(judge(&wish, false, &why), row->verdict);
                if (row->said && !strstr(why, row->said))
                        fail_msg("'%s' is not in: %s", row->said, why);
                assert_int_equal(judge(&wish, true, &why_local), WEBHOOK_GOOD);
        }
}

/* Who reads it knows what is wrong, at which server, and what to do; and gets no token to see (L7). */
static void test_sentences(void **state)
{
        static const struct {
                const char *url;
                const char *said[3];
        } rows[] = {
                { "http://bots.example.org/4242:CANARY",
                  { "is http, and the cloud", "https only", "give bots.example.org a certificate" } },
                { "https://4242:CANARY@bots.example.org:8080/CANARY",
                  { "port 8080, and the cloud", "443, 80, 88 and 8443", "let bots.example.org listen" } },
                { "https://bots/CANARY", { "has bots as its host", "public DNS", "a public name" } },
                { "https://192.168.1.7/CANARY",
                  { "has 192.168.1.7 as its host", "private or reserved", "a public host" } },
                { "https://[fd00::7]/CANARY", { "has fd00::7 as its host", "IPv6", "a public host" } },
                { "CANARY:x", { "no address that the cloud takes", "not shown", "anew" } },
        };

        FOREACH_ELEMENT(row, rows) {
                WebhookWish wish = { .bot = "shop", .url = row->url };
                _cleanup_free_ char *why = NULL;

                assert_int_not_equal(judge(&wish, false, &why), WEBHOOK_GOOD);
                FOREACH_ELEMENT(said, row->said)
                        if (!strstr(why, *said))
                                fail_msg("'%s' is not in: %s", *said, why);
                assert_null(strstr(why, "CANARY"));
                assert_int_equal(why[strlen(why) - 1], '.');
        }
}

/* A name of any length is either taken apart or refused. */
static void test_long_hosts(void **state)
{
        for (size_t size = 250; size < 260; size++) {
                char url[320] = "https://";
                WebhookWish wish = { .bot = "shop", .url = url };
                _cleanup_free_ char *why = NULL;

                memset(url + 8, 'a', size);
                memcpy(url + 8 + size - 4, ".org", 4);
                url[8 + size] = '\0';
                assert_int_equal(judge(&wish, false, &why), size <= 255 ? WEBHOOK_GOOD : WEBHOOK_BAD_URL);
        }
}

static void test_connections(void **state)
{
        assert_int_equal(webhook_connections(0, false), 0);
        assert_int_equal(webhook_connections(1, false), 1);
        assert_int_equal(webhook_connections(100, false), 100);
        assert_int_equal(webhook_connections(101, false), 100);
        assert_int_equal(webhook_connections(101, true), 101);
        assert_int_equal(webhook_connections(100001, true), 100000);
}

static void test_secrets(void **state)
{
        char secret[258];

        memset(secret, 'a', sizeof(secret) - 1);
        secret[257] = '\0';
        assert_false(webhook_secret_is_valid(secret));
        secret[256] = '\0';
        assert_true(webhook_secret_is_valid(secret));
        assert_true(webhook_secret_is_valid("AZaz09_-"));
        assert_false(webhook_secret_is_valid(""));
        assert_false(webhook_secret_is_valid("a b"));
        assert_false(webhook_secret_is_valid("a\n"));
        assert_false(webhook_secret_is_valid("a=="));
        assert_false(webhook_secret_is_valid("\xc3\xa4"));
}

static void test_pinned_addresses(void **state)
{
        assert_true(webhook_address_is_valid("8.8.8.8"));
        assert_true(webhook_address_is_valid("2a00::1"));
        assert_false(webhook_address_is_valid("8.8"));
        assert_false(webhook_address_is_valid("8.8.8.8 "));
        assert_false(webhook_address_is_valid("bots.example.org"));
        assert_false(webhook_address_is_valid(""));
}

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END   "-----END CERTIFICATE-----\n"
#define BODY  "MIIBgjCCASmgAwIBAgIUWbq3\nZ3Y0MjQyMA==\n"

/* What is wrong with a certificate, as the administrator is told. */
#define NO_BEGIN "has no line -----BEGIN CERTIFICATE-----, so it is no certificate in PEM"
#define NO_END   "has no line -----END CERTIFICATE-----, so it is cut off"
#define NO_BODY  "has something else than a certificate between its BEGIN and its END line"
#define HAS_KEY  "has a private key in it, which nobody else must get and which tgswitchd sends to no server"

static void test_certificates(void **state)
{
        static const struct {
                const char *bytes, *problem;
        } rows[] = {
                { BEGIN BODY END, NULL },
                { "Certificate:\n    Data:\n" BEGIN BODY END, NULL }, /* as openssl x509 -text prints it */
                { BEGIN BODY END BEGIN BODY END, NULL },
                { BEGIN "MIIBgjCC\r\nASmgAwIB\r\n" END, NULL },
                { "", NO_BEGIN },
                { "\x30\x82\x01\x82\x30\x82", NO_BEGIN }, /* DER */
                { "-----BEGIN CERTIFICATE REQUEST-----\n" BODY "-----END CERTIFICATE REQUEST-----\n", NO_BEGIN },
                { BEGIN BODY, NO_END },
                { END BEGIN BODY, NO_END },
                { BEGIN END, NO_BODY },
                { BEGIN "MIIB" BEGIN END, NO_BODY },
                { BEGIN "MIIBg\n" END, NO_BODY },
                { BEGIN "not a certificate\n" END, NO_BODY },
                { BEGIN BODY END "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", HAS_KEY },
                { "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n" BEGIN BODY END, HAS_KEY },
                { "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB", HAS_KEY },
        };

        FOREACH_ELEMENT(row, rows) {
                const char *problem = webhook_certificate_problem(row->bytes, strlen(row->bytes));

                if (!row->problem != !problem || (problem && !streq(problem, row->problem)))
                        fail_msg("%s: %s, expected %s", row->bytes, problem ?: "good", row->problem ?: "good");
        }
        assert_string_equal(webhook_certificate_problem("", 0), NO_BEGIN);
        assert_string_equal(webhook_certificate_problem(BEGIN, strlen(BEGIN)), NO_END);
        assert_string_equal(webhook_certificate_problem(BEGIN END, strlen(BEGIN END)), NO_BODY);
        assert_true(webhook_certificate_has_key("-----BEGIN RSA PRIVATE KEY-----", 31));
        assert_false(webhook_certificate_has_key(BEGIN BODY END, strlen(BEGIN BODY END)));
        /* Behind a NUL, too: the file is sent as a whole. */
        assert_string_equal(webhook_certificate_problem(BEGIN BODY END "\0-----BEGIN PRIVATE KEY-----",
                                                        sizeof(BEGIN BODY END "\0-----BEGIN PRIVATE KEY-----") - 1),
                            HAS_KEY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_urls),         cmocka_unit_test(test_hosts),
                cmocka_unit_test(test_addresses),    cmocka_unit_test(test_sentences),
                cmocka_unit_test(test_long_hosts),   cmocka_unit_test(test_connections),
                cmocka_unit_test(test_secrets),      cmocka_unit_test(test_pinned_addresses),
                cmocka_unit_test(test_certificates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
