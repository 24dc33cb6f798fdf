// The rule by which workers stay away, on made-up times.
#include "kernels/cpu/share.h"
#include "tests/unit.h"
#include <time.h>

#define MS UINT64_C(1000000)

// Windows of 100 ms in which `percent` of a processor were waited for.
static size_t windows(struct share *s, size_t n, uint64_t percent)
{
    for (size_t i = 0; i < n; i++) {
        share_next(s, 100 * MS, percent * MS);
    }
    return s->n;
}

static void test_share_alone_all_take_part(void **state)
{
    (void)state;
    struct share s;
    share_init(&s, 4);
    assert_int_equal(windows(&s, 1000, 0), 4);
    assert_int_equal(windows(&s, 1000, 50), 4); // readers who run between steps
    assert_int_equal(share_next(&s, 0, 0), 4);
}

static void test_share_what_others_take_is_left_to_them(void **state)
{
    (void)state;
    struct share s;
    share_init(&s, 4);
    assert_int_equal(windows(&s, 1, 200), 2); // another pool of four
    share_init(&s, 4);
    assert_int_equal(windows(&s, 1, 80), 3);
    share_init(&s, 4);
    assert_int_equal(windows(&s, 1, 900), 1);
    assert_int_equal(windows(&s, 100, 90), 1);
}

static void test_share_grows_when_the_others_have_gone(void **state)
{
    (void)state;
    struct share s;
    share_init(&s, 4);
    assert_int_equal(windows(&s, 1, 200), 2);
    assert_int_equal(windows(&s, 4, 0), 2);
    assert_int_equal(windows(&s, 1, 0), 3);
    assert_int_equal(windows(&s, 6, 0), 4);
    assert_int_equal(windows(&s, 100, 0), 4);
}

// Two pools of four on four processors: each tries for more, in vain, ever less often, until the other ends.
static void test_share_two_pools_find_their_halves(void **state)
{
    (void)state;
    struct share s[2];
    size_t n_crowded = 0;
    share_init(&s[0], 4);
    share_init(&s[1], 4);
    for (int i = 0; i < 1000; i++) {
        size_t n[2] = { s[0].n, s[1].n }, n_all = n[0] + n[1];
        n_crowded += n_all > 4;
        for (int k = 0; k < 2; k++) {
            uint64_t waits = n_all > 4 ? n[k] * 100 * (n_all - 4) / n_all : 0;
            share_next(&s[k], 100 * MS, waits * MS);
        }
    }
    assert_true(s[0].n + s[1].n <= 5 && s[0].n >= 1 && s[1].n >= 1);
    assert_true(n_crowded < 150);
    assert_int_equal(windows(&s[0], 60, 0), 4);
}

static void compute_until(long ms)
{
    struct timespec t;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    } while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < ms);
}

static void test_share_clock_of_this_thread(void **state)
{
    (void)state;
    struct share_clock before, after;
    compute_until(10);
    if (!share_read_clock((int)gettid(), &before)) {
        skip(); // a kernel without it
    }
    compute_until(30);
    assert_true(share_read_clock((int)gettid(), &after));
    assert_true(after.run_ns > before.run_ns && after.wait_ns >= before.wait_ns);
    assert_false(share_read_clock(0x7ffffffe, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_alone_all_take_part),
        cmocka_unit_test(test_share_what_others_take_is_left_to_them),
        cmocka_unit_test(test_share_grows_when_the_others_have_gone),
        cmocka_unit_test(test_share_two_pools_find_their_halves),
        cmocka_unit_test(test_share_clock_of_this_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
