// A request on its way through the threads, its choices, and the queues that carry it.
//
// A completion passes from owner to owner: caller (submit) -> text thread -> engine thread -> caller (its last event).
// Who puts it into a queue no longer touches what it owned. Fields that several threads read are set before the first
// hand-over in which they are needed and constant after; only `cancel` is atomic.
#ifndef TOKFS_SERVE_COMPLETION_H
#define TOKFS_SERVE_COMPLETION_H

#include "engine/base/err.h"
#include "engine/serve/answer_setup.h"
#include "engine/serve/guide.h"
#include "engine/serve/retrieval.h"
#include "engine/serve/scores.h"
#include "engine/text/chat_request.h"
#include <pthread.h>
#include <stdatomic.h>
#include <tokfs/engine.h>

// One answer of a request (n of them). The engine thread's, then with its last event the caller's.
struct choice {
    struct tokfs_completion *completion;
    struct choice *next, **link; // while it waits for its admission; *link is what points to it
    uint32_t index;              // constant, as is seed
    uint64_t seed;               // the request's plus the index among the choices of its prompt
    const int32_t *prompt;       // [n_prompt + n_known] of the completion's; constant, as is n_tokens_max
    uint32_t n_prompt;
    uint32_t n_known;          // sampled before: see tokfs_origin
    struct scores *scores;     // of its prompt; NULL: not asked for
    bool is_scorer;            // it is the one that is computed for them
    uint32_t n_tokens_max;     // prompt and answer: never more than the context
    struct tokfs_usage usage;  // its own
    const char *finish_reason; // NULL: it failed, completion->failure says why
    int32_t matched_id;        // the end token or stop token that ended it; -1: none did
    struct str matched;        // the stop string that did, in completion->kept
};

enum completion_link { LINK_WORK, LINK_VERDICT, N_LINKS };

// The body that a request came as.
enum request_form { REQUEST_CHAT, REQUEST_COMPLETION, REQUEST_GENERATE };

// A part of the completion's `texts`.
struct text_place {
    size_t first, len;
};

// One prompt of several: what its answers begin with (echo), and the name that it was given.
struct prompt_place {
    uint32_t first, n;
    struct text_place echo, name;
};

struct tokfs_completion {
    struct tokfs_engine *engine;
    void *user;
    uint64_t submitted_ns;
    size_t n_bytes; // as submitted, charged while it waits
    char *body;     // JSON, until the text thread has read it; NULL: token ids, or not made yet
    size_t body_len;
    struct tokfs_chat_source source; // of the body, until it is made; make NULL: none
    enum request_form form;
    bool has_origin;
    struct tokfs_origin origin; // ids: [n_ids] its own

    uint32_t tenant;
    bool is_modest; // a priority below 0 counts as 0
    uint64_t cache_scope;

    bool is_text; // work on text alone: `text_kind` says which, and `result` is what comes of it
    enum tokfs_text_kind text_kind;
    struct strbuf result;        // set by the text thread
    struct retrieval *retrieval; // TOKFS_TEXT_RETRIEVE, on its way from the text thread to the engine and back

    // Set by the caller at any time, looked at by the owner.
    atomic_bool cancel;
    atomic_bool has_priority_set;
    atomic_llong priority_set; // in place of the request's

    // Set by the text thread, constant after.
    int32_t *prompt; // [n_prompt] of all prompts, one after the other; then the origin's ids
    uint32_t n_prompt;
    struct prompt_place *prompts; // [n_prompts]; NULL: all of `prompt` is one
    uint32_t n_prompts;
    const char *prompt_name; // of the field that the prompts were in
    bool is_list;            // the prompts were given as a list, or have several choices each
    bool texts_in_logprobs;
    struct sampling_params sampling; // has_seed; what it points to lies in kept
    char *kept;
    int64_t priority;       // of the request
    struct str cache_salt;  // in kept, after the scope if there is one; empty: none
    struct choice *choices; // [n_choices]
    uint32_t n_choices;
    struct strbuf texts;         // of the prompts, if asked for, and names
    struct answer_setup *answer; // how answers are read; NULL: all of them is content
    struct guide_plan guide;     // what answers may be; its grammar is held in `grammars`
    struct grammar_store *grammars;
    bool has_long_list; // of token ids: some list was longer than its limit, and was not copied
    bool has_logprobs;
    uint32_t n_top_logprobs;
    bool echoes_probs;         // the echo comes with log probabilities
    int32_t n_prompt_logprobs; // vLLM's prompt_logprobs: the most probable ones beside each token; -1: not asked for
    int64_t probs_from;        // first token of the prompt that a generate request wants to know of; -1: none
    struct scores *scores;     // [n_prompts, or 1]; NULL: nobody asks for them
    atomic_size_t *score_budget;
    size_t score_bytes; // charged to it
    bool stream, include_usage, timings_per_token;
    uint64_t accepted_ns;
    uint64_t deadline_ns; // when it fails unless it is over; DEADLINE_NEVER
    struct err refusal;   // code != 0: not accepted

    // Engine thread; the caller's with the last event of the last choice.
    uint32_t cache_root; // where its timelines are cached; 0: nowhere
    struct err failure;  // of the first choice that failed
    uint32_t n_unended;  // choices

    // Caller thread.
    uint32_t n_untold; // choices whose last event has not been taken
    bool has_failed;   // one of them has; the others are not told of
    bool is_freed;     // tokfs_completion_free came before the last event
    bool is_started;   // left the waiting ones
    bool is_done;      // its last event was taken

    struct tokfs_completion *next[N_LINKS];
};

// Makes the scores that it asks for, once its prompts are known.
int completion_make_scores(struct tokfs_completion *completion, atomic_size_t *budget, struct err *err);
// Copies the parameters, what they point to, and the salt. -ENOMEM.
int completion_keep_sampling(struct tokfs_completion *completion, const struct sampling_params *params,
                             struct str cache_salt);
const struct prompt_place *completion_prompt(const struct tokfs_completion *completion, uint32_t choice_idx);
// n for each prompt, those of the first prompt first. A choice runs up to n_ctx tokens at most. -ENOMEM.
int completion_make_choices(struct tokfs_completion *completion, uint32_t n, uint32_t n_ctx);
int64_t completion_priority(const struct tokfs_completion *completion); // as it counts now
// Of all choices: tokens together, times from the first beginning to the last end.
struct tokfs_usage completion_usage(const struct tokfs_completion *completion);
void completion_drop_body(struct tokfs_completion *completion); // it is not needed any more
void completion_free(struct tokfs_completion *completion);      // its memory; NULL is accepted

// A first-in first-out list of completions with any number of producers and consumers; linked through next[link], so
// that it is never full and never allocates.
struct completion_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct tokfs_completion *first, **last;
    enum completion_link link;
    bool is_closed;
    atomic_uint n;
};

void completion_queue_init(struct completion_queue *queue, enum completion_link link);
void completion_queue_deinit(struct completion_queue *queue); // asserts that it is empty
void completion_queue_push(struct completion_queue *queue, struct tokfs_completion *completion);
// False, and it stays the caller's, when the queue is closed.
bool completion_queue_push_open(struct completion_queue *queue, struct tokfs_completion *completion);
struct tokfs_completion *completion_queue_pop(struct completion_queue *queue);  // NULL: empty; does not wait
struct tokfs_completion *completion_queue_wait(struct completion_queue *queue); // NULL: closed and empty
void completion_queue_close(struct completion_queue *queue);                    // waiters return once it is empty

#endif
