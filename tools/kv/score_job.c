#include "tools/kv/score_job.h"
#include <errno.h>
#include <stdio.h>

static void run(struct crew_job *crew_job)
{
    struct score_job *job = (struct score_job *)crew_job;
    job->result = tokfs_text_prompts(job->text, job->kind, job->body.ptr, job->body.len, 0, &job->prompts, &job->error);
    if (job->result == 0 && score_keys_make(&job->prompts, &job->sizes, &job->keys) < 0) {
        job->result = job->error.code = -ENOMEM;
        snprintf(job->error.msg, sizeof(job->error.msg), "out of memory for the keys of a request");
    }
}

void score_job_init(struct score_job *job, const struct scorer *scorer, const struct tokfs_text *text,
                    enum tokfs_prompt_kind kind, struct str body, void (*done)(struct crew_job *job))
{
    *job = (struct score_job){
        .job = { .run = run, .done = done }, .text = text, .kind = kind, .body = body, .result = -ECANCELED
    };
    scorer_sizes(scorer, str_from(tokfs_text_model(text)), &job->sizes);
}

void score_job_deinit(struct score_job *job)
{
    tokfs_prompts_deinit(&job->prompts);
    score_keys_deinit(&job->keys);
}
