// Workload `steady`: is the engine after many requests as fast as at first, and no larger?
//
// A number of clients, each of whom asks again as soon as he has his answer. Half of a prompt is one of a few
// beginnings, so that the prefix cache, which is small, always has something to find and something to evict. The
// figures are of each tenth of the requests: per second, processor time, and resident memory at its end. Processor time
// is what tells on a machine that others use; and of that the median of the slopes between any two tenths (Theil and
// Sen), which a few bad ones do not move.
#include "engine/base/loop.h"
#include "tools/bench/bench.h"
#include "tools/bench/request.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_PARTS      10
#define N_BEGINNINGS 32
#define KV_BYTES     ((uint64_t)64 << 20)

struct part {
    uint64_t end_ns, cpu_ns;
    double rss_bytes;
};

struct steady {
    const struct bench_options *options;
    struct bench_model model;
    struct tokfs_engine *engine;
    struct tokfs_engine_info info;
    struct bench_request *requests; // [n_clients]
    int32_t *beginnings;            // [N_BEGINNINGS][prompt_tokens / 2]
    int32_t *ids;                   // [prompt_tokens]
    uint64_t random;
    size_t n_submitted, n_finished;
    struct part parts[N_PARTS + 1]; // the first is the beginning
};

static struct part measure(void)
{
    struct part now = { .end_ns = clock_monotonic_ns() };
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    now.cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
                 (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        now.rss_bytes = fscanf(f, "%*u %lu", &pages) == 1 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : 0;
        fclose(f);
    }
    return now;
}

static int steady_open(struct steady *s, const struct bench_options *options, struct err *err)
{
    size_t n = options->n_clients, n_prompt = options->prompt_tokens;
    *s = (struct steady){ .options = options, .random = 0x9e3779b97f4a7c15u };
    s->requests = calloc(n, sizeof(s->requests[0]));
    s->beginnings = calloc(N_BEGINNINGS * (n_prompt / 2) + 1, sizeof(s->beginnings[0]));
    s->ids = calloc(n_prompt, sizeof(s->ids[0]));
    if (!s->requests || !s->beginnings || !s->ids) {
        return err_set(err, -ENOMEM, "out of memory for %zu clients", n);
    }
    int rc = bench_model_prepare(options, &s->model, err);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = bench_request_init(&s->requests[i], options->max_tokens, err);
    }
    const struct tokfs_engine_options engine_options = {
        .model = s->model.dir,
        .served_name = options->model ? NULL : options->shape,
        .isa = options->isa,
        .weights = options->weights,
        .kv_dtype = options->kv_dtype,
        .n_threads = options->n_threads,
        .kv_bytes = KV_BYTES,
        .max_sequences = (unsigned)n,
        .batch_tokens = options->batch_tokens,
    };
    rc = rc == 0 ? bench_engine_open(&engine_options, &s->engine, err) : rc;
    if (rc == 0) {
        tokfs_engine_get_info(s->engine, &s->info);
        bench_random_prompt(&s->random, s->info.n_vocab, s->beginnings, N_BEGINNINGS * (n_prompt / 2));
    }
    return rc;
}

static void steady_close(struct steady *s)
{
    for (size_t i = 0; s->requests && i < s->options->n_clients; i++) {
        bench_request_deinit(&s->requests[i]);
    }
    tokfs_engine_close(s->engine);
    free(s->requests);
    free(s->beginnings);
    free(s->ids);
    bench_model_remove(&s->model);
}

static int ask(struct steady *s, struct bench_request *request, struct err *err)
{
    size_t n = s->options->prompt_tokens, half = n / 2;
    memcpy(s->ids, s->beginnings + bench_random(&s->random) % N_BEGINNINGS * half, half * sizeof(s->ids[0]));
    bench_random_prompt(&s->random, s->info.n_vocab, s->ids + half, n - half);
    s->n_submitted++;
    return bench_request_submit(request, s->engine, s->ids, n, err);
}

// Of a request that has ended: who asked asks again, until there are enough.
static int go_on(struct steady *s, struct bench_request *request, struct err *err)
{
    size_t n = s->options->n_requests;
    s->n_finished++;
    if (s->n_finished * N_PARTS % n < N_PARTS) {
        s->parts[s->n_finished * N_PARTS / n] = measure();
    }
    request->is_finished = false;
    return s->n_submitted < n ? ask(s, request, err) : 0;
}

static int run(struct steady *s, struct err *err)
{
    int rc = 0;
    s->parts[0] = measure();
    for (size_t i = 0; rc == 0 && i < s->options->n_clients && s->n_submitted < s->options->n_requests; i++) {
        rc = ask(s, &s->requests[i], err);
    }
    while (rc == 0 && s->n_finished < s->options->n_requests) {
        rc = bench_poll(s->engine, err);
        for (size_t i = 0; rc == 0 && i < s->options->n_clients; i++) {
            rc = s->requests[i].is_finished ? go_on(s, &s->requests[i], err) : 0;
        }
    }
    return rc;
}

// How much a value has grown from the first to the last, as a share of their median.
static double trend(const double *values, size_t n)
{
    double slopes[N_PARTS * N_PARTS], sorted[N_PARTS];
    size_t n_slopes = 0;
    for (size_t i = 0; i < n; i++) {
        sorted[i] = values[i];
        for (size_t j = i + 1; j < n; j++) {
            slopes[n_slopes++] = (values[j] - values[i]) / (double)(j - i);
        }
    }
    double median = bench_quantile(sorted, n, 0.5);
    return median > 0 ? bench_quantile(slopes, n_slopes, 0.5) * (double)(n - 1) / median : 0;
}

static void add_parts(const struct steady *s, struct bench_report *report)
{
    double n = (double)s->options->n_requests / N_PARTS, cpu_us[N_PARTS] = { 0 };
    char key[40];
    for (size_t i = 0; i < N_PARTS; i++) {
        const struct part *from = &s->parts[i], *to = &s->parts[i + 1];
        cpu_us[i] = (double)(to->cpu_ns - from->cpu_ns) / 1e3 / n;
        snprintf(key, sizeof(key), "requests_per_s_%zu", i + 1);
        bench_report_add(report, key, n * 1e9 / (double)(to->end_ns - from->end_ns), "requests/s");
        snprintf(key, sizeof(key), "cpu_us_%zu", i + 1);
        bench_report_add(report, key, cpu_us[i], "us of processors for a request");
        snprintf(key, sizeof(key), "rss_bytes_%zu", i + 1);
        bench_report_add(report, key, to->rss_bytes, "bytes resident");
    }
    bench_report_add(report, "cpu_trend", trend(cpu_us + 1, N_PARTS - 1),
                     "more processor time from the second tenth to the last");
    bench_report_add(report, "rss_growth_bytes", s->parts[N_PARTS].rss_bytes - s->parts[1].rss_bytes,
                     "bytes since the first tenth");
}

int bench_steady(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct steady s;
    if (options->n_requests < N_PARTS || options->n_requests % N_PARTS != 0) {
        return err_set(err, -EINVAL, "--requests %u: a multiple of %d is needed", options->n_requests, N_PARTS);
    }
    int rc = steady_open(&s, options, err);
    rc = rc == 0 ? run(&s, err) : rc;
    if (rc == 0) {
        snprintf(report->model, sizeof(report->model), "%s", s.info.model);
        snprintf(report->backend, sizeof(report->backend), "%s", s.info.backend);
        add_parts(&s, report);
        struct tokfs_engine_stats stats;
        tokfs_engine_get_stats(s.engine, &stats);
        bench_report_add(report, "cached_share", (double)stats.cached_tokens / (double)stats.prompt_tokens,
                         "of the prompts' tokens");
        bench_report_add(report, "evicted_pages", (double)stats.n_evicted, "pages given up by the prefix cache");
        bench_report_add(report, "clients", options->n_clients, "");
    }
    steady_close(&s);
    return rc;
}
