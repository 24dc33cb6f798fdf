// A medium under the journal that fails, or hangs, when a test tells it to.
#ifndef TOKFS_TESTS_FS_JOURNAL_MEDIUM_H
#define TOKFS_TESTS_FS_JOURNAL_MEDIUM_H

#include "fs/journal.h"

struct medium {
    int write_error, sync_error;     // of all writes and syncs while set: -errno
    size_t n_torn;                   // bytes of a write that come through before it fails
    struct journal **only_in_switch; // it hangs only where this one's compaction ends; NULL: everywhere
};
extern struct medium medium;

void medium_begin_to_hang(void);
void medium_end_to_hang(void); // what hung comes to its end, with an error

#endif
