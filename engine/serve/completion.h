// A request on its way through the threads, and the queues that carry it.
//
// A completion passes from owner to owner: caller (submit) -> text thread -> engine thread -> caller (its last event).
// Who puts it into a queue no longer touches what it owned. Fields that several threads read are set before the first
// hand-over in which they are needed and constant after; only `cancel` is atomic.
#ifndef TOKFS_SERVE_COMPLETION_H
#define TOKFS_SERVE_COMPLETION_H

#include "engine/base/err.h"
#include "engine/text/chat_request.h"
#include <pthread.h>
#include <stdatomic.h>
#include <tokfs/engine.h>

enum completion_link { LINK_WORK, LINK_VERDICT, N_LINKS };

struct tokfs_completion {
    struct tokfs_engine *engine;
    void *user;
    uint64_t submitted_ns;
    size_t n_bytes; // as submitted, charged while it waits
    char *body;     // chat JSON, until the text thread has read it; NULL: token ids
    size_t body_len;

    atomic_bool cancel; // set by the caller, looked at by the owner

    // Set by the text thread, constant after.
    int32_t *prompt; // [n_prompt]
    uint32_t n_prompt;
    uint32_t n_tokens_max;           // prompt and answer: never more than the context
    struct sampling_params sampling; // has_seed; stop strings point into stop_bytes
    char *stop_bytes;
    bool stream, include_usage, timings_per_token;
    uint64_t accepted_ns;
    struct err refusal; // code != 0: not accepted

    // Engine thread, then the caller's with the last event.
    struct err failure;
    struct tokfs_usage usage;
    const char *finish_reason;

    // Caller thread.
    bool is_freed;   // tokfs_completion_free came before the last event
    bool is_started; // left the waiting ones
    bool is_done;    // its last event was taken

    struct tokfs_completion *next[N_LINKS];
};

void completion_free(struct tokfs_completion *completion); // its memory; NULL is accepted

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
struct tokfs_completion *completion_queue_pop(struct completion_queue *queue);  // NULL: empty; does not wait
struct tokfs_completion *completion_queue_wait(struct completion_queue *queue); // NULL: closed and empty
void completion_queue_close(struct completion_queue *queue);                    // waiters return once it is empty

#endif
