// One prompt at a time, in chunks of a step; each prompt's pages are taken before and given back after it.
#include "tools/model/prompt_runner.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define PAGE_TOKENS 16

static int open_memory(struct prompt_runner *r, struct err *err)
{
    const struct model_config *c = model_get_config(r->model);
    if (r->n_ctx == 0) {
        r->n_ctx = c->n_ctx_max < PROMPT_CTX_DEFAULT ? c->n_ctx_max : PROMPT_CTX_DEFAULT;
    }
    if (r->n_ctx > c->n_ctx_max) {
        return err_set(err, -EINVAL, "--ctx %" PRId64 " is above the model's %" PRIu32, r->n_ctx, c->n_ctx_max);
    }
    uint32_t n_pages = (uint32_t)((r->n_ctx + PAGE_TOKENS - 1) / PAGE_TOKENS);
    int rc = page_pool_init(&r->pool, r->backend, model_get_kv_layout(r->model)->page_bytes, n_pages, err);
    if (rc < 0) {
        return rc;
    }
    r->n_vocab = c->n_vocab;
    r->pages = malloc(n_pages * sizeof(*r->pages));
    r->tokens = malloc((size_t)r->n_ctx * sizeof(*r->tokens));
    r->logit_rows = malloc((size_t)r->chunk * sizeof(*r->logit_rows));
    if (!r->pages || !r->tokens || !r->logit_rows) {
        return err_set(err, -ENOMEM, "no memory for prompts of %" PRId64 " tokens", r->n_ctx);
    }
    for (uint32_t i = 0; i < r->chunk; i++) {
        r->logit_rows[i] = i;
    }
    return 0;
}

int prompt_runner_open(struct prompt_runner *r, struct err *err)
{
    r->chunk = r->chunk > 0 ? r->chunk : PROMPT_CHUNK;
    int rc = backend_open(r->backend_name, &r->backend_options, &r->backend, err);
    if (rc < 0) {
        return rc;
    }
    const struct model_options options = { .dir = r->path,
                                           .backend = r->backend,
                                           .weights = r->weights,
                                           .kv_dtype = r->kv_dtype,
                                           .batch_rows_max = (size_t)r->chunk,
                                           .logit_rows_max = (size_t)r->chunk,
                                           .page_tokens = PAGE_TOKENS };
    rc = model_open(&options, &r->model, err);
    return rc < 0 ? rc : open_memory(r, err);
}

void prompt_runner_close(struct prompt_runner *r)
{
    free(r->pages);
    free(r->tokens);
    free(r->logit_rows);
    page_pool_deinit(&r->pool);
    model_free(r->model);
    if (r->backend) {
        r->backend->ops->close(r->backend);
    }
}

int prompt_runner_read(struct prompt_runner *r, const struct json *list, struct err *err)
{
    if (list->type != JSON_ARRAY) {
        return err_set(err, -EINVAL, "not an array of token ids but %s", json_type_name(list->type));
    }
    if (list->n_children > r->n_ctx) {
        return err_set(err, -E2BIG, "%" PRIu32 " tokens are more than the context of %" PRId64, list->n_children,
                       r->n_ctx);
    }
    const struct json *v = json_first(list);
    for (uint32_t i = 0; i < list->n_children; i++, v = json_next(v)) {
        int64_t id;
        if (v->type != JSON_NUMBER || json_get_i64(v, &id) < 0 || id < 0 || id >= r->n_vocab) {
            return err_set(err, -EINVAL, "element %" PRIu32 " (%.*s) is not a token id from 0 to %" PRIu32, i,
                           STR_ARG(str_take(v->text, 40)), r->n_vocab - 1);
        }
        r->tokens[i] = (int32_t)id;
    }
    return 0;
}

void prompt_runner_run(struct prompt_runner *r, size_t n_tokens,
                       void (*row)(void *ctx, size_t pos, const float *logits), void *ctx)
{
    size_t n_pages = (n_tokens + PAGE_TOKENS - 1) / PAGE_TOKENS;
    for (size_t i = 0; i < n_pages; i++) {
        bool is_taken = page_pool_take(&r->pool, &r->pages[i]);
        assert(is_taken); // the pool holds n_ctx tokens
    }
    for (size_t pos = 0; pos < n_tokens;) {
        size_t n = n_tokens - pos < (size_t)r->chunk ? n_tokens - pos : (size_t)r->chunk;
        const struct batch_seq seq = { .row = 0, .n_rows = n, .pos = pos, .pages = r->pages };
        const struct step step = { .token_ids = r->tokens + pos,
                                   .map = { .seqs = &seq, .n_seqs = 1, .n_rows = n },
                                   .kv_pool = r->pool.mem,
                                   .logit_rows = r->logit_rows,
                                   .n_logit_rows = n };
        const float *logits = model_step(r->model, &step).rows;
        for (size_t i = 0; i < n; i++) {
            row(ctx, pos + i, logits + i * r->n_vocab);
        }
        pos += n;
    }
    for (size_t i = 0; i < n_pages; i++) {
        page_pool_give(&r->pool, r->pages[i]);
    }
}
