// The lists that hand completions from thread to thread: order, closing, many producers and consumers.
#include "engine/serve/completion.h"

#include "tests/unit.h"

static void test_completion_queue_keeps_order(void **state)
{
    (void)state;
    struct completion_queue queue;
    struct tokfs_completion items[3] = { 0 };
    completion_queue_init(&queue, LINK_WORK);
    assert_null(completion_queue_pop(&queue));
    for (int round = 0; round < 2; round++) { // it may run empty and be filled again
        for (int i = 0; i < 3; i++) {
            completion_queue_push(&queue, &items[i]);
        }
        assert_int_equal(atomic_load(&queue.n), 3);
        for (int i = 0; i < 3; i++) {
            assert_ptr_equal(completion_queue_pop(&queue), &items[i]);
        }
        assert_null(completion_queue_pop(&queue));
    }
    completion_queue_deinit(&queue);
}

static void test_completion_in_two_queues_stays_in_both(void **state)
{
    (void)state;
    struct completion_queue work, verdicts;
    struct tokfs_completion items[2] = { 0 };
    completion_queue_init(&work, LINK_WORK);
    completion_queue_init(&verdicts, LINK_VERDICT);
    for (int i = 0; i < 2; i++) {
        completion_queue_push(&work, &items[i]);
        completion_queue_push(&verdicts, &items[1 - i]);
    }
    assert_ptr_equal(completion_queue_pop(&verdicts), &items[1]);
    assert_ptr_equal(completion_queue_pop(&work), &items[0]);
    assert_ptr_equal(completion_queue_pop(&work), &items[1]);
    assert_ptr_equal(completion_queue_pop(&verdicts), &items[0]);
    completion_queue_deinit(&work);
    completion_queue_deinit(&verdicts);
}

static void test_completion_queue_closed_gives_what_it_has_first(void **state)
{
    (void)state;
    struct completion_queue queue;
    struct tokfs_completion item = { 0 };
    completion_queue_init(&queue, LINK_WORK);
    completion_queue_push(&queue, &item);
    completion_queue_close(&queue);
    assert_ptr_equal(completion_queue_wait(&queue), &item);
    assert_null(completion_queue_wait(&queue));
    completion_queue_deinit(&queue);
}

#define N_ITEMS     3000
#define N_CONSUMERS 3

static void *consume(void *ctx)
{
    size_t n = 0;
    struct tokfs_completion *item;
    while ((item = completion_queue_wait(ctx)) != NULL) {
        assert_false(item->is_done); // each comes once
        item->is_done = true;
        n++;
    }
    return (void *)n;
}

static void test_completion_queue_threads_share_the_work(void **state)
{
    (void)state;
    struct completion_queue queue;
    pthread_t threads[N_CONSUMERS];
    struct tokfs_completion *items = calloc(N_ITEMS, sizeof(*items));
    size_t n_total = 0;
    completion_queue_init(&queue, LINK_WORK);
    for (int i = 0; i < N_CONSUMERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, consume, &queue), 0);
    }
    for (int i = 0; i < N_ITEMS; i++) {
        completion_queue_push(&queue, &items[i]);
    }
    completion_queue_close(&queue);
    for (int i = 0; i < N_CONSUMERS; i++) {
        void *n;
        pthread_join(threads[i], &n);
        n_total += (size_t)n;
    }
    assert_int_equal(n_total, N_ITEMS);
    completion_queue_deinit(&queue);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_completion_queue_keeps_order),
        cmocka_unit_test(test_completion_in_two_queues_stays_in_both),
        cmocka_unit_test(test_completion_queue_closed_gives_what_it_has_first),
        cmocka_unit_test(test_completion_queue_threads_share_the_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
