// Members that several of the answer objects have.
#include "engine/text/response_parts.h"

#include <math.h>

void response_write_head(struct json_writer *w, const struct chat_response_head *head, const char *object)
{
    json_write_key(w, "id");
    json_write_str(w, head->id);
    json_write_key(w, "object");
    json_write_cstr(w, object);
    json_write_key(w, "created");
    json_write_i64(w, head->created);
    json_write_key(w, "model");
    json_write_str(w, head->model);
    if (head->system_fingerprint.len > 0) {
        json_write_key(w, "system_fingerprint");
        json_write_str(w, head->system_fingerprint);
    }
}

void response_write_usage(struct json_writer *w, const struct chat_usage *usage)
{
    json_write_key(w, "usage");
    json_write_object_begin(w);
    json_write_key(w, "prompt_tokens");
    json_write_u64(w, usage->prompt_tokens);
    json_write_key(w, "completion_tokens");
    json_write_u64(w, usage->completion_tokens);
    json_write_key(w, "total_tokens");
    json_write_u64(w, usage->prompt_tokens + usage->completion_tokens);
    json_write_key(w, "prompt_tokens_details");
    json_write_object_begin(w);
    json_write_key(w, "cached_tokens");
    json_write_u64(w, usage->cached_tokens);
    json_write_object_end(w);
    json_write_object_end(w);
}

void response_write_finish_reason(struct json_writer *w, struct str reason)
{
    json_write_key(w, "finish_reason");
    if (reason.len > 0) {
        json_write_str(w, reason);
    } else {
        json_write_null(w);
    }
}

void response_write_joined(struct json_writer *w, const struct chat_answer *answer, enum answer_part_kind kind,
                           unsigned call_idx)
{
    struct strbuf text;

    strbuf_init(&text, 0);
    for (size_t i = 0; i < answer->n_parts; i++) {
        const struct answer_part *part = &answer->parts[i];

        if (part->kind == kind && (kind != ANSWER_ARGUMENTS || part->call_idx == call_idx)) {
            strbuf_append(&text, part->text);
        }
    }
    if (text.error != 0) {
        w->out->error = text.error;
    } else {
        json_write_str(w, strbuf_str(&text));
    }
    strbuf_deinit(&text);
}

void response_write_logprob(struct json_writer *w, float logprob)
{
    json_write_double(w, round((double)logprob * 1e7) / 1e7 + 0.0);
}

// ---- timings -------------------------------------------------------------------------------------------------------

static void write_count(struct json_writer *w, const char *key, uint64_t n)
{
    json_write_key(w, key);
    json_write_u64(w, n);
}

static void write_ms(struct json_writer *w, const char *key, uint64_t ns)
{
    json_write_key(w, key);
    json_write_double(w, (double)ns / 1e6);
}

void chat_timings_write(struct json_writer *w, const struct chat_timings *timings)
{
    const struct chat_usage *usage = &timings->usage;

    write_count(w, "queue_ns", timings->queue_ns);
    write_count(w, "prefill_ns", timings->prefill_ns);
    write_count(w, "ttft_ns", timings->ttft_ns);
    write_count(w, "decode_ns", timings->decode_ns);
    write_count(w, "total_ns", timings->total_ns);
    write_count(w, "cache_n", usage->cached_tokens);
    write_count(w, "prompt_n", usage->prompt_tokens - usage->cached_tokens);
    write_ms(w, "prompt_ms", timings->prefill_ns);
    write_count(w, "predicted_n", usage->completion_tokens);
    write_ms(w, "predicted_ms", timings->decode_ns);
}

void response_write_timings(struct json_writer *w, const struct chat_timings *timings, uint64_t sampled_ns)
{
    if (timings == NULL && sampled_ns == 0) {
        return;
    }
    json_write_key(w, "timings");
    json_write_object_begin(w);
    if (sampled_ns != 0) {
        write_count(w, "sampled_ns", sampled_ns);
    }
    if (timings != NULL) {
        chat_timings_write(w, timings);
    }
    json_write_object_end(w);
}

void response_write_prompt_logprobs(struct json_writer *w, struct str json)
{
    if (json.len > 0) {
        json_write_key(w, "prompt_logprobs");
        json_write_raw(w, json);
    }
}
