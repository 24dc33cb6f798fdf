#include "engine/base/arena.h"
#include "tests/unit.h"
#include <string.h>

static void test_arena_alloc_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    unsigned char *last = NULL;
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i % 97;
        unsigned char *p = arena_alloc(&arena, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, last);
        for (size_t k = 0; k < size; k++) {
            assert_int_equal(p[k], 0);
        }
        memset(p, 0xff, size);
        last = p;
    }
    arena_deinit(&arena);
    arena_deinit(NULL);
}

static void test_arena_reset_reuses_largest_chunk_zeroed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    arena_alloc(&arena, 10);
    unsigned char *big = arena_alloc(&arena, 100000);
    memset(big, 0xff, 100000);
    arena_alloc(&arena, 1u << 16);
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    unsigned char *again = arena_alloc(&arena, 100000);
    for (size_t i = 0; i < 100000; i++) {
        assert_int_equal(again[i], 0);
    }
    arena_deinit(&arena);
}

static void test_arena_limit_refuses_but_stays_usable(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_null(arena_alloc(&arena, 1001));
    assert_non_null(arena_alloc(&arena, 900));
    assert_null(arena_alloc(&arena, 101));
    assert_null(arena_copy(&arena, (struct str){ "x", 1000 }).ptr);
    assert_non_null(arena_alloc(&arena, 80));
    assert_int_equal(arena.used_bytes, 992);
    assert_null(arena_alloc(&arena, 1));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 992));
    arena_deinit(&arena);
}

static void test_arena_absurd_size_is_refused(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc_array(&arena, 10, 3));
    arena_deinit(&arena);
}

static void test_arena_text_is_copied_and_terminated(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct str s = arena_copy(&arena, STR("a\0b"));
    assert_true(str_eq(s, STR("a\0b")));
    assert_int_equal(s.ptr[3], 0);
    s = arena_printf(&arena, "%s-%d", "x", 42);
    assert_string_equal(s.ptr, "x-42");
    assert_int_equal(s.len, 4);
    arena_deinit(&arena);
    arena_init(&arena, 16);
    assert_null(arena_printf(&arena, "%s", "sixteen bytes and more").ptr);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc_is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_arena_reset_reuses_largest_chunk_zeroed),
        cmocka_unit_test(test_arena_limit_refuses_but_stays_usable),
        cmocka_unit_test(test_arena_absurd_size_is_refused),
        cmocka_unit_test(test_arena_text_is_copied_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
