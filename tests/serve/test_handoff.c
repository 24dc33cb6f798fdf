// The engine thread's wait for its caller: not for one that never tells, not after short steps, never for long.
#include "engine/serve/handoff.h"

#include "engine/base/loop.h"
#include "tests/unit.h"

#define LONG_STEP_NS ((uint64_t)HANDOFF_STEP_MIN_NS)

static void test_handoff_caller_that_never_tells_is_not_waited_for(void **state)
{
    (void)state;
    struct handoff handoff;
    handoff_init(&handoff, 0);
    assert_false(handoff_wait(&handoff, 5, LONG_STEP_NS));
    handoff_deinit(&handoff);
}

static void test_handoff_wait_ends_when_told_or_after_its_limit(void **state)
{
    (void)state;
    struct handoff handoff;
    handoff_init(&handoff, 0);
    handoff_tell(&handoff, 5, 0);
    assert_true(handoff_wait(&handoff, 5, LONG_STEP_NS)); // told before
    handoff_tell(&handoff, 5, 1);
    uint64_t begin_ns = clock_monotonic_ns();
    assert_true(handoff_wait(&handoff, 5, LONG_STEP_NS)); // a reader that is not back: the grace
    assert_true(clock_monotonic_ns() - begin_ns >= HANDOFF_GRACE_NS);
    begin_ns = clock_monotonic_ns();
    assert_true(handoff_wait(&handoff, 6, LONG_STEP_NS)); // not told: returns all the same
    assert_true(clock_monotonic_ns() - begin_ns >= LONG_STEP_NS / HANDOFF_WAIT_STEP_DIV);
    assert_false(handoff_wait(&handoff, 6, HANDOFF_STEP_MIN_NS - 1));
    handoff_deinit(&handoff);
}

static void test_handoff_spare_processor_needs_no_wait(void **state)
{
    (void)state;
    struct handoff handoff;
    handoff_init(&handoff, 0);
    handoff.is_wanted = false;
    handoff_tell(&handoff, 5, 0);
    assert_false(handoff_wait(&handoff, 6, LONG_STEP_NS));
    handoff_deinit(&handoff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handoff_caller_that_never_tells_is_not_waited_for),
        cmocka_unit_test(test_handoff_wait_ends_when_told_or_after_its_limit),
        cmocka_unit_test(test_handoff_spare_processor_needs_no_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
