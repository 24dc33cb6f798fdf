// What was sent where: prefixes, peers, forgetting.
#include "tests/unit.h"
#include "tools/kv/placements.h"

#define N 100

static void make_hashes(uint64_t ret[N], uint64_t seed)
{
    for (uint64_t i = 0; i < N; i++) {
        ret[i] = (seed * 1000 + i + 1) * UINT64_C(0x94d049bb133111eb);
    }
}

static void test_placements_match_the_prefix_that_was_sent_there(void **state)
{
    (void)state;
    struct placements *p = placements_new(1000);
    uint64_t a[N], b[N];
    make_hashes(a, 1);
    make_hashes(b, 2);
    assert_int_equal(placements_match(p, 7, a, N, 1), 0);
    placements_add(p, 7, a, 60, 1);
    assert_int_equal(placements_match(p, 7, a, N, 2), 60);
    assert_int_equal(placements_match(p, 7, a, 30, 2), 30);
    assert_int_equal(placements_match(p, 7, a + 20, N - 20, 2), 40);
    assert_int_equal(placements_match(p, 7, b, N, 2), 0);
    assert_int_equal(placements_match(p, 8, a, N, 2), 0);
    placements_add(p, 8, a, 10, 1);
    placements_add(p, 7, a + 60, 40, 1);
    assert_int_equal(placements_match(p, 8, a, N, 2), 10);
    assert_int_equal(placements_match(p, 7, a, N, 2), N);
    placements_free(p);
}

static void test_placements_are_forgotten(void **state)
{
    (void)state;
    struct placements *p = placements_new(1000);
    uint64_t a[N];
    make_hashes(a, 1);
    placements_add(p, 7, a, N, 1);
    placements_add(p, 7, a, 10, PLACEMENT_NS); // again: they last
    assert_int_equal(placements_match(p, 7, a, N, PLACEMENT_NS), N);
    assert_int_equal(placements_match(p, 7, a, N, PLACEMENT_NS + 1), 10);
    assert_int_equal(placements_match(p, 7, a, N, 2 * UINT64_C(10000000000)), 0);
    placements_free(p);
}

static void test_placements_the_latest_are_kept(void **state)
{
    (void)state;
    struct placements *p = placements_new(4096);
    uint64_t hashes[N];
    for (uint64_t i = 0; i < 500; i++) { // 50,000 in all
        make_hashes(hashes, i);
        placements_add(p, 7, hashes, N, i + 1);
        assert_int_equal(placements_match(p, 7, hashes, N, i + 1), N);
    }
    make_hashes(hashes, 0);
    assert_int_equal(placements_match(p, 7, hashes, N, 500), 0);
    placements_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placements_match_the_prefix_that_was_sent_there),
        cmocka_unit_test(test_placements_are_forgotten),
        cmocka_unit_test(test_placements_the_latest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
