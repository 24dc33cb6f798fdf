// The engine's work without its threads: admitted sequences, the waiting list, and one step after another.
//
// Owner: the engine thread. Everything that a step needs is made at open; a step does not allocate.
#ifndef TOKFS_SERVE_RUNNER_H
#define TOKFS_SERVE_RUNNER_H

#include "engine/model/model.h"
#include "engine/serve/admission.h"
#include "engine/serve/device_draws.h"
#include "engine/serve/sampler.h"
#include "engine/serve/scheduler.h"
#include "engine/serve/sequence.h"

// What computes a step, and the clock it is measured with: the engine's are its model's and the machine's, a simulator
// has its own.
struct runner_drive {
    struct logits (*step)(void *ctx, const struct step *step); // as model_step
    // As model_logits; for requests that ask for log probabilities of prompts.
    struct logits (*logits)(void *ctx, const uint32_t *rows, size_t n_rows);
    // As model_drawn and model_draw: what computes a step draws from it, too. NULL both: the runner does.
    struct sample_results (*drawn)(void *ctx, unsigned turn);
    void (*draw)(void *ctx, const struct sample_row *rows, size_t n_rows, unsigned turn);
    int (*failure)(void *ctx, struct err *err); // as model_failure; NULL: it cannot fail
    uint64_t (*now_ns)(void *ctx);
    void *ctx;
    size_t n_vocab, page_bytes;
};

struct runner_options {
    struct backend *backend; // of the pages; its workers sample
    struct runner_drive drive;
    const struct tokenizer *tok;
    const int32_t *end_ids; // borrowed
    size_t n_end_ids;
    struct event_ring *ring;
    uint32_t n_slots; // sequences that run together
    uint32_t n_ctx, n_pages, page_tokens;
    uint32_t n_host_pages; // of the host tier; 0: there is none
    size_t batch_tokens;   // >= n_slots
    bool no_prefix_cache;
    bool no_speculation;
    bool no_ahead; // a step is issued when the tokens of the one before are known
    bool no_jump_forward;
};

struct draw;

// Who takes part in a step that was issued, in the order of its rows.
struct step_item {
    struct sequence *seq;
    uint32_t n_tokens, n_draft; // as sched_item
    uint32_t drawn_at;          // its first row of what the device draws; or DRAWN_BY_HOST, if anything is drawn
};

#define DRAWN_BY_HOST UINT32_MAX

// A step that was issued. At most two are: the one whose tokens are taken next, and the one after it (runner_ahead.h).
struct issued_step {
    struct step_item *items; // [n_slots], the first n_items
    size_t n_items;
    size_t n_logit_rows; // that the device draws from, or keeps logits of
    unsigned turn;       // of its draws
    bool is_drawn_later; // its logits are on the device, and what to draw from them is told when more is known
};

struct runner {
    struct sequence_env env;
    struct runner_drive drive;
    struct event_ring *ring;
    struct page_pool pool, host_pool;
    struct radix radix;
    bool has_prefix_cache, has_speculation, has_jump_forward, has_ahead;
    struct backend *backend;
    struct sampler *samplers; // [n_samplers] one for each worker of the backend
    size_t n_samplers;
    size_t batch_tokens;

    struct sequence *slots;   // [n_slots]
    struct sequence **active; // [n_slots], the first n_active: by priority, then in order of admission
    struct sequence **idle;   // [n_slots], the first n_idle: a stack of empty slots
    uint32_t n_slots, n_slots_ready, n_active, n_idle;
    struct choice *waiting_first, **waiting_last; // linked through next
    uint32_t n_waiting;
    uint64_t next_deadline_ns; // no running or waiting request's is earlier

    // Scratch of one step.
    struct sched_seq *sched_active, *sched_waiting; // [n_slots]
    struct admission_served served;
    struct admission admission; // the candidates that sched_waiting shows, in this order
    uint64_t window_ns;         // when they were chosen
    uint32_t *tenants;          // [n_slots] of the running
    uint32_t *match_pages;      // [pages of n_ctx]
    struct sched_plan plan;     // [n_slots]
    struct batch_seq *batch;    // [n_slots]
    int32_t *token_ids;         // [batch_tokens]
    uint32_t *logit_rows;       // [n_slots + DRAFT_ROWS_MAX]
    uint32_t *host_rows;        // as logit_rows: of them, those that the device does not draw from
    struct device_draws device_draws;
    struct sample_results drawn;
    uint64_t drawn_ns;        // when they were there
    struct issued_step step;  // the one whose tokens are taken
    struct issued_step ahead; // the one after it, if is_ahead: issued before those tokens were known
    unsigned turn;            // of the last step that the device draws from
    bool is_ahead;
    uint32_t *score_rows; // [batch_tokens] whose logits are wanted for scores of prompts
    size_t n_score_rows;
    struct draw *draws; // [n_draws_max], the first n_draws: who gets a token now
    size_t n_draws, n_draws_max;

    // code != 0: the device failed in the last step, of which nothing was used. Nothing can be run until
    // runner_recover.h has been gone through.
    struct err failure;

    // Since open; the gauges are kept by whoever publishes them.
    struct tokfs_engine_stats stats;
};

int runner_init(struct runner *runner, const struct runner_options *options, struct err *err);
void runner_deinit(struct runner *runner); // asserts that nothing runs or waits and that every page has come back

void runner_add(struct runner *runner,
                struct tokfs_completion *completion); // accepted: its choices join the waiting ones
// Ends every sequence and waiting choice whose cancel flag is set. False: some waiting one could not be told,
// because the ring is full; call again.
bool runner_cancel_flagged(struct runner *runner);
// Puts out what is owed, plans, and runs one step; `publish` is called when events should be seen before the step's
// work. False: there was nothing to run (no sequences, or all wait for room in the ring).
bool runner_step(struct runner *runner, void (*publish)(void *ctx), void *ctx);
uint32_t runner_table_of(const struct runner *runner, const struct sequence *seq); // batch_seq.table
bool runner_is_idle(const struct runner *runner);                                  // no sequence, nobody waiting

#endif
