/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "judge-internal.h"

/* The history has each job that has ended once, whatever dies: at the latest when the record of a later job has taken
 * the place of its own. Only where the disk did not take the line may it be missing, if the process dies as well. */

typedef struct EndedJob {
        const SimBot *bot;
        uint32_t id;
        bool recorded; /* that it has ended was on disk */
        bool failed;   /* the disk did not take its line when it was asked to … */
        bool lost; /* … and the process died that would have asked again, with the record of a later job on disk */
        unsigned n_lines;
} EndedJob;

static EndedJob *jobs;
static size_t n_jobs;

void judge_history_reset(void)
{
        free(jobs);
        jobs = NULL;
        n_jobs = 0;
}

static EndedJob *find_job(const SimBot *b, uint32_t id)
{
        EndedJob *grown;

        /* Most are looked for when they have just ended. */
        for (size_t i = n_jobs; i > 0; i--)
                if (jobs[i - 1].id == id)
                        return jobs + i - 1;
        grown = reallocarray(jobs, n_jobs + 1, sizeof(EndedJob));
        if (!grown)
                abort();
        jobs = grown;
        jobs[n_jobs] = (EndedJob){ .bot = b, .id = id };
        return jobs + n_jobs++;
}

static bool is_missing(const EndedJob *job)
{
        return job->recorded && job->n_lines == 0 && !job->lost;
}

/* `id` is the job in the bot's record, whose line may be still to come; 0: none may. */
static void look_at_lines(const SimBot *b, uint32_t id)
{
        for (size_t i = 0; i < n_jobs; i++)
                if (jobs[i].bot == b && jobs[i].id != id && is_missing(jobs + i) && !jobs[i].failed)
                        judge_says("L5", b, "job %" PRIu32 " has ended and is not in the history", jobs[i].id);
}

void judge_recorded(const SimBot *b, uint32_t job_id, bool ended)
{
        if (job_id > 0 && ended)
                find_job(b, job_id)->recorded = true;
        look_at_lines(b, job_id);
}

void judge_line_written(const SimBot *b, uint32_t job_id)
{
        EndedJob *job = find_job(b, job_id);

        job->failed = false;
        if (++job->n_lines > 1)
                judge_says("L5", b, "job %" PRIu32 " is in the history twice", job_id);
}

void judge_line_failed(const SimBot *b, uint32_t job_id)
{
        find_job(b, job_id)->failed = true;
}

void judge_history_process_starts(const SimBot *b, uint32_t job_id)
{
        look_at_lines(b, job_id);
        for (size_t i = 0; i < n_jobs; i++)
                if (jobs[i].bot == b && jobs[i].id != job_id && jobs[i].failed)
                        jobs[i].lost = true;
}

bool judge_history_is_behind(const SimBot *b)
{
        for (size_t i = 0; i < n_jobs; i++)
                if (jobs[i].bot == b && is_missing(jobs + i))
                        return true;
        return false;
}

void judge_end_history(const SimBot *b)
{
        if (judge_history_is_behind(b))
                judge_says("L5", b, "all is over, and a job is not in the history");
}
