// Tables that are zero each time, and take what was touched of them.
#include "engine/base/pages.h"
#include "tests/unit.h"
#include <string.h>

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void test_pages_are_zero_each_time(void **state)
{
    (void)state;
    const size_t sizes[] = { 1, 100, 65535, 65536, 1 << 20 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (int round = 0; round < 3; round++) {
            unsigned char *p = pages_new(sizes[i], 1);
            assert_non_null(p);
            assert_int_equal(p[0] | p[sizes[i] / 2] | p[sizes[i] - 1], 0);
            memset(p, 0xff, sizes[i]);
            pages_free(p, sizes[i], 1);
        }
    }
    pages_free(NULL, 1 << 20, 1);
    assert_null(pages_new(SIZE_MAX / 2, 3));
}

static void test_pages_take_what_is_touched(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    enum { N = 16, BYTES = 8 << 20 };
    unsigned char *tables[N];
    size_t before = resident_bytes();
    for (int round = 0; round < 20; round++) { // of the heap's, the second round's would be touched
        for (int i = 0; i < N; i++) {
            tables[i] = pages_new(BYTES, 1);
            assert_non_null(tables[i]);
            tables[i][i] = 1;
        }
        for (int i = 0; round < 19 && i < N; i++) {
            pages_free(tables[i], BYTES, 1);
        }
    }
    assert_true(resident_bytes() < before + ((size_t)16 << 20));
    for (int i = 0; i < N; i++) {
        pages_free(tables[i], BYTES, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_are_zero_each_time),
        cmocka_unit_test(test_pages_take_what_is_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
