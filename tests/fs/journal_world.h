// Shared by the tests of the journal: a mount on the null engine, without a FUSE device, whose conversations are kept
// in a directory of its own; driven from here instead of by requests of the kernel.
#ifndef TOKFS_TESTS_FS_JOURNAL_WORLD_H
#define TOKFS_TESTS_FS_JOURNAL_WORLD_H

#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include "tests/unit.h"

struct world {
    struct loop *loop;
    struct tokfs_engine *engine;
    char dir[64], state[80], path[96];
    struct state_dir state_dir;
    struct fuse_args args;
    struct mount *mount;
    struct loop_op tick;
    bool (*is_done)(struct world *w);
    bool was_done;
    uint64_t deadline_ns;
};

// ---- life ----------------------------------------------------------------------------------------------------------

// token_us: how long the engine takes for a token.
void world_init(struct world *w, const char *token_us);
// -1: the test has failed in the middle, and is to say where; nothing is freed.
int world_deinit(struct world *w);
int world_try_open(struct world *w, const struct journal_options *options, struct err *err);
void world_open(struct world *w, const struct journal_options *options);
void world_kill(struct world *w); // as kill -9: what is not written is gone
void world_stop(struct world *w);

// ---- time ----------------------------------------------------------------------------------------------------------

// Runs the loop until the condition holds (ten minutes at most).
void world_run(struct world *w, bool (*is_done)(struct world *w));
bool world_is_quiet(struct world *w);   // no turn runs, and all is written
bool world_has_tokens(struct world *w); // bob's turn has some
void world_settle(struct world *w);     // runs until it is quiet
void world_flush(struct world *w);      // writes what there is, without a word of the engine

// ---- what clients do -----------------------------------------------------------------------------------------------

struct session *world_make(struct world *w, const char *name); // NULL: one that is given a name
struct session *world_find(struct world *w, const char *name);
struct file *world_open_file(struct session *session, const char *name, int flags);
int world_write_file(struct file *file, const char *text);
void world_echo(struct session *session, const char *name, const char *text); // echo TEXT > session/NAME
void world_live(struct world *w);                                             // a bit of everything that is recorded

// ---- what there is -------------------------------------------------------------------------------------------------

char *world_tell(struct world *w);                // all of it as a text; the caller frees
void world_compare(const char *a, const char *b); // they are equal
// All is there after a kill and another start; then it is stopped.
void world_expect_same_after_kill(struct world *w, const struct journal_options *options);

char *world_read_file(const char *path, size_t *ret_len); // the caller frees
void world_write_journal(struct world *w, const char *bytes, size_t len);

#endif
