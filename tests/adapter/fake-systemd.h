/* SPDX-License-Identifier: MIT */
#pragma once

#include <systemd/sd-bus.h>

#include "base/macro.h"

/* The other end of a bus connection: systemd's manager, its units and logind, as far as the daemon speaks to
 * them, and on request the broker in between. It runs on the caller's event loop and does what its fields
 * say. */

#define FAKE_OWNER ":1.7" /* systemd's unique name where there is a broker */

typedef struct FakeSystemd {
        sd_bus *server;
        bool is_bus;
        const char *owner; /* sender of what systemd sends; NULL on a direct connection */
        char **calls;      /* "METHOD ARGUMENT…", in the order in which they came */

        const char *refusal;      /* error name, for every method that changes something */
        const char *refusal_text; /* its message, if not NULL */
        bool refuses_reset;       /* ResetFailed() alone, whatever else */
        bool silent;              /* does not answer those: see fake_systemd_answer_kept() */
        sd_bus_message *kept;     /* the last one that was not answered */
        const char *overtaken_by; /* result of a JobRemoved that is sent before the answer */
        uint32_t last_job;
        bool job_exists; /* for GetJob() */
        const char *active_state;
        const char *sub_state;
        const char *system_state;
        size_t n_requires; /* how long the list in Requires= is */
        bool odd_types;    /* MainPID as a string */
        int inhibitor_fd;  /* what Inhibit() hands out */
} FakeSystemd;

/* *ret_client is the daemon's connection, attached to the event loop as the server's is. */
FakeSystemd *fake_systemd_new(sd_event *event, bool is_bus, sd_bus **ret_client);
FakeSystemd *fake_systemd_free(FakeSystemd *f);

/* `sender` NULL: systemd itself. */
void fake_systemd_job_removed(FakeSystemd *f, const char *sender, uint32_t id, const char *result);
void fake_systemd_reloading(FakeSystemd *f, const char *sender, bool begins);
void fake_systemd_unit_changed(FakeSystemd *f, const char *sender, const char *unit, const char *active,
                               const char *sub);
/* Without values: the properties are only named. */
void fake_systemd_unit_invalidated(FakeSystemd *f, const char *unit);
/* From the broker, or from whom `sender` says. */
void fake_systemd_owner_changed(FakeSystemd *f, const char *sender, const char *owner);

/* Answers the kept call: with `error`, or with the job `last_job`. */
void fake_systemd_answer_kept(FakeSystemd *f, const char *error);
