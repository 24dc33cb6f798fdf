// The radix tree, with pages whose contents can be checked: each position of a page holds a number that depends on all
// tokens up to it. Whatever a match returns must hold the right numbers, whatever was inserted, split and evicted.
#include "engine/cache/radix_node.h"
#include "tests/unit.h"
#include <string.h>

#define P          4 // page_tokens
#define TOKENS_MAX 600
#define PAGES_MAX  (TOKENS_MAX / P + 1)

static void *heap_alloc(struct backend *b, size_t bytes)
{
    (void)b;
    return calloc(1, bytes);
}

static void heap_free(struct backend *b, void *mem)
{
    (void)b;
    free(mem);
}

static void heap_copy(struct backend *b, void *dst, const void *src, size_t bytes)
{
    (void)b;
    memcpy(dst, src, bytes);
}

static uint64_t heap_move(struct backend *b, void *dst, const void *src, size_t bytes)
{
    heap_copy(b, dst, src, bytes);
    return 1;
}

static void heap_await(struct backend *b, uint64_t copy)
{
    (void)b;
    assert_int_equal(copy, 1);
}

static const struct backend_ops heap_ops = { .name = "heap",
                                             .alloc = heap_alloc,
                                             .free = heap_free,
                                             .host_alloc = heap_alloc,
                                             .host_free = heap_free,
                                             .copy = heap_copy,
                                             .copy_in = heap_move,
                                             .copy_out = heap_move,
                                             .await_copy = heap_await };
static struct backend heap = { .ops = &heap_ops };

struct tree {
    struct page_pool pool, host;
    struct radix radix;
};

static struct tree *tree_new_with_host(uint32_t n_pages, uint32_t n_host_pages)
{
    struct tree *t = calloc(1, sizeof(*t));
    assert_int_equal(page_pool_init(&t->pool, &heap, P * sizeof(uint64_t), n_pages, NULL), 0);
    if (n_host_pages > 0) {
        assert_int_equal(page_pool_init_on_host(&t->host, &heap, P * sizeof(uint64_t), n_host_pages, NULL), 0);
    }
    assert_int_equal(radix_init(&t->radix, &t->pool, n_host_pages > 0 ? &t->host : NULL, P, NULL), 0);
    return t;
}

static struct tree *tree_new(uint32_t n_pages)
{
    return tree_new_with_host(n_pages, 0);
}

static void tree_free(struct tree *t)
{
    radix_deinit(&t->radix);
    page_pool_deinit(&t->pool); // asserts that all pages are back
    page_pool_deinit(&t->host);
    free(t);
}

// ---- what must be true of the tree at any time

static void count_pages(const struct radix *r, uint32_t node, uint32_t *n_keepers[PAGE_N_TIERS])
{
    for (uint32_t i = 0; i < n_pages_of(r, node); i++) {
        uint32_t page = pages_of(r, node)[i];
        assert_int_equal(radix_is_on_host(page), i >= r->nodes[node].n_on_device);
        n_keepers[radix_is_on_host(page)][page & ~RADIX_ON_HOST]++;
    }
}

static void check_node(const struct radix *r, uint32_t node)
{
    const struct radix_node *n = &r->nodes[node];
    uint32_t parent = parent_of(r, node), last = n_pages_of(r, node) - 1, first = n->first_child;
    assert_true(n->n_on_device == 0 || is_root(r, parent) || r->nodes[parent].n_on_device == n_pages_of(r, parent));
    assert_int_equal(n->is_in[PAGE_ON_DEVICE], n->n_on_device > 0);
    assert_int_equal(n->is_in[PAGE_ON_HOST], n->n_on_device < n_pages_of(r, node));
    bool is_shared = false;
    for (uint32_t c = first, next; c != 0; c = next) {
        next = r->nodes[c].next_sibling;
        assert_int_equal(r->nodes[next != 0 ? next : first].prev_sibling, c);
        assert_true(next == 0 || r->nodes[c].n_on_device > 0 || r->nodes[next].n_on_device == 0);
        is_shared |= pages_of(r, c)[0] == pages_of(r, node)[last];
    }
    if (first != 0 && end_of(r, node) % P != 0) {
        assert_true(is_shared);
        assert_int_equal(radix_is_on_host(pages_of(r, node)[last]), r->nodes[first].n_on_device == 0);
    }
}

static void check_pool(const struct page_pool *pool, const uint32_t *n_keepers)
{
    uint32_t n_free = 0, n_cached = 0;
    for (uint32_t i = 0; i < pool->n_pages; i++) {
        assert_int_equal(pool->n_keepers[i], n_keepers[i]);
        n_free += pool->n_keepers[i] == 0 && pool->n_holders[i] == 0;
        n_cached += pool->n_keepers[i] > 0 && pool->n_holders[i] == 0;
    }
    assert_int_equal(pool->n_free, n_free);
    assert_int_equal(pool->n_cached, n_cached);
}

static void check_tree(const struct tree *t)
{
    uint32_t *n_keepers[PAGE_N_TIERS] = { calloc(t->pool.n_pages, sizeof(uint32_t)),
                                          calloc(t->host.n_pages + 1, sizeof(uint32_t)) };
    for (uint32_t node = 1; node <= t->radix.n_nodes_max; node++) {
        if (t->radix.nodes[node].n_tokens > 0) {
            count_pages(&t->radix, node, n_keepers);
            check_node(&t->radix, node);
        }
    }
    check_pool(&t->pool, n_keepers[PAGE_ON_DEVICE]);
    check_pool(&t->host, n_keepers[PAGE_ON_HOST]);
    free(n_keepers[0]);
    free(n_keepers[1]);
}

// A timeline as the engine would run it.
struct timeline {
    struct tree *tree;
    uint32_t root, cursor;
    uint64_t salt;
    int32_t tokens[TOKENS_MAX];
    uint32_t n_tokens, n_computed;
    uint32_t pages[PAGES_MAX];
    uint32_t n_pages;
    uint32_t n_matched;
};

static uint64_t value_after(uint64_t value, int32_t token)
{
    return (value ^ (uint64_t)(uint32_t)token) * UINT64_C(0x9E3779B97F4A7C15) + 1;
}

static uint64_t *slot_of(const struct timeline *s, uint32_t pos)
{
    return (uint64_t *)page_pool_address(&s->tree->pool, s->pages[pos / P]) + pos % P;
}

static void check_contents(const struct timeline *s, uint32_t n)
{
    uint64_t value = s->salt;
    for (uint32_t i = 0; i < n; i++) {
        value = value_after(value, s->tokens[i]);
        assert_true(*slot_of(s, i) == value);
    }
}

// What is held of a token that follows from it and all before it; of every third nothing is known.
static float held_of(uint64_t value)
{
    float logprob = -(float)(value >> 44) / 16 - 0.5f;
    return value % 3 == 0 ? 0 : radix_held(logprob, value % 2 == 0);
}

// Whatever is found is right; after a timeline has ended, and nothing was evicted, all of it is there.
static void check_held(const struct timeline *s, bool is_whole)
{
    static float held[TOKENS_MAX];
    uint64_t value = s->salt;
    uint32_t n = radix_find_logprobs(&s->tree->radix, s->root, s->tokens, s->n_tokens, held);
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        value = value_after(value, s->tokens[i]);
        float expected = held_of(value);
        assert_true(memcmp(&held[i], &expected, sizeof(expected)) == 0 || (!is_whole && held[i] == 0) || i > n);
        assert_true(i <= n || held[i] == 0);
    }
}

static void note_held(struct timeline *s)
{
    static float held[TOKENS_MAX];
    uint64_t value = s->salt;
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        value = value_after(value, s->tokens[i]);
        held[i] = held_of(value);
    }
    radix_note_logprobs(&s->tree->radix, s->root, s->tokens, s->n_computed, s->n_tokens, held);
}

static bool take_page(struct timeline *s)
{
    return radix_take_page(&s->tree->radix, &s->pages[s->n_pages]) && ++s->n_pages;
}

// Holds what is cached of all but the last token. Returns how many tokens that is.
static uint32_t hold(struct timeline *s)
{
    struct tree *t = s->tree;
    uint32_t n = radix_match(&t->radix, s->root, s->tokens, s->n_tokens - 1, s->pages), n_on_host = 0;
    for (uint32_t i = 0; i < (n + P - 1) / P; i++) {
        radix_hold_page(&t->radix, s->pages[i]);
        n_on_host += i < n / P && radix_is_on_host(s->pages[i]);
    }
    if (n_on_host <= t->pool.n_free + t->pool.n_cached) {
        return n;
    }
    for (uint32_t i = 0; i < (n + P - 1) / P; i++) {
        radix_give_page(&t->radix, s->pages[i]);
    }
    return 0;
}

// Takes what is cached of all but the last token.
static bool begin(struct timeline *s, struct tree *tree, const char *salt)
{
    s->tree = tree;
    s->root = s->cursor = radix_root_get(&tree->radix, str_from(salt));
    assert_int_not_equal(s->root, 0);
    s->salt = 99 + strlen(salt);
    s->n_pages = 0;
    uint32_t n = hold(s), source = n % P ? s->pages[n / P] : 0;
    s->n_pages = n / P;
    if (n >= P) {
        radix_fetch_pages(&tree->radix, s->root, s->tokens, s->n_pages, s->pages);
    }
    if (n % P) {
        if (take_page(s)) {
            radix_copy_page(&tree->radix, s->pages[n / P], source);
        } else {
            n -= n % P;
        }
        radix_give_page(&tree->radix, source);
    }
    s->n_computed = s->n_matched = n;
    check_contents(s, n);
    check_held(s, false);
    return true;
}

// Computes up to `n`, page by page. False: no page.
static bool compute(struct timeline *s, uint32_t n)
{
    uint64_t value = s->salt;
    for (uint32_t i = 0; i < n; i++) {
        value = value_after(value, s->tokens[i]);
        if (i < s->n_computed) {
            continue;
        }
        if (i / P == s->n_pages && !take_page(s)) {
            return false;
        }
        *slot_of(s, i) = value;
        s->n_computed = i + 1;
    }
    return true;
}

static void insert_whole_blocks(struct timeline *s)
{
    radix_insert(&s->tree->radix, &s->cursor, s->tokens, s->n_computed / P * P, s->pages);
    check_contents(s, s->n_computed);
}

static void end(struct timeline *s)
{
    radix_insert(&s->tree->radix, &s->cursor, s->tokens, s->n_computed, s->pages);
    check_contents(s, s->n_computed);
    if (s->tokens[0] % 2 == 0) {
        bool is_whole = radix_match(&s->tree->radix, s->root, s->tokens, s->n_computed, NULL) == s->n_computed;
        note_held(s);
        check_held(s, is_whole && s->n_computed == s->n_tokens);
    }
    while (s->n_pages > 0) {
        page_pool_give(&s->tree->pool, s->pages[--s->n_pages]);
    }
    radix_root_put(&s->tree->radix, s->root);
}

static void set_tokens(struct timeline *s, const char *text)
{
    s->n_tokens = (uint32_t)strlen(text);
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        s->tokens[i] = text[i];
    }
}

static uint32_t run(struct tree *t, const char *text, const char *salt)
{
    struct timeline *s = calloc(1, sizeof(*s));
    set_tokens(s, text);
    assert_true(begin(s, t, salt));
    assert_true(compute(s, s->n_tokens));
    end(s);
    uint32_t n_matched = s->n_matched;
    free(s);
    return n_matched;
}

// ---- single cases -------------------------------------------------------------------------------------------------

static void test_radix_match_is_exact_to_the_token(void **state)
{
    (void)state;
    struct tree *t = tree_new(100);
    assert_int_equal(run(t, "the system prompt, hello", ""), 0);
    assert_int_equal(run(t, "the system prompt, hello", ""), 23); // all but the last one
    assert_int_equal(run(t, "the system prompt, help me", ""), 22);
    assert_int_equal(run(t, "the system prompt, help me!", ""), 26);
    assert_int_equal(run(t, "the", ""), 2);
    assert_int_equal(run(t, "them", ""), 3);
    assert_int_equal(run(t, "x", ""), 0);
    tree_free(t);
}

static void test_radix_end_within_a_block_is_continued(void **state)
{
    (void)state;
    struct tree *t = tree_new(100);
    run(t, "abcde", "");
    assert_int_equal(run(t, "abcdefghijk", ""), 5);
    assert_int_equal(run(t, "abcdefghijklm", ""), 11);
    assert_int_equal(t->pool.n_cached, 4); // one path, not one per run
    tree_free(t);
}

static void test_radix_salts_share_nothing(void **state)
{
    (void)state;
    struct tree *t = tree_new(100);
    run(t, "the same words", "alice");
    assert_int_equal(run(t, "the same words", "bob"), 0);
    assert_int_equal(run(t, "the same words", ""), 0);
    assert_int_equal(run(t, "the same words", "alice"), 13);
    tree_free(t);
}

static void test_radix_evicts_the_least_recently_used_first(void **state)
{
    (void)state;
    struct tree *t = tree_new(8);
    run(t, "aaaaaaaaaaaa", ""); // 3 pages
    run(t, "bbbbbbbbbbbb", ""); // 3 pages
    assert_int_equal(run(t, "aaaaaaaaaaaa", ""), 11);
    run(t, "cccccccccccc", ""); // takes the 2 free ones (one of them was a copy) and evicts b's
    assert_int_equal(run(t, "aaaaaaaaaaaa", ""), 11);
    assert_true(run(t, "bbbbbbbbbbbb", "") < 11);
    tree_free(t);
}

static void test_radix_two_in_flight_end_with_one_copy(void **state)
{
    (void)state;
    struct tree *t = tree_new(100);
    struct timeline *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    set_tokens(a, "a long prompt of both");
    set_tokens(b, "a long prompt of both");
    begin(a, t, "");
    begin(b, t, "");
    compute(a, a->n_tokens);
    compute(b, b->n_tokens);
    insert_whole_blocks(a);
    assert_int_equal(t->pool.n_free, 100 - 12);
    insert_whole_blocks(b);
    assert_int_equal(t->pool.n_free, 100 - 7); // 5 whole blocks shared, 2 tails
    end(a);
    end(b);
    assert_int_equal(t->pool.n_cached, 6);
    free(a);
    free(b);
    tree_free(t);
}

static void test_radix_take_page_fails_when_all_are_held(void **state)
{
    (void)state;
    struct tree *t = tree_new(3);
    struct timeline *s = calloc(1, sizeof(*s));
    uint32_t page;
    set_tokens(s, "abcdefghijkl");
    begin(s, t, "");
    assert_true(compute(s, 12));
    insert_whole_blocks(s);
    assert_false(radix_take_page(&t->radix, &page));
    end(s);
    assert_true(radix_take_page(&t->radix, &page));
    page_pool_give(&t->pool, page);
    free(s);
    tree_free(t);
}

static void test_radix_block_hashes_chain(void **state)
{
    (void)state;
    struct tree *t = tree_new(100);
    run(t, "abcdefghij", "");
    run(t, "abcdefghxy", "");
    run(t, "xxxxefgh", "");
    int32_t a[12] = { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' }, x[] = { 'x', 'x', 'x', 'x', 'e', 'f', 'g', 'h' };
    uint64_t first = radix_block_hash(&t->radix, 1, a, 0), second = radix_block_hash(&t->radix, 1, a, 1);
    assert_true(first != 0 && second != 0 && first != second);
    assert_true(radix_block_hash(&t->radix, 1, x, 1) != second); // same tokens, other past
    assert_true(radix_block_hash(&t->radix, 1, a, 2) == 0);
    run(t, "abcde___", ""); // a branch within the second block
    assert_true(radix_block_hash(&t->radix, 1, a, 1) == second);
    tree_free(t);
}

// ---- the host tier ------------------------------------------------------------------------------------------------

static void test_radix_what_leaves_the_device_comes_back_from_the_host(void **state)
{
    (void)state;
    struct tree *t = tree_new_with_host(4, 8);
    run(t, "aaaaaaaaaaaaaa", "");
    run(t, "bbbbbbbbbbbbbb", "");
    assert_int_equal(t->radix.n_to_host, 4); // all of a's
    assert_int_equal(run(t, "aaaaaaaaaaaaaa", ""), 13);
    assert_int_equal(t->radix.n_from_host, 3); // of the last one a copy was enough
    assert_int_equal(run(t, "bbbbbbbbbbbbbb", ""), 13);
    assert_int_equal(run(t, "aaaaaaaaaaaaaa", "c"), 0); // another salt
    assert_int_equal(t->radix.n_host_evicted, 0);
    check_tree(t);
    tree_free(t);
}

static void test_radix_host_gives_up_the_least_recently_used_first(void **state)
{
    (void)state;
    struct tree *t = tree_new_with_host(3, 6);
    run(t, "aaaaaaaaaaaa", "");
    run(t, "bbbbbbbbbbbb", "");
    run(t, "cccccccccccc", ""); // the host is full of a and b
    assert_int_equal(run(t, "aaaaaaaaaaaa", ""), 11);
    run(t, "dddddddddddd", "");
    assert_int_equal(run(t, "aaaaaaaaaaaa", ""), 11);
    assert_true(run(t, "bbbbbbbbbbbb", "") < 11);
    assert_true(t->radix.n_host_evicted >= 3);
    check_tree(t);
    tree_free(t);
}

// Who computes anew what the host has gives it his pages; nothing is copied.
static void test_radix_computed_pages_take_the_place_of_those_on_the_host(void **state)
{
    (void)state;
    struct tree *t = tree_new_with_host(6, 8);
    struct timeline *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    set_tokens(a, "abcdefghij");
    set_tokens(b, "abcdefghijklmnop");
    begin(a, t, "");
    begin(b, t, ""); // before anything is cached
    compute(a, a->n_tokens);
    end(a);
    assert_true(compute(b, b->n_tokens));
    assert_int_equal(t->radix.n_to_host, 1);
    end(b);
    check_tree(t);
    assert_int_equal(t->radix.n_from_host, 0);
    assert_int_equal(run(t, "abcdefghijklmnop", ""), 15);
    assert_int_equal(t->host.n_free, 8);
    free(a);
    free(b);
    tree_free(t);
}

// A tier of which all is on its way back takes nothing.
static void test_radix_host_that_is_held_takes_nothing(void **state)
{
    (void)state;
    struct tree *t = tree_new_with_host(4, 1);
    uint32_t taken[4], held;
    run(t, "aaaaaaaaaaaaaaaa", "");
    assert_true(radix_take_page(&t->radix, &taken[0]));
    int32_t tokens[16];
    for (size_t i = 0; i < 16; i++) {
        tokens[i] = 'a';
    }
    uint32_t pages[4];
    assert_int_equal(radix_match(&t->radix, 1, tokens, 16, pages), 16);
    held = pages[3];
    assert_true(radix_is_on_host(held));
    for (int i = 0; i < 4; i++) {
        radix_hold_page(&t->radix, pages[i]);
    }
    assert_false(radix_take_page(&t->radix, &taken[1]));
    page_pool_give(&t->pool, taken[0]);
    radix_fetch_pages(&t->radix, 1, tokens, 4, pages);
    assert_false(radix_is_on_host(pages[3]));
    for (int i = 0; i < 4; i++) {
        radix_give_page(&t->radix, pages[i]);
    }
    check_tree(t);
    tree_free(t);
}

// ---- random workloads ---------------------------------------------------------------------------------------------

struct random {
    uint64_t state;
};

static uint32_t below(struct random *rnd, uint32_t n)
{
    rnd->state = rnd->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((rnd->state >> 33) % n);
}

// A few tokens, most often the likeliest, so that prefixes meet and part everywhere.
static void random_tokens(struct random *rnd, struct timeline *s, uint32_t n_max)
{
    s->n_tokens = 1 + below(rnd, n_max);
    uint32_t often = 2 + below(rnd, 60);
    for (uint32_t i = 0; i < s->n_tokens; i++) {
        s->tokens[i] = below(rnd, often) == 0 ? (int32_t)(1 + below(rnd, 3)) : 0;
    }
}

static uint32_t naive_match(struct timeline *const *all, size_t n, const struct timeline *s)
{
    uint32_t best = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = 0;
        while (len < all[i]->n_tokens && len < s->n_tokens - 1 && all[i]->tokens[len] == s->tokens[len]) {
            len++;
        }
        best = len > best ? len : best;
    }
    return best;
}

static void test_radix_without_eviction_finds_the_longest_prefix(void **state)
{
    (void)state;
    enum { N = 300 };
    static struct timeline *all[N];
    struct random rnd = { 7 };
    struct tree *t = tree_new(60000);
    for (size_t i = 0; i < N; i++) {
        struct timeline *s = all[i] = calloc(1, sizeof(*s));
        random_tokens(&rnd, s, TOKENS_MAX);
        begin(s, t, "");
        assert_int_equal(s->n_matched, naive_match(all, i, s));
        assert_true(compute(s, s->n_tokens));
        end(s);
    }
    for (size_t i = 0; i < N; i++) {
        free(all[i]);
    }
    tree_free(t);
}

static void step_randomly(struct random *rnd, struct timeline *s, struct tree *t)
{
    static const char *const salts[] = { "", "", "", "a", "b" };
    if (!s->tree) {
        random_tokens(rnd, s, below(rnd, 4) ? 40 : TOKENS_MAX);
        begin(s, t, salts[below(rnd, 5)]);
        return;
    }
    uint32_t n = s->n_computed + 1 + below(rnd, 30);
    bool has_pages = compute(s, n < s->n_tokens ? n : s->n_tokens);
    insert_whole_blocks(s);
    if (!has_pages || s->n_computed == s->n_tokens || below(rnd, 10) == 0) {
        end(s);
        s->tree = NULL;
    }
}

// What the pool calls cached can be had, whoever runs.
static void take_all_there_is(struct tree *t)
{
    static uint32_t taken[10000];
    uint32_t n_available = t->pool.n_free + t->pool.n_cached, n = 0;
    while (radix_take_page(&t->radix, &taken[n])) {
        n++;
    }
    assert_int_equal(n, n_available);
    while (n > 0) {
        page_pool_give(&t->pool, taken[--n]);
    }
}

// What somebody knows of the cache who only hears the log: hashes of blocks, each with its tier in the lowest bit.
struct set {
    uint64_t hashes[20000];
    size_t n;
};

static uint64_t name_of(const struct kv_record *record)
{
    return (record->hash & ~UINT64_C(1)) | record->tier;
}

static void set_add(struct set *set, uint64_t hash, bool is_new)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->hashes[i] == hash) {
            assert_false(is_new);
            return;
        }
    }
    assert_true(set->n < sizeof(set->hashes) / sizeof(set->hashes[0]));
    set->hashes[set->n++] = hash;
}

static bool set_drop(struct set *set, uint64_t hash)
{
    for (size_t i = 0; i < set->n; i++) {
        if (set->hashes[i] == hash) {
            set->hashes[i] = set->hashes[--set->n];
            return true;
        }
    }
    return false;
}

static void assert_same_set(const struct set *a, struct set *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_true(set_drop(b, a->hashes[i]));
    }
}

// `known` is worth something while is_true: from the beginning, and again after a loss when a snapshot has ended.
// `shown` is a snapshot with what happened after its beginning.
struct listener {
    struct kv_log log;
    struct set known, shown;
    bool is_true, is_shown, has_ended;
    size_t n_losses, n_snapshots;
};

static void hear(struct listener *l, const struct kv_record *record)
{
    switch ((enum kv_kind)record->kind) {
    case KV_STORED:
        assert_int_equal(record->n_tokens, P);
        set_add(&l->known, name_of(record), l->is_true);
        set_add(&l->shown, name_of(record), false);
        break;
    case KV_REMOVED:
        assert_true(set_drop(&l->known, name_of(record)) || !l->is_true);
        assert_true(set_drop(&l->shown, name_of(record)) || !l->has_ended);
        break;
    case KV_EPOCH:
        l->is_true = l->is_shown = l->has_ended = false;
        l->n_losses++;
        kv_log_request_snapshot(&l->log);
        break;
    case KV_SNAPSHOT_BEGIN:
        l->shown.n = 0;
        l->is_shown = true;
        l->has_ended = false;
        break;
    case KV_SNAPSHOT_BLOCK: set_add(&l->shown, name_of(record), false); break;
    case KV_SNAPSHOT_END:
        assert_true(l->is_shown);
        l->has_ended = true;
        l->n_snapshots++;
        if (l->is_true) {
            struct set copy = l->shown;
            assert_same_set(&l->known, &copy);
        }
        l->known = l->shown;
        l->is_true = true;
        break;
    }
}

static void end_step(struct listener *l, struct tree *t, struct random *rnd, bool is_last)
{
    radix_log_snapshot(&t->radix);
    kv_log_publish(&l->log);
    const struct kv_record *record;
    for (uint32_t n = is_last ? UINT32_MAX : below(rnd, 40); n > 0 && (record = kv_log_peek(&l->log)); n--) {
        hear(l, record);
        kv_log_take(&l->log);
    }
    if (below(rnd, 100) == 0) {
        kv_log_request_snapshot(&l->log);
    }
}

// A ring that is small enough to be too small now and then.
static struct listener *listen_to(struct tree *t)
{
    struct listener *l = calloc(1, sizeof(*l));
    kv_log_init(&l->log, P, 1);
    l->log.n_records = 256;
    assert_int_equal(kv_log_enable(&l->log), 0);
    l->is_true = true;
    t->radix.log = &l->log;
    return l;
}

// All that is known in the end is what a last walk over the tree shows.
static void check_known(struct listener *l, struct tree *t, struct random *rnd)
{
    for (int i = 0; i < 1000; i++) {
        end_step(l, t, rnd, true);
    }
    size_t n_before = l->n_snapshots;
    kv_log_request_snapshot(&l->log);
    for (int i = 0; i < 1000 && l->n_snapshots == n_before; i++) {
        end_step(l, t, rnd, true);
    }
    assert_true(l->n_snapshots > n_before && l->is_true);
}

// Returns how many pages came back from the host.
static uint64_t run_randomly(uint64_t seed, uint32_t n_pages, uint32_t n_host_pages, size_t n_steps)
{
    enum { N = 6 };
    struct random rnd = { seed };
    struct tree *t = tree_new_with_host(n_pages, n_host_pages);
    struct timeline *live = calloc(N, sizeof(*live));
    struct listener *listener = listen_to(t);
    for (size_t i = 0; i < n_steps; i++) {
        step_randomly(&rnd, &live[below(&rnd, N)], t);
        end_step(listener, t, &rnd, false);
        if (below(&rnd, 200) == 0) {
            take_all_there_is(t);
        }
        if (below(&rnd, 50) == 0) {
            check_tree(t);
        }
    }
    for (size_t i = 0; i < N; i++) {
        if (live[i].tree) {
            end(&live[i]);
        }
    }
    assert_int_equal(t->pool.n_free + t->pool.n_cached, n_pages); // nobody holds any
    assert_int_equal(t->host.n_free + t->host.n_cached, n_host_pages);
    check_tree(t);
    check_known(listener, t, &rnd);
    radix_clear(&t->radix);
    check_known(listener, t, &rnd);
    assert_int_equal(listener->known.n, 0);
    assert_int_equal(t->pool.n_free, n_pages); // whatever was cached could be evicted
    assert_int_equal(t->host.n_free, n_host_pages);
    assert_true(radix_n_nodes(&t->radix) <= 3); // roots
    t->radix.log = NULL;
    uint64_t n_from_host = t->radix.n_from_host;
    kv_log_deinit(&listener->log);
    free(listener);
    free(live);
    tree_free(t);
    return n_from_host;
}

static void test_radix_random_workloads_hold_their_contents(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        run_randomly(seed, 30 + (uint32_t)seed * 10 % 1000, 0, 1500);
    }
}

static void test_radix_random_workloads_with_a_host_tier_hold_their_contents(void **state)
{
    (void)state;
    uint64_t n_from_host = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint32_t n_host_pages = 1 + (uint32_t)(seed * 7919 % (seed % 3 == 0 ? 20 : 1000));
        n_from_host += run_randomly(seed, 8 + (uint32_t)seed * 10 % 300, n_host_pages, 1500);
    }
    assert_true(n_from_host > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_radix_match_is_exact_to_the_token),
        cmocka_unit_test(test_radix_end_within_a_block_is_continued),
        cmocka_unit_test(test_radix_salts_share_nothing),
        cmocka_unit_test(test_radix_evicts_the_least_recently_used_first),
        cmocka_unit_test(test_radix_two_in_flight_end_with_one_copy),
        cmocka_unit_test(test_radix_take_page_fails_when_all_are_held),
        cmocka_unit_test(test_radix_block_hashes_chain),
        cmocka_unit_test(test_radix_what_leaves_the_device_comes_back_from_the_host),
        cmocka_unit_test(test_radix_host_gives_up_the_least_recently_used_first),
        cmocka_unit_test(test_radix_computed_pages_take_the_place_of_those_on_the_host),
        cmocka_unit_test(test_radix_host_that_is_held_takes_nothing),
        cmocka_unit_test(test_radix_without_eviction_finds_the_longest_prefix),
        cmocka_unit_test(test_radix_random_workloads_hold_their_contents),
        cmocka_unit_test(test_radix_random_workloads_with_a_host_tier_hold_their_contents),
    };
    return cmocka_run_group_tests_name("radix", tests, NULL, NULL);
}
