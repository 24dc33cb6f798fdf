// Shared by the tests of the engine: a small random model with a working tokenizer, and requests run to their end.
//
// The model is made by tokfs-model random (its path is the test's argument) in a temporary directory.
#ifndef TOKFS_TESTS_SERVE_ENGINE_TEST_H
#define TOKFS_TESTS_SERVE_ENGINE_TEST_H

#include "engine/base/utf8.h"
#include "tests/unit.h"
#include <assert.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <tokfs/engine.h>

#ifndef ANSWER_TOKENS_MAX // a test that keeps very many answers wants less
#define ANSWER_TOKENS_MAX 2048
#define ANSWER_TEXT_MAX   65536
#endif
#define ANSWER_PROBS_MAX 21

#ifndef ENGINE_TEST_DTYPE // of the model's weights
#define ENGINE_TEST_DTYPE "f32"
#endif

static char engine_test_dir[] = "/tmp/tokfs-test-XXXXXX";

static inline void engine_test_remove(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", engine_test_dir);
    if (system(command) != 0) {
        fprintf(stderr, "could not remove %s\n", engine_test_dir);
    }
}

// Makes the model once; it goes when the test exits.
static inline const char *engine_test_model(const char *tool)
{
    char command[512];
    if (!mkdtemp(engine_test_dir)) {
        perror("mkdtemp");
        exit(1);
    }
    atexit(engine_test_remove);
    snprintf(command, sizeof(command),
             "'%s' random --shape tiny --dtype " ENGINE_TEST_DTYPE " --seed 5 '%s/tiny' >/dev/null", tool,
             engine_test_dir);
    if (system(command) != 0) {
        fprintf(stderr, "%s failed\n", command);
        exit(1);
    }
    static char model[64];
    snprintf(model, sizeof(model), "%s/tiny", engine_test_dir);
    return model;
}

// What one completion said, in order; asserts the order that engine.h promises. Of several choices `more` has those
// after the first, which a test sets before it submits.
struct answer {
    struct answer *more; // [n - 1], NULL: one choice
    unsigned n;
    struct tokfs_logprob (*probs)[ANSWER_PROBS_MAX]; // [ANSWER_TOKENS_MAX]; NULL: not wanted
    size_t n_probs;                                  // of each token
    struct tokfs_completion *completion;
    bool is_accepted, is_started, is_finished, is_failed;
    bool is_over; // the completion is
    bool stream, include_usage;
    int32_t ids[ANSWER_TOKENS_MAX];
    size_t n_ids;
    char text[ANSWER_TEXT_MAX];
    size_t text_len;
    char reason[16];
    struct tokfs_usage usage;
    struct tokfs_error error;
};

static inline void answer_add_text(struct answer *a, const struct tokfs_event *event)
{
    struct str text = { event->text, event->text_len };
    assert(utf8_valid_len(text) == text.len); // whole characters
    assert(a->text_len + event->text_len < ANSWER_TEXT_MAX);
    memcpy(a->text + a->text_len, event->text, event->text_len);
    a->text_len += event->text_len;
    a->text[a->text_len] = '\0';
}

static inline void answer_take_probs(struct answer *a, const struct tokfs_event *event)
{
    assert(event->n_probs <= ANSWER_PROBS_MAX && (a->n_ids == 0 || event->n_probs == a->n_probs));
    assert(event->n_probs == 0 || event->probs[0].id == event->token_id);
    a->n_probs = event->n_probs;
    if (a->probs) {
        memcpy(a->probs[a->n_ids], event->probs, event->n_probs * sizeof(*event->probs));
    }
}

static inline void answer_take(struct answer *a, const struct tokfs_event *event)
{
    assert(event->completion == a->completion);
    if (event->index > 0) { // of another choice; the last event is the first's too
        assert(event->index < a->n && a->more);
        if (event->kind == TOKFS_EVENT_FINISHED) {
            a->usage = event->usage;
            a->is_over = true;
        }
        struct answer *other = &a->more[event->index - 1];
        other->completion = a->completion;
        other->is_accepted = true;
        other->is_started = a->is_started;
        a = other;
    }
    assert(!a->is_failed && !(event->kind == TOKFS_EVENT_FAILED ? a->is_over : a->is_finished));
    switch (event->kind) {
    case TOKFS_EVENT_ACCEPTED:
        assert(!a->is_accepted && !a->is_started && event->usage.prompt_tokens > 0);
        a->is_accepted = true;
        a->n = event->n;
        assert(a->n == 1 || a->more);
        a->stream = event->stream;
        a->include_usage = event->include_usage;
        return;
    case TOKFS_EVENT_STARTED:
        assert(a->is_accepted && !a->is_started);
        a->is_started = true;
        return;
    case TOKFS_EVENT_TOKEN:
        assert(a->is_started);
        if (event->token_id >= 0) {
            assert(a->n_ids < ANSWER_TOKENS_MAX && event->sampled_ns > 0);
            answer_take_probs(a, event);
            a->ids[a->n_ids++] = event->token_id;
        } else {
            assert(a->n_ids > 0 && event->text_len > 0);
        }
        answer_add_text(a, event);
        return;
    case TOKFS_EVENT_CHOICE_FINISHED:
    case TOKFS_EVENT_FINISHED:
        assert(a->is_accepted && strlen(event->finish_reason) < sizeof(a->reason));
        answer_add_text(a, event);
        strcpy(a->reason, event->finish_reason);
        a->is_finished = true;
        a->is_over = a->is_over || event->kind == TOKFS_EVENT_FINISHED;
        a->usage = event->kind == TOKFS_EVENT_FINISHED ? event->usage : a->usage;
        assert(a->n != 1 || a->usage.completion_tokens == a->n_ids);
        return;
    case TOKFS_EVENT_FAILED:
        assert(event->error->code < 0 && event->error->msg[0]);
        a->error = *event->error;
        a->is_failed = true;
        return;
    }
    assert(0 && "event kind");
}

static inline bool answer_is_over(const struct answer *a)
{
    return a->is_over || a->is_failed;
}

// Waits for one event (a minute at most) and gives it to the answer that it belongs to: `user` is a struct answer.
static inline struct answer *engine_test_next(struct tokfs_engine *engine)
{
    struct tokfs_event event;
    while (tokfs_poll(engine, &event) == 0) {
        struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
        int n = poll(&pfd, 1, 300000);
        assert(n == 1);
    }
    answer_take(event.user, &event);
    return event.user;
}

static inline void engine_test_finish(struct tokfs_engine *engine, struct answer *answers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        while (!answer_is_over(&answers[i])) {
            engine_test_next(engine);
        }
    }
    for (size_t i = 0; i < n; i++) {
        tokfs_completion_free(answers[i].completion);
    }
}

// Waits until all is over in the figures too: the last event comes a moment before them.
static inline void engine_test_idle(struct tokfs_engine *engine, struct tokfs_engine_stats *ret)
{
    do {
        tokfs_engine_get_stats(engine, ret);
    } while (ret->n_running > 0 || ret->n_queued > 0 || ret->n_pages_free < ret->n_pages ||
             ret->n_requests > ret->n_finished + ret->n_cancelled + ret->n_failed);
}

static inline struct answer *answers_new(size_t n)
{
    struct answer *answers = calloc(n, sizeof(*answers));
    assert(answers);
    return answers;
}

static inline void answers_equal(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->n_ids, b->n_ids);
    assert_memory_equal(a->ids, b->ids, a->n_ids * sizeof(*a->ids));
    assert_int_equal(a->text_len, b->text_len);
    assert_memory_equal(a->text, b->text, a->text_len);
    assert_string_equal(a->reason, b->reason);
}

static inline struct tokfs_engine *engine_test_open(struct tokfs_engine_options options)
{
    struct tokfs_engine *engine;
    struct tokfs_error error;
    if (tokfs_engine_open(&options, &engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.msg);
        abort();
    }
    return engine;
}

#endif
