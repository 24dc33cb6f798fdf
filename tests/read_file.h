// A file as a text, for tests. Included after unit.h.
#ifndef TOKFS_TESTS_READ_FILE_H
#define TOKFS_TESTS_READ_FILE_H

#include "engine/base/str.h"
#include <stdio.h>

// False: it cannot be opened. The caller has ret freed in any case.
static inline bool test_read_file(const char *path, struct strbuf *ret)
{
    FILE *file = fopen(path, "rbe");
    char piece[65536];
    strbuf_init(ret, 0);
    if (!file) {
        return false;
    }
    for (size_t n; (n = fread(piece, 1, sizeof(piece), file)) > 0;) {
        assert_int_equal(strbuf_append(ret, (struct str){ piece, n }), 0);
    }
    fclose(file);
    return true;
}

// Of a file that is there.
static inline struct str test_read_whole(const char *path, struct strbuf *ret)
{
    if (!test_read_file(path, ret)) {
        fail_msg("cannot open %s", path);
    }
    return strbuf_str(ret);
}

#endif
