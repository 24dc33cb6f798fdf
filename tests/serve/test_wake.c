// The sleep protocol: no notification is lost between the last look and the sleep.
#include "engine/serve/wake.h"

#include "tests/unit.h"
#include <sched.h>

#define N_CHANGES 20000

struct shared {
    struct wake wake;
    atomic_int made; // changes so far, by the notifier
    atomic_int seen; // of them, by the sleeper
};

// Makes a change only when the last one was seen: one lost notification, and both stand still (the test times out).
static void *notify(void *ctx)
{
    struct shared *s = ctx;
    for (int i = 1; i <= N_CHANGES; i++) {
        atomic_store(&s->made, i);
        wake_notify(&s->wake);
        while (atomic_load(&s->seen) < i) {
            sched_yield();
        }
    }
    return NULL;
}

static void test_wake_every_change_is_seen(void **state)
{
    (void)state;
    struct shared s = { 0 };
    pthread_t thread;
    wake_init(&s.wake);
    assert_int_equal(pthread_create(&thread, NULL, notify, &s), 0);
    for (int seen = 0; seen < N_CHANGES;) {
        wake_announce(&s.wake);
        if (atomic_load(&s.made) != seen) {
            wake_cancel(&s.wake);
        } else {
            wake_sleep(&s.wake);
        }
        seen = atomic_load(&s.made);
        atomic_store(&s.seen, seen);
    }
    pthread_join(thread, NULL);
    wake_deinit(&s.wake);
}

static void test_wake_notify_before_announce_leaves_no_trace(void **state)
{
    (void)state;
    struct wake wake;
    wake_init(&wake);
    wake_notify(&wake);
    assert_false(wake.is_signalled);
    wake_announce(&wake);
    wake_notify(&wake);
    assert_true(wake.is_signalled);
    wake_sleep(&wake); // returns at once
    assert_false(wake.is_signalled);
    wake_deinit(&wake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wake_every_change_is_seen),
        cmocka_unit_test(test_wake_notify_before_announce_leaves_no_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
