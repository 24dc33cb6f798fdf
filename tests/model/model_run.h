// Runs prompts through a model in any cut and any company, with pages scattered over the pool.
#ifndef TOKFS_TESTS_MODEL_MODEL_RUN_H
#define TOKFS_TESTS_MODEL_MODEL_RUN_H

#include "engine/cache/page_pool.h"
#include "engine/model/model.h"

#define RUN_PAGE_TOKENS 16 // the least, so that short prompts cross pages
#define RUN_ROWS_MAX    512
#define RUN_SEQS_MAX    8
#define RUN_PAGES_MAX   64 // of one sequence

struct run_seq {
    const int32_t *tokens;
    size_t n_tokens, n_done; // n_done are in the pages
    float *logits;           // [n_tokens][n_vocab], filled as they come
    uint32_t pages[RUN_PAGES_MAX];
    size_t n_pages;
};

struct model_run {
    struct backend *backend;
    struct model *model;
    struct page_pool pool;
    size_t n_vocab;
};

struct run_options {
    const char *dir, *isa;
    unsigned n_threads; // 0: two
    uint32_t n_ctx;     // model_options.n_ctx
    enum weight_form weights;
    const char *pack_cache;
};

// isa NULL: the best. Fails the test when the model does not open.
void run_open(struct model_run *run, const char *dir, const char *isa);
void run_open_ctx(struct model_run *run, const char *dir, const char *isa, uint32_t n_ctx); // model_options.n_ctx
void run_open_with(struct model_run *run, const struct run_options *options);
void run_close(struct model_run *run);
bool run_has_isa(const char *isa); // of this machine

// One step: the next n_new[i] tokens of each sequence, all in one batch.
void run_step(struct model_run *run, struct run_seq *const *seqs, const size_t *n_new, size_t n_seqs);
void run_seq_end(struct model_run *run, struct run_seq *seq); // its pages go back
// A prompt alone, `chunk` tokens a step.
void run_prompt(struct model_run *run, const int32_t *tokens, size_t n_tokens, size_t chunk, float *logits);

// TOKFS_SOURCE_ROOT/path
const char *source_path(char *buf, size_t size, const char *path);

#endif
