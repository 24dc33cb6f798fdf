// Requests over HTTP, many at once, by libcurl on one thread: what the workload `http` sends.
#ifndef TOKFS_BENCH_HTTP_LOAD_H
#define TOKFS_BENCH_HTTP_LOAD_H

#include "tools/bench/load_times.h"

int http_load_run(const struct load *load, struct load_times *ret, struct err *err);

#endif
