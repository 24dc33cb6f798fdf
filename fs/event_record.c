#include "fs/event_record.h"
#include <string.h>

_Static_assert(sizeof(float) == sizeof(uint32_t), "a log probability is stored as its bits");

enum { FLAG_STREAM = 1, FLAG_USAGE = 2, FLAG_TIMINGS = 4, FLAG_LOGPROBS = 8 };

// ---- parts ---------------------------------------------------------------------------------------------------------

void record_get_cstr(struct record_reader *reader, char *ret, size_t size)
{
    struct str text = record_get_str(reader);
    if (text.len >= size || memchr(text.ptr, 0, text.len)) {
        reader->is_bad = true;
        text.len = 0;
    }
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
}

void record_put_usage(struct strbuf *out, const struct tokfs_usage *usage)
{
    record_put_u64(out, usage->prompt_tokens);
    record_put_u64(out, usage->cached_tokens);
    record_put_u64(out, usage->completion_tokens);
    record_put_u64(out, usage->queue_ns);
    record_put_u64(out, usage->prefill_ns);
    record_put_u64(out, usage->ttft_ns);
    record_put_u64(out, usage->decode_ns);
    record_put_u64(out, usage->total_ns);
}

struct tokfs_usage record_get_usage(struct record_reader *reader)
{
    struct tokfs_usage usage;
    usage.prompt_tokens = record_get_u64(reader);
    usage.cached_tokens = record_get_u64(reader);
    usage.completion_tokens = record_get_u64(reader);
    usage.queue_ns = record_get_u64(reader);
    usage.prefill_ns = record_get_u64(reader);
    usage.ttft_ns = record_get_u64(reader);
    usage.decode_ns = record_get_u64(reader);
    usage.total_ns = record_get_u64(reader);
    return usage;
}

void record_put_error(struct strbuf *out, const struct tokfs_error *error)
{
    record_put_u32(out, (uint32_t)error->code);
    record_put_str(out, str_from(error->param));
    record_put_str(out, str_from(error->msg));
}

struct tokfs_error record_get_error(struct record_reader *reader)
{
    struct tokfs_error error = { .code = (int)record_get_u32(reader) };
    record_get_cstr(reader, error.param, sizeof(error.param));
    record_get_cstr(reader, error.msg, sizeof(error.msg));
    return error;
}

void record_put_probs(struct strbuf *out, const struct tokfs_logprob *probs, size_t n)
{
    record_put_u32(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &probs[i].logprob, sizeof(bits));
        record_put_u32(out, (uint32_t)probs[i].id);
        record_put_u32(out, bits);
    }
}

size_t record_get_probs(struct record_reader *reader, const struct tokfs_engine *engine, struct tokfs_logprob *ret,
                        size_t n_max)
{
    size_t n = record_get_count(reader, 8);
    if (n > n_max) {
        reader->is_bad = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct tokfs_logprob *prob = &ret[i];
        prob->id = (int32_t)record_get_u32(reader);
        uint32_t bits = record_get_u32(reader);
        memcpy(&prob->logprob, &bits, sizeof(bits));
        prob->bytes = tokfs_token_bytes(engine, prob->id, &prob->n_bytes);
    }
    return n;
}

// ---- events --------------------------------------------------------------------------------------------------------

static void put_accepted(struct strbuf *out, const struct tokfs_event *event)
{
    record_put_u8(out,
                  (uint8_t)((event->stream ? FLAG_STREAM : 0) | (event->include_usage ? FLAG_USAGE : 0) |
                            (event->timings_per_token ? FLAG_TIMINGS : 0) | (event->logprobs ? FLAG_LOGPROBS : 0)));
    record_put_u32(out, event->n);
    record_put_u32(out, event->top_logprobs);
    record_put_u32(out, (uint32_t)event->prompt_logprobs);
    record_put_u64(out, event->usage.prompt_tokens);
}

static void get_accepted(struct record_reader *reader, struct tokfs_event *event)
{
    uint8_t flags = record_get_u8(reader);
    event->stream = flags & FLAG_STREAM;
    event->include_usage = flags & FLAG_USAGE;
    event->timings_per_token = flags & FLAG_TIMINGS;
    event->logprobs = flags & FLAG_LOGPROBS;
    event->n = record_get_u32(reader);
    event->top_logprobs = record_get_u32(reader);
    event->prompt_logprobs = (int)record_get_u32(reader);
    event->usage.prompt_tokens = record_get_u64(reader);
    reader->is_bad = reader->is_bad || event->n != 1; // a conversation has one answer
}

static void put_text(struct strbuf *out, const struct tokfs_event *event)
{
    record_put_u8(out, (uint8_t)event->part);
    record_put_u8(out, (uint8_t)event->call_idx);
    record_put_u64(out, event->sampled_ns);
    record_put_str(out, (struct str){ event->text, event->text_len });
}

static void get_text(struct record_reader *reader, struct tokfs_event *event)
{
    event->part = (enum tokfs_part)record_get_u8(reader);
    event->call_idx = record_get_u8(reader);
    event->sampled_ns = record_get_u64(reader);
    struct str text = record_get_str(reader);
    event->text = text.ptr;
    event->text_len = text.len;
    reader->is_bad = reader->is_bad || event->part > TOKFS_PART_ARGUMENTS;
}

void event_record_put(struct strbuf *out, const struct tokfs_event *event)
{
    record_put_u8(out, (uint8_t)event->kind);
    switch (event->kind) {
    case TOKFS_EVENT_ACCEPTED: put_accepted(out, event); break;
    case TOKFS_EVENT_STARTED: break;
    case TOKFS_EVENT_TOKEN:
        record_put_u32(out, (uint32_t)event->token_id);
        put_text(out, event);
        record_put_str(out, event->call_id ? str_from(event->call_id) : STR(""));
        record_put_probs(out, event->probs, event->n_probs);
        break;
    case TOKFS_EVENT_CHOICE_FINISHED: // of several choices, which conversations do not have
    case TOKFS_EVENT_FINISHED:
        put_text(out, event);
        record_put_str(out, str_from(event->finish_reason));
        record_put_usage(out, &event->usage);
        break;
    case TOKFS_EVENT_FAILED: record_put_error(out, event->error); break;
    }
}

static void get_token(struct record_reader *reader, const struct tokfs_engine *engine, struct event_record *ret)
{
    struct tokfs_event *event = &ret->event;
    event->token_id = (int32_t)record_get_u32(reader);
    get_text(reader, event);
    record_get_cstr(reader, ret->call_id, sizeof(ret->call_id));
    event->call_id = event->part == TOKFS_PART_CALL ? ret->call_id : NULL;
    event->n_probs = record_get_probs(reader, engine, ret->probs, EVENT_RECORD_PROBS_MAX);
    event->probs = ret->probs;
}

void event_record_get(struct record_reader *reader, const struct tokfs_engine *engine, struct event_record *ret)
{
    struct tokfs_event *event = &ret->event;
    *event = (struct tokfs_event){
        .kind = (enum tokfs_event_kind)record_get_u8(reader), .token_id = -1, .matched_id = -1, .text = ""
    };
    switch (event->kind) {
    case TOKFS_EVENT_ACCEPTED: get_accepted(reader, event); return;
    case TOKFS_EVENT_STARTED: return;
    case TOKFS_EVENT_TOKEN: get_token(reader, engine, ret); return;
    case TOKFS_EVENT_FINISHED:
        get_text(reader, event);
        record_get_cstr(reader, ret->finish_reason, sizeof(ret->finish_reason));
        event->finish_reason = ret->finish_reason;
        event->usage = record_get_usage(reader);
        return;
    case TOKFS_EVENT_FAILED:
        ret->error = record_get_error(reader);
        event->error = &ret->error;
        reader->is_bad = reader->is_bad || ret->error.code >= 0;
        return;
    case TOKFS_EVENT_CHOICE_FINISHED: break;
    }
    reader->is_bad = true;
}
