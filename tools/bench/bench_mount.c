// Workload `mount`: what the file interface adds, measured from outside, through a real mount.
//
// Part one: n_sequences sessions stream at once, one blocked reader each on `events`. The request asks for
// timings_per_token, so every chunk tells when its token was sampled (CLOCK_MONOTONIC, shared by all processes); the
// delay is from there to the return of the reader's read(2). Part two: clients that each open v1/chat/completions,
// write, read to the end, close.
#include "engine/base/loop.h"
#include "tools/bench/mount_process.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct client {
    pthread_t thread;
    const struct bench_options *options;
    const char *mount_dir;
    uint64_t deadline_ns;
    double *delays_us; // [max_tokens]
    size_t n_delays;
    size_t n_requests;
    int error; // negative errno of the first failure
};

static const char words[] = "Say one two three four five six seven eight nine ten.";

static int format_request(const struct bench_options *options, unsigned max_tokens, bool timings, char *ret,
                          size_t size)
{
    (void)options;
    return snprintf(ret, size,
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"temperature\":0,\"max_tokens\":%u,"
                    "\"ignore_eos\":true%s}",
                    words, max_tokens, timings ? ",\"timings_per_token\":true" : "");
}

// Writes the whole request with one write and reads the answer of the same descriptor into buf. Bytes read, or negative
// errno.
static ssize_t transact(const char *path, const char *request, size_t len, char *buf, size_t size)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    size_t n_read = 0;
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }
    if (write(fd, request, len) != (ssize_t)len) {
        n = -errno;
    } else {
        while ((n = read(fd, buf + n_read, size - n_read)) > 0) {
            n_read += (size_t)n;
        }
        n = n < 0 ? -errno : (ssize_t)n_read;
    }
    close(fd);
    return n;
}

// ---- streaming delay -----------------------------------------------------------------------------------------------

// Notes the delay of every chunk in a piece of NDJSON that a read returned at now_ns.
static void note_delays(struct client *client, const char *text, size_t len, uint64_t now_ns)
{
    static const char key[] = "\"sampled_ns\":";
    const char *p = text;

    while ((p = memmem(p, len - (size_t)(p - text), key, sizeof(key) - 1)) != NULL) {
        p += sizeof(key) - 1;
        uint64_t sampled_ns = strtoull(p, NULL, 10);
        if (client->n_delays < client->options->max_tokens) {
            client->delays_us[client->n_delays++] = (double)(now_ns - sampled_ns) / 1e3;
        }
    }
}

// The first read returns what was said before the reader came: it tells nothing of waiting and is not counted. After it
// every chunk counts, also those that a late reader finds together.
static int read_stream(struct client *client, const char *path)
{
    char buf[65536];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_first = true;
    ssize_t n;

    if (fd < 0) {
        return -errno;
    }
    while ((n = read(fd, buf, sizeof(buf) - 1)) > 0) {
        uint64_t now = clock_monotonic_ns();

        buf[n] = '\0';
        if (!is_first) {
            note_delays(client, buf, (size_t)n, now);
        }
        is_first = false;
    }
    int rc = n < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static void *stream_client(void *arg)
{
    struct client *client = arg;
    char path[256], request[512], id[128];

    int len = format_request(client->options, client->options->max_tokens, true, request, sizeof(request));
    snprintf(path, sizeof(path), "%s/sessions/new", client->mount_dir);
    ssize_t n = transact(path, request, (size_t)len, id, sizeof(id) - 1);
    if (n <= 1) {
        client->error = n < 0 ? (int)n : -EIO;
        return NULL;
    }
    id[n - 1] = '\0'; // "ID\n"
    snprintf(path, sizeof(path), "%s/sessions/%s/events", client->mount_dir, id);
    client->error = read_stream(client, path);
    snprintf(path, sizeof(path), "%s/sessions/%s", client->mount_dir, id);
    rmdir(path);
    return NULL;
}

// ---- requests per second -------------------------------------------------------------------------------------------

static void *request_client(void *arg)
{
    struct client *client = arg;
    char path[256], request[512], answer[8192];

    int len = format_request(client->options, 1, false, request, sizeof(request));
    snprintf(path, sizeof(path), "%s/v1/chat/completions", client->mount_dir);
    while (client->error == 0 && clock_monotonic_ns() < client->deadline_ns) {
        ssize_t n = transact(path, request, (size_t)len, answer, sizeof(answer));

        if (n <= 0) {
            client->error = n < 0 ? (int)n : -EIO;
        } else {
            client->n_requests++;
        }
    }
    return NULL;
}

// ---- both ----------------------------------------------------------------------------------------------------------

static int run_clients(struct client *clients, size_t n, void *(*fn)(void *), struct err *err)
{
    size_t n_started = 0;
    int rc = 0;

    while (rc == 0 && n_started < n) {
        rc = -pthread_create(&clients[n_started].thread, NULL, fn, &clients[n_started]);
        n_started += rc == 0;
    }
    if (rc < 0) {
        err_set(err, rc, "cannot start client thread %zu: %s", n_started, strerror(-rc));
    }
    for (size_t i = 0; i < n_started; i++) {
        pthread_join(clients[i].thread, NULL);
        if (rc == 0 && clients[i].error < 0) {
            rc = err_set(err, clients[i].error, "client %zu: %s", i, strerror(-clients[i].error));
        }
    }
    return rc;
}

static struct client *clients_new(const struct bench_options *options, const char *mount_dir, size_t n)
{
    struct client *clients = calloc(n, sizeof(clients[0]));

    for (size_t i = 0; clients && i < n; i++) {
        clients[i] = (struct client){ .options = options, .mount_dir = mount_dir };
        clients[i].delays_us = calloc(options->max_tokens, sizeof(double));
        if (!clients[i].delays_us) {
            abort();
        }
    }
    return clients;
}

static void clients_free(struct client *clients, size_t n)
{
    for (size_t i = 0; clients && i < n; i++) {
        free(clients[i].delays_us);
    }
    free(clients);
}

static int measure_streams(const struct bench_options *options, const char *dir, struct bench_report *report,
                           struct err *err)
{
    size_t n = options->n_sequences, n_delays = 0;
    struct client *clients = clients_new(options, dir, n);
    double *delays = calloc(n * options->max_tokens, sizeof(double));
    int rc = clients && delays ? 0 : err_set(err, -ENOMEM, "out of memory for %zu readers", n);

    if (rc == 0) {
        rc = run_clients(clients, n, stream_client, err);
    }
    for (size_t i = 0; rc == 0 && i < n; i++) {
        memcpy(delays + n_delays, clients[i].delays_us, clients[i].n_delays * sizeof(double));
        n_delays += clients[i].n_delays;
    }
    if (rc == 0 && n_delays == 0) {
        rc = err_set(err, -EIO, "no chunk told when its token was sampled");
    }
    if (rc == 0) {
        bench_report_add(report, "stream_readers", (double)n, "sessions streaming at once");
        bench_report_add(report, "stream_tokens", (double)n_delays, "tokens measured");
        bench_report_add(report, "stream_delay_us_p50", bench_quantile(delays, n_delays, 0.5), "us, sampled to read");
        bench_report_add(report, "stream_delay_us_p90", bench_quantile(delays, n_delays, 0.9), "us");
        bench_report_add(report, "stream_delay_us_p99", bench_quantile(delays, n_delays, 0.99), "us");
    }
    clients_free(clients, n);
    free(delays);
    return rc;
}

static int measure_requests(const struct bench_options *options, const char *dir, struct bench_report *report,
                            struct err *err)
{
    size_t n = options->n_clients, n_requests = 0;
    struct client *clients = clients_new(options, dir, n);
    uint64_t begin = clock_monotonic_ns();

    if (!clients) {
        return err_set(err, -ENOMEM, "out of memory for %zu clients", n);
    }
    for (size_t i = 0; i < n; i++) {
        clients[i].deadline_ns = begin + (uint64_t)(options->seconds * 1e9);
    }
    int rc = run_clients(clients, n, request_client, err);
    double seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
    for (size_t i = 0; i < n; i++) {
        n_requests += clients[i].n_requests;
    }
    if (rc == 0) {
        bench_report_add(report, "requests_per_s", (double)n_requests / seconds, "requests/s, max_tokens 1");
        bench_report_add(report, "request_clients", (double)n, "clients");
    }
    clients_free(clients, n);
    return rc;
}

int bench_mount(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct bench_model model;
    struct mount_process process;
    struct err stop_err = { 0 };

    int rc = bench_model_prepare(options, &model, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(report->model, sizeof(report->model), "%s", options->model ? options->model : options->shape);
    snprintf(report->backend, sizeof(report->backend), "a mount");
    rc = mount_process_start(options, model.dir, &process, err);
    if (rc == 0) {
        rc = measure_streams(options, process.dir, report, err);
        if (rc == 0) {
            rc = measure_requests(options, process.dir, report, err);
        }
        int stop_rc = mount_process_stop(&process, &stop_err);
        if (rc == 0 && stop_rc < 0) {
            rc = err_set(err, stop_rc, "%s", stop_err.msg);
        }
    }
    bench_model_remove(&model);
    return rc;
}
