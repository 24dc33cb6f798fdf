// Bounds of the buckets, one row for each histogram: vLLM's, and finer ones below, since a small model's tokens would
// all be in the first bucket.
#include "engine/serve/histogram.h"

#include <assert.h>
#include <string.h>

#define US 1000u
#define MS 1000000u
#define S  1000000000u

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint64_t first_token_ns[] = { 1 * MS,     5 * MS,     10 * MS,   20 * MS,   40 * MS,
                                           60 * MS,    80 * MS,    100 * MS,  250 * MS,  500 * MS,
                                           750 * MS,   1ull * S,   2500 * MS, 5ull * S,  7500 * (uint64_t)MS,
                                           10ull * S,  20ull * S,  40ull * S, 80ull * S, 160ull * S,
                                           640ull * S, 2560ull * S };
static const uint64_t token_ns[] = { 500 * US,
                                     1 * MS,
                                     2500 * US,
                                     5 * MS,
                                     10 * MS,
                                     25 * MS,
                                     50 * MS,
                                     75 * MS,
                                     100 * MS,
                                     150 * MS,
                                     200 * MS,
                                     300 * MS,
                                     400 * MS,
                                     500 * MS,
                                     750 * MS,
                                     1ull * S,
                                     2500 * MS,
                                     5ull * S,
                                     7500 * (uint64_t)MS,
                                     10ull * S,
                                     20ull * S,
                                     40ull * S,
                                     80ull * S };
static const uint64_t request_ns[] = { 1 * MS,     10 * MS,    100 * MS,   300 * MS,   500 * MS,    800 * MS,
                                       1ull * S,   1500 * MS,  2ull * S,   2500 * MS,  5ull * S,    10ull * S,
                                       15ull * S,  20ull * S,  30ull * S,  40ull * S,  50ull * S,   60ull * S,
                                       120ull * S, 240ull * S, 480ull * S, 960ull * S, 1920ull * S, 7680ull * S };
static const uint64_t tokens[] = { 1,    2,    5,     10,    20,    50,     100,    200,    500,    1000,
                                   2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000 };
static const uint64_t step_tokens[] = { 1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384 };

#define ROW(list)                                                                                                      \
    {                                                                                                                  \
        (list), COUNT(list)                                                                                            \
    }

static const struct {
    const uint64_t *bounds;
    size_t n;
} rows[TOKFS_N_HISTOGRAMS] = {
    [TOKFS_HISTOGRAM_FIRST_TOKEN_NS] = ROW(first_token_ns), [TOKFS_HISTOGRAM_BETWEEN_TOKENS_NS] = ROW(token_ns),
    [TOKFS_HISTOGRAM_PER_TOKEN_NS] = ROW(token_ns),         [TOKFS_HISTOGRAM_TOTAL_NS] = ROW(request_ns),
    [TOKFS_HISTOGRAM_QUEUE_NS] = ROW(request_ns),           [TOKFS_HISTOGRAM_INFERENCE_NS] = ROW(request_ns),
    [TOKFS_HISTOGRAM_PREFILL_NS] = ROW(request_ns),         [TOKFS_HISTOGRAM_DECODE_NS] = ROW(request_ns),
    [TOKFS_HISTOGRAM_PROMPT_TOKENS] = ROW(tokens),          [TOKFS_HISTOGRAM_COMPLETION_TOKENS] = ROW(tokens),
    [TOKFS_HISTOGRAM_STEP_TOKENS] = ROW(step_tokens),
};

_Static_assert(COUNT(request_ns) <= TOKFS_BUCKETS_MAX && COUNT(token_ns) <= TOKFS_BUCKETS_MAX &&
                   COUNT(first_token_ns) <= TOKFS_BUCKETS_MAX && COUNT(tokens) <= TOKFS_BUCKETS_MAX,
               "buckets have room");

const uint64_t *tokfs_histogram_bounds(enum tokfs_histogram_id id, size_t *ret_n)
{
    assert(id < TOKFS_N_HISTOGRAMS);
    *ret_n = rows[id].n;
    return rows[id].bounds;
}

void histogram_add(struct tokfs_engine_stats *stats, enum tokfs_histogram_id id, uint64_t value)
{
    struct tokfs_histogram *h = &stats->histograms[id];
    size_t i = 0;
    while (i < rows[id].n && value > rows[id].bounds[i]) {
        i++;
    }
    h->counts[i]++;
    h->sum += value;
}

static enum tokfs_end end_of(const char *finish_reason)
{
    if (!finish_reason) {
        return TOKFS_END_ERROR;
    }
    return strcmp(finish_reason, "length") == 0   ? TOKFS_END_LENGTH
           : strcmp(finish_reason, "cancel") == 0 ? TOKFS_END_ABORT
                                                  : TOKFS_END_STOP; // with tool calls, too
}

void histogram_add_end(struct tokfs_engine_stats *stats, const struct tokfs_usage *usage, const char *finish_reason)
{
    enum tokfs_end end = end_of(finish_reason);
    stats->n_ends[end]++;
    if (end == TOKFS_END_ERROR || usage->ttft_ns == 0) { // it was not run to a token: nothing to compare
        return;
    }
    histogram_add(stats, TOKFS_HISTOGRAM_TOTAL_NS, usage->total_ns);
    histogram_add(stats, TOKFS_HISTOGRAM_QUEUE_NS, usage->queue_ns);
    histogram_add(stats, TOKFS_HISTOGRAM_INFERENCE_NS, usage->prefill_ns + usage->decode_ns);
    histogram_add(stats, TOKFS_HISTOGRAM_PREFILL_NS, usage->prefill_ns);
    histogram_add(stats, TOKFS_HISTOGRAM_DECODE_NS, usage->decode_ns);
    histogram_add(stats, TOKFS_HISTOGRAM_PROMPT_TOKENS, usage->prompt_tokens);
    histogram_add(stats, TOKFS_HISTOGRAM_COMPLETION_TOKENS, usage->completion_tokens);
    if (usage->completion_tokens > 1) {
        histogram_add(stats, TOKFS_HISTOGRAM_PER_TOKEN_NS, usage->decode_ns / (usage->completion_tokens - 1));
    }
}
