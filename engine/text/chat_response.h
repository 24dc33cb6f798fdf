// The OpenAI answer objects: error, chat.completion, chat.completion.chunk, text_completion. Bytes out, no state but
// what is passed in.
#ifndef TOKFS_TEXT_CHAT_RESPONSE_H
#define TOKFS_TEXT_CHAT_RESPONSE_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "engine/text/answer_parts.h"

struct chat_usage {
    uint64_t prompt_tokens, cached_tokens, completion_tokens;
};

// What an answer took: in nanoseconds, and by the names of llama-server.
struct chat_timings {
    uint64_t queue_ns, prefill_ns, ttft_ns, decode_ns, total_ns;
    struct chat_usage usage;
};

// What all objects of one answer have in common.
struct chat_response_head {
    struct str id;   // "chatcmpl-..."
    int64_t created; // unix seconds
    struct str model;
    struct str system_fingerprint;
    struct str prompt_logprobs;         // JSON; empty: absent
    const struct chat_timings *timings; // NULL: absent
};

// An answer: its parts in order, cut anyhow.
struct chat_answer {
    const struct answer_part *parts;
    size_t n_parts;
};

// A token and the logarithm of its probability.
struct chat_prob {
    struct str bytes; // what it stands for: not always whole characters
    float logprob;
};

// What the model thought of at one sampled token: [0] is the token itself, then come the most probable ones.
struct chat_token {
    const struct chat_prob *probs; // [n_probs]
    size_t n_probs;
};

struct chat_choice {
    unsigned index;
    struct chat_answer answer;
    struct str finish_reason;
    const struct chat_token *tokens; // [n_tokens]; n_tokens 0: logprobs is null
    size_t n_tokens;
    struct str prompt_logprobs; // JSON, of text_completion; empty: absent
    size_t text_offset;         // of text_completion: where the first token's text begins, in characters
};

// {"id":..., "object":"chat.completion", ...,
// "choices":[{"index":0,"message":{"role":"assistant","content":...},...}],"usage":{...}}
void chat_response_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                         size_t n_choices, const struct chat_usage *usage);
// The message alone. In a request's form it has no members that only answers have ("refusal").
void chat_message_write(struct strbuf *out, const struct chat_answer *answer, bool for_request);
// One call of it: {"id":...,"type":"function","function":{"name":...,"arguments":...}}. Nothing where there is none.
void chat_call_write(struct strbuf *out, const struct chat_answer *answer, unsigned call_idx);
// One chunk. `role` only in the first, with empty content; part NULL: none; finish_reason empty: null.
struct chat_chunk {
    unsigned index; // of the choice
    bool role;
    const struct answer_part *part;
    struct chat_token token; // n_probs 0: logprobs is null
    struct str finish_reason;
    const struct chat_usage *usage; // NULL: absent; the last chunk of a stream with include_usage has it and no choices
    uint64_t sampled_ns;            // CLOCK_MONOTONIC of the token, written as timings.sampled_ns; 0: absent
    bool no_choices;
};
void chat_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_chunk *chunk);
// v1/completions: {"id":..., "object":"text_completion", ..., "choices":[{"index":0,"text":...,"logprobs":...,
// "finish_reason":...}],"usage":{...}}. A chunk of a stream has the same form: one choice (NULL: none), whose
// finish_reason is null while it is empty; usage and sampled_ns as in struct chat_chunk.
void text_completion_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choices,
                           size_t n_choices, const struct chat_usage *usage);
void text_chunk_write(struct strbuf *out, const struct chat_response_head *head, const struct chat_choice *choice,
                      const struct chat_usage *usage, uint64_t sampled_ns);
// Its members, into an object that has been begun.
void chat_timings_write(struct json_writer *w, const struct chat_timings *timings);
// {"error":{"message":...,"type":...,"param":...,"code":...}} for err->code (negative errno); the HTTP status that goes
// with it is chat_error_http_status(err->code) (EINVAL 400, ENOENT 404, E2BIG 400, EFBIG 413, EOPNOTSUPP 400, EBUSY
// 409, EAGAIN 429, EDQUOT 429, ESHUTDOWN 503, EIO 500, ...).
void chat_error_write(struct strbuf *out, const struct err *err);
int chat_error_http_status(int code);

#endif
