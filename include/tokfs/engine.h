// tokfs as a library: open a model, submit requests, poll what they produce, cancel.
//
// An engine owns a model and the thread that runs it. One thread (the caller's, always the same one) submits and polls;
// no call blocks unless it says so. What requests produce arrives as events in one queue; tokfs_engine_fd becomes
// readable when the queue is not empty, so that an event loop can wait for it. The queue is bounded: while it is full
// the engine pauses the sequences that have more to say, so a caller must keep polling; nothing is ever dropped.
//
// Errors are 0 or -errno; functions that take a struct tokfs_error fill it with words for the user.
#ifndef TOKFS_ENGINE_H
#define TOKFS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TOKFS_API __attribute__((visibility("default")))
#else
#define TOKFS_API
#endif

struct tokfs_error {
    int code;       // negative errno
    char param[64]; // JSON path of the offending field, or empty
    char msg[256];  // one line
};

struct tokfs_engine;
struct tokfs_completion; // one request; valid from submit until tokfs_completion_free

struct tokfs_engine_options {
    const char *model;       // Hugging Face directory, or a GGUF file (of several, the first)
    const char *served_name; // NULL: the directory's name
    const char *device;      // "auto", "cpu", "cuda"; NULL: "auto"
    // CPU path: "scalar", "avx2", "avx2vnni", "avx512", "avx512vnni", "avx512bf16", "amx"; NULL: the best there is
    const char *isa;
    const char *weights; // "stored", "q8", "q4": quantized while they load; NULL: "stored"
    // File in which the weights are kept as the backend holds them, so that the next start reads them as they are;
    // "auto": beside the model; NULL: none. It is made where it is missing or was made from something else.
    const char *pack_cache;
    const char *kv_dtype; // of K and V: "auto", "f32", "f16", "bf16", "q8"; NULL: "auto", as the weights in the file
    unsigned n_threads;   // compute threads; 0: one per processor
    size_t n_ctx;         // longest sequence in tokens; 0: the model's own limit, as far as kv_bytes goes
    uint64_t kv_bytes; // memory for K and V; 0: a quarter of the machine's free memory, at most what max_sequences need
    // On a GPU: pinned memory of the host, where K and V of cached prefixes go that have to leave the device. 0: none.
    // -EINVAL where the host computes, since K and V are in its memory then, and without a prefix cache.
    uint64_t host_kv_bytes;
    unsigned max_sequences; // running together; 0: 64
    unsigned max_queued;    // accepted and waiting; 0: 10000
    size_t batch_tokens;    // token budget of one step; 0: 512
    double timeout;         // seconds from submission in which a request has to end; 0: as long as it takes
    bool no_prefix_cache;   // compute every prompt anew
    bool no_speculation;    // one token per sequence and step, no guesses
    bool no_graphs;         // on a GPU, each kernel of a step is launched by itself, for debugging
    bool no_ahead;          // on a GPU, a step is issued when the tokens of the one before are known, for debugging
    bool deterministic;     // on a GPU, too, an answer does not depend on what runs beside it; the CPU's never do
    bool no_jump_forward;   // tokens that a grammar forces are sampled as any other
    void (*progress)(void *ctx, uint64_t bytes_done, uint64_t bytes_total); // while weights load, on the calling thread
    void *progress_ctx;
};

// Loads the model (blocking) and starts the engine, whose threads block all signals. -ENOENT, -EINVAL, -EOPNOTSUPP,
// -ENOMEM ...
TOKFS_API int tokfs_engine_open(const struct tokfs_engine_options *options, struct tokfs_engine **ret,
                                struct tokfs_error *err);
// Cancels what runs, stops the threads, frees everything. Completions must have been freed. NULL is accepted.
TOKFS_API void tokfs_engine_close(struct tokfs_engine *engine);

struct tokfs_engine_info {
    const char *model;        // served name
    const char *architecture; // "LlamaForCausalLM"
    const char *backend;      // "cpu avx512, 2 threads"
    const char *device_note;  // why device "auto" took the CPU though this build has others; "" otherwise
    const char *pack_note;    // what became of pack_cache; "" where none was asked for
    bool pack_failed;         // it could be neither used nor made
    const char *dtype;        // that its configuration names: "f32", "f16", "bf16"
    const char *fingerprint;  // "fp_...": the same for the same model, version of tokfs and kind of backend
    size_t n_ctx, n_vocab;
    size_t n_ctx_model; // the model's own limit: n_ctx is less where options or memory made it so
    uint64_t n_params, weight_bytes, kv_bytes;
    uint64_t host_kv_bytes;  // of the host tier; 0: there is none
    const char *kv_tier;     // where K and V are computed with: "cpu", "gpu"
    uint64_t weights_hash;   // of samples of every tensor: other weights of the same form have another one
    uint64_t tokenizer_hash; // of tokenizer.json, or of a GGUF file's vocabulary
    unsigned max_sequences, max_queued;
    uint32_t n_pages;
    size_t page_tokens;
    int64_t created; // unix seconds
    bool has_chat_template;
};
TOKFS_API void tokfs_engine_get_info(const struct tokfs_engine *engine, struct tokfs_engine_info *ret);

// What says what the model is, as it was when it was loaded: config.json, generation_config.json, tokenizer.json,
// tokenizer_config.json, tokenizer.gguf (of a GGUF file: its vocabulary), as far as it has them, and the sources of its
// templates, chat_template and chat_template.tool_use, as far as it has them. Constant, and the engine's.
struct tokfs_model_file {
    const char *name;
    const char *bytes;
    size_t len;
};
TOKFS_API const struct tokfs_model_file *tokfs_engine_model_files(const struct tokfs_engine *engine, size_t *ret_n);

// How values are distributed: counts of those up to each bound of tokfs_histogram_bounds and above the one before, the
// last of those above all. Times in nanoseconds.
enum tokfs_histogram_id {
    TOKFS_HISTOGRAM_FIRST_TOKEN_NS,    // submitted until the first token of a choice
    TOKFS_HISTOGRAM_BETWEEN_TOKENS_NS, // a token until the next one
    TOKFS_HISTOGRAM_PER_TOKEN_NS,      // the mean of those of one choice
    // Of choices that have ended after a token or more; as in struct tokfs_usage.
    TOKFS_HISTOGRAM_TOTAL_NS,
    TOKFS_HISTOGRAM_QUEUE_NS,
    TOKFS_HISTOGRAM_INFERENCE_NS, // prefill and decode
    TOKFS_HISTOGRAM_PREFILL_NS,
    TOKFS_HISTOGRAM_DECODE_NS,
    TOKFS_HISTOGRAM_PROMPT_TOKENS,
    TOKFS_HISTOGRAM_COMPLETION_TOKENS,
    TOKFS_HISTOGRAM_STEP_TOKENS, // rows of a forward pass
    TOKFS_N_HISTOGRAMS,
};
#define TOKFS_BUCKETS_MAX 24
struct tokfs_histogram {
    uint64_t counts[TOKFS_BUCKETS_MAX + 1];
    uint64_t sum;
};
TOKFS_API const uint64_t *tokfs_histogram_bounds(enum tokfs_histogram_id id, size_t *ret_n);

// How choices end.
enum tokfs_end { TOKFS_END_STOP, TOKFS_END_LENGTH, TOKFS_END_ABORT, TOKFS_END_ERROR, TOKFS_N_ENDS };

// Counters since start, and gauges; a consistent copy, cheap enough to take per read of a metrics file.
struct tokfs_engine_stats {
    uint64_t n_requests, n_finished, n_cancelled, n_failed;
    uint64_t prompt_tokens, cached_tokens, completion_tokens; // cached: of the prompts, taken from the prefix cache
    uint64_t n_preempted;                // running sequences that gave their pages up and were computed again later
    uint64_t n_steps, step_ns;           // forward passes, and the time from planning to publishing of them all
    uint64_t n_ahead;                    // of them, issued before the tokens of the one before were known
    uint64_t model_ns;                   // of step_ns, inside the forward passes
    uint64_t n_guessed, n_guessed_right; // tokens of speculation
    uint64_t n_forced;                   // tokens that a grammar left no choice for, and that were not sampled
    uint64_t n_device_restarts;          // after it had failed: weights loaded, and what ran computed, anew
    uint64_t n_evicted;                  // pages of the prefix cache given up for others, to the host tier or for good
    uint64_t n_to_host, n_from_host;     // of them, those that went to the host tier; pages that came back from it
    uint64_t n_host_evicted;             // pages that the host tier gave up
    uint64_t n_ends[TOKFS_N_ENDS];       // choices
    struct tokfs_histogram histograms[TOKFS_N_HISTOGRAMS];
    uint32_t n_running, n_queued;
    uint32_t n_pages, n_pages_free;             // free ones include the cached
    uint32_t n_pages_cached;                    // that only the prefix cache uses: given up when a sequence needs them
    uint32_t n_host_pages, n_host_pages_cached; // of the host tier, and of them, those with prefixes
};
TOKFS_API void tokfs_engine_get_stats(const struct tokfs_engine *engine, struct tokfs_engine_stats *ret);

// ---- requests ------------------------------------------------------------------------------------------------------

// Whom requests are for. Tenants take turns in being admitted, however many requests one of them has waiting.
struct tokfs_tenant {
    uint32_t id;
    bool may_hurry; // a priority below 0 counts
    // Only requests of the same scope share what was computed for a prompt. All tenants have 0, or none has.
    uint64_t cache_scope;
};
// For all submissions from now on; at first id 0, may_hurry, scope 0.
TOKFS_API void tokfs_set_tenant(struct tokfs_engine *engine, const struct tokfs_tenant *tenant);

// A chat-completions body (UTF-8 JSON). Only -ENOMEM, -EAGAIN (max_queued requests or 256 MiB of them are waiting) and
// -EFBIG (64 MiB) are told at once; whether it is accepted is told by the first event: ACCEPTED, or FAILED with the
// reason (-EINVAL bad JSON or value, -EOPNOTSUPP a field that cannot be honoured, -ENOENT another model, -E2BIG the
// prompt leaves no room for one token in the context, -ENOMEM). FAILED with -ETIMEDOUT comes at any time, when the
// answer did not end within the request's timeout or the engine's. `user` comes back in each event. The bytes are
// copied.
TOKFS_API int tokfs_submit_chat(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                                struct tokfs_completion **ret, struct tokfs_error *err);

// The same for a body of OpenAI's v1/completions: plain prompts instead of a chat. Choices are those of the first
// prompt, then those of the second ...
TOKFS_API int tokfs_submit_completion(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                                      struct tokfs_completion **ret, struct tokfs_error *err);
// The same for a body of SGLang's native endpoint, generate: token ids or texts in, token ids and text out.
TOKFS_API int tokfs_submit_generate(struct tokfs_engine *engine, const char *json, size_t len, void *user,
                                    struct tokfs_completion **ret, struct tokfs_error *err);
// The tokens of the prompt of choice `index`. From ACCEPTED on, until it is freed.
TOKFS_API const int32_t *tokfs_completion_prompt(const struct tokfs_completion *completion, unsigned index,
                                                 size_t *ret_n);
// The name (rid) that the request gave to that prompt; of length 0 where it gave none. Likewise.
TOKFS_API const char *tokfs_completion_name(const struct tokfs_completion *completion, unsigned index, size_t *ret_len);
// What choice `index` of it begins with, before its events' text, where an echo of the prompt was asked for; of length
// 0 otherwise. From ACCEPTED on, until it is freed.
TOKFS_API const char *tokfs_completion_echo(const struct tokfs_completion *completion, unsigned index, size_t *ret_len);

// What an answer depends on beside its request and the model, and how far it had come. The same request with the same
// origin gets the same answer, so that one that was interrupted (by the end of the process, say) can be taken up again.
struct tokfs_origin {
    uint64_t seed;      // of sampling, where the request names none
    uint64_t call_seed; // of the ids of tool calls
    int64_t now;        // unix seconds: the present, as chat templates see it
    const int32_t *ids; // [n_ids] the tokens sampled so far, copied
    size_t n_ids;
};
// As tokfs_submit_chat, for a body with one choice. Events of the known tokens come again, as TOKEN events without
// probs, and count as completion tokens; what follows is sampled.
TOKFS_API int tokfs_submit_chat_from(struct tokfs_engine *engine, const char *json, size_t len,
                                     const struct tokfs_origin *origin, void *user, struct tokfs_completion **ret,
                                     struct tokfs_error *err);

// The same for a body that is still to be made, where making it may take long: `make` runs on a text thread. origin
// NULL: it begins here.
struct tokfs_chat_source {
    // The body, from malloc(3), which is the engine's then. 0, or -errno with the reason of the refusal.
    int (*make)(void *ctx, char **ret_json, size_t *ret_len, struct tokfs_error *reason);
    // Called once, on any thread: after `make`, or in its place when the request is cancelled before. Not when the
    // submission itself fails.
    void (*release)(void *ctx);
    void *ctx;
    size_t n_bytes; // what it counts for while it waits, as the length of a body does
};
TOKFS_API int tokfs_submit_chat_source(struct tokfs_engine *engine, const struct tokfs_chat_source *source,
                                       const struct tokfs_origin *origin, void *user, struct tokfs_completion **ret,
                                       struct tokfs_error *err);

struct tokfs_logit_bias {
    int32_t id;
    float bias; // -100 to 100, or -INFINITY: never
};

// The parameters of docs/tokfs.5, with their names there.
struct tokfs_sampling {
    double temperature;                         // 0: greedy
    double top_p;                               // 1: off
    int64_t top_k;                              // 0: off
    double min_p;                               // 0: off
    double typical_p;                           // 0 or 1: off
    double repetition_penalty;                  // 0 or 1: off
    double frequency_penalty, presence_penalty; // 0: off
    const struct tokfs_logit_bias *logit_bias;  // [n_logit_bias], copied; at most 1024
    size_t n_logit_bias;
    const int32_t *stop_token_ids; // [n_stop_token_ids], copied; at most 128
    size_t n_stop_token_ids;
    const char *const *stop; // [n_stop] UTF-8 texts, copied; at most 16 of 256 bytes
    size_t n_stop;
    uint64_t seed;
    int64_t max_tokens; // -1: up to the context
    int64_t min_tokens;
    double timeout; // seconds; 0: the engine's, which is also the most
    bool ignore_eos, include_stop_str_in_output;
    bool show_special_tokens; // in the text
    unsigned n;               // choices; 0: 1
    bool logprobs;
    unsigned top_logprobs; // 0 to 20
};
// Token ids in, token ids out; checked and answered as above. `sampling` NULL: greedy up to the context.
TOKFS_API int tokfs_submit_tokens(struct tokfs_engine *engine, const int32_t *ids, size_t n_ids,
                                  const struct tokfs_sampling *sampling, void *user, struct tokfs_completion **ret,
                                  struct tokfs_error *err);

// Work on text alone, which no model runs for, with the model's tokenizer and chat template: a JSON object in, one JSON
// object out, as the text of FINISHED. Errors at once, and those of FAILED, are as above.
enum tokfs_text_kind {
    TOKFS_TEXT_TOKENIZE,   // {"prompt"|"messages"|"content": ...} -> {"count","max_model_len","tokens","token_strs"}
    TOKFS_TEXT_DETOKENIZE, // {"tokens": [...]} -> {"prompt","content"}, the same text twice
    TOKFS_TEXT_APPLY_TEMPLATE, // {"conversations": [...]} -> {"rendered_chats","generation_indices"}
                               // {"messages": [...]} and what else a chat-completions body has -> {"prompt"}
    // {"text"|"input_ids": ...} -> {"tokens","response","loss_mask","token_length","loss_mask_length","rollout_logp",
    // "cached"}, or a list of them: what the prefix cache holds of texts. It changes nothing there.
    TOKFS_TEXT_RETRIEVE,
};
TOKFS_API int tokfs_submit_text(struct tokfs_engine *engine, enum tokfs_text_kind kind, const char *json, size_t len,
                                void *user, struct tokfs_completion **ret, struct tokfs_error *err);

// Stops it within a step. Its last event (FINISHED with reason "cancel", or FAILED if it was not accepted yet) still
// comes.
TOKFS_API void tokfs_cancel(struct tokfs_completion *completion);
// In place of the request's own priority: the lower goes first, 0 is usual. One that waits with a priority above 0
// comes nearer to 0 by one every ten seconds. Takes effect within a step.
TOKFS_API void tokfs_set_priority(struct tokfs_completion *completion, int64_t priority);
// Forgets a completion; cancels it when it runs. No event of it is delivered after this. NULL is accepted.
TOKFS_API void tokfs_completion_free(struct tokfs_completion *completion);

// ---- events --------------------------------------------------------------------------------------------------------

// The events of one completion come in this order, and exactly one of the last two comes, once, as the last:
//     ACCEPTED, STARTED, TOKEN ..., FINISHED
// A completion of n choices runs them side by side: TOKEN events carry the index of their choice, and each choice ends
// with CHOICE_FINISHED except the one that ends last, which ends with FINISHED.
// FAILED may stand in the place of ACCEPTED (refused) or of anything after it (the engine could not go on); FINISHED
// with reason "cancel" may come any time after ACCEPTED. Work on text has one event: FINISHED, whose text is the
// result, or FAILED.
enum tokfs_event_kind {
    TOKFS_EVENT_ACCEPTED, // valid and queued; prompt_tokens, stream and include_usage are known
    TOKFS_EVENT_STARTED,  // its prefill begins
    TOKFS_EVENT_TOKEN,    // one token was sampled; text may be empty while a character or a stop string is undecided
    TOKFS_EVENT_CHOICE_FINISHED, // as FINISHED for choice `index`, while others go on; no usage
    TOKFS_EVENT_FINISHED,        // the answer is complete: finish_reason, usage; text holds what was still held back
    TOKFS_EVENT_FAILED,          // no (more) answer: error
};

struct tokfs_usage {
    // completion_tokens counts every sampled token, the end token too (as vLLM does): one per TOKEN event with an id.
    uint64_t prompt_tokens, cached_tokens, completion_tokens;
    uint64_t queue_ns;   // accepted until prefill began
    uint64_t prefill_ns; // prefill began until the first token was sampled
    uint64_t ttft_ns;    // submitted until the first token was sampled
    uint64_t decode_ns;  // first token until the last
    uint64_t total_ns;   // submitted until its end
};

// How probable the model found a token: the logarithm of its probability before temperature, biases, penalties and
// filters. A token that the model gave no chance at all has -9999.
struct tokfs_logprob {
    int32_t id;
    float logprob;
    const char *bytes; // what the token stands for, not always whole characters; valid while the engine is open
    size_t n_bytes;
};

// What a piece of an answer's text is. Pieces of one kind that follow one another belong together.
enum tokfs_part {
    TOKFS_PART_CONTENT,   // the answer itself
    TOKFS_PART_REASONING, // what the model thinks before it answers
    TOKFS_PART_CALL,      // a tool call begins: the text is the function's name, whole
    TOKFS_PART_ARGUMENTS, // of that call: JSON as the model writes it, which need not be well formed
};

// How probable the model found token `pos` of the prompt of choice `index`, where that was asked for: as struct
// tokfs_event's probs, and its rank, 1 for the most probable. Returns how many there are; 0 for the first token, which
// nothing stands before, and where nobody asked. From the first TOKEN event of any choice of that prompt on, or its
// end's, until the completion is freed.
#define TOKFS_PROBS_MAX 21
TOKFS_API size_t tokfs_completion_prompt_probs(const struct tokfs_completion *completion, unsigned index, size_t pos,
                                               struct tokfs_logprob ret[TOKFS_PROBS_MAX], uint32_t *ret_rank);

struct tokfs_event {
    enum tokfs_event_kind kind;
    struct tokfs_completion *completion;
    void *user;
    bool stream, include_usage, timings_per_token; // ACCEPTED: what a chat body asks for (false for token ids)
    bool logprobs;                                 // ACCEPTED: asked for
    bool echoes_probs;   // ACCEPTED: the echo comes with log probabilities of the prompt's tokens
    int prompt_logprobs; // ACCEPTED: vLLM's; the most probable ones beside each token of the prompt, -1: not asked for
    int64_t probs_from;  // ACCEPTED: of a generate body: first token of the prompt to be told of, -1: the last
    bool is_list, texts_in_logprobs; // ACCEPTED: of a generate body: the answer is a list; log probabilities with texts
    unsigned n, top_logprobs;        // ACCEPTED: choices; most probable tokens beside each sampled one
    unsigned index;                  // TOKEN, CHOICE_FINISHED, FINISHED: of the choice, from 0
    int32_t token_id;                // TOKEN: -1 when the text is a further piece of the token before it
    // TOKEN, (CHOICE_)FINISHED: UTF-8, whole characters; valid until the next tokfs_poll, or the free before it
    const char *text;
    size_t text_len;
    enum tokfs_part part; // TOKEN: of the text
    unsigned call_idx;    // CALL, ARGUMENTS: a choice's calls count from 0
    const char *call_id;  // CALL: unique; NULL otherwise. Valid until the next tokfs_poll
    uint64_t sampled_ns;  // TOKEN: CLOCK_MONOTONIC when it was sampled
    // TOKEN with an id, if asked for: [0] is the token itself, then come the most probable, best first (the token again
    // if it is one of them). One such event per sampled token, whatever its text. Valid until the next tokfs_poll.
    const struct tokfs_logprob *probs; // [n_probs]
    size_t n_probs;
    const char *finish_reason;       // FINISHED, CHOICE_FINISHED: "stop", "length", "tool_calls", "cancel"
    struct tokfs_usage usage;        // FINISHED: complete, of all choices together; ACCEPTED: prompt_tokens
    struct tokfs_usage choice_usage; // (CHOICE_)FINISHED: of the choice alone; TOKEN: cached_tokens, queue_ns,
                                     // prefill_ns and ttft_ns
    // (CHOICE_)FINISHED with reason "stop": the end token or stop token, or the stop string, that ended it. Valid until
    // the completion is freed.
    int32_t matched_id;  // -1: none did
    const char *matched; // [matched_len], NULL: none did
    size_t matched_len;
    const struct tokfs_error *error; // FAILED: valid until the next tokfs_poll
};

// The bytes that a token stands for; *ret_len 0 for an id that does not exist. Valid while the engine is open; any
// thread.
TOKFS_API const char *tokfs_token_bytes(const struct tokfs_engine *engine, int32_t id, size_t *ret_len);

TOKFS_API int tokfs_engine_fd(const struct tokfs_engine *engine); // poll for POLLIN; belongs to the engine
// Takes the next event: 1, or 0 when there is none (the descriptor is then quiet until there is one). As long as events
// are left the descriptor stays readable, so that a caller may stop after any number of them.
TOKFS_API int tokfs_poll(struct tokfs_engine *engine, struct tokfs_event *ret);
// Tells the engine that what was polled has been passed on to whoever waits for it, and how many of those have not come
// back for more. Optional: a caller that says so after each round of its loop is given the processor before the next
// step computes, for a quarter of a step at most, and those it woke a fifth of a millisecond at most, where there are
// no more processors than compute threads.
TOKFS_API void tokfs_engine_passed_on(struct tokfs_engine *engine, unsigned n_away);

#ifdef __cplusplus
}
#endif

#endif
