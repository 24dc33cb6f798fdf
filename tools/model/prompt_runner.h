// A model and pages for one prompt at a time, whose logits are told row by row.
#ifndef TOKFS_TOOLS_MODEL_PROMPT_RUNNER_H
#define TOKFS_TOOLS_MODEL_PROMPT_RUNNER_H

#include "engine/base/json.h"
#include "engine/cache/page_pool.h"
#include "engine/model/model.h"

struct prompt_runner {
    // Set before opening; all but the first two may be left zero.
    const char *path, *backend_name;
    struct backend_options backend_options;
    enum weight_form weights;
    const char *kv_dtype;
    int64_t chunk; // tokens of one step
    int64_t n_ctx; // 0: at most PROMPT_CTX_DEFAULT of the model's

    struct backend *backend;
    struct model *model;
    struct page_pool pool;
    uint32_t n_vocab;
    uint32_t *pages;      // [pool.n_pages], of the running prompt
    int32_t *tokens;      // [n_ctx]
    uint32_t *logit_rows; // [chunk], 0, 1, 2, ...
};

#define PROMPT_CTX_DEFAULT 4096
#define PROMPT_CHUNK       64

int prompt_runner_open(struct prompt_runner *r, struct err *err);
void prompt_runner_close(struct prompt_runner *r); // also of one that did not open
// Fills `tokens` from a JSON array of ids that the model has, at most n_ctx. -EINVAL, -E2BIG.
int prompt_runner_read(struct prompt_runner *r, const struct json *list, struct err *err);
// Runs the first n_tokens of `tokens`: row(ctx, position, logits of it) in order.
void prompt_runner_run(struct prompt_runner *r, size_t n_tokens,
                       void (*row)(void *ctx, size_t pos, const float *logits), void *ctx);

#endif
