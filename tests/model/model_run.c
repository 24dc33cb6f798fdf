#include "tests/model/model_run.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void run_open(struct model_run *run, const char *dir, const char *isa)
{
    run_open_ctx(run, dir, isa, 0);
}

void run_open_ctx(struct model_run *run, const char *dir, const char *isa, uint32_t n_ctx)
{
    run_open_with(run, &(struct run_options){ .dir = dir, .isa = isa, .n_ctx = n_ctx });
}

void run_open_with(struct model_run *run, const struct run_options *o)
{
    memset(run, 0, sizeof(*run));
    struct err err = { 0 };
    const struct backend_options backend_options = { .n_threads = o->n_threads ? o->n_threads : 2, .isa = o->isa };
    if (backend_open("cpu", &backend_options, &run->backend, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    const struct model_options options = { .dir = o->dir,
                                           .backend = run->backend,
                                           .weights = o->weights,
                                           .pack_cache = o->pack_cache,
                                           .batch_rows_max = RUN_ROWS_MAX,
                                           .logit_rows_max = RUN_ROWS_MAX,
                                           .page_tokens = RUN_PAGE_TOKENS,
                                           .n_ctx = o->n_ctx };
    if (model_open(&options, &run->model, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    run->n_vocab = model_get_config(run->model)->n_vocab;
    size_t page_bytes = model_get_kv_layout(run->model)->page_bytes;
    if (page_pool_init(&run->pool, run->backend, page_bytes, RUN_SEQS_MAX * RUN_PAGES_MAX, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    // What an earlier user left in a page must not matter.
    unsigned char *mem = run->pool.mem;
    memset(mem, 0x7f, page_bytes * run->pool.n_pages);
    // Shuffle the free list: neighbouring positions lie in pages far apart.
    for (uint32_t i = run->pool.n_pages - 1, r = 12345; i > 0; i--) {
        r = r * 1664525u + 1013904223u;
        uint32_t j = (r >> 8) % (i + 1), page = run->pool.free_list[i];
        run->pool.free_list[i] = run->pool.free_list[j];
        run->pool.free_list[j] = page;
    }
}

void run_close(struct model_run *run)
{
    page_pool_deinit(&run->pool);
    model_free(run->model);
    run->backend->ops->close(run->backend);
}

bool run_has_isa(const char *isa)
{
    struct backend *backend;
    const struct backend_options options = { .n_threads = 1, .isa = isa };
    if (backend_open("cpu", &options, &backend, NULL) < 0) {
        return false;
    }
    backend->ops->close(backend);
    return true;
}

void run_step(struct model_run *run, struct run_seq *const *seqs, const size_t *n_new, size_t n_seqs)
{
    struct batch_seq map[RUN_SEQS_MAX];
    int32_t tokens[RUN_ROWS_MAX];
    uint32_t rows[RUN_ROWS_MAX];
    size_t n_rows = 0;
    for (size_t i = 0; i < n_seqs; i++) {
        struct run_seq *s = seqs[i];
        while (s->n_pages * RUN_PAGE_TOKENS < s->n_done + n_new[i]) {
            assert_true(page_pool_take(&run->pool, &s->pages[s->n_pages++]));
        }
        map[i] = (struct batch_seq){ .row = n_rows, .n_rows = n_new[i], .pos = s->n_done, .pages = s->pages };
        for (size_t j = 0; j < n_new[i]; j++, n_rows++) {
            tokens[n_rows] = s->tokens[s->n_done + j];
            rows[n_rows] = (uint32_t)n_rows;
        }
    }
    const struct step step = { .token_ids = tokens,
                               .map = { .seqs = map, .n_seqs = n_seqs, .n_rows = n_rows },
                               .kv_pool = run->pool.mem,
                               .logit_rows = rows,
                               .n_logit_rows = n_rows };
    const float *logits = model_step(run->model, &step).rows;
    for (size_t i = 0; i < n_seqs; i++) {
        memcpy(seqs[i]->logits + seqs[i]->n_done * run->n_vocab, logits + map[i].row * run->n_vocab,
               n_new[i] * run->n_vocab * sizeof(float));
        seqs[i]->n_done += n_new[i];
    }
}

void run_seq_end(struct model_run *run, struct run_seq *seq)
{
    while (seq->n_pages > 0) {
        page_pool_give(&run->pool, seq->pages[--seq->n_pages]);
    }
}

void run_prompt(struct model_run *run, const int32_t *tokens, size_t n_tokens, size_t chunk, float *logits)
{
    struct run_seq seq = { .tokens = tokens, .n_tokens = n_tokens, .logits = logits };
    struct run_seq *const seqs[] = { &seq };
    while (seq.n_done < n_tokens) {
        size_t n_new = n_tokens - seq.n_done < chunk ? n_tokens - seq.n_done : chunk;
        run_step(run, seqs, &n_new, 1);
    }
    run_seq_end(run, &seq);
}

const char *source_path(char *buf, size_t size, const char *path)
{
    const char *root = getenv("TOKFS_SOURCE_ROOT");
    snprintf(buf, size, "%s/%s", root ? root : ".", path);
    return buf;
}
