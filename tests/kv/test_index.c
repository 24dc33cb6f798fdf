// The index against a model of it that is nothing but counters: [node][tier][block].
#include "tests/unit.h"
#include "tools/kv/index.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define N_NODES  24
#define N_CHAINS 400
#define CHAIN    30
#define N_BLOCKS (N_CHAINS * CHAIN)

struct world {
    struct kv_index *index;
    uint64_t hashes[N_BLOCKS];
    uint8_t counts[N_NODES][KV_N_TIERS][N_BLOCKS];
    int nodes[N_NODES]; // their numbers in the index
    uint32_t groups[N_NODES];
    enum kv_count how[N_NODES];
    struct kv_match found[KV_INDEX_NODES_MAX];
    uint64_t random;
};

static uint64_t draw(struct world *w, uint64_t n)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (w->random >> 33) % n;
}

static void add_node(struct world *w, unsigned i)
{
    w->groups[i] = (uint32_t)draw(w, 2);
    w->how[i] = draw(w, 2) ? KV_COUNT_TIMES : KV_COUNT_ONCE;
    w->nodes[i] = kv_index_add_node(w->index, w->groups[i], w->how[i]);
    assert_true(w->nodes[i] >= 0);
    memset(w->counts[i], 0, sizeof(w->counts[i]));
}

static struct world *world_new(uint64_t seed, uint64_t bytes_max, unsigned n_nodes)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->random = seed;
    assert_int_equal(kv_index_new(bytes_max, &w->index), 0);
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        w->hashes[i] = draw(w, 4) ? draw(w, UINT32_MAX) << 32 | draw(w, UINT32_MAX) : i; // some are small
    }
    for (unsigned i = 0; i < n_nodes; i++) {
        add_node(w, i);
    }
    return w;
}

static void world_free(struct world *w)
{
    kv_index_free(w->index);
    free(w);
}

static void store(struct world *w, unsigned node, enum kv_tier tier, unsigned first, unsigned n)
{
    assert_int_equal(kv_index_store(w->index, (uint32_t)w->nodes[node], tier, &w->hashes[first], n), 0);
    for (unsigned i = first; i < first + n; i++) {
        uint8_t *count = &w->counts[node][tier][i];
        if (*count == 0 || (w->how[node] == KV_COUNT_TIMES && *count < 31)) {
            ++*count;
        }
    }
}

static void take(struct world *w, unsigned node, enum kv_tier tier, unsigned first, unsigned n)
{
    kv_index_remove(w->index, (uint32_t)w->nodes[node], tier, &w->hashes[first], n);
    for (unsigned i = first; i < first + n; i++) {
        if (w->counts[node][tier][i] > 0) {
            w->counts[node][tier][i]--;
        }
    }
}

static double weight_of(const struct world *w, unsigned node, unsigned block)
{
    for (unsigned tier = 0; tier < KV_N_TIERS; tier++) {
        if (w->counts[node][tier][block] > 0) {
            return kv_tier_weights[tier];
        }
    }
    return 0;
}

static void check_chain(struct world *w, unsigned chain, uint32_t group)
{
    size_t n = kv_index_match(w->index, group, &w->hashes[chain * CHAIN], CHAIN, kv_tier_weights, w->found);
    size_t n_expected = 0;
    for (unsigned i = 0; i < N_NODES; i++) {
        uint32_t n_blocks = 0;
        double score = 0;
        while (n_blocks < CHAIN && weight_of(w, i, chain * CHAIN + n_blocks) > 0) {
            score += weight_of(w, i, chain * CHAIN + n_blocks++);
        }
        if (n_blocks == 0 || w->groups[i] != group) {
            continue;
        }
        n_expected++;
        size_t at = 0;
        while (at < n && w->found[at].node != (uint32_t)w->nodes[i]) {
            at++;
        }
        assert_true(at < n);
        assert_int_equal(w->found[at].n_blocks, n_blocks);
        assert_float_equal(w->found[at].score, score, 1e-9);
    }
    assert_int_equal(n, n_expected);
}

static void count_seen(void *ctx, uint64_t hash, uint32_t node, unsigned tiers)
{
    uint64_t *seen = ctx;
    (void)hash;
    assert_true(tiers > 0 && tiers < 8);
    seen[node]++;
}

// Listing, counters and figures agree with the model.
static void check_whole(struct world *w)
{
    uint64_t seen[KV_INDEX_NODES_MAX] = { 0 }, at = 0, total = 0;
    do {
        kv_index_walk(w->index, &at, count_seen, seen);
    } while (at != 0);
    for (unsigned i = 0; i < N_NODES; i++) {
        uint64_t n = 0;
        for (unsigned block = 0; block < N_BLOCKS; block++) {
            n += weight_of(w, i, block) > 0;
        }
        assert_int_equal(seen[w->nodes[i]], n);
        assert_int_equal(kv_index_node_blocks(w->index, (uint32_t)w->nodes[i]), n);
        total += n;
    }
    struct kv_index_stats stats;
    kv_index_get_stats(w->index, &stats);
    assert_int_equal(stats.n_placements, total);
    assert_int_equal(stats.n_nodes, N_NODES);
    assert_int_equal(stats.n_evicted, 0);
}

static void step(struct world *w)
{
    unsigned node = (unsigned)draw(w, N_NODES), chain = (unsigned)draw(w, N_CHAINS), at = (unsigned)draw(w, CHAIN);
    unsigned n = 1 + (unsigned)draw(w, CHAIN - at);
    enum kv_tier tier = (enum kv_tier)draw(w, KV_N_TIERS);
    switch (draw(w, 400)) {
    case 0:
        kv_index_clear_node(w->index, (uint32_t)w->nodes[node]);
        memset(w->counts[node], 0, sizeof(w->counts[node]));
        return;
    case 1:
        kv_index_remove_node(w->index, (uint32_t)w->nodes[node]);
        add_node(w, node);
        return;
    default: break;
    }
    if (draw(w, 3) == 0) {
        take(w, node, tier, chain * CHAIN + at, n);
    } else if (draw(w, 2) == 0) {
        store(w, node, tier, chain * CHAIN, at + 1); // from the first on, as engines do
    } else {
        store(w, node, tier, chain * CHAIN + at, n);
    }
}

static void test_index_random_operations_equal_the_model(void **state)
{
    (void)state;
    unsigned n_steps = getenv("TOKFS_TEST_RUNS") ? (unsigned)atoi(getenv("TOKFS_TEST_RUNS")) : 30000;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct world *w = world_new(seed, 0, N_NODES);
        for (unsigned i = 0; i < n_steps; i++) {
            step(w);
            check_chain(w, (unsigned)draw(w, N_CHAINS), (uint32_t)draw(w, 2));
            if (i % 5000 == 0) {
                check_whole(w);
            }
        }
        check_whole(w);
        world_free(w);
    }
}

static void test_index_copies_go_with_the_last_removal_where_they_count(void **state)
{
    (void)state;
    struct kv_index *index;
    struct kv_match found[KV_INDEX_NODES_MAX];
    uint64_t hash = 0;
    assert_int_equal(kv_index_new(0, &index), 0);
    uint32_t once = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_ONCE);
    uint32_t times = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_TIMES);
    for (unsigned i = 0; i < 2; i++) {
        kv_index_store(index, once, KV_TIER_GPU, &hash, 1);
        kv_index_store(index, times, KV_TIER_GPU, &hash, 1);
    }
    kv_index_remove(index, once, KV_TIER_GPU, &hash, 1);
    kv_index_remove(index, times, KV_TIER_GPU, &hash, 1);
    assert_int_equal(kv_index_match(index, 0, &hash, 1, kv_tier_weights, found), 1);
    assert_int_equal(found[0].node, times);
    kv_index_remove(index, times, KV_TIER_GPU, &hash, 1);
    assert_int_equal(kv_index_match(index, 0, &hash, 1, kv_tier_weights, found), 0);
    kv_index_remove(index, times, KV_TIER_GPU, &hash, 1);
    struct kv_index_stats stats;
    kv_index_get_stats(index, &stats);
    assert_int_equal(stats.n_unknown, 1);
    assert_int_equal(stats.n_blocks, 0);
    kv_index_free(index);
}

static void test_index_clear_then_store_shows_the_new_only(void **state)
{
    (void)state;
    struct world *w = world_new(7, 0, N_NODES);
    for (unsigned i = 0; i < 200000; i++) { // more clears than there are holder ids
        unsigned node = i % N_NODES;
        kv_index_clear_node(w->index, (uint32_t)w->nodes[node]);
        memset(w->counts[node], 0, sizeof(w->counts[node]));
        store(w, node, KV_TIER_GPU, i % N_CHAINS * CHAIN, 3);
    }
    for (unsigned chain = 0; chain < N_CHAINS; chain++) {
        check_chain(w, chain, 0);
        check_chain(w, chain, 1);
    }
    while (kv_index_tidy(w->index)) {
    }
    check_whole(w);
    struct kv_index_stats stats;
    kv_index_get_stats(w->index, &stats);
    assert_true(stats.n_blocks <= 3 * N_NODES);
    world_free(w);
}

static void test_index_many_nodes_of_one_block_are_all_found(void **state)
{
    (void)state;
    struct kv_index *index;
    struct kv_match *found = calloc(KV_INDEX_NODES_MAX, sizeof(*found));
    uint64_t hashes[3] = { 11, 22, 33 };
    assert_int_equal(kv_index_new(0, &index), 0);
    for (uint32_t node = 0; node < KV_INDEX_NODES_MAX; node++) {
        assert_int_equal(kv_index_add_node(index, 0, KV_COUNT_ONCE), node);
        kv_index_store(index, node, KV_TIER_CPU, hashes, 1 + node % 3);
    }
    assert_int_equal(kv_index_add_node(index, 0, KV_COUNT_ONCE), -ENFILE);
    assert_int_equal(kv_index_match(index, 0, hashes, 3, kv_tier_weights, found), KV_INDEX_NODES_MAX);
    for (uint32_t i = 0; i < KV_INDEX_NODES_MAX; i++) {
        assert_int_equal(found[i].n_blocks, 1 + found[i].node % 3);
    }
    for (uint32_t node = 0; node < KV_INDEX_NODES_MAX; node++) {
        kv_index_remove(index, node, KV_TIER_CPU, hashes, 3);
    }
    struct kv_index_stats stats;
    kv_index_get_stats(index, &stats);
    assert_int_equal(stats.n_blocks, 0);
    assert_int_equal(stats.n_placements, 0);
    free(found);
    kv_index_free(index);
}

// What is removed, or cleared and swept, is the system's again; the rest stays where it can be found.
static void test_index_memory_follows_what_it_holds(void **state)
{
    (void)state;
    enum { N = 300000, KEPT = 1000 };
    struct kv_index *index;
    struct kv_index_stats full, few, none;
    uint64_t *hashes = calloc(N, sizeof(*hashes));
    assert_non_null(hashes);
    assert_int_equal(kv_index_new(0, &index), 0);
    for (uint64_t i = 0; i < N; i++) {
        hashes[i] = (i + 1) * UINT64_C(0xd6e8feb86659fd93);
    }
    uint32_t a = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_ONCE);
    uint32_t b = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_ONCE);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(kv_index_store(index, a, KV_TIER_GPU, hashes, N), 0);
        kv_index_get_stats(index, &full);
        kv_index_remove(index, a, KV_TIER_GPU, hashes + KEPT, N - KEPT);
        kv_index_get_stats(index, &few);
        assert_true(few.n_bytes < full.n_bytes / 2); // the arrays of all holders are the most of it
        assert_int_equal(few.n_blocks, KEPT);
        for (size_t i = 0; i < KEPT; i++) {
            assert_int_equal(kv_index_tiers(index, a, hashes[i]), 1);
        }
        assert_int_equal(kv_index_store(index, b, KV_TIER_CPU, hashes, N), 0);
        kv_index_clear_node(index, a);
        kv_index_clear_node(index, b);
        for (unsigned i = 0; i < 2000 && kv_index_tidy(index); i++) {
        }
        kv_index_get_stats(index, &none);
        assert_int_equal(none.n_blocks, 0);
        assert_true(none.n_bytes <= few.n_bytes);
    }
    free(hashes);
    kv_index_free(index);
}

// What is asked for stays; what nobody asks for gives way; the limit holds throughout.
static void test_index_limit_evicts_the_untouched(void **state)
{
    (void)state;
    struct kv_index *index;
    struct kv_match found[KV_INDEX_NODES_MAX];
    uint64_t hot[64], cold[64], next = 1;
    struct kv_index_stats stats;
    assert_int_equal(kv_index_new(KV_INDEX_BYTES_MIN - 1, &index), -EINVAL);
    assert_int_equal(kv_index_new(KV_INDEX_BYTES_MIN, &index), 0);
    uint32_t a = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_ONCE);
    uint32_t b = (uint32_t)kv_index_add_node(index, 0, KV_COUNT_ONCE);
    for (unsigned i = 0; i < 64; i++) {
        hot[i] = UINT64_C(0x123456789abcdef1) * (i + 1);
    }
    kv_index_store(index, a, KV_TIER_GPU, hot, 64);
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < 64; i++, next++) {
            cold[i] = next * UINT64_C(0xd6e8feb86659fd93);
        }
        assert_int_equal(kv_index_store(index, b, KV_TIER_GPU, cold, 64), 0);
        assert_int_equal(kv_index_match(index, 0, hot, 64, kv_tier_weights, found), 1);
        assert_int_equal(found[0].n_blocks, 64);
        kv_index_get_stats(index, &stats);
        assert_true(stats.n_bytes <= KV_INDEX_BYTES_MIN);
        assert_int_equal(stats.n_placements, stats.n_blocks);
    }
    assert_true(stats.n_evicted > 1000000);
    assert_true(stats.n_placements > 80000);
    kv_index_free(index);
}

// Lists of holders count as well.
static void test_index_limit_holds_for_lists_of_holders(void **state)
{
    (void)state;
    struct kv_index *index;
    struct kv_index_stats stats;
    uint64_t hashes[1000];
    assert_int_equal(kv_index_new(KV_INDEX_BYTES_MIN, &index), 0);
    for (unsigned i = 0; i < 1000; i++) {
        hashes[i] = UINT64_C(0x123456789abcdef1) * (i + 1);
    }
    for (unsigned node = 0; node < 4000; node++) {
        assert_int_equal(kv_index_add_node(index, 0, KV_COUNT_ONCE), node);
        assert_int_equal(kv_index_store(index, node, KV_TIER_GPU, hashes, 1000), 0);
        kv_index_get_stats(index, &stats);
        assert_true(stats.n_bytes <= KV_INDEX_BYTES_MIN + 65536);
    }
    assert_true(stats.n_evicted > 0);
    kv_index_free(index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_random_operations_equal_the_model),
        cmocka_unit_test(test_index_copies_go_with_the_last_removal_where_they_count),
        cmocka_unit_test(test_index_clear_then_store_shows_the_new_only),
        cmocka_unit_test(test_index_many_nodes_of_one_block_are_all_found),
        cmocka_unit_test(test_index_memory_follows_what_it_holds),
        cmocka_unit_test(test_index_limit_evicts_the_untouched),
        cmocka_unit_test(test_index_limit_holds_for_lists_of_holders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
