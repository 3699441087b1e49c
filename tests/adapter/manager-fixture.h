/* SPDX-License-Identifier: MIT */
#pragma once

#include "../canary.h"
#include "fake-systemd.h"
#include "http-fixture.h"
#include "manager/bot.h"

/* A manager as tgswitchd has it: with directories, a disk and a credential socket of its own, the fake systemd at its
 * bus, and for the cloud a server that answers each method as the test says. What it logs is kept for the test. */

/* The id of every bot's token, unless the test stores another. */
#define FIXTURE_BOT_ID INT64_C(4242)
#define FIXTURE_TOKEN  "4242:" CANARY_SECRET

typedef struct CloudReply {
        const char *method; /* NULL: the last one */
        int status;
        const char *body;
} CloudReply;

typedef struct ManagerFixture {
        sd_event *event;
        FakeSystemd *systemd;
        sd_bus *bus;
        HttpServer *cloud;
        const CloudReply *replies; /* any other method is not found */
        unsigned n_bot_requests;   /* with a token: to either server */
        char *directory;           /* etc/, credentials/, state/, run/ and what was logged in it */
        Manager *manager;
        int saved_stderr;
} ManagerFixture;

/* cmocka set-up and tear-down; *state is the fixture. Nothing runs yet: what is stored and configured comes first. */
int manager_set_up(void **state);
int manager_tear_down(void **state);

/* Files in etc/ and credentials/. A bot has a token, which a test may write over or remove, and a section [Bot]. */
void manager_configure(ManagerFixture *f, const char *lines); /* of the section [Manager] */
void manager_store_bot(ManagerFixture *f, const char *name, const char *lines);
/* A record as an earlier process left it. */
void manager_store_record(ManagerFixture *f, const char *name, const Record *record);

/* What manager_new() and then manager_start() return. */
int manager_begin(ManagerFixture *f);
/* With that it has to begin; returns the bot once all that was begun is on disk. */
Bot *manager_begin_with(ManagerFixture *f, const char *name);
/* Runs the loop until nothing waits for the disk. */
void manager_drain(ManagerFixture *f);
/* Runs the loop until *flag. */
void manager_run_until(ManagerFixture *f, const bool *flag);

/* Fails the test and says why. */
void manager_fail(const char *what, const char *found, const char *expected);
/* The bus goes. */
void manager_close_bus(ManagerFixture *f);

/* The text stands in what was logged since the beginning, or since the log was forgotten. */
void manager_assert_logged(ManagerFixture *f, const char *words);
void manager_forget_log(ManagerFixture *f);
/* The answer is this one, and its sentence, which is freed, has these words. */
void manager_assert_answer(AskResult answer, AskResult expected, char **message, const char *words);
