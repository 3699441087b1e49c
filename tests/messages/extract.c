/* SPDX-License-Identifier: MIT */
/*
 * The string literals of a C source, for tests/messages/list. Reads what the preprocessor has made of the source, where
 * macros such as PRIu64 are expanded, and prints one line for each, its fields separated by tabs:
 *
 *      FILE:LINE  FUNCTION  ROLE  BEFORE  TEXT
 *
 * FUNCTION is what the literal is passed to, "-" where that is nothing. ROLE is "format" where that function is
 * declared with the attribute format(printf) and the literal stands in that place, be it as one branch of "a ? b : c";
 * "argument" anywhere else. FIRST is the function's first argument, which of a log's is the level. Literals that stand
 * together are one TEXT; it has the escapes of C. What stands in other files than those of daemon/ is left out.
 *
 * This knows brackets, commas and declarations, and no types: to a function that is called by a pointer the literal is
 * an argument.
 */
#include <ctype.h>
#include <stdio.h>

#include "base/macro.h"

#define DEPTH_MAX     256
#define WORD_SIZE     64
#define TEXT_SIZE     16384
#define FUNCTIONS_MAX 4096

typedef enum TokenType {
        TOKEN_WORD, /* or a number */
        TOKEN_TEXT,
        TOKEN_OTHER, /* one character */
        TOKEN_END,
} TokenType;

typedef struct Token {
        TokenType type;
        unsigned line;
        char text[TEXT_SIZE];
} Token;

typedef struct Bracket {
        char function[WORD_SIZE]; /* whose arguments these are; empty: they are none */
        char before[WORD_SIZE];   /* its arguments so far, as far as there is room */
        char declared[WORD_SIZE]; /* of an attribute: the function before it, if there is one */
        unsigned argument;        /* the one we are in, from 0 on */
        bool transparent;         /* round brackets within an argument */
} Bracket;

static struct {
        char file[512];
        unsigned line;
        int c; /* read and not used yet */
} input = { .c = '\n' };

static struct {
        char function[WORD_SIZE];
        unsigned argument;
        bool ours;
} formats[FUNCTIONS_MAX];
static size_t n_formats;

static Bracket brackets[DEPTH_MAX];
static size_t n_brackets;

static _noreturn_ void die(const char *what)
{
        fprintf(stderr, "%s:%u: %s\n", input.file, input.line, what);
        exit(1);
}

/* ---- tokens ---- */

static void input_next(void)
{
        input.line += input.c == '\n';
        input.c = getchar();
}

/* # 12 "daemon/main.c": where the next line comes from. */
static void input_marker(void)
{
        char line[1024];

        if (!fgets(line, sizeof(line), stdin))
                die("it ends in a line marker");
        /* Its own end will count as one. */
        if (sscanf(line, " %u \"%511[^\"]\"", &input.line, input.file) == 2)
                input.line--;
        input.c = '\n';
}

static void input_skip_blanks(void)
{
        while (isspace(input.c)) {
                bool at_line = input.c == '\n';

                input_next();
                if (at_line && input.c == '#')
                        input_marker();
        }
}

static void token_add(Token *t, size_t *n)
{
        if (*n + 1 >= sizeof(t->text) || input.c == EOF || input.c == '\n')
                die("a literal has no end");
        t->text[(*n)++] = (char) input.c;
}

/* Adds what stands between the quotes, as it is written. */
static void token_read_quoted(Token *t, size_t *n)
{
        int quote = input.c;

        for (input_next(); input.c != quote; input_next()) {
                token_add(t, n);
                if (input.c == '\\') {
                        input_next();
                        token_add(t, n);
                }
        }
        input_next();
}

static void token_next(Token *t)
{
        size_t n = 0;

        input_skip_blanks();
        t->line = input.line;
        t->type = input.c == EOF ? TOKEN_END : TOKEN_OTHER;
        if (input.c == '"') {
                t->type = TOKEN_TEXT;
                for (; input.c == '"'; input_skip_blanks())
                        token_read_quoted(t, &n);
        } else if (input.c == '\'') {
                /* Whichever character it is: not a bracket. */
                t->type = TOKEN_WORD;
                token_read_quoted(t, &n);
                n = 0;
                t->text[n++] = '0';
        } else if (isalnum(input.c) || input.c == '_') {
                t->type = TOKEN_WORD;
                for (; isalnum(input.c) || input.c == '_'; input_next())
                        token_add(t, &n);
        } else if (input.c != EOF) {
                token_add(t, &n);
                input_next();
        }
        t->text[n] = '\0';
}

static bool token_is(const Token *t, const char *text)
{
        return t->type != TOKEN_TEXT && streq(t->text, text);
}

/* ---- what we know of functions ---- */

static void word_copy(char word[static WORD_SIZE], const char *text)
{
        snprintf(word, WORD_SIZE, "%s", text);
}

static void format_add(const char *function, unsigned argument)
{
        if (n_formats == FUNCTIONS_MAX)
                die("too many functions have formats");
        word_copy(formats[n_formats].function, function);
        formats[n_formats].argument = argument;
        formats[n_formats++].ours = startswith(input.file, "daemon/");
}

static const char *role_of(const char *function, unsigned argument)
{
        for (size_t i = 0; i < n_formats; i++)
                if (streq(formats[i].function, function) && formats[i].argument == argument)
                        return formats[i].ours ? "message" : "format";
        return "argument";
}

/* ---- the walk ---- */

static struct {
        char word[WORD_SIZE];   /* the token before, where it is a word */
        char closed[WORD_SIZE]; /* the function whose brackets have just been closed */
        unsigned format;        /* of the attribute that we are in, or of the one before a function; 0: none */
        bool ahead;             /* the latter */
} walk;

static bool is_keyword(const char *word)
{
        static const char *const keywords[] = { "if", "while", "for", "switch", "return", "sizeof", "case", "do" };

        FOREACH_ELEMENT(k, keywords)
                if (streq(*k, word))
                        return true;
        return false;
}

static void walk_open(const Token *t)
{
        Bracket *b = &brackets[n_brackets];

        if (n_brackets == DEPTH_MAX)
                die("brackets are too deep");
        *b = (Bracket){};
        n_brackets++;
        if (!token_is(t, "("))
                return;
        if (walk.word[0] != '\0' && !is_keyword(walk.word))
                word_copy(b->function, walk.word);
        b->transparent = b->function[0] == '\0';
        word_copy(b->declared, walk.closed);
        if (walk.ahead && b->function[0] != '\0' && !streq(b->function, "__attribute__")) {
                format_add(b->function, walk.format - 1);
                walk.ahead = false;
        }
}

/* A function is declared before its attributes, or after them. */
static void walk_close(void)
{
        Bracket *b;

        if (n_brackets == 0)
                die("a bracket was never opened");
        b = &brackets[--n_brackets];
        word_copy(walk.closed, b->function);
        if (!streq(b->function, "__attribute__"))
                return;
        word_copy(walk.closed, b->declared);
        if (walk.format == 0 || walk.ahead)
                return;
        walk.ahead = b->declared[0] == '\0';
        if (walk.ahead)
                return;
        format_add(b->declared, walk.format - 1);
        walk.format = 0;
}

/* format(printf, 2, 3): the second argument of the function, counted from 1. */
static void walk_attribute(const Bracket *b, const Token *t)
{
        if (!streq(b->function, "format") && !streq(b->function, "__format__"))
                return;
        if (b->argument == 1 && strstr(b->before, "printf"))
                walk.format = (unsigned) strtoul(t->text, NULL, 10);
}

static void walk_text(const Token *t)
{
        size_t i = n_brackets;
        const Bracket *b = NULL;

        if (!startswith(input.file, "daemon/"))
                return;
        while (i > 0 && brackets[i - 1].transparent)
                i--;
        if (i > 0 && brackets[i - 1].function[0] != '\0')
                b = &brackets[i - 1];
        printf("%s:%u\t%s\t%s\t%s\t%s\n", input.file, t->line, b ? b->function : "-",
               b ? role_of(b->function, b->argument) : "argument", b ? b->before : "", t->text);
}

/* The token is part of the arguments of a function, and of those around it where brackets add nothing. */
static void walk_before(const Token *t)
{
        for (size_t i = n_brackets; i > 0; i--) {
                Bracket *b = &brackets[i - 1];

                if (strlen(b->before) + strlen(t->text) < sizeof(b->before))
                        strcat(b->before, t->text);
                if (!b->transparent)
                        return;
        }
}

static void walk_token(const Token *t)
{
        Bracket *b = n_brackets > 0 ? &brackets[n_brackets - 1] : NULL;

        if (b && t->type != TOKEN_TEXT && !token_is(t, ")") && !token_is(t, ","))
                walk_attribute(b, t);
        if (t->type == TOKEN_TEXT)
                walk_text(t);
        else
                walk_before(t);
        if (token_is(t, "(") || token_is(t, "[") || token_is(t, "{"))
                walk_open(t);
        else if (token_is(t, ")") || token_is(t, "]") || token_is(t, "}"))
                walk_close();
        else if (token_is(t, ",") && b)
                b->argument++;
        else if (token_is(t, ";"))
                walk.ahead = false;

        if (!token_is(t, ")") && !token_is(t, "__attribute__"))
                walk.closed[0] = '\0';
        walk.word[0] = '\0';
        if (t->type == TOKEN_WORD)
                word_copy(walk.word, t->text);
        if (!walk.ahead && token_is(t, "__attribute__"))
                walk.format = 0;
}

int main(void)
{
        static Token token;

        do {
                token_next(&token);
                walk_token(&token);
        } while (token.type != TOKEN_END);
        if (n_brackets > 0)
                die("a bracket was never closed");
        return 0;
}
