/* SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "judge.h"
#include "world.h"

World world;

bool fault(unsigned per_mille)
{
        return world.faults_on && random_chance(per_mille);
}

SimBot *world_find_bot(const char *name)
{
        for (size_t i = 0; i < world.n_bots; i++)
                if (streq(world.bots[i].name, name))
                        return &world.bots[i];
        return NULL;
}

usec_t world_boottime_usec(void)
{
        return timeline_now() - world.booted_usec;
}

usec_t world_monotonic_usec(void)
{
        return world_boottime_usec() - (timeline_suspended_usec() - world.sleep_before_usec);
}

usec_t world_realtime_usec(void)
{
        return (usec_t) ((int64_t) (SIM_EPOCH_USEC + timeline_now()) + world.realtime_offset_usec);
}

void world_update_arrives(SimBot *b)
{
        Session *in[SIDE_MAX];
        size_t n = 0;

        if (world.n_updates == world.updates_allocated) {
                world.updates_allocated = MAX((size_t) 256, world.updates_allocated * 2);
                world.updates = reallocarray(world.updates, world.updates_allocated, sizeof(Update));
                assert(world.updates);
        }
        world.updates[world.n_updates++] = (Update){ .bot = (uint8_t) b->index, .arrived_usec = timeline_now() };
        for (Side side = 0; side < SIDE_MAX; side++)
                if (session_is_in(&b->sessions[side]))
                        in[n++] = &b->sessions[side];
        if (n > 0)
                session_add_update(in[random_below(n)], (uint32_t) world.n_updates - 1);
        else
                world.updates[world.n_updates - 1].fate = FATE_BLIND;
}

/* ---- what happened ---- */

#define LINES_KEPT 4000u
#define LINE_MAX_  240u

static struct {
        bool keep, print;
        char (*lines)[LINE_MAX_];
        size_t n;
        uint64_t fingerprint;
} log_of_run;

void trace_begin(bool keep, bool print)
{
        log_of_run.keep = keep || print;
        log_of_run.print = print;
        log_of_run.n = 0;
        log_of_run.fingerprint = 0;
        if (keep && !log_of_run.lines)
                log_of_run.lines = calloc(LINES_KEPT, LINE_MAX_);
}

bool trace_is_kept(void)
{
        return log_of_run.keep;
}

void trace_fingerprint(uint64_t value)
{
        log_of_run.fingerprint = (log_of_run.fingerprint ^ value) * UINT64_C(0x100000001b3);
        log_of_run.fingerprint ^= log_of_run.fingerprint >> 29;
}

uint64_t trace_result(void)
{
        return log_of_run.fingerprint;
}

void trace(const char *format, ...)
{
        char line[LINE_MAX_], text[LINE_MAX_ - 40];
        usec_t now = timeline_now() - TIMELINE_BEGIN_USEC;
        va_list ap;

        if (!log_of_run.keep)
                return;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        snprintf(line, sizeof(line), "%8" PRIu64 ".%06" PRIu64 "  %s", now / USEC_PER_SEC, now % USEC_PER_SEC, text);
        if (log_of_run.print)
                puts(line);
        else
                memcpy(log_of_run.lines[log_of_run.n++ % LINES_KEPT], line, sizeof(line));
}

void trace_dump(FILE *f, size_t lines)
{
        size_t first = log_of_run.n - MIN(MIN(lines, log_of_run.n), LINES_KEPT);

        for (size_t i = first; i < log_of_run.n; i++)
                fprintf(f, "%s\n", log_of_run.lines[i % LINES_KEPT]);
}
