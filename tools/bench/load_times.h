// What clients of a server see, whichever way they ask it: times of requests and of the events of streams.
//
// Times are counted from when a request was due, also where no connection was free for it: a server that stalls cannot
// hide behind the requests that were not sent meanwhile.
#ifndef TOKFS_BENCH_LOAD_TIMES_H
#define TOKFS_BENCH_LOAD_TIMES_H

#include "tools/bench/bench.h"
#include "tools/bench/sse.h"

struct load {
    const char *url;       // of the endpoint (http_load)
    const char *unix_path; // of a socket; NULL: over TCP
    const char *file;      // of a mount (file_load)
    const char *body;      // JSON
    bool is_stream;        // the answer is server-sent events
    double rate;           // arrivals per second (Poisson); 0: each client sends its next request after the last answer
    unsigned n_clients;    // connections at most
    double seconds;        // arrivals stop then; what was due is sent, and what has begun ends
    unsigned seed;
};

struct series {
    double *values;
    size_t n, size;
};

struct load_times {
    struct series first_ms;   // to the first byte or, of a stream, to the first event that brings something
    struct series total_ms;   // to the end
    struct series between_ms; // of successive such events of a stream
    struct series delay_us;   // from when their token was sampled, where they tell it (timings_per_token)
    size_t n_tokens;          // such events
    size_t n_failed;          // no answer, a status that is not 200, an error in a stream, or a stream without its end
    double seconds;           // from the first request's to the last answer's end
    double cpu_seconds;       // of this process, the client
    char failure[128];        // of the first that failed
};

void load_times_add(struct load_times *to, const struct load_times *from); // another round, or another client
void load_times_deinit(struct load_times *times);
// Figures, their names after the prefix.
void load_times_report(struct load_times *times, const char *prefix, struct bench_report *report);

double load_cpu_seconds(void); // of this process until now

// One answer.
struct answer {
    struct load_times *times;
    struct sse sse;
    uint64_t due_ns, first_ns, last_ns;
    bool is_stream, is_done, is_failed;
};

void answer_begin(struct answer *answer, struct load_times *times, bool is_stream, uint64_t due_ns);
void answer_take(struct answer *answer, struct str bytes, uint64_t now_ns);
void answer_end(struct answer *answer, const char *failure, uint64_t now_ns); // failure NULL: it came with status 200

// When requests are due: exponential gaps.
struct arrivals {
    uint64_t next_ns, end_ns;
    uint64_t random;
    double rate;
};
void arrivals_init(struct arrivals *arrivals, const struct load *load, uint64_t now_ns);
bool arrivals_is_over(const struct arrivals *arrivals);
uint64_t arrivals_take(struct arrivals *arrivals); // the next one's time

#endif
