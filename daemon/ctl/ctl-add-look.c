/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs-util.h"
#include "ctl/ctl-add-look.h"
#include "ctl/ctl-adopt-look.h"

#define FILE_SIZE_MAX (1024u * 1024u)

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

static int raise_rank(Candidate *c, CandidateRank rank, CandidateRank most, const char *what, const char *has)
{
        char *why;

        if (rank > most)
                rank = most;

        if (rank <= c->rank)
                return 0;
        if (asprintf(&why, "%s %s", what, has) < 0)
                return -ENOMEM;
        free(c->why);
        c->why = why;
        c->rank = rank;
        return 0;
}

int candidate_look(Candidate *c, const char *what, const char *text, CandidateRank most, const BotToken *token,
                   const char *local_root)
{
        const char *roots[] = { local_root, NULL }, *framework = find_framework(text);
        char names[64];

        c->local_root |= text_has_root(text, roots);
        if (strstr(text, bot_token_reveal(token)))
                return raise_rank(c, CANDIDATE_TOKEN, most, what, "has this token");
        if (has_number(text, bot_token_id(token)))
                return raise_rank(c, CANDIDATE_ID, most, what, "has the number of this bot");
        c->other_bot |= text_has_token(text);
        if (!framework)
                return 0;
        (void) snprintf(names, sizeof(names), "names %s", framework);
        return raise_rank(c, CANDIDATE_FRAMEWORK, most, what, names);
}

/* Not opened for reading before it is known what it is. */
static int open_believed(const char *path, bool *ret_believed)
{
        const struct open_how how = { .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
        int fd = (int) syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        *ret_believed = fd >= 0;
        return fd >= 0 ? fd : open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int candidate_look_at_file(Candidate *c, const char *path, const BotToken *token, const char *local_root)
{
        bool believed;
        _cleanup_close_ int fd = open_believed(path, &believed);
        char opened[32], *text;
        struct stat st;
        size_t size;
        int r;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        believed &= st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
        (void) snprintf(opened, sizeof(opened), "/proc/self/fd/%d", fd);
        r = read_file_at(AT_FDCWD, opened, 0, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = candidate_look(c, path, text, believed ? CANDIDATE_TOKEN : CANDIDATE_FRAMEWORK, token, local_root);
        explicit_bzero(text, size);
        free(text);
        return r;
}
