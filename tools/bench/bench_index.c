// Workload index: what the index of blocks costs: storing, matching, clearing, memory.
//
// --nodes machines hold --blocks blocks together, each those of its own conversations of 128 blocks, told in events of
// 16 blocks; and all of them hold one prompt of 625 blocks (10,000 tokens). Then conversations drawn at random are
// matched, and the prompt that all hold; one more node of a million blocks (or of as many as there are, if fewer) comes
// and is cleared. One thread.
#include "engine/base/loop.h"
#include "tools/bench/bench.h"
#include "tools/kv/index.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHAIN         128
#define EVENT         16
#define SHARED        625
#define MATCHES       100000
#define SHARED_ROUNDS 1000
#define CLEARED       1000000u

struct run {
    struct kv_index *index;
    unsigned n_nodes;
    uint64_t n_chains;
    struct kv_match *found; // [KV_INDEX_NODES_MAX]
    double *times;          // [SHARED_ROUNDS]
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void make_chain(uint64_t chain, size_t n, uint64_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = mix(chain << 20 | i);
    }
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(clock_monotonic_ns() - begin_ns) * 1e-9;
}

static int store_chain(struct kv_index *index, uint32_t node, uint64_t chain, size_t n)
{
    uint64_t hashes[SHARED];
    make_chain(chain, n, hashes);
    int r = 0;
    for (size_t at = 0; at < n && r == 0; at += EVENT) {
        r = kv_index_store(index, node, KV_TIER_GPU, &hashes[at], n - at < EVENT ? n - at : EVENT);
    }
    return r;
}

static int fill(struct run *run, struct bench_report *report)
{
    struct kv_index_stats stats;
    int r = 0;
    for (unsigned i = 0; i < run->n_nodes && r == 0; i++) {
        int node = kv_index_add_node(run->index, 0, KV_COUNT_ONCE);
        r = node < 0 ? node : 0;
    }
    uint64_t begin = clock_monotonic_ns();
    for (uint64_t chain = 0; chain < run->n_chains && r == 0; chain++) {
        r = store_chain(run->index, (uint32_t)(chain % run->n_nodes), chain, CHAIN);
    }
    double seconds = seconds_since(begin);
    kv_index_get_stats(run->index, &stats);
    bench_report_add(report, "store_blocks_per_s", (double)stats.n_stored / seconds, "blocks/s");
    bench_report_add(report, "bytes_per_placement", (double)stats.n_bytes / (double)stats.n_placements, "bytes");
    bench_report_add(report, "placements", (double)stats.n_placements, "");
    for (uint32_t node = 0; node < run->n_nodes && r == 0; node++) {
        r = store_chain(run->index, node, run->n_chains, SHARED);
    }
    return r;
}

static void match_own(struct run *run, struct bench_report *report)
{
    uint64_t hashes[CHAIN], n_blocks = 0, ns = 0;
    for (uint64_t i = 0; i < MATCHES; i++) {
        make_chain(mix(i) % run->n_chains, CHAIN, hashes);
        uint64_t begin = clock_monotonic_ns();
        size_t n = kv_index_match(run->index, 0, hashes, CHAIN, kv_tier_weights, run->found);
        ns += clock_monotonic_ns() - begin;
        n_blocks += n > 0 ? run->found[0].n_blocks : 0;
    }
    bench_report_add(report, "match_blocks_per_s", (double)n_blocks / (double)ns * 1e9, "blocks/s");
}

static void match_shared(struct run *run, struct bench_report *report)
{
    uint64_t hashes[SHARED];
    make_chain(run->n_chains, SHARED, hashes);
    for (unsigned i = 0; i < SHARED_ROUNDS; i++) {
        uint64_t begin = clock_monotonic_ns();
        kv_index_match(run->index, 0, hashes, SHARED, kv_tier_weights, run->found);
        run->times[i] = seconds_since(begin) * 1e6;
    }
    bench_report_add(report, "match_shared_us_p50", bench_quantile(run->times, SHARED_ROUNDS, 0.5), "us");
    bench_report_add(report, "match_shared_us_p99", bench_quantile(run->times, SHARED_ROUNDS, 0.99), "us");
}

static int clear_one(struct run *run, struct bench_report *report)
{
    uint64_t n_chains = (run->n_chains < CLEARED / CHAIN ? run->n_chains : CLEARED / CHAIN + 1);
    int node = kv_index_add_node(run->index, 0, KV_COUNT_ONCE), r = node < 0 ? node : 0;
    for (uint64_t i = 0; i < n_chains && r == 0; i++) {
        r = store_chain(run->index, (uint32_t)node, run->n_chains + 1 + i, CHAIN);
    }
    uint64_t begin = clock_monotonic_ns();
    if (r == 0) {
        kv_index_clear_node(run->index, (uint32_t)node);
        bench_report_add(report, "clear_us", seconds_since(begin) * 1e6, "us");
        bench_report_add(report, "cleared_blocks", (double)(n_chains * CHAIN), "blocks");
        begin = clock_monotonic_ns();
        while (kv_index_tidy(run->index)) {
        }
        bench_report_add(report, "sweep_ms", seconds_since(begin) * 1e3, "ms");
    }
    return r;
}

static void remove_some(struct run *run, struct bench_report *report)
{
    uint64_t hashes[CHAIN], n_chains = run->n_chains < MATCHES ? run->n_chains : MATCHES;
    uint64_t begin = clock_monotonic_ns();
    for (uint64_t chain = 0; chain < n_chains; chain++) {
        make_chain(chain, CHAIN, hashes);
        kv_index_remove(run->index, (uint32_t)(chain % run->n_nodes), KV_TIER_GPU, hashes, CHAIN);
    }
    double n_blocks = (double)(n_chains * CHAIN);
    bench_report_add(report, "remove_blocks_per_s", n_blocks / seconds_since(begin), "blocks/s");
}

int bench_index(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct run run = { .n_nodes = options->n_nodes, .n_chains = 1 + (options->n_blocks - 1) / CHAIN };
    run.found = calloc(KV_INDEX_NODES_MAX, sizeof(*run.found));
    run.times = calloc(SHARED_ROUNDS, sizeof(*run.times));
    int r = run.found && run.times ? kv_index_new(0, &run.index) : -ENOMEM;
    snprintf(report->model, sizeof(report->model), "%u nodes", run.n_nodes);
    snprintf(report->backend, sizeof(report->backend), "one thread");
    r = r < 0 ? r : fill(&run, report);
    if (r == 0) {
        match_own(&run, report);
        match_shared(&run, report);
        r = clear_one(&run, report);
    }
    if (r == 0) {
        remove_some(&run, report);
        bench_report_add(report, "nodes", run.n_nodes, "");
    }
    kv_index_free(run.index);
    free(run.found);
    free(run.times);
    return r < 0 ? err_set(err, r, "out of memory for %u blocks", options->n_blocks) : 0;
}
