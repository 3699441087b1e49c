/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "coverage.h"
#include "judge.h"
#include "scenario.h"

/* Runs the daemon in simulated worlds, one a seed. */

#define JOBS_MAX      64u
#define FAILURES_MAX  16u
#define COVERAGE_MAX  2048u
#define LINES_PRINTED 60u

/* What the processes that share the work tell the first one. */
typedef struct Report {
        uint64_t seed; /* at work */
        uint64_t failures[FAILURES_MAX];
        size_t n_failures;
        Statistics statistics;
        uint64_t coverage[COVERAGE_MAX];
} Report;

static_assert(COVERAGE_MAX >= CUTOVER_STATE_MAX * CUTOVER_EVENT_MAX, "there is room for the whole table");

static struct {
        uint64_t n_seeds, from, replay;
        bool replaying, verbose, coverage, fingerprints, tap;
        unsigned jobs;
        const char *corpus;
        size_t lines;
} options = { .n_seeds = 1000, .from = 1, .jobs = 1, .lines = LINES_PRINTED };

/* For tests/run. */
static void tell_tap(unsigned number, bool good, const char *what)
{
        if (options.tap)
                printf("%s %u - %s\n", good ? "ok" : "not ok", number, what);
}

/* Once more, and what happened. */
static void show(uint64_t seed)
{
        trace_begin(true, options.verbose);
        printf("SEED=%" PRIu64 "\n", seed);
        if (!scenario_run(seed))
                printf("%s\n", judge_verdict());
        if (!options.verbose)
                trace_dump(stdout, options.lines);
        trace_begin(false, false);
}

static void run_seeds(Report *r, unsigned first)
{
        size_t n;
        const uint64_t *counts;

        for (uint64_t i = first; i < options.n_seeds && r->n_failures < FAILURES_MAX; i += options.jobs) {
                r->seed = options.from + i;
                trace_begin(false, false);
                if (!scenario_run(r->seed)) {
                        r->failures[r->n_failures++] = r->seed;
                        fprintf(stderr, "SEED=%" PRIu64 " %s\n", r->seed, judge_verdict());
                }
                if (options.fingerprints)
                        printf("%" PRIu64 " %016" PRIx64 "\n", r->seed, trace_result());
        }
        r->statistics = statistics;
        counts = coverage_counts(&n);
        memcpy(r->coverage, counts, n * sizeof(uint64_t));
        r->seed = 0;
}

/* A process that dies in the daemon's code has found something as well: asserts of the daemon count. */
static void show_dead(uint64_t seed)
{
        pid_t pid;
        int status;

        fflush(NULL);
        pid = fork();
        if (pid == 0) {
                trace_begin(true, true);
                printf("SEED=%" PRIu64 "\n", seed);
                (void) scenario_run(seed);
                fflush(NULL);
                _exit(0);
        }
        (void) waitpid(pid, &status, 0);
}

static void take_report(const Report *r)
{
        for (size_t k = 0; k < r->n_failures; k++)
                show(r->failures[k]);
        if (r->seed != 0) {
                printf("The process died:\n");
                show_dead(r->seed);
        }
        statistics.seeds += r->statistics.seeds;
        statistics.virtual_usec += r->statistics.virtual_usec;
        statistics.crashes += r->statistics.crashes;
        statistics.reboots += r->statistics.reboots;
        statistics.requests += r->statistics.requests;
        statistics.moves += r->statistics.moves;
        statistics.moved += r->statistics.moved;
        coverage_add(r->coverage);
}

static bool run_all(Report *reports)
{
        bool good = true;

        fflush(NULL);
        for (unsigned i = 0; i < options.jobs; i++)
                if (fork() == 0) {
                        run_seeds(&reports[i], i);
                        fflush(NULL);
                        _exit(0);
                }
        for (unsigned i = 0; i < options.jobs; i++)
                (void) wait(NULL);
        for (unsigned i = 0; i < options.jobs; i++)
                good = good && reports[i].n_failures == 0 && reports[i].seed == 0;
        tell_tap(2, good, "no law is broken, and all come to rest");
        for (unsigned i = 0; i < options.jobs; i++)
                take_report(&reports[i]);
        return good;
}

static int summary(bool good)
{
        size_t n;

        (void) cutover_rows(&n);
        printf("%" PRIu64 " seeds, %" PRIu64 " virtual hours, %" PRIu64 " crashes, %" PRIu64 " reboots, %" PRIu64
               " requests, %" PRIu64 " moves begun, %" PRIu64 " done; %zu of %zu rows taken: %s\n",
               statistics.seeds, statistics.virtual_usec / USEC_PER_HOUR, statistics.crashes, statistics.reboots,
               statistics.requests, statistics.moves, statistics.moved, n - coverage_missed(), n,
               good ? "no law broken" : "FAILED");
        if (options.coverage)
                coverage_print();
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The seeds that have found something, one a line, with a comment behind '#'. */
static bool replay_corpus(void)
{
        FILE *f = fopen(options.corpus, "re");
        char line[512];
        bool good = true;

        if (!f) {
                perror(options.corpus);
                return false;
        }
        while (fgets(line, sizeof(line), f)) {
                char *end;
                uint64_t seed = strtoull(line, &end, 10);

                if (end == line)
                        continue;
                trace_begin(false, false);
                if (scenario_run(seed))
                        continue;
                show(seed);
                good = false;
        }
        fclose(f);
        return good;
}

static int parse_arguments(int argc, char *argv[])
{
        static const struct option known[] = {
                { "seeds", required_argument, NULL, 's' },
                { "from", required_argument, NULL, 'f' },
                { "replay", required_argument, NULL, 'r' },
                { "jobs", required_argument, NULL, 'j' },
                { "verbose", no_argument, NULL, 'v' },
                { "corpus", required_argument, NULL, 'c' },
                { "coverage", no_argument, NULL, 'C' },
                { "lines", required_argument, NULL, 'l' },
                { "fingerprints", no_argument, NULL, 'F' },
                { "tap", no_argument, NULL, 'T' },
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "s:f:r:j:vc:", known, NULL)) >= 0)
                switch (c) {
                case 's':
                        options.n_seeds = strtoull(optarg, NULL, 10);
                        break;
                case 'f':
                        options.from = strtoull(optarg, NULL, 10);
                        break;
                case 'r':
                        options.replay = strtoull(optarg, NULL, 10);
                        options.replaying = true;
                        break;
                case 'j':
                        options.jobs = (unsigned) MIN(MAX(strtoul(optarg, NULL, 10), 1ul), (unsigned long) JOBS_MAX);
                        break;
                case 'v':
                        options.verbose = true;
                        break;
                case 'c':
                        options.corpus = optarg;
                        break;
                case 'C':
                        options.coverage = true;
                        break;
                case 'l':
                        options.lines = strtoull(optarg, NULL, 10);
                        break;
                case 'F':
                        options.fingerprints = true;
                        break;
                case 'T':
                        options.tap = true;
                        break;
                default:
                        return -EINVAL;
                }
        return optind < argc ? -EINVAL : 0;
}

static int replay(void)
{
        bool good;

        trace_begin(true, options.verbose);
        good = scenario_run(options.replay);
        if (!options.verbose && !good)
                trace_dump(stdout, options.lines);
        printf("SEED=%" PRIu64 " fingerprint %016" PRIx64 ": %s\n", options.replay, trace_result(),
               good ? "no law broken" : judge_verdict());
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
        Report *reports;
        bool good = true;

        (void) unsetenv("NOTIFY_SOCKET");
        if (parse_arguments(argc, argv) < 0) {
                fprintf(stderr,
                        "simulate [--seeds=N] [--from=SEED] [--replay=SEED] [--jobs=N] [--verbose] [--lines=N]\n"
                        "         [--corpus=FILE] [--coverage] [--fingerprints] [--tap]\n");
                return EXIT_FAILURE;
        }
        if (options.replaying)
                return replay();
        reports = mmap(NULL, JOBS_MAX * sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (reports == MAP_FAILED)
                return EXIT_FAILURE;
        if (options.tap)
                printf("1..2\n");
        if (options.corpus)
                good = replay_corpus();
        tell_tap(1, good, "the seeds that have found something once");
        good = run_all(reports) && good;
        return summary(good);
}
