// The compute pool: every item once, whatever the sizes, also when workers have gone to sleep in between.
#include "kernels/cpu/pool.h"
#include "tests/kernels/kernel_test.h"

#include <stdatomic.h>
#include <time.h>

#define N_ITEMS_MAX 2000

struct counts {
    atomic_uint item[N_ITEMS_MAX];
    atomic_bool is_worker_bad;
    size_t n_threads;
};

static void count(void *ctx, size_t begin, size_t end, size_t worker)
{
    struct counts *counts = ctx;
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add(&counts->item[i], 1);
    }
    if (worker >= counts->n_threads) {
        atomic_store(&counts->is_worker_bad, true);
    }
}

// On the heap, freed at once: a worker that touched a job that is over would be seen by the sanitizers.
static void check_run(struct pool *pool, size_t n_items, size_t chunk)
{
    struct counts *counts = calloc(1, sizeof(*counts));
    assert_non_null(counts);
    counts->n_threads = pool_n_threads(pool);
    pool_run(pool, n_items, chunk, count, counts);
    for (size_t i = 0; i < N_ITEMS_MAX; i++) {
        assert_int_equal(atomic_load(&counts->item[i]), i < n_items ? 1 : 0);
    }
    assert_false(atomic_load(&counts->is_worker_bad));
    free(counts);
}

static void test_pool_any_sizes_run_every_item_once(void **state)
{
    (void)state;
    const size_t threads[] = { 1, 2, 3, 8 };
    uint64_t rng = 1;
    for (size_t t = 0; t < 4; t++) {
        struct pool *pool;
        assert_int_equal(pool_new(threads[t], &pool, NULL), 0);
        assert_int_equal(pool_n_threads(pool), threads[t]);
        check_run(pool, 0, 1);
        check_run(pool, N_ITEMS_MAX, 1);
        for (int i = 0; i < 50; i++) {
            check_run(pool, rng_below(&rng, N_ITEMS_MAX + 1), 1 + rng_below(&rng, 50));
        }
        pool_free(pool);
    }
}

static void test_pool_parked_workers_take_part_again(void **state)
{
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_new(3, &pool, NULL), 0);
    for (int i = 0; i < 20; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
        check_run(pool, 500, 3);
    }
    pool_free(pool);
}

static void test_pool_many_small_jobs_are_each_complete(void **state)
{
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_new(2, &pool, NULL), 0);
    for (size_t i = 0; i < 500; i++) {
        check_run(pool, 4, 1);
    }
    pool_free(pool);
}

// Workers may ask for memory that has gone, or never was: nothing is read of it.
static void test_pool_memory_ahead_need_not_be_there(void **state)
{
    (void)state;
    struct pool *pool;
    assert_int_equal(pool_new(3, &pool, NULL), 0);
    unsigned char *mem = malloc(1 << 20);
    assert_non_null(mem);
    const struct pool_ahead aheads[] = { { mem, 16, 1 << 16 }, { mem, 1, 1 << 20 }, { mem, 1 << 20, 64 }, { 0 } };
    free(mem);
    for (size_t i = 0; i < 400; i++) {
        struct counts *counts = calloc(1, sizeof(*counts));
        assert_non_null(counts);
        counts->n_threads = 3;
        pool_run_ahead(pool, 100, 1 + i % 7, count, counts, aheads[i % 4]);
        pool_run(pool, 2, 5, count, counts); // by the caller alone
        for (size_t j = 0; j < 100; j++) {
            assert_int_equal(atomic_load(&counts->item[j]), j < 2 ? 2 : 1);
        }
        free(counts);
    }
    pool_free(pool);
}

static void test_pool_any_number_of_workers_takes_part(void **state)
{
    (void)state;
    struct pool *pool;
    uint64_t rng = 2;
    assert_int_equal(pool_new(4, &pool, NULL), 0);
    for (int i = 0; i < 200; i++) {
        pool_limit(pool, 1 + rng_below(&rng, 4));
        check_run(pool, rng_below(&rng, 300), 1 + rng_below(&rng, 5));
        if (i % 20 == 0) {
            nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL); // some are parked, some on the bench
        }
    }
    pool_limit(pool, 1);
    pool_free(pool);
}

static void test_pool_too_many_threads_are_refused(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    struct err err = { 0 };
    assert_int_equal(pool_new(POOL_THREADS_MAX + 1, &pool, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "threads"));
    assert_null(pool);
    pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_any_sizes_run_every_item_once),
        cmocka_unit_test(test_pool_parked_workers_take_part_again),
        cmocka_unit_test(test_pool_many_small_jobs_are_each_complete),
        cmocka_unit_test(test_pool_memory_ahead_need_not_be_there),
        cmocka_unit_test(test_pool_any_number_of_workers_takes_part),
        cmocka_unit_test(test_pool_too_many_threads_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
