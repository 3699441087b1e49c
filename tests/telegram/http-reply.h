/* SPDX-License-Identifier: MIT */
#pragma once

#include <microhttpd.h>

#include "http-server.h"

/* The response that sends the reply in its manner. NULL where memory is short. */
struct MHD_Response *http_reply_to_response(const HttpReply *reply);
