/* SPDX-License-Identifier: MIT */
#include "core/reply-count.h"

/* Those that a Bot API server knows, and those of a front end; then what is no HTTP status. */
static const struct {
        int http_status;
        const char *name;
} codes[REPLY_CODE_MAX] = {
        { 200, "200" }, { 400, "400" }, { 401, "401" }, { 403, "403" }, { 404, "404" },  { 409, "409" },
        { 413, "413" }, { 415, "415" }, { 421, "421" }, { 429, "429" }, { 500, "500" },  { 502, "502" },
        { 503, "503" }, { 504, "504" }, { 0, "other" }, { 0, "lost" },  { 0, "unsent" }, { 0, "canceled" },
};

#define CODE_OTHER    (REPLY_CODE_MAX - 4)
#define CODE_LOST     (REPLY_CODE_MAX - 3)
#define CODE_UNSENT   (REPLY_CODE_MAX - 2)
#define CODE_CANCELED (REPLY_CODE_MAX - 1)

void reply_count_note(ReplyCount *c, const BotApiReply *reply)
{
        size_t i = 0;

        if (reply->transport == BOTAPI_NOT_SENT)
                i = CODE_UNSENT;
        else if (reply->transport != BOTAPI_REPLIED)
                i = CODE_LOST;
        else
                while (i < CODE_OTHER && codes[i].http_status != reply->http_status)
                        i++;
        c->n[i]++;
}

void reply_count_canceled(ReplyCount *c)
{
        c->n[CODE_CANCELED]++;
}

const char *reply_code_to_string(size_t i)
{
        return i < REPLY_CODE_MAX ? codes[i].name : NULL;
}
