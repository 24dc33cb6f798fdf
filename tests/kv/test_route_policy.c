// The policy: prefixes, loads, bounds, turns.
#include "tests/unit.h"
#include "tools/kv/route_policy.h"

static void test_route_policy_prefix_takes_the_best_score(void **state)
{
    (void)state;
    struct route_state s = { 0 };
    const struct route_candidate c[] = { { 0, 0 }, { 40, 1 }, { 39, 0 }, { 20, 0 } };
    for (unsigned i = 0; i < 8; i++) {                                            // wherever it begins
        assert_int_equal(route_choose(ROUTE_POLICY_PREFIX, &s, c, 3 + i % 2), 2); // 38, 39
    }
    const struct route_candidate far[] = { { 0, 0 }, { 40, 3 }, { 30, 0 } };
    assert_int_equal(route_choose(ROUTE_POLICY_PREFIX, &s, far, 3), 1);
}

static void test_route_policy_prefix_bounds_the_imbalance(void **state)
{
    (void)state;
    struct route_state s = { 0 };
    struct route_candidate c[4] = { { 1000, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } };
    for (unsigned i = 0; i < 400; i++) { // one holds everything, and nobody is ever done
        c[route_choose(ROUTE_POLICY_PREFIX, &s, c, 4)].load++;
    }
    assert_true(c[0].load >= 100 && c[0].load <= 1.25 * 101 + 1);
    for (unsigned i = 1; i < 4; i++) {
        assert_in_range((unsigned)c[i].load, 85, 100);
    }
}

static void test_route_policy_equal_ones_take_turns(void **state)
{
    (void)state;
    unsigned n_chosen[3] = { 0 };
    struct route_state s = { 0 };
    const struct route_candidate c[3] = { { 5, 1 }, { 5, 1 }, { 5, 1 } };
    for (unsigned i = 0; i < 30; i++) {
        n_chosen[route_choose(ROUTE_POLICY_PREFIX, &s, c, 3)]++;
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(n_chosen[i], 10);
        assert_int_equal(route_choose(ROUTE_POLICY_ROUND_ROBIN, &s, c, 3), i);
    }
    unsigned n_random[3] = { 0 };
    for (unsigned i = 0; i < 3000; i++) {
        n_random[route_choose(ROUTE_POLICY_RANDOM, &s, c, 3)]++;
    }
    assert_true(n_random[0] > 900 && n_random[1] > 900 && n_random[2] > 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_route_policy_prefix_takes_the_best_score),
        cmocka_unit_test(test_route_policy_prefix_bounds_the_imbalance),
        cmocka_unit_test(test_route_policy_equal_ones_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
