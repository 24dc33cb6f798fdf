// The long half of a score, as a job of a crew: from a request's body to its keys.
#ifndef TOKFS_KV_SCORE_JOB_H
#define TOKFS_KV_SCORE_JOB_H

#include "tools/kv/crew.h"
#include "tools/kv/score.h"

struct score_job {
    struct crew_job job; // its `done` is the caller's
    // Given:
    const struct tokfs_text *text;
    enum tokfs_prompt_kind kind;
    struct str body; // which stays until it is done
    struct score_sizes sizes;
    // Made:
    int result; // 0 or -errno with the error; -ECANCELED: it did not run
    struct tokfs_error error;
    struct tokfs_prompts prompts;
    struct score_keys keys;
};

// Sets up what is given, and `run`. The sizes are those of the model now.
void score_job_init(struct score_job *job, const struct scorer *scorer, const struct tokfs_text *text,
                    enum tokfs_prompt_kind kind, struct str body, void (*done)(struct crew_job *job));
void score_job_deinit(struct score_job *job); // not under way

#endif
