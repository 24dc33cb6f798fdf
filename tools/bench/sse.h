// The lines of a stream of server-sent events, however it is cut: what the workload `http` reads.
#ifndef TOKFS_BENCH_SSE_H
#define TOKFS_BENCH_SSE_H

#include "engine/base/str.h"

enum sse_event {
    SSE_TOKENS, // a JSON object that brings something of the answer
    SSE_OTHER,  // one that does not: the role, the usage
    SSE_ERROR,  // one that begins with "error"
    SSE_DONE,   // [DONE]
};

struct sse {
    char line[8192]; // that has begun; what is longer is cut
    size_t len;
};

struct sse_sink {
    // `data`: what follows "data:", valid during the call.
    void (*event)(void *ctx, enum sse_event event, struct str data);
    void *ctx;
};

void sse_init(struct sse *sse);
void sse_feed(struct sse *sse, struct str bytes, const struct sse_sink *sink);

#endif
