// The page pool over a backend that is nothing but an allocator with a limit.
#include "engine/cache/page_pool.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct heap_backend {
    struct backend base;
    size_t bytes_max;
    int n_live;
};

static void *heap_alloc(struct backend *b, size_t bytes)
{
    struct heap_backend *heap = (struct heap_backend *)b;
    if (bytes > heap->bytes_max) {
        return NULL;
    }
    heap->n_live++;
    return calloc(1, bytes);
}

static void heap_free(struct backend *b, void *mem)
{
    ((struct heap_backend *)b)->n_live--;
    free(mem);
}

static const struct backend_ops heap_ops = { .name = "heap", .alloc = heap_alloc, .free = heap_free };

static struct heap_backend heap_backend(size_t bytes_max)
{
    return (struct heap_backend){ .base = { .ops = &heap_ops }, .bytes_max = bytes_max };
}

static void test_page_pool_take_all_gives_each_page_once_then_none(void **state)
{
    (void)state;
    struct heap_backend heap = heap_backend(1 << 20);
    struct page_pool pool;
    assert_int_equal(page_pool_init(&pool, &heap.base, 64, 130, NULL), 0);
    bool seen[130] = { false };
    for (int i = 0; i < 130; i++) {
        uint32_t page;
        assert_true(page_pool_take(&pool, &page));
        assert_true(page < 130);
        assert_false(seen[page]);
        seen[page] = true;
    }
    uint32_t untouched = 77777;
    assert_false(page_pool_take(&pool, &untouched));
    assert_int_equal(untouched, 77777);
    for (uint32_t i = 0; i < 130; i++) {
        page_pool_give(&pool, i);
    }
    assert_int_equal(pool.n_free, 130);
    page_pool_deinit(&pool);
    assert_int_equal(heap.n_live, 0);
}

static void test_page_pool_given_page_is_taken_first(void **state)
{
    (void)state;
    struct heap_backend heap = heap_backend(1 << 20);
    struct page_pool pool;
    assert_int_equal(page_pool_init(&pool, &heap.base, 64, 8, NULL), 0);
    uint32_t a, b, c;
    assert_true(page_pool_take(&pool, &a));
    assert_true(page_pool_take(&pool, &b));
    page_pool_give(&pool, a);
    assert_true(page_pool_take(&pool, &c));
    assert_int_equal(c, a);
    page_pool_give(&pool, b);
    page_pool_give(&pool, c);
    page_pool_deinit(&pool);
}

// Who takes a page waits for its copy: the oldest one is the first to be over. Around the end of the list, too.
static void test_page_pool_page_that_is_being_copied_is_taken_last(void **state)
{
    (void)state;
    struct heap_backend heap = heap_backend(1 << 20);
    struct page_pool pool;
    uint32_t pages[6], page;
    assert_int_equal(page_pool_init(&pool, &heap.base, 64, 8, NULL), 0);
    for (int round = 0; round < 9; round++) {
        for (int i = 0; i < 6; i++) {
            assert_true(page_pool_take(&pool, &pages[i]));
        }
        for (uint32_t i = 0; i < 6; i++) {
            pool.copies[pages[i]] = i % 2 == 0 ? pool.n_awaited + i + 1 : 0;
            page_pool_give(&pool, pages[i]);
        }
        assert_int_equal(pool.n_free, 8);
        const uint32_t wanted[] = { pages[5], pages[3], pages[1] }, copied[] = { pages[0], pages[2], pages[4] };
        for (int i = 0; i < 8; i++) {
            assert_true(page_pool_take(&pool, &page));
            assert_true(i < 3 ? page == wanted[i] : i < 5 || page == copied[i - 5]);
        }
        for (uint32_t i = 0; i < 8; i++) {
            pool.copies[i] = 0;
            page_pool_give(&pool, i);
        }
    }
    page_pool_deinit(&pool);
}

static void test_page_pool_init_without_memory_returns_enomem_with_arithmetic(void **state)
{
    (void)state;
    struct heap_backend heap = heap_backend(1000);
    struct page_pool pool;
    struct err err = { 0 };
    assert_int_equal(page_pool_init(&pool, &heap.base, 1 << 20, 3, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "3 pages x 1048576 bytes = 3.0 MiB"));
    assert_int_equal(page_pool_init(&pool, &heap.base, SIZE_MAX / 2, 3, &err), -ENOMEM);
    assert_int_equal(heap.n_live, 0);
    page_pool_deinit(&pool); // a pool that failed is empty
}

static void test_page_pool_init_of_no_pages_returns_einval(void **state)
{
    (void)state;
    struct heap_backend heap = heap_backend(1000);
    struct page_pool pool;
    assert_int_equal(page_pool_init(&pool, &heap.base, 64, 0, NULL), -EINVAL);
    assert_int_equal(page_pool_init(&pool, &heap.base, 0, 64, NULL), -EINVAL);
}

// Runs `misuse` in a child and tells whether it aborted.
static bool aborts(void (*misuse)(struct page_pool *))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(2);
        }
        struct heap_backend heap = heap_backend(1 << 20);
        struct page_pool pool;
        if (page_pool_init(&pool, &heap.base, 64, 4, NULL) == 0) {
            misuse(&pool);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void give_twice(struct page_pool *pool)
{
    uint32_t page;
    page_pool_take(pool, &page);
    page_pool_give(pool, page);
    page_pool_give(pool, page);
}

static void give_once(struct page_pool *pool)
{
    uint32_t page;
    page_pool_take(pool, &page);
    page_pool_give(pool, page);
    page_pool_deinit(pool);
}

static void deinit_with_page_out(struct page_pool *pool)
{
    uint32_t page;
    page_pool_take(pool, &page);
    page_pool_deinit(pool);
}

static void test_page_pool_misuse_aborts(void **state)
{
    (void)state;
    assert_true(aborts(give_twice));
    assert_true(aborts(deinit_with_page_out));
    assert_false(aborts(give_once));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_pool_take_all_gives_each_page_once_then_none),
        cmocka_unit_test(test_page_pool_given_page_is_taken_first),
        cmocka_unit_test(test_page_pool_page_that_is_being_copied_is_taken_last),
        cmocka_unit_test(test_page_pool_init_without_memory_returns_enomem_with_arithmetic),
        cmocka_unit_test(test_page_pool_init_of_no_pages_returns_einval),
        cmocka_unit_test(test_page_pool_misuse_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
