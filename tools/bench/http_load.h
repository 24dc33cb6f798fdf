// Requests over HTTP, many at once, by libcurl on one thread: what the workload `http` sends.
#ifndef TOKFS_BENCH_HTTP_LOAD_H
#define TOKFS_BENCH_HTTP_LOAD_H

#include "engine/base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_load {
    const char *url;       // of the endpoint; unix_path NULL: over TCP
    const char *unix_path; // of a socket
    const char *body;      // JSON
    bool is_stream;        // the answer is server-sent events
    double rate;           // arrivals per second (Poisson); 0: each client sends its next request after the last answer
    unsigned n_clients;    // connections at most
    double seconds;        // arrivals stop then; what has begun ends
    unsigned seed;
};

// Times are counted from when a request was due, also where no connection was free for it: a server that stalls cannot
// hide behind the requests that were not sent meanwhile.
struct http_times {
    double *first_ms, *total_ms; // [n]
    double *between_ms;          // of successive events of a stream, [n_between]
    double *delay_us;            // of events that tell when their token was sampled (timings_per_token), [n_delay]
    size_t n, n_between, n_delay;
    size_t n_events;   // "data:" lines
    size_t n_failed;   // no answer, or a status that is not 200
    double seconds;    // from the first request's to the last answer's end
    char failure[128]; // of the first that failed
};

int http_load_run(const struct http_load *load, struct http_times *ret, struct err *err);
void http_times_free(struct http_times *times);

#endif
