// Clients of a mount that is measured: threads, the delays that they saw, requests that they made.
#ifndef TOKFS_BENCH_MOUNT_CLIENT_H
#define TOKFS_BENCH_MOUNT_CLIENT_H

#include "tools/bench/bench.h"
#include <pthread.h>
#include <sys/types.h>

struct client {
    pthread_t thread;
    const struct bench_options *options;
    const char *mount_dir; // or, for requests, the file
    size_t idx;
    uint64_t deadline_ns;
    double *delays_us; // [max_tokens]
    size_t n_delays;
    size_t n_requests;
    int error; // negative errno of the first failure
};

struct client *clients_new(const struct bench_options *options, const char *mount_dir, size_t n);
void clients_free(struct client *clients, size_t n);
int clients_run(struct client *clients, size_t n, void *(*fn)(void *), struct err *err); // until all have ended
// Names of the figures begin with `name`.
int clients_report_delays(struct client *clients, size_t n, const char *name, struct bench_report *report,
                          struct err *err);
// Reads lines of `path` that are the times at which they were made, until the end or max_tokens, and notes how long ago
// that was. The first read is what was there before the reader came. 0 or -errno.
int client_read_stamps(struct client *client, const char *path);
// As many readers of the least FUSE server there can be, woken together every tick_us: what the mount's are to be
// compared with.
int clients_measure_minimal(const struct bench_options *options, size_t n, double tick_us, struct bench_report *report,
                            struct err *err);

// Writes the whole request with one write and reads the answer of the same descriptor into buf. Bytes read, or negative
// errno.
ssize_t client_transact(const char *path, const char *request, size_t len, char *buf, size_t size);
int client_format_request(unsigned max_tokens, bool timings, char *ret, size_t size);
// n_clients that each open the file, write, read to the end, close, for as long as options say.
int clients_measure_requests(const struct bench_options *options, const char *path, const char *name,
                             struct bench_report *report, struct err *err);

#endif
