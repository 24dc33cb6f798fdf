#include "tools/bench/load_times.h"
#include "engine/base/loop.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void series_add(struct series *series, double value)
{
    if (series->n == series->size) {
        series->size = series->size ? 2 * series->size : 1024;
        series->values = realloc(series->values, series->size * sizeof(*series->values));
        if (!series->values) {
            abort();
        }
    }
    series->values[series->n++] = value;
}

static void series_append(struct series *to, const struct series *from)
{
    for (size_t i = 0; i < from->n; i++) {
        series_add(to, from->values[i]);
    }
}

void load_times_add(struct load_times *to, const struct load_times *from)
{
    series_append(&to->first_ms, &from->first_ms);
    series_append(&to->total_ms, &from->total_ms);
    series_append(&to->between_ms, &from->between_ms);
    series_append(&to->delay_us, &from->delay_us);
    if (to->n_failed == 0) {
        memcpy(to->failure, from->failure, sizeof(to->failure));
    }
    to->n_tokens += from->n_tokens;
    to->n_failed += from->n_failed;
    to->seconds += from->seconds;
    to->cpu_seconds += from->cpu_seconds;
}

void load_times_deinit(struct load_times *times)
{
    free(times->first_ms.values);
    free(times->total_ms.values);
    free(times->between_ms.values);
    free(times->delay_us.values);
}

double load_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// ---- figures -------------------------------------------------------------------------------------------------------

static void report_one(struct bench_report *report, const char *prefix, const char *name, double value,
                       const char *unit)
{
    char key[40];
    snprintf(key, sizeof(key), "%s%s", prefix, name);
    bench_report_add(report, key, value, unit);
}

static void report_quantiles(struct bench_report *report, const char *prefix, const char *name, struct series *series,
                             const char *unit)
{
    static const struct {
        const char *suffix;
        double q;
    } rows[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 } };
    for (size_t i = 0; series->n > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
        char key[40];
        snprintf(key, sizeof(key), "%s_%s", name, rows[i].suffix);
        report_one(report, prefix, key, bench_quantile(series->values, series->n, rows[i].q), unit);
    }
}

void load_times_report(struct load_times *times, const char *prefix, struct bench_report *report)
{
    report_one(report, prefix, "requests_per_s", (double)times->total_ms.n / times->seconds, "answered");
    report_one(report, prefix, "requests", (double)times->total_ms.n, "answered");
    report_one(report, prefix, "failed", (double)times->n_failed, "not answered, or not to the end with status 200");
    report_quantiles(report, prefix, "total_ms", &times->total_ms, "ms, from when it was due");
    report_quantiles(report, prefix, "first_ms", &times->first_ms, "ms to the first byte or event");
    if (times->n_tokens > 0) {
        report_one(report, prefix, "events_per_s", (double)times->n_tokens / times->seconds, "of all streams");
        report_quantiles(report, prefix, "between_ms", &times->between_ms, "ms between events of a stream");
        report_quantiles(report, prefix, "delay_us", &times->delay_us, "us, sampled to received");
    }
    report_one(report, prefix, "client_cpu", times->cpu_seconds / times->seconds, "processors that the client took");
}

// ---- an answer -----------------------------------------------------------------------------------------------------

void answer_begin(struct answer *answer, struct load_times *times, bool is_stream, uint64_t due_ns)
{
    answer->times = times;
    answer->is_stream = is_stream;
    answer->is_done = answer->is_failed = false;
    answer->due_ns = due_ns;
    answer->first_ns = answer->last_ns = 0;
    sse_init(&answer->sse);
}

static void note_delay(struct answer *answer, struct str data)
{
    ptrdiff_t at = str_find(data, STR("\"sampled_ns\":"));
    if (at >= 0) {
        struct str digits = str_skip(data, (size_t)at + 13);
        uint64_t sampled_ns = 0;
        for (; digits.len > 0 && digits.ptr[0] >= '0' && digits.ptr[0] <= '9'; digits = str_skip(digits, 1)) {
            sampled_ns = 10 * sampled_ns + (uint64_t)(digits.ptr[0] - '0');
        }
        if (sampled_ns > 0 && sampled_ns < answer->last_ns) {
            series_add(&answer->times->delay_us, (double)(answer->last_ns - sampled_ns) * 1e-3);
        }
    }
}

struct piece {
    struct answer *answer;
    uint64_t now_ns;
};

static void take_event(void *ctx, enum sse_event event, struct str data)
{
    const struct piece *piece = ctx;
    struct answer *answer = piece->answer;
    answer->is_done |= event == SSE_DONE;
    answer->is_failed |= event == SSE_ERROR;
    if (event != SSE_TOKENS) {
        return;
    }
    answer->times->n_tokens++;
    if (answer->last_ns > 0) {
        series_add(&answer->times->between_ms, (double)(piece->now_ns - answer->last_ns) * 1e-6);
    } else {
        answer->first_ns = piece->now_ns;
    }
    answer->last_ns = piece->now_ns;
    note_delay(answer, data);
}

void answer_take(struct answer *answer, struct str bytes, uint64_t now_ns)
{
    if (answer->is_stream) {
        struct piece piece = { answer, now_ns };
        sse_feed(&answer->sse, bytes, &(struct sse_sink){ take_event, &piece });
    } else if (answer->first_ns == 0) {
        answer->first_ns = now_ns;
    }
}

void answer_end(struct answer *answer, const char *failure, uint64_t now_ns)
{
    struct load_times *times = answer->times;
    if (!failure && answer->is_failed) {
        failure = "an error in the stream";
    } else if (!failure && answer->is_stream && !answer->is_done) {
        failure = "a stream without its end";
    }
    if (failure) {
        if (times->n_failed++ == 0) {
            snprintf(times->failure, sizeof(times->failure), "%s", failure);
        }
        return;
    }
    if (answer->first_ns > 0) {
        series_add(&times->first_ms, (double)(answer->first_ns - answer->due_ns) * 1e-6);
    }
    series_add(&times->total_ms, (double)(now_ns - answer->due_ns) * 1e-6);
}

// ---- arrivals ------------------------------------------------------------------------------------------------------

// From a generator of 64 bits (Knuth's constants).
static uint64_t gap_ns(struct arrivals *arrivals)
{
    arrivals->random = arrivals->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    double u = ((double)(arrivals->random >> 11) + 0.5) / 9007199254740992.0;
    return (uint64_t)(-log(u) / arrivals->rate * 1e9);
}

void arrivals_init(struct arrivals *arrivals, const struct load *load, uint64_t now_ns)
{
    *arrivals = (struct arrivals){ .random = load->seed, .rate = load->rate };
    arrivals->end_ns = now_ns + (uint64_t)(load->seconds * 1e9);
    arrivals->next_ns = load->rate > 0 ? now_ns + gap_ns(arrivals) : UINT64_MAX;
}

bool arrivals_is_over(const struct arrivals *arrivals)
{
    return arrivals->next_ns >= arrivals->end_ns;
}

uint64_t arrivals_take(struct arrivals *arrivals)
{
    uint64_t due_ns = arrivals->next_ns;
    arrivals->next_ns += gap_ns(arrivals);
    return due_ns;
}
