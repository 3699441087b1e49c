/* SPDX-License-Identifier: MIT */
#pragma once

#include <openssl/ssl.h>

#include "base/macro.h"

/* Certificates that live as long as one test, and a host name of its own. */

typedef struct TlsAuthority {
        EVP_PKEY *key;
        X509 *certificate;
} TlsAuthority;

void tls_authority_set_up(TlsAuthority *a);
void tls_authority_tear_down(TlsAuthority *a);

/* The server's end, with a certificate for a DNS name, signed by `a`, valid from now minus 2 days until now
 * plus `days_left`. */
SSL_CTX *tls_server_context(const TlsAuthority *a, const char *name, int days_left);

/* From here on libcurl finds this authority where it looks for those of the system; NULL: none at all. */
void tls_trust(const TlsAuthority *a);

/* How often libcurl has read those of the system. */
unsigned tls_n_loads(void);
