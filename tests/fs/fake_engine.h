// The null engine between its files: what it says (fake_events.c), what it answers (fake_model.c), and the interface
// and the thread that steps (fake_engine.c).
#ifndef TOKFS_TESTS_FS_FAKE_ENGINE_H
#define TOKFS_TESTS_FS_FAKE_ENGINE_H

#include "engine/serve/chat_format.h"
#include "engine/text/answer_parser.h"
#include <pthread.h>
#include <tokfs/engine.h>

#define QUEUE_MAX 4096

enum fake_form { FAKE_CHAT, FAKE_PLAIN, FAKE_GENERATE };

struct tokfs_completion {
    struct tokfs_completion *next;
    struct tokfs_engine *engine;
    void *user;
    char *body;
    size_t body_len;
    struct tokfs_chat_source source; // of the body; make NULL: none, or used
    bool is_text, is_plain, is_generate, has_origin;
    struct tokfs_origin origin;
    size_t n_known; // of the origin's tokens, not told yet
    bool is_list, texts_in_logprobs;
    int prompt_logprobs;
    unsigned n_prompts;
    struct strbuf names; // of the prompts, each with its NUL
    struct strbuf echo;
    enum tokfs_text_kind text_kind;
    struct strbuf result; // of work on text
    char *answer;
    size_t answer_len, at;
    int64_t max_tokens;
    int64_t n_stamps; // left to give
    unsigned n;       // choices, which all say the same
    size_t n_probs;   // of each token
    bool is_checked, is_started, is_cancelled, is_ended, is_freed, must_fail;
    bool stream, include_usage, timings_per_token;
    struct tokfs_usage usage;
    uint64_t submitted_ns, first_ns, deadline_ns;
    struct arena arena; // of the request's tools
    struct answer_request request;
    struct answer_parser parser;
    struct answer_parts parts;
};

struct queued {
    struct tokfs_event event;
    char text[64];
    char call_id[ANSWER_CALL_ID_MAX + 1];
    struct tokfs_error error;
};

struct tokfs_engine {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct tokfs_completion *running; // in the order of submission
    struct queued queue[QUEUE_MAX];
    size_t head, n;
    struct queued taken; // what the caller looks at until its next poll
    int fd;
    bool is_closing;
    unsigned step_us;
    double timeout_s;
    char name[64];
    int64_t created;
    struct tokenizer *tok;
    struct chat_format format;
    struct tokfs_model_file files[2];
    char config[100000]; // several pages of the page cache
    struct tokfs_engine_stats stats;
};

// The lock is held by who calls these.

struct queued *fake_push(struct tokfs_completion *c, enum tokfs_event_kind kind);
void fake_push_failure(struct tokfs_completion *c, const struct tokfs_error *error);
void fake_push_end(struct tokfs_completion *c, const char *reason);
// The first part of what the parser said, or as much of it as goes in; all of them, each in an event of its own.
void fake_take_part(struct tokfs_completion *c, struct queued *q);
void fake_push_parts(struct tokfs_completion *c);
// What the first choice has said since the queue had `mark` events, the others say too.
void fake_repeat_for_choices(struct tokfs_completion *c, size_t mark);

void fake_step(struct tokfs_completion *c); // it is checked, or started, or says one more token, or ends
void fake_drop_source(struct tokfs_completion *c);

#endif
