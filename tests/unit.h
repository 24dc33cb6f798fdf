// Included by each unit test: cmocka with the headers that it wants before itself, and the places of test files. A test
// without its files is skipped, visibly: exit status 77.
#ifndef TOKFS_TESTS_UNIT_H
#define TOKFS_TESTS_UNIT_H

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEST_EXIT_SKIP 77

// The directory of downloaded models, tokenizers and reference vectors. Call it before cmocka starts.
static inline const char *test_data_dir_or_skip(void)
{
    const char *dir = getenv("TOKFS_TEST_DATA");
    if (!dir || access(dir, R_OK | X_OK) != 0) {
        printf("skipped: TOKFS_TEST_DATA is %s\n", dir ? dir : "not set");
        exit(TEST_EXIT_SKIP);
    }
    return dir;
}

// The root of the source tree, for checked-in fixtures.
static inline const char *test_source_root(void)
{
    const char *dir = getenv("TOKFS_SOURCE_ROOT");
    return dir ? dir : ".";
}

#endif
