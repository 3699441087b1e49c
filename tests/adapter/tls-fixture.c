/* SPDX-License-Identifier: MIT */

#include <openssl/x509v3.h>
#include <stdio.h>

#include "tls-fixture.h"

#define DAY_SEC (24 * 60 * 60L)

static const TlsAuthority *trusted;
static unsigned n_loads;

unsigned tls_n_loads(void)
{
        return n_loads;
}

void tls_trust(const TlsAuthority *a)
{
        trusted = a;
}

/* Stands before the function of libcrypto by which libcurl loads the system's file of authorities, so that
 * the client is tested as it is shipped: it has no switch by which a test, or anybody else, could have it
 * trust another. */
int X509_STORE_load_file(X509_STORE *store, const char *file)
{
        n_loads++;
        return !trusted || X509_STORE_add_cert(store, trusted->certificate);
}

static void add_extension(X509 *certificate, int nid, const char *value)
{
        X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

        assert(e && X509_add_ext(certificate, e, -1) == 1);
        X509_EXTENSION_free(e);
}

static X509 *certificate_new(EVP_PKEY *key, const char *common_name, int days_left)
{
        static long serial;
        X509 *c = X509_new();
        X509_NAME *name = X509_NAME_new();

        assert(c && name);
        X509_set_version(c, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(c), -2 * DAY_SEC);
        X509_gmtime_adj(X509_getm_notAfter(c), days_left * DAY_SEC);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) common_name, -1, -1, 0);
        X509_set_subject_name(c, name);
        X509_set_pubkey(c, key);
        X509_NAME_free(name);
        return c;
}

void tls_authority_set_up(TlsAuthority *a)
{
        a->key = EVP_EC_gen("P-256");
        assert(a->key);
        a->certificate = certificate_new(a->key, "Test authority", 1);
        X509_set_issuer_name(a->certificate, X509_get_subject_name(a->certificate));
        add_extension(a->certificate, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(a->certificate, NID_key_usage, "critical,keyCertSign");
        int n = X509_sign(a->certificate, a->key, EVP_sha256());
        assert(n > 0);
}

void tls_authority_tear_down(TlsAuthority *a)
{
        X509_free(a->certificate);
        EVP_PKEY_free(a->key);
        *a = (TlsAuthority){};
}

SSL_CTX *tls_server_context(const TlsAuthority *a, const char *name, int days_left)
{
        SSL_CTX *context = SSL_CTX_new(TLS_server_method());
        EVP_PKEY *key = EVP_EC_gen("P-256");
        char alternative[128];

        assert(context && key);
        snprintf(alternative, sizeof(alternative), "DNS:%s", name);

        X509 *certificate = certificate_new(key, name, days_left);
        X509_set_issuer_name(certificate, X509_get_subject_name(a->certificate));
        add_extension(certificate, NID_subject_alt_name, alternative);
        int n = X509_sign(certificate, a->key, EVP_sha256());
        assert(n > 0);

        n = SSL_CTX_use_certificate(context, certificate);
        assert(n == 1);
        n = SSL_CTX_use_PrivateKey(context, key);
        assert(n == 1);
        X509_free(certificate);
        EVP_PKEY_free(key);
        return context;
}
