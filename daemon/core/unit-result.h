/* SPDX-License-Identifier: MIT */
#pragma once

#include "base/macro.h"

/* systemd's words for states and results, mapped once (org.freedesktop.systemd1(5)). */

typedef enum UnitLoadState {
        UNIT_LOAD_LOADED,
        UNIT_LOAD_NOT_FOUND,
        UNIT_LOAD_BAD_SETTING,
        UNIT_LOAD_ERROR,
        UNIT_LOAD_MASKED,
        UNIT_LOAD_OTHER, /* stub, merged, or a word of a newer systemd */
        UNIT_LOAD_MAX,
        UNIT_LOAD_INVALID = -EINVAL,
} UnitLoadState;

typedef enum UnitActiveState {
        UNIT_INACTIVE,
        UNIT_FAILED,
        UNIT_ACTIVE,
        UNIT_RELOADING,
        UNIT_ACTIVATING,
        UNIT_DEACTIVATING,
        UNIT_OTHER, /* a word of a newer systemd: taken as running */
        UNIT_ACTIVE_STATE_MAX,
        UNIT_ACTIVE_STATE_INVALID = -EINVAL,
} UnitActiveState;

typedef enum UnitJobResult {
        UNIT_JOB_DONE,
        UNIT_JOB_CANCELED,
        UNIT_JOB_TIMEOUT,
        UNIT_JOB_FAILED,
        UNIT_JOB_DEPENDENCY,
        UNIT_JOB_SKIPPED,  /* a condition of the unit was not met, or the job did not apply */
        UNIT_JOB_REFUSED,  /* systemd did not queue it: no such unit, masked, access denied */
        UNIT_JOB_DENIED,   /* polkit said no */
        UNIT_JOB_SHUTDOWN, /* the host is going down, or the bus is: asked again by the next process */
        UNIT_JOB_RESULT_MAX,
        UNIT_JOB_RESULT_INVALID = -EINVAL,
} UnitJobResult;

/* Words that are not known become _OTHER, and UNIT_JOB_FAILED: what is new in systemd is never taken for a
 * success. NULL is _INVALID. */
UnitLoadState unit_load_state_from_string(const char *s);
UnitActiveState unit_active_state_from_string(const char *s);
const char *unit_active_state_to_string(UnitActiveState s);
UnitJobResult unit_job_result_from_string(const char *s);
const char *unit_job_result_to_string(UnitJobResult r);
/* The same for people, as what follows "UNIT: ". Not for _DONE and _SHUTDOWN, which are no failures of a unit. */
const char *unit_job_result_explain(UnitJobResult r);

/* Whether a unit in this state may be running its code or be about to: everything but inactive and failed.
 */
bool unit_active_state_may_run(UnitActiveState s);

/* Names as systemd takes them: "name.type" or "name@instance.type", at most 255 characters, known unit
 * types. No templates. */
bool unit_name_is_valid(const char *name);
/* The same, but with at least one of *, ?, [] in it. A known type has to stand at its end as well. */
bool unit_name_is_glob(const char *name);
/* Whether any of them is one. */
bool unit_names_have_glob(char *const *names);
/* Whether `unit` is `pattern` or matches it. */
bool unit_name_matches(const char *pattern, const char *unit);
