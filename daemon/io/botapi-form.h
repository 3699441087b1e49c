/* SPDX-License-Identifier: MIT */
#pragma once

#include <curl/curl.h>

#include "io/botapi-client.h"

/* How a request's arguments are written down. */

/* JSON as it is sent. Owned by the object; NULL: no memory. */
const char *botapi_json_text(json_object *value);

/* The request's arguments and its certificate as multipart/form-data, for CURLOPT_MIMEPOST of this handle. Everything
 * is copied. To be freed after the handle. */
int botapi_form_new(curl_mime **ret, CURL *easy, const BotApiRequest *request) _must_check_;
