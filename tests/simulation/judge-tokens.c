/* SPDX-License-Identifier: MIT */
#include "../canary.h"
#include "daemon.h"
#include "judge-internal.h"

/* L7, in the middle of whatever happens: what the daemon writes, logs, shows and sends has no token in it, but for the
 * bot's own where that is what it is for. */

/* The first place that has the canary and is no part of the own token; NULL: there is none. */
static const char *find_stranger(const SimBot *own, const char *bytes, size_t size)
{
        const char *end = bytes + size, *p = bytes;
        size_t token_size = own ? strlen(own->token) : 0;
        size_t before = own ? (size_t) (strstr(own->token, CANARY) - own->token) : 0;

        while ((p = memmem(p, (size_t) (end - p), CANARY, strlen(CANARY)))) {
                const char *token = p - MIN(before, (size_t) (p - bytes));

                if (!own || (size_t) (end - token) < token_size || memcmp(token, own->token, token_size) != 0)
                        return p;
                p = token + token_size;
        }
        return NULL;
}

void judge_bytes(const SimBot *own, const char *where, const void *bytes, size_t size)
{
        if (size > 0 && find_stranger(own, bytes, size))
                judge_says("L7", own, "a token that does not belong there is in %s", where);
}

void judge_text(const SimBot *own, const char *where, const char *text)
{
        if (text)
                judge_bytes(own, where, text, strlen(text));
}

void judge_published(const Bot *bot)
{
        const RecordJob *job = bot_job(bot);

        judge_text(NULL, "the last error", bot_last_error(bot));
        judge_text(NULL, "the endpoint", bot_endpoint(bot));
        judge_text(NULL, "the reason of a hold", bot_held_reason(bot));
        judge_text(NULL, "the reason of a job", job->reason);
        judge_text(NULL, "what a job says", job->error);
        judge_sentence(world_find_bot(bot_name(bot)), bot_last_error(bot));
        judge_sentence(world_find_bot(bot_name(bot)), job->error);
}

void judge_checked(const CheckItem *items, size_t n_items)
{
        for (size_t i = 0; i < n_items; i++) {
                judge_text(NULL, "the subject of a check", items[i].subject);
                judge_text(NULL, "the explanation of a check", items[i].explanation);
        }
}

void judge_called(const SimBot *b, const BotApiRequest *request)
{
        if (!streq(request->root, CLOUD_ROOT) && !streq(request->root, LOCAL_ROOT))
                judge_says("L7", b, "%s is sent to none of the two servers", botapi_method_to_string(request->method));
        /* Numbers: nothing else is worth a look for each of the many. */
        if (request->arguments && request->method != BOTAPI_GET_UPDATES)
                judge_text(b, "the arguments of a request", json_object_to_json_string(request->arguments));
}
