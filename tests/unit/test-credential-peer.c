/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>

#include <cmocka.h>

#include "core/credential-peer.h"

/* `name` is what comes after the leading NUL, `size` bytes of it. */
static int parse(const char *name, size_t size, CredentialPeer *ret)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };

        assert_true(size <= sizeof(un.sun_path) - 1);
        memcpy(un.sun_path + 1, name, size);
        return credential_peer_parse((const struct sockaddr *) &un,
                                     (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + size), ret);
}

static void assert_refused(const char *name)
{
        CredentialPeer peer;

        assert_int_equal(parse(name, strlen(name), &peer), -EINVAL);
}

static void assert_peer(const char *name, const char *unit, const char *id)
{
        CredentialPeer peer;

        assert_int_equal(parse(name, strlen(name), &peer), 0);
        assert_string_equal(peer.unit, unit);
        assert_string_equal(peer.id, id);
}

static void test_names_of_systemd(void **state)
{
        assert_peer("4c1fb0e8a3d65f27/unit/shop.service/bot-token", "shop.service", "bot-token");
        assert_peer("4c1fb0e8a3d65f27/unit/shop@1.service/token_shop", "shop@1.service", "token_shop");
        assert_peer("4c1fb0e8a3d65f27/unit/a\\x2db.service/a b", "a\\x2db.service", "a b");
}

/* systemd prints the random number without padding: one start in sixteen has a shorter one. */
static void test_short_random_parts(void **state)
{
        assert_peer("c1fb0e8a3d65f27/unit/shop.service/bot-token", "shop.service", "bot-token");
        assert_peer("0/unit/shop.service/bot-token", "shop.service", "bot-token");
}

static void test_other_names(void **state)
{
        assert_refused("");
        assert_refused("/unit/shop.service/bot-token");
        assert_refused("4c1fb0e8a3d65f271/unit/shop.service/bot-token");
        assert_refused("4C1FB0E8A3D65F27/unit/shop.service/bot-token");
        assert_refused("4c1fb0e8a3d65f2g/unit/shop.service/bot-token");
        assert_refused("4c1fb0e8a3d65f27");
        assert_refused("4c1fb0e8a3d65f27/");
        assert_refused("4c1fb0e8a3d65f27/unit");
        assert_refused("4c1fb0e8a3d65f27/unit/");
        assert_refused("4c1fb0e8a3d65f27/user/shop.service/bot-token");
        assert_refused("4c1fb0e8a3d65f27/unit//bot-token");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/");
        assert_refused("4c1fb0e8a3d65f27/unit/shop/bot-token");
        assert_refused("4c1fb0e8a3d65f27/unit/shop@.service/bot-token");
        assert_refused("4c1fb0e8a3d65f27/unit/*.service/bot-token");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/.");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/..");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/a/b");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/a:b");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/a\n");
        assert_refused("4c1fb0e8a3d65f27/unit/shop.service/\xc3\xb6");
}

static void test_nul_within(void **state)
{
        static const char name[] = "4c1fb0e8a3d65f27/unit/shop.service/bot-token\0x";
        CredentialPeer peer;

        assert_int_equal(parse(name, strlen(name), &peer), 0);
        assert_int_equal(parse(name, strlen(name) + 1, &peer), -EINVAL);
        assert_int_equal(parse(name, sizeof(name) - 1, &peer), -EINVAL);
}

static void test_longest_name(void **state)
{
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        char name[sizeof(un.sun_path)];
        CredentialPeer peer;

        assert_int_equal(snprintf(name, sizeof(name), "4c1fb0e8a3d65f27/unit/%0*d.service/bot-token", 66, 0), 106);
        assert_int_equal(parse(name, 106, &peer), 0);
        assert_int_equal(strlen(peer.unit) + strlen(peer.id), 83);
}

/* What socket(7) and unix(7) say that an address may look like, but systemd's does not. */
static void test_other_addresses(void **state)
{
        static const char name[] = { "\0004c1f/unit/shop.service/bot-token" };
        const socklen_t size = offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1;
        struct sockaddr_un un = { .sun_family = AF_UNIX };
        const struct sockaddr *address = (const struct sockaddr *) &un;
        CredentialPeer peer = { .unit = "untouched" };

        assert_int_equal(credential_peer_parse(address, 0, &peer), -EINVAL);
        assert_int_equal(credential_peer_parse(address, sizeof(sa_family_t), &peer), -EINVAL);
        assert_int_equal(credential_peer_parse(address, sizeof(sa_family_t) + 1, &peer), -EINVAL);
        assert_int_equal(credential_peer_parse(address, sizeof(un) + 1, &peer), -EINVAL);

        snprintf(un.sun_path, sizeof(un.sun_path), "/run/4c1f/unit/shop.service/bot-token");
        assert_int_equal(credential_peer_parse(address, sizeof(un), &peer), -EINVAL);

        memcpy(un.sun_path, name, sizeof(name));
        un.sun_family = AF_INET;
        assert_int_equal(credential_peer_parse(address, size, &peer), -EINVAL);
        un.sun_family = AF_UNIX;
        assert_string_equal(peer.unit, "untouched");
        assert_int_equal(credential_peer_parse(address, size, &peer), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_of_systemd), cmocka_unit_test(test_short_random_parts),
                cmocka_unit_test(test_other_names),      cmocka_unit_test(test_nul_within),
                cmocka_unit_test(test_longest_name),     cmocka_unit_test(test_other_addresses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
