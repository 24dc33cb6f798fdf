// A token timeline with KV state: one running completion, its pages, and its text on the way out.
//
// Owner: the engine thread. Sequences live in slots that are made at open; nothing here allocates while tokens are
// made.
#ifndef TOKFS_SERVE_SEQUENCE_H
#define TOKFS_SERVE_SEQUENCE_H

#include "engine/cache/radix.h"
#include "engine/model/model.h"
#include "engine/serve/completion.h"
#include "engine/serve/draft.h"
#include "engine/serve/event_ring.h"
#include "engine/serve/guide.h"
#include "engine/text/answer_parser.h"
#include "engine/text/detokenizer.h"

enum sequence_state { SEQUENCE_EMPTY, SEQUENCE_PREFILL, SEQUENCE_DECODE, SEQUENCE_ENDING };

// What all sequences of an engine share; constant.
struct sequence_env {
    const struct tokenizer *tok;
    const int32_t *end_ids; // [n_end_ids] tokens that end an answer
    size_t n_end_ids;
    struct radix *radix; // pages come from here
    uint32_t page_tokens;
    uint32_t n_ctx;
};

struct sequence {
    const struct sequence_env *env;
    enum sequence_state state;
    struct choice *choice;
    struct tokfs_completion *completion; // the choice's
    int32_t *tokens;                     // [env->n_ctx] prompt, then sampled
    float *logprobs;                     // [env->n_ctx] of them, as the cache holds them; where is_remembered
    bool is_remembered;                  // its log probabilities are asked for, and so are kept
    uint32_t n_tokens;                   // known
    uint32_t n_untold;                   // the last of them: sampled before it began, and not told yet
    uint32_t n_computed;                 // of them, whose K and V are in pages
    uint32_t *pages;                     // [ceil(env->n_ctx / page_tokens)], the first n_pages held
    uint32_t n_pages;
    bool has_begun_cached; // with pages that may be on their way from the host: awaited before its first step
    bool has_sat_out;      // one step, while they came
    uint32_t copied_page;  // held until its copy is made: the cached tokens end within it; or none
    struct draft_state draft_state;
    int32_t draft[DRAFT_MAX]; // guessed for the step that is planned
    uint32_t n_draft;
    // Where it stands when the step that runs is over, as far as that is known: see runner_ahead.c, which alone sets
    // these, while it plans the step after.
    uint32_t n_issued;     // tokens that the step that runs computes
    bool is_drawing;       // the token after them is drawn by the step that runs,
    uint32_t drawn_at;     // from this of its logit rows
    bool is_ahead;         // it has rows in the step that was issued ahead, which mean something
    uint32_t n_faults;     // steps with it in which the device failed
    uint32_t n_inserted;   // tokens that are in the prefix cache on its behalf
    uint32_t cache_cursor; // where they end there; 0: at the root

    // Output. `text` is what was decoded and may still become a stop string; what may not goes through the parser,
    // which holds back what may still become a tool call; `parts` belongs to the last token's event (or the last one).
    struct guide guide; // what the answer may go on with
    struct detokenizer detok;
    struct strbuf text;
    struct answer_parser parser;
    struct answer_parts parts;
    bool owes_started, owes_token; // events that the ring has not taken yet
    int32_t token_id;
    struct token_prob probs[1 + TOP_LOGPROBS_MAX]; // of token_id, if asked for
    size_t n_probs;

    uint64_t started_ns, first_token_ns, last_token_ns; // 0: not yet
};

int sequence_init(struct sequence *seq, const struct sequence_env *env); // 0 or -ENOMEM
void sequence_deinit(struct sequence *seq);                              // asserts that it is empty

// Begins a choice in an empty slot.
void sequence_begin(struct sequence *seq, struct choice *choice, uint64_t now_ns);
// Begins with the first n_cached tokens computed, from the prefix cache. The scheduler has seen them there: asserted.
void sequence_use_cache(struct sequence *seq, uint32_t n_cached);
// Brings to the device those of its pages that are in the host tier. After all that begin in a step hold theirs: what
// is brought takes the place of what nobody holds. The scheduler promised that there are pages: asserted.
void sequence_fetch_pages(struct sequence *seq);
// Some of its pages are on their way to the device.
bool sequence_is_coming(const struct sequence *seq);
// What is issued from now on finds them there.
void sequence_await_pages(struct sequence *seq);
// Takes pages until it holds n_pages. The scheduler promised that they are there: asserted.
void sequence_take_pages(struct sequence *seq, uint32_t n_pages);
// The whole blocks that it has computed become part of the prefix cache.
void sequence_cache_blocks(struct sequence *seq);
// The end, or preemption: all that was computed goes to the cache, all pages are given back.
void sequence_give_pages(struct sequence *seq);
// What was computed is lost: as before its first step, but for the tokens that it has.
void sequence_drop_pages(struct sequence *seq);
uint32_t sequence_n_own_pages(const struct sequence *seq); // that no other sequence holds
// After a step: n_rows of its tokens were computed. True: the next token is to be sampled now.
bool sequence_advance(struct sequence *seq, uint32_t n_rows);
// What the next token is drawn from: the first of `logits` and all that the sequence knows. End tokens and the
// request's own stop ids are banned while min_tokens asks for more.
struct sampler_input sequence_sampler_input(const struct sequence *seq, struct logits logits);
// How probable its token `pos` was: kept for the cache, where such things are asked for.
void sequence_remember(struct sequence *seq, uint32_t pos, float logprob, bool is_sampled);
// The next token: its text, stop strings, the end. -ENOMEM has ended the sequence as failed.
void sequence_append(struct sequence *seq, int32_t token_id, uint64_t now_ns);
// The token that must come next, whatever the model would say; -1: the model is to be asked.
int32_t sequence_forced_token(const struct sequence *seq);
// Tells the tokens that were sampled before it began, as far as the ring has room: true when all of them are told (or
// have ended it). Until then it is not run on.
bool sequence_tell_known(struct sequence *seq, struct event_ring *ring);
// Ends it from outside: reason "cancel", or a failure (code != 0).
void sequence_cancel(struct sequence *seq);
void sequence_fail(struct sequence *seq, const struct err *err);
// As a failure, but what it has said until now is true: all its text is passed on, and cached.
void sequence_expire(struct sequence *seq, const struct err *err);

// Moves owed events into the ring. True: nothing is owed; an ending sequence has then put its last event, given up its
// choice and is empty. False: the ring is full, call again.
bool sequence_flush(struct sequence *seq, struct event_ring *ring);
// Whether rows of its prompt are wanted for scores.
bool sequence_is_scored(const struct sequence *seq);
bool sequence_is_blocked(const struct sequence *seq);
// Nothing comes after what the step that runs computes and draws of it.
bool sequence_is_ending(const struct sequence *seq);

#endif
