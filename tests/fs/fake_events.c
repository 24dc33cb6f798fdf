// Events of the null engine: a queue under its lock, and a descriptor that wakes the caller.
#include "engine/base/loop.h"
#include "tests/fs/fake_engine.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define END_ID 99 // what ends an answer, as its events tell

struct queued *fake_push(struct tokfs_completion *c, enum tokfs_event_kind kind)
{
    struct tokfs_engine *engine = c->engine;
    assert(engine->n < QUEUE_MAX);
    struct queued *q = &engine->queue[(engine->head + engine->n++) % QUEUE_MAX];
    *q = (struct queued){ .event = { .kind = kind, .completion = c, .user = c->user, .matched_id = -1 } };
    uint64_t one = 1;
    if (write(engine->fd, &one, sizeof(one)) < 0) {
        assert(errno == EAGAIN);
    }
    return q;
}

void fake_push_failure(struct tokfs_completion *c, const struct tokfs_error *error)
{
    struct queued *q = fake_push(c, TOKFS_EVENT_FAILED);
    q->error = *error;
    c->is_ended = true;
    c->engine->stats.n_failed++;
}

void fake_take_part(struct tokfs_completion *c, struct queued *q)
{
    struct answer_part part;
    if (!answer_parts_first(&c->parts, &part)) {
        return;
    }
    size_t len = part.text.len < sizeof(q->text) ? part.text.len : sizeof(q->text);
    while (len < part.text.len && (part.text.ptr[len] & 0xc0) == 0x80) {
        len--; // whole characters
    }
    memcpy(q->text, part.text.ptr, len);
    memcpy(q->call_id, part.id.ptr ? part.id.ptr : "", part.id.len);
    q->event.text_len = len;
    q->event.part = (enum tokfs_part)part.kind;
    q->event.call_idx = part.call_idx;
    answer_parts_take(&c->parts, len);
}

void fake_push_parts(struct tokfs_completion *c)
{
    while (!answer_parts_is_empty(&c->parts)) {
        struct queued *q = fake_push(c, TOKFS_EVENT_TOKEN);
        q->event.token_id = -1;
        q->event.sampled_ns = clock_monotonic_ns();
        fake_take_part(c, q);
    }
}

void fake_repeat_for_choices(struct tokfs_completion *c, size_t mark)
{
    struct tokfs_engine *engine = c->engine;
    size_t n_said = engine->n - mark;
    for (unsigned i = 1; i < c->n; i++) {
        for (size_t k = 0; k < n_said; k++) {
            struct queued *q = fake_push(c, TOKFS_EVENT_TOKEN);
            *q = engine->queue[(engine->head + mark + k) % QUEUE_MAX];
            q->event.index = i;
        }
    }
}

void fake_push_end(struct tokfs_completion *c, const char *reason)
{
    if (c->parser.request) {
        size_t mark = c->engine->n;
        answer_parser_finish(&c->parser);
        fake_push_parts(c);
        fake_repeat_for_choices(c, mark);
    }
    c->usage.total_ns = clock_monotonic_ns() - c->submitted_ns;
    for (unsigned i = 0; i + 1 < c->n; i++) {
        struct queued *choice = fake_push(c, TOKFS_EVENT_CHOICE_FINISHED);
        choice->event.index = i;
        choice->event.finish_reason = reason;
        choice->event.choice_usage = c->usage;
        choice->event.matched_id = strcmp(reason, "stop") == 0 ? END_ID : -1;
    }
    struct tokfs_usage alone = c->usage;
    c->usage.completion_tokens *= c->n;
    struct queued *q = fake_push(c, TOKFS_EVENT_FINISHED);
    q->event.index = c->n - 1;
    c->usage.decode_ns = clock_monotonic_ns() - c->first_ns;
    q->event.finish_reason = c->parser.n_calls > 0 && strcmp(reason, "stop") == 0 ? "tool_calls" : reason;
    q->event.usage = c->usage;
    q->event.choice_usage = alone;
    q->event.matched_id = strcmp(reason, "stop") == 0 ? END_ID : -1;
    c->is_ended = true;
    c->engine->stats.n_finished++;
}
