// Checking requests and writing answers in OpenAI's form: the part of the text library that front ends need.
//
// Pure functions: no engine, no threads. Buffers are returned as malloc'ed memory which the caller frees.
#ifndef TOKFS_OPENAI_H
#define TOKFS_OPENAI_H

#include <tokfs/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

struct tokfs_buffer {
    char *ptr; // NUL-terminated
    size_t len;
};

// Checks a chat-completions body without running it. What a front end must know of it is returned.
struct tokfs_request_info {
    bool stream, include_usage;
    unsigned n; // choices
};
TOKFS_API int tokfs_request_check(const char *json, size_t len, struct tokfs_request_info *ret,
                                  struct tokfs_error *err);
// Sampling parameters ("temperature 0.2" lines, or a JSON object) -> JSON object.
TOKFS_API int tokfs_params_check(const char *text, size_t len, struct tokfs_buffer *ret, struct tokfs_error *err);
// Tool schemas (a JSON array, or one tool) -> JSON array.
TOKFS_API int tokfs_tools_check(const char *text, size_t len, struct tokfs_buffer *ret, struct tokfs_error *err);

struct tokfs_answer_head {
    const char *id;  // "chatcmpl-..."
    int64_t created; // unix seconds
    const char *model;
    const char *system_fingerprint; // what the engine runs (tokfs_engine_info); NULL: absent
    // vLLM's prompt_logprobs, for whole answers: how probable the tokens of the prompts were, each with so many of the
    // most probable ones. NULL: absent.
    const struct tokfs_completion *prompts;
    int prompt_logprobs;
    const struct tokfs_usage *timings; // told as such, of an answer that has ended; NULL: absent
};
// A piece of an answer, as an event brought it; its text may be empty where there are probs or a finish_reason.
struct tokfs_piece {
    enum tokfs_part part;
    unsigned call_idx;   // CALL, ARGUMENTS
    const char *call_id; // CALL
    const char *text;
    size_t text_len;
    unsigned index;                    // of the choice
    const char *finish_reason;         // the choice ends, with no text; NULL otherwise
    const struct tokfs_logprob *probs; // of the token whose text begins here, if asked for
    size_t n_probs;
    size_t text_offset; // of that token in the choice's text, in characters (text completions)
};
struct tokfs_chunk {
    unsigned index;                  // of the choice, where there is no piece
    bool role;                       // first chunk
    const struct tokfs_piece *piece; // NULL: none
    const char *finish_reason;       // NULL: not finished
    const struct tokfs_usage *usage;
    uint64_t sampled_ns; // timings.sampled_ns of the chunk's token (timings_per_token); 0: absent
    bool no_choices;     // the usage chunk of stream_options.include_usage
};
// chat.completion.chunk, chat.completion and error objects, without a line end. -ENOMEM.
TOKFS_API int tokfs_write_chunk(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk,
                                struct tokfs_buffer *ret);
// The pieces in their order, cut anyhow, of any number of choices. `content` is null where there are tool calls only.
// `finish_reason` is of choices whose end is not among the pieces.
TOKFS_API int tokfs_write_answer(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces,
                                 size_t n_pieces, const char *finish_reason, const struct tokfs_usage *usage,
                                 struct tokfs_buffer *ret);
// The same for v1/completions: text_completion objects. Only content is told.
TOKFS_API int tokfs_write_text_chunk(const struct tokfs_answer_head *head, const struct tokfs_chunk *chunk,
                                     struct tokfs_buffer *ret);
TOKFS_API int tokfs_write_text_completion(const struct tokfs_answer_head *head, const struct tokfs_piece *pieces,
                                          size_t n_pieces, const char *finish_reason, const struct tokfs_usage *usage,
                                          struct tokfs_buffer *ret);
// The answer as a message of the conversation: {"role":"assistant","content":...,"tool_calls":[...]}, as requests have
// it.
TOKFS_API int tokfs_write_message(const struct tokfs_piece *pieces, size_t n_pieces, struct tokfs_buffer *ret);
// One tool call of it, {"id":...,"type":"function","function":{...}}; nothing (len 0) when there is none of this index.
TOKFS_API int tokfs_write_call(const struct tokfs_piece *pieces, size_t n_pieces, unsigned call_idx,
                               struct tokfs_buffer *ret);
TOKFS_API int tokfs_write_error(const struct tokfs_error *error, struct tokfs_buffer *ret);
TOKFS_API int tokfs_error_http_status(int code);

#ifdef __cplusplus
}
#endif

#endif
