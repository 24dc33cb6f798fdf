// Workload cluster: many nodes behind a router, simulated: the router's own code (scores, policy) on a model of
// engines.
//
// Requests arrive at --rate (Poisson). Each is one of --tenants' system prompts of --prompt tokens, drawn by Zipf's
// law, and then a chat of its own: half of the requests begin one, the others go on with one of the latest 4096, which
// has grown by a question and an answer of --tokens tokens each. A node computes prompts one after the other, --row-us
// for each token that it does not hold, and answers beside that, --step-us a token; it holds --pages blocks of 16
// tokens, of which the least recently used give way. What it stores and drops reaches the index at once. Every policy
// has the same requests. Times are simulated, but for router_us: what scoring and choosing took.
#include "engine/base/loop.h"
#include "tools/bench/bench.h"
#include "tools/kv/index_names.h"
#include "tools/kv/route_policy.h"
#include "tools/kv/score.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK      16u
#define CHATS      4096u
#define EVICT_PART 10u // of what a node holds, at once
#define TURNS_MAX  8u

struct node {
    struct score_source *source;
    struct index_names held; // block -> when it was used last
    double free_s;           // when its prompts are computed
    unsigned n_requests;
};

struct chat {
    unsigned group, id, n_turns;
};

struct leaving { // of a request, a heap by time
    double time_s;
    uint32_t node;
};

struct run {
    const struct bench_options *options;
    struct scorer *scorer;
    struct node *nodes;
    struct leaving *heap;
    size_t n_heap;
    double *group_share; // [n_tenants] cumulative
    struct chat chats[CHATS];
    uint64_t seed, tick, *hashes, *ticks;
    size_t hashes_max, ticks_max;
    unsigned n_chats;
    double *ttft_ms, *router_us; // [n_requests]
    uint64_t prompt_tokens, cached_tokens, predicted_tokens;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static double draw(struct run *run)
{
    return (double)(mix(run->seed += UINT64_C(0x9e3779b97f4a7c15)) >> 11) / 9007199254740992.0;
}

// ---- requests ------------------------------------------------------------------------------------------------------

static unsigned draw_group(struct run *run)
{
    double x = draw(run);
    unsigned low = 0, high = run->options->n_tenants - 1;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (run->group_share[mid] < x) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct chat *draw_chat(struct run *run)
{
    if (run->n_chats > 0 && draw(run) < 0.5) {
        unsigned n = run->n_chats < CHATS ? run->n_chats : CHATS;
        struct chat *chat = &run->chats[(size_t)(draw(run) * n)];
        if (chat->n_turns < TURNS_MAX) {
            chat->n_turns++;
            return chat;
        }
    }
    struct chat *chat = &run->chats[run->n_chats % CHATS];
    *chat = (struct chat){ .group = draw_group(run), .id = run->n_chats++, .n_turns = 1 };
    return chat;
}

// The names of its blocks. Those of a system prompt are the same for all of its chats.
static size_t make_hashes(struct run *run, const struct chat *chat)
{
    size_t n_shared = run->options->prompt_tokens / BLOCK;
    size_t n = n_shared + (2 * chat->n_turns - 1) * run->options->max_tokens / BLOCK + 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t of = i < n_shared ? chat->group : UINT64_C(0x100000000) + chat->id;
        run->hashes[i] = mix(mix(of + 1) + i);
    }
    return n;
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static int tell(struct node *node, enum kv_message_kind kind, const uint64_t *hashes, size_t n, struct err *err)
{
    const struct kv_message message = {
        .kind = kind, .n_blocks = n, .hashes = hashes, .has_parent = true, .block_size = BLOCK
    };
    return n > 0 ? score_source_apply(node->source, &message, err) : 0;
}

// The k-th smallest, by parting them (Hoare's selection), since nobody wants the order of the others.
static uint64_t select_tick(uint64_t *ticks, size_t n, size_t k)
{
    ptrdiff_t low = 0, high = (ptrdiff_t)n - 1, at = (ptrdiff_t)k;
    while (low < high) {
        uint64_t pivot = ticks[(low + high) / 2];
        ptrdiff_t i = low, j = high;
        while (i <= j) {
            while (ticks[i] < pivot) {
                i++;
            }
            while (ticks[j] > pivot) {
                j--;
            }
            if (i <= j) {
                uint64_t other = ticks[i];
                ticks[i++] = ticks[j];
                ticks[j--] = other;
            }
        }
        if (at <= j) {
            high = j;
        } else if (at >= i) {
            low = i;
        } else {
            break;
        }
    }
    return ticks[at];
}

// The least recently used of its blocks go, a part of them at once.
static int evict(struct run *run, struct node *node, struct err *err)
{
    size_t n = 0, n_gone = 0;
    for (size_t i = 0; i < node->held.cap; i++) {
        if (node->held.slots[i].ours != 0) {
            run->ticks[n++] = node->held.slots[i].ours;
        }
    }
    uint64_t before = select_tick(run->ticks, n, n / EVICT_PART);
    for (size_t i = 0; i < node->held.cap; i++) {
        if (node->held.slots[i].ours != 0 && node->held.slots[i].ours <= before) {
            run->ticks[n_gone++] = node->held.slots[i].theirs; // as many as were read already, at most
        }
    }
    for (size_t i = 0; i < n_gone; i++) {
        index_names_take(&node->held, run->ticks[i]);
    }
    return tell(node, KV_MESSAGE_REMOVED, run->ticks, n_gone, err);
}

static int use_blocks(struct run *run, struct node *node, size_t n, size_t n_cached, struct err *err)
{
    int r = 0;
    run->tick++;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = index_names_put(&node->held, run->hashes[i], run->tick);
    }
    r = r < 0 ? err_set(err, r, "out of memory for a cache")
              : tell(node, KV_MESSAGE_STORED, run->hashes + n_cached, n - n_cached, err);
    while (r == 0 && node->held.n > run->options->n_pages) {
        r = evict(run, node, err);
    }
    return r;
}

static size_t count_cached(const struct run *run, const struct node *node, size_t n)
{
    uint64_t tick;
    size_t i = 0;
    while (i < n && index_names_get(&node->held, run->hashes[i], &tick)) {
        i++;
    }
    return i;
}

// ---- who leaves when -----------------------------------------------------------------------------------------------

static void heap_add(struct run *run, struct leaving leaving)
{
    size_t i = run->n_heap++;
    for (; i > 0 && run->heap[(i - 1) / 2].time_s > leaving.time_s; i = (i - 1) / 2) {
        run->heap[i] = run->heap[(i - 1) / 2];
    }
    run->heap[i] = leaving;
}

static void heap_take(struct run *run)
{
    struct leaving last = run->heap[--run->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < run->n_heap; i = child) {
        child += child + 1 < run->n_heap && run->heap[child + 1].time_s < run->heap[child].time_s;
        if (run->heap[child].time_s >= last.time_s) {
            break;
        }
        run->heap[i] = run->heap[child];
    }
    run->heap[i] = last;
}

// ---- the router ----------------------------------------------------------------------------------------------------

static unsigned choose(struct run *run, enum route_policy policy, struct route_state *state,
                       struct route_candidate *candidates, size_t n, double *ret_predicted)
{
    const struct score_options options = { 0 };
    const struct score_row *rows;
    size_t n_hashes[1] = { policy == ROUTE_POLICY_PREFIX ? n : 0 };
    const struct score_keys keys = { .sizes = { .sizes = { BLOCK }, .n = 1, .n_scopes = 1 },
                                     .hashes = run->hashes,
                                     .n_hashes = n_hashes,
                                     .n_prompts = 1 };
    size_t n_rows = scorer_rank(run->scorer, STR("m"), &keys, &options, &rows);
    for (size_t i = 0; i < n_rows; i++) {
        candidates[i] = (struct route_candidate){ rows[i].score, run->nodes[rows[i].peer].n_requests };
    }
    size_t at = route_choose(policy, state, candidates, n_rows);
    *ret_predicted = rows[at].n_cached_tokens;
    return rows[at].peer;
}

static int serve(struct run *run, enum route_policy policy, struct route_state *state,
                 struct route_candidate *candidates, unsigned i, double now_s, struct err *err)
{
    const struct bench_options *o = run->options;
    double predicted;
    while (run->n_heap > 0 && run->heap[0].time_s <= now_s) {
        run->nodes[run->heap[0].node].n_requests--;
        heap_take(run);
    }
    size_t n = make_hashes(run, draw_chat(run));
    uint64_t begin = clock_monotonic_ns();
    unsigned at = choose(run, policy, state, candidates, n, &predicted);
    run->router_us[i] = (double)(clock_monotonic_ns() - begin) * 1e-3;
    struct node *node = &run->nodes[at];
    size_t n_cached = count_cached(run, node, n);
    double start_s = node->free_s > now_s ? node->free_s : now_s;
    node->free_s = start_s + ((double)(n - n_cached) * BLOCK + 1) * o->row_us * 1e-6;
    node->n_requests++;
    heap_add(run, (struct leaving){ node->free_s + o->max_tokens * o->step_us * 1e-6, at });
    run->ttft_ms[i] = (node->free_s - now_s) * 1e3;
    run->prompt_tokens += n * BLOCK;
    run->cached_tokens += n_cached * BLOCK;
    run->predicted_tokens += (uint64_t)predicted;
    return use_blocks(run, node, n, n_cached, err);
}

// ---- a policy ------------------------------------------------------------------------------------------------------

static int add_nodes(struct run *run, struct err *err)
{
    int r = scorer_new(0, &run->scorer);
    for (unsigned i = 0; i < run->options->n_nodes && r >= 0; i++) {
        char name[32];
        snprintf(name, sizeof(name), "node%u", i);
        r = scorer_add_peer(run->scorer, str_from(name));
        r = r < 0 ? r : scorer_add_source(run->scorer, (unsigned)r, STR("m"), &run->nodes[i].source);
    }
    return r < 0 ? err_set(err, r, "out of memory for %u nodes", run->options->n_nodes) : 0;
}

static void reset(struct run *run)
{
    for (unsigned i = 0; i < run->options->n_nodes; i++) {
        index_names_clear(&run->nodes[i].held);
        run->nodes[i] = (struct node){ 0 };
    }
    scorer_free(run->scorer);
    run->scorer = NULL;
    run->n_heap = run->n_chats = 0;
    run->prompt_tokens = run->cached_tokens = run->predicted_tokens = 0;
    run->seed = run->options->seed;
}

static void add_figure(struct bench_report *report, const char *what, enum route_policy policy, double value,
                       const char *unit)
{
    static const char *const names[] = { "prefix", "round_robin", "random" };
    char key[40];
    snprintf(key, sizeof(key), "%s_%s", what, names[policy]);
    bench_report_add(report, key, value, unit);
}

static void report_policy(struct run *run, enum route_policy policy, struct bench_report *report)
{
    unsigned n = run->options->n_requests, first = n / 2; // the caches are warm then
    struct kv_index_stats stats;
    kv_index_get_stats(scorer_index(run->scorer), &stats);
    add_figure(report, "hit_rate", policy, (double)run->cached_tokens / (double)run->prompt_tokens, "");
    add_figure(report, "ttft_ms_p50", policy, bench_quantile(run->ttft_ms + first, n - first, 0.5), "ms");
    add_figure(report, "ttft_ms_p90", policy, bench_quantile(run->ttft_ms + first, n - first, 0.9), "ms");
    add_figure(report, "ttft_ms_p99", policy, bench_quantile(run->ttft_ms + first, n - first, 0.99), "ms");
    if (policy == ROUTE_POLICY_PREFIX) {
        bench_report_add(report, "predicted_rate", (double)run->predicted_tokens / (double)run->prompt_tokens, "");
        bench_report_add(report, "router_us_p50", bench_quantile(run->router_us + first, n - first, 0.5), "us");
        bench_report_add(report, "router_us_p99", bench_quantile(run->router_us + first, n - first, 0.99), "us");
        bench_report_add(report, "index_placements", (double)stats.n_placements, "");
        bench_report_add(report, "index_bytes", (double)stats.n_bytes, "bytes");
    }
}

static int run_policy(struct run *run, enum route_policy policy, struct bench_report *report, struct err *err)
{
    struct route_state state = { .seed = run->options->seed };
    struct route_candidate *candidates = calloc(run->options->n_nodes, sizeof(*candidates));
    double now_s = 0;
    reset(run);
    int r = candidates ? add_nodes(run, err) : err_set(err, -ENOMEM, "out of memory");
    for (unsigned i = 0; i < run->options->n_requests && r == 0; i++) {
        now_s -= log(1 - draw(run)) / run->options->rate;
        r = serve(run, policy, &state, candidates, i, now_s, err);
    }
    if (r == 0) {
        report_policy(run, policy, report);
    }
    free(candidates);
    return r;
}

// ---- the whole -----------------------------------------------------------------------------------------------------

static bool make_arrays(struct run *run)
{
    const struct bench_options *o = run->options;
    double total = 0;
    size_t n_hashes = o->prompt_tokens / BLOCK + 2 * TURNS_MAX * o->max_tokens / BLOCK + 2;
    run->nodes = calloc(o->n_nodes, sizeof(*run->nodes));
    run->heap = calloc(o->n_requests, sizeof(*run->heap));
    run->group_share = calloc(o->n_tenants, sizeof(*run->group_share));
    run->hashes = calloc(n_hashes, sizeof(*run->hashes));
    run->ticks = calloc(o->n_pages + n_hashes, sizeof(*run->ticks));
    run->ttft_ms = calloc(o->n_requests, sizeof(*run->ttft_ms));
    run->router_us = calloc(o->n_requests, sizeof(*run->router_us));
    for (unsigned i = 0; run->group_share && i < o->n_tenants; i++) {
        run->group_share[i] = total += 1.0 / (i + 1);
    }
    for (unsigned i = 0; run->group_share && i < o->n_tenants; i++) {
        run->group_share[i] /= total;
    }
    return run->nodes && run->heap && run->group_share && run->hashes && run->ticks && run->ttft_ms && run->router_us;
}

int bench_cluster(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct run *run = calloc(1, sizeof(*run));
    int r = run ? 0 : err_set(err, -ENOMEM, "out of memory");
    snprintf(report->model, sizeof(report->model), "%u nodes", options->n_nodes);
    snprintf(report->backend, sizeof(report->backend), "a simulated clock");
    if (run) {
        run->options = options;
        r = make_arrays(run) ? 0 : err_set(err, -ENOMEM, "out of memory");
        for (unsigned policy = 0; policy <= ROUTE_POLICY_RANDOM && r == 0; policy++) {
            r = run_policy(run, (enum route_policy)policy, report, err);
        }
        if (r == 0) {
            bench_report_add(report, "prompt_tokens", (double)run->prompt_tokens / options->n_requests, "tokens");
            bench_report_add(report, "requests", options->n_requests, "");
            bench_report_add(report, "nodes", options->n_nodes, "");
        }
        if (run->nodes) {
            reset(run);
        }
        free(run->nodes);
        free(run->heap);
        free(run->group_share);
        free(run->hashes);
        free(run->ticks);
        free(run->ttft_ms);
        free(run->router_us);
        free(run);
    }
    return r;
}
