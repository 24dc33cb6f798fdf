// A trace: who asks for what, and when. Read from JSON lines, or made up from a seed.
//
// Tokens are not listed but follow from streams: a stream is an endless timeline with a name, and two prompts that
// begin with the same stream share that prefix. A prompt is prefix_tokens of one stream, then own_stream, which the
// answer goes on with; so the next turn of a chat is a longer prompt of the same streams.
#ifndef TOKFS_BENCH_TRACE_H
#define TOKFS_BENCH_TRACE_H

#include "engine/base/err.h"
#include "tools/bench/bench.h"

#define TRACE_VOCAB 256

struct trace_request {
    uint64_t arrival_ns; // since the beginning
    size_t order;        // in the file, among those that arrive together
    uint32_t tenant;     // index into tenants
    int64_t priority;
    double timeout_s; // 0: none
    uint64_t prefix_stream, own_stream;
    uint32_t prefix_tokens, prompt_tokens, answer_tokens;
    int32_t *prompt; // [prompt_tokens] where the trace lists them; or NULL: of the streams
};

struct trace {
    struct trace_request *requests; // [n] in order of arrival
    size_t n, n_allocated;
    int64_t *tenants; // [n_tenants] as the trace names them
    size_t n_tenants;
};

// One JSON object per line: arrival_s, answer_tokens, and prompt (ids) or prompt_tokens; perhaps tenant, priority,
// timeout, prefix with prefix_tokens, session. n_ctx: no request may be longer. Errors name file, line and field.
int trace_load(const char *path, uint32_t n_ctx, struct trace *ret, struct err *err);
// Poisson arrivals; tenant i asks 1 / (i + 1) times as often as the first; half of the requests go on with a chat; each
// tenant has a system prompt.
int trace_make(const struct bench_options *options, uint32_t n_ctx, struct trace *ret, struct err *err);
void trace_free(struct trace *trace); // what it holds; no-op on a zeroed one

int32_t trace_token(const struct trace_request *request, uint32_t pos); // of the prompt or the answer

#endif
