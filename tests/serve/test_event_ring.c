// The ring between the engine thread and the caller: order, fullness, publishing, and two threads at once.
#include "engine/serve/event_ring.h"

#include "tests/unit.h"
#include <pthread.h>
#include <sched.h>

static void test_event_ring_unpublished_is_not_seen(void **state)
{
    (void)state;
    struct event_ring ring;
    assert_int_equal(event_ring_init(&ring, 4), 0);
    assert_false(event_ring_publish(&ring));
    event_ring_add(&ring)->token_id = 7;
    assert_null(event_ring_take(&ring, event_ring_published(&ring)));
    assert_true(event_ring_publish(&ring));
    assert_false(event_ring_publish(&ring));
    const struct event_slot *slot = event_ring_take(&ring, event_ring_published(&ring));
    assert_non_null(slot);
    assert_int_equal(slot->token_id, 7);
    assert_null(event_ring_take(&ring, event_ring_published(&ring)));
    event_ring_deinit(&ring);
}

static void test_event_ring_full_refuses_until_taken(void **state)
{
    (void)state;
    struct event_ring ring;
    assert_int_equal(event_ring_init(&ring, 3), 0);
    assert_int_equal(ring.n_slots, 4);
    for (int i = 0; i < 4; i++) {
        event_ring_add(&ring)->token_id = i;
    }
    assert_null(event_ring_add(&ring));
    assert_true(event_ring_is_roomy(&ring)); // nothing of it is published yet
    event_ring_publish(&ring);
    assert_false(event_ring_is_roomy(&ring));
    assert_int_equal(event_ring_take(&ring, 4)->token_id, 0);
    assert_null(event_ring_add(&ring)); // the taken one is still being read
    assert_int_equal(event_ring_take(&ring, 4)->token_id, 1);
    assert_int_equal(event_ring_room(&ring), 1);
    assert_non_null(event_ring_add(&ring));
    event_ring_deinit(&ring);
}

static void test_event_ring_limit_leaves_the_rest(void **state)
{
    (void)state;
    struct event_ring ring;
    assert_int_equal(event_ring_init(&ring, 4), 0);
    event_ring_add(&ring)->token_id = 1;
    event_ring_publish(&ring);
    uint32_t limit = event_ring_published(&ring);
    event_ring_add(&ring)->token_id = 2;
    event_ring_publish(&ring);
    assert_non_null(event_ring_take(&ring, limit));
    assert_null(event_ring_take(&ring, limit));
    assert_int_equal(event_ring_take(&ring, event_ring_published(&ring))->token_id, 2);
    event_ring_deinit(&ring);
}

#define N_THROUGH 20000

static void *produce(void *ctx)
{
    struct event_ring *ring = ctx;
    for (int i = 0; i < N_THROUGH;) {
        struct event_slot *slot = event_ring_add(ring);
        if (slot) {
            slot->token_id = i;
            slot->text[i % EVENT_TEXT_MAX] = (char)i;
            i++;
        }
        if (!slot || i % 3 == 0) {
            event_ring_publish(ring);
            sched_yield();
        }
    }
    event_ring_publish(ring);
    return NULL;
}

static void test_event_ring_two_threads_keep_order(void **state)
{
    (void)state;
    struct event_ring ring;
    assert_int_equal(event_ring_init(&ring, 8), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, &ring), 0);
    for (int i = 0; i < N_THROUGH;) {
        const struct event_slot *slot = event_ring_take(&ring, event_ring_published(&ring));
        if (!slot) {
            sched_yield();
            continue;
        }
        assert_int_equal(slot->token_id, i);
        assert_int_equal(slot->text[i % EVENT_TEXT_MAX], (char)i);
        i++;
    }
    pthread_join(thread, NULL);
    event_ring_deinit(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_ring_unpublished_is_not_seen),
        cmocka_unit_test(test_event_ring_full_refuses_until_taken),
        cmocka_unit_test(test_event_ring_limit_leaves_the_rest),
        cmocka_unit_test(test_event_ring_two_threads_keep_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
