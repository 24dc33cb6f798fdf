// From a step's logits to tokens, text and events. Part of the runner.
#ifndef TOKFS_SERVE_RUNNER_SAMPLE_H
#define TOKFS_SERVE_RUNNER_SAMPLE_H

#include "engine/serve/runner.h"

int runner_sample_init(struct runner *runner); // 0 or -ENOMEM
void runner_sample_deinit(struct runner *runner);
// Before the step: tells the device what to draw from the step's rows. Of its logit rows those remain that the device
// draws from; returns how many the host has to, in runner->host_rows.
size_t runner_sample_prepare(struct runner *runner, struct step *step);
// The draws of a step that is drawn later: of all its rows, from what is known now. Returns how many of them the host
// has to draw.
size_t runner_sample_later(struct runner *runner);
// `logits` are those that the host draws from, of the step that was planned; `publish` is called every few tokens.
void runner_sample(struct runner *runner, struct logits logits, void (*publish)(void *ctx), void *ctx);

// The logits of the rows after the first n.
struct logits runner_skip_rows(const struct runner *runner, struct logits logits, size_t n);

// Whether the item's rows reach the sequence's last token, so that the next one can be sampled.
static inline bool runner_is_completing(const struct step_item *item)
{
    const struct sequence *seq = item->seq;
    return seq->n_computed + seq->n_issued + item->n_tokens - item->n_draft == seq->n_tokens + seq->is_drawing;
}

static inline uint64_t runner_clock(const struct runner *runner)
{
    return runner->drive.now_ns(runner->drive.ctx);
}

#endif
