// Snapshots: whatever the order of telling, blocks come out once each, parents first, in batches of any size.
#include "tests/unit.h"
#include "tools/kv/kv_snapshot.h"
#include <errno.h>
#include <string.h>

#define BLOCK 2
#define N     500

// Block i has the parent (i - 1) / 3, which makes a tree; its hash is i + 1.
static void add(struct kv_snapshot *s, uint64_t i)
{
    const uint32_t tokens[BLOCK] = { (uint32_t)i, (uint32_t)i + 7 };
    const uint64_t hash = i + 1, extra = i == 0 ? 99 : 0;
    const struct kv_message m = { .kind = KV_MESSAGE_STORED,
                                  .n_blocks = 1,
                                  .hashes = &hash,
                                  .has_parent = i > 0,
                                  .parent = i > 0 ? (i - 1) / 3 + 1 : 0,
                                  .block_size = BLOCK,
                                  .tokens = tokens,
                                  .medium = i % 7 == 0 ? STR("cpu") : STR("gpu"),
                                  .extras = &extra };
    assert_int_equal(kv_snapshot_add(s, &m), 0);
}

struct seen {
    bool is_told[N + 1]; // by hash
    size_t n;
};

static void check_message(const struct kv_message *m, struct seen *seen)
{
    for (size_t i = 0; i < m->n_blocks; i++) {
        uint64_t hash = m->hashes[i], parent = i > 0 ? m->hashes[i - 1] : m->parent;
        assert_true(hash >= 1 && hash <= N && !seen->is_told[hash]);
        seen->is_told[hash] = true;
        seen->n++;
        assert_true(hash == 1 ? !m->has_parent : parent == (hash - 2) / 3 + 1 && seen->is_told[parent]);
        assert_true(m->tokens[i * BLOCK] == hash - 1 && m->tokens[i * BLOCK + 1] == hash + 6);
        assert_true(str_eq(m->medium, (hash - 1) % 7 == 0 ? STR("cpu") : STR("gpu")));
        assert_true((m->extras ? m->extras[i] : 0) == (hash == 1 ? 99 : 0));
    }
}

static void check_all(struct kv_snapshot *s, size_t n_wanted, size_t part)
{
    struct arena arena;
    struct seen seen = { 0 };
    arena_init(&arena, 0);
    assert_int_equal(kv_snapshot_count(s), n_wanted);
    for (size_t at = 0; at < n_wanted; at += part) {
        struct kv_batch batch;
        size_t n = n_wanted - at < part ? n_wanted - at : part;
        assert_int_equal(kv_snapshot_take(s, at, n, &arena, &batch), 0);
        for (size_t i = 0; i < batch.n_messages; i++) {
            check_message(&batch.messages[i], &seen);
        }
    }
    assert_int_equal(seen.n, n_wanted);
    arena_deinit(&arena);
}

static void test_snapshot_tells_parents_first_and_once(void **state)
{
    (void)state;
    for (uint64_t stride = 1; stride <= 499; stride += 83) { // coprime to N
        struct kv_snapshot *s = kv_snapshot_new(BLOCK);
        for (uint64_t i = 0; i < N; i++) {
            add(s, i * (stride % 2 && stride % 5 ? stride : 499) % N);
        }
        add(s, 17); // again
        assert_int_equal(kv_snapshot_finish(s), 0);
        check_all(s, N, stride);
        kv_snapshot_unref(s);
    }
}

static void test_snapshot_leaves_out_what_nothing_leads_to(void **state)
{
    struct kv_snapshot *s = kv_snapshot_new(BLOCK);
    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        if (i != 2) {
            add(s, i); // 2 is the parent of 7, 8, 9, these of 22 to 30
        }
    }
    assert_int_equal(kv_snapshot_finish(s), 0);
    check_all(s, 40 - 1 - 3 - 9, 5);
    kv_snapshot_unref(s);
}

static void test_snapshot_may_be_empty_and_have_one_size_only(void **state)
{
    const uint64_t hash = 1;
    struct kv_message m = { .kind = KV_MESSAGE_STORED, .n_blocks = 1, .hashes = &hash, .block_size = BLOCK + 1 };
    struct kv_snapshot *s = kv_snapshot_new(BLOCK);
    (void)state;
    assert_int_equal(kv_snapshot_add(s, &m), -EINVAL);
    assert_int_equal(kv_snapshot_finish(s), 0);
    check_all(s, 0, 1);
    kv_snapshot_unref(kv_snapshot_ref(s));
    kv_snapshot_unref(s);
    kv_snapshot_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot_tells_parents_first_and_once),
        cmocka_unit_test(test_snapshot_leaves_out_what_nothing_leads_to),
        cmocka_unit_test(test_snapshot_may_be_empty_and_have_one_size_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
