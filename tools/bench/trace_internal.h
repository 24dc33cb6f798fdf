// Shared by the reader and the generator of traces.
#ifndef TOKFS_BENCH_TRACE_INTERNAL_H
#define TOKFS_BENCH_TRACE_INTERNAL_H

#include "tools/bench/trace.h"

uint64_t trace_mix(uint64_t x);
int trace_add(struct trace *trace, const struct trace_request *request, int64_t tenant); // 0 or -ENOMEM

#endif
