// The command line of tokfs.
#ifndef TOKFS_FS_OPTIONS_H
#define TOKFS_FS_OPTIONS_H

#include "engine/base/err.h"
#include "engine/base/log.h"
#include "engine/base/str.h"
#include "fs/journal.h"
#include <stdbool.h>
#include <stdint.h>
#include <tokfs/engine.h>

#define OPTIONS_VALUES_MAX 64

struct options {
    const char *model;                // as given
    const char *mountpoint;           // as given
    struct strbuf fuse;               // -o options for libfuse, with commas between them
    char *values[OPTIONS_VALUES_MAX]; // [n_values] of own options that came with -o
    size_t n_values;
    bool foreground, nonempty, show_help, show_version;
    bool is_helper; // called by mount(8)
    bool is_fake;   // mount -f: all but the mounting
    bool has_log_level;
    enum log_level log_level;
    bool lets_others_in;      // allow_other
    bool shares_prefix_cache; // between users
    uint32_t max_sessions;    // 0: the default; likewise:
    uint32_t user_sessions, user_turns, user_files;
    uint32_t write_timeout_s;
    uint64_t user_tokens; // a minute
    uint64_t user_bytes, max_bytes;
    const char *state; // directory of the journal; NULL: none
    struct journal_options journal;
    uint64_t given;                     // a bit for each row of the table
    struct tokfs_engine_options engine; // without model and progress
};

// Borrows from argv. -EINVAL with the option and value named.
int options_parse(int argc, char **argv, struct options *ret, struct err *err);
void options_deinit(struct options *options);
// What to put before the engine's words about a parameter of tokfs_engine_options: the option, with ": "; or "".
const char *options_blame(const struct options *options, const char *param);
extern const char options_help[];

#endif
