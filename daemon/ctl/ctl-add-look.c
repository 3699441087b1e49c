/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "ctl/ctl-add-look.h"
#include "ctl/ctl-adopt-look.h"

static const char *const ranks[CANDIDATE_RANK_MAX] = {
        [CANDIDATE_NONE] = "none",
        [CANDIDATE_FRAMEWORK] = "framework",
        [CANDIDATE_ID] = "id",
        [CANDIDATE_TOKEN] = "token",
};

const char *candidate_rank_to_string(CandidateRank r)
{
        return r >= 0 && r < CANDIDATE_RANK_MAX ? ranks[r] : NULL;
}

/* Libraries that programs of bots are made with, and what else such a program is called by; the telling ones first. */
static const char *const frameworks[] = {
        "gramio",   "grammy",   "telegraf", "node-telegram-bot-api", "python-telegram-bot",
        "aiogram",  "telethon", "teloxide", "pytelegrambotapi",      "telebot",
        "telegram",
};

static const char *find_framework(const char *text)
{
        FOREACH_ELEMENT(f, frameworks)
                if (strcasestr(text, *f))
                        return *f;
        return NULL;
}

/* A number that is not part of a longer one. */
static bool has_number(const char *text, int64_t number)
{
        char digits[24];
        size_t size = (size_t) snprintf(digits, sizeof(digits), "%" PRIi64, number);

        for (const char *p = text; (p = strstr(p, digits)); p += size)
                if ((p == text || !isdigit((unsigned char) p[-1])) && !isdigit((unsigned char) p[size]))
                        return true;
        return false;
}

static int raise_rank(Candidate *c, CandidateRank rank, const char *what, const char *has)
{
        char *why;

        if (rank <= c->rank)
                return 0;
        if (asprintf(&why, "%s %s", what, has) < 0)
                return -ENOMEM;
        free(c->why);
        c->why = why;
        c->rank = rank;
        return 0;
}

int candidate_look(Candidate *c, const char *what, const char *text, const BotToken *token, const char *local_root)
{
        const char *roots[] = { local_root, NULL }, *framework = find_framework(text);
        char names[64];

        c->local_root |= text_has_root(text, roots);
        if (strstr(text, bot_token_reveal(token)))
                return raise_rank(c, CANDIDATE_TOKEN, what, "has this token");
        if (has_number(text, bot_token_id(token)))
                return raise_rank(c, CANDIDATE_ID, what, "has the number of this bot");
        c->other_bot |= text_has_token(text);
        if (!framework)
                return 0;
        (void) snprintf(names, sizeof(names), "names %s", framework);
        return raise_rank(c, CANDIDATE_FRAMEWORK, what, names);
}
