// Pieces of memory: zero, on huge pages where they are large, and no larger than they need be.
#include "kernels/cpu/memory.h"
#include "tests/unit.h"
#include <stdbool.h>
#include <string.h>

#define MIB ((size_t)1 << 20)

static void test_memory_is_zero_and_aligned(void **state)
{
    (void)state;
    const size_t sizes[] = { 0, 1, 1000, 2 * MIB - 64, 2 * MIB, 5 * MIB + 77 };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned char *mem = memory_new(sizes[i]);
        assert_non_null(mem);
        assert_int_equal((uintptr_t)mem % 64, 0);
        for (size_t at = 0; at < sizes[i]; at += 4096) {
            assert_int_equal(mem[at], 0);
        }
        memset(mem, 1, sizes[i]);
        memory_free(mem);
    }
    memory_free(NULL);
    assert_null(memory_new(SIZE_MAX - MIB));
}

// "Rss:" in KiB and "VmFlags:" of the mapping that holds `mem`.
static bool find_mapping(const void *mem, size_t *ret_kib, char flags[512])
{
    char line[512];
    bool is_it = false;
    unsigned long from, to;
    FILE *f = fopen("/proc/self/smaps", "re");
    while (f && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            is_it = (uintptr_t)mem >= from && (uintptr_t)mem < to;
        } else if (is_it && sscanf(line, "Rss: %zu", ret_kib) != 1 && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(flags, 512, "%s", line + 8);
            break;
        }
    }
    if (f) {
        fclose(f);
    }
    return is_it;
}

static void test_memory_of_a_large_piece_has_huge_pages_and_no_rest(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    size_t bytes = 2 * MIB + 300000, kib = 0;
    char flags[512] = "";
    unsigned char *mem = memory_new(bytes);
    assert_non_null(mem);
    memset(mem, 1, bytes);
    assert_true(find_mapping(mem, &kib, flags));
    assert_true(kib >= bytes / 1024 && kib <= (bytes + 2 * 65536) / 1024);
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0) {
        assert_non_null(strstr(flags, " hg"));
    }
    memory_free(mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_zero_and_aligned),
        cmocka_unit_test(test_memory_of_a_large_piece_has_huge_pages_and_no_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
