// What the kernel tests use of cmocka, for machines without it (meson setup -Dkernels_only=true): a test that fails
// says where and ends, the next one runs.
#ifndef TOKFS_TESTS_PLAIN_CMOCKA_H
#define TOKFS_TESTS_PLAIN_CMOCKA_H

#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

static jmp_buf plain_test_end;
static const char *plain_filter; // of names, with wildcards; NULL: all

__attribute__((unused)) static void cmocka_set_test_filter(const char *pattern)
{
    plain_filter = pattern;
}

__attribute__((format(printf, 3, 4), noreturn, unused)) static void plain_fail(const char *file, int line,
                                                                               const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    longjmp(plain_test_end, 1);
}

#define fail_msg(...)         plain_fail(__FILE__, __LINE__, __VA_ARGS__)
#define PLAIN_ASSERT(is, ...) ((is) ? (void)0 : plain_fail(__FILE__, __LINE__, __VA_ARGS__))
#define assert_true(x)        PLAIN_ASSERT(x, "%s", #x)
#define assert_false(x)       PLAIN_ASSERT(!(x), "not false: %s", #x)
#define assert_null(x)        PLAIN_ASSERT(!(x), "not NULL: %s", #x)
#define assert_non_null(x)    PLAIN_ASSERT(x, "NULL: %s", #x)
#define assert_int_equal(a, b)                                                                                         \
    do {                                                                                                               \
        long long plain_a = (long long)(a), plain_b = (long long)(b);                                                  \
        PLAIN_ASSERT(plain_a == plain_b, "%s is %lld, not %lld", #a, plain_a, plain_b);                                \
    } while (0)
#define assert_ptr_equal(a, b)       PLAIN_ASSERT((const void *)(a) == (const void *)(b), "%s is not %s", #a, #b)
#define assert_memory_equal(a, b, n) PLAIN_ASSERT(memcmp(a, b, n) == 0, "%s differs from %s", #a, #b)
#define assert_string_equal(a, b)    PLAIN_ASSERT(strcmp(a, b) == 0, "\"%s\" is not \"%s\"", a, b)
#define print_message(...)           fprintf(stderr, __VA_ARGS__)

#define cmocka_unit_test(f)                                                                                            \
    {                                                                                                                  \
#f, f                                                                                                          \
    }

static int plain_run(const struct CMUnitTest *tests, size_t n, int (*setup)(void **), int (*teardown)(void **))
{
    void *state = NULL;
    volatile int n_failed = 0;
    if (setup && setup(&state) != 0) {
        fprintf(stderr, "setup failed\n");
        return 1;
    }
    for (volatile size_t i = 0; i < n; i++) {
        if (plain_filter && fnmatch(plain_filter, tests[i].name, 0) != 0) {
            continue;
        }
        if (setjmp(plain_test_end) == 0) {
            tests[i].run(&state);
            fprintf(stderr, "[       OK ] %s\n", tests[i].name);
        } else {
            fprintf(stderr, "[  FAILED  ] %s\n", tests[i].name);
            n_failed++;
        }
    }
    if (teardown) {
        teardown(&state);
    }
    return n_failed;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                                                 \
    plain_run(tests, sizeof(tests) / sizeof(*(tests)), setup, teardown)

#endif
