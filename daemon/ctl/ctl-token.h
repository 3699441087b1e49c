/* SPDX-License-Identifier: MIT */
#pragma once

#include "core/bot-token.h"
#include "ctl/ctl.h"

/* A bot's token from the administrator's hands into the file that systemd makes a credential of. It is never an
 * argument, never in the environment, and never printed. */

#define TOKEN_ROOT "/etc/tgswitch" /* `root` of token_store_open(), but in tests */

/* Reads a token: all that the file has, or ("-", NULL) standard input: without echo from a terminal, with a prompt that
 * names the bot. Blanks around it are taken off. Says what is wrong with it; nothing of it is ever part of that. A
 * signal that ends the program first has the terminal put in order. */
CtlExit token_read(const char *bot, const char *file, BotToken **ret) _must_check_;

typedef enum TokenForm {
        TOKEN_NONE,
        TOKEN_PLAIN,     /* tokens/NAME */
        TOKEN_ENCRYPTED, /* tokens.encrypted/NAME, for this host alone: ctl-seal.h */
        TOKEN_FORM_MAX,
        TOKEN_FORM_INVALID = -EINVAL,
} TokenForm;

const char *token_form_to_string(TokenForm f);

/* "/etc/tgswitch/tokens/NAME" or its like. NULL: no memory. */
char *token_path(TokenForm form, const char *bot) _must_check_;

/* How a first token of that bot is best stored: encrypted where systemd-creds can do that here. */
TokenForm token_form_best(const char *bot);

/* The files of one bot. */
typedef struct TokenStore {
        char bot[33];
        int directories[TOKEN_FORM_MAX]; /* -EBADF for NONE */
        TokenForm form;                  /* of what is there; ENCRYPTED where both are */
        BotToken *token;                 /* that; NULL: there is none, or it cannot be read */
        bool unfinished;                 /* what was there before is still kept: somebody did not get to token_keep() */
        bool touched;                    /* by token_store(), and not brought back where that failed */
} TokenStore;

/* Looks at what is there, for root. Refuses symbolic links, since somebody else looks after what they lead to, and what
 * stands where a token before would be kept. To be closed in any case. */
CtlExit token_store_open(TokenStore *s, const char *root, const char *bot) _must_check_;
void token_store_close(TokenStore *s);

/* Stores a token in this form alone, owner root, mode 0600: after a crash or a power cut the old one is there or the
 * new one. Where the form changes, two directories do, one after the other: both may be there then, and tgswitchd,
 * which says so, takes neither unless they are the same; the next token_store() leaves one. An encrypted one is
 * decrypted again before anything is replaced. What was there is kept beside it until token_keep(), or until
 * token_put_back() brings it back: the two return 0 or -errno. Where this fails all is as it was, and it has been said
 * why. */
CtlExit token_store(TokenStore *s, const BotToken *token, TokenForm form) _must_check_;

/* Takes the token away, in both forms, and keeps it beside in the same way. 0 or -errno; then all is as it was as far
 * as token_put_back() gets. */
int token_remove(TokenStore *s) _must_check_;

int token_keep(TokenStore *s) _must_check_;
int token_put_back(TokenStore *s) _must_check_;
