// One look at a mount: its figures and its sessions, as its own files tell them.
#ifndef TOKFS_TOP_SAMPLE_H
#define TOKFS_TOP_SAMPLE_H

#include "engine/base/err.h"
#include "engine/base/str.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

// Of `metrics`, in this order.
enum figure {
    FIGURE_RUNNING,
    FIGURE_QUEUED,
    FIGURE_PROMPT_TOKENS,
    FIGURE_CACHED_TOKENS,
    FIGURE_COMPLETION_TOKENS,
    FIGURE_PAGES,
    FIGURE_PAGES_FREE,
    FIGURE_PAGES_CACHED,
    FIGURE_EVICTED,
    FIGURE_PREEMPTED,
    FIGURE_SESSIONS,
    FIGURE_OPEN_FILES,
    FIGURE_PARKED,
    FIGURE_HELD_BYTES,
    N_FIGURES,
};

struct top_session {
    char name[256];
    char state[16];
    uid_t uid;
    uint64_t n_prompt, n_cached, n_completion;
};

struct sample {
    uint64_t at_ns; // CLOCK_MONOTONIC
    char health[64];
    char model[256];
    uint64_t figures[N_FIGURES];
    struct top_session *sessions; // [n_sessions] most recently used first; at most so many as were asked for
    size_t n_sessions;
};

// Looks at the n_max sessions that were used last. -errno with the file that could not be read.
int sample_take(const char *mount_dir, size_t n_max, struct sample *ret, struct err *err);
void sample_deinit(struct sample *sample);
const struct top_session *sample_find(const struct sample *sample, const char *name); // NULL: none
// The parts of it that only read text, for tests.
int sample_read_metrics(struct str text, uint64_t *ret_figures);      // -EINVAL: one of them is not there
int sample_read_status(struct str line, struct top_session *session); // -EINVAL

#endif
