#include "tools/bench/mount_client.h"
#include "engine/base/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STACK_BYTES (256u << 10) // of a client: there may be a thousand

static const char words[] = "Say one two three four five six seven eight nine ten.";

int client_format_request(unsigned max_tokens, bool timings, char *ret, size_t size)
{
    return snprintf(ret, size,
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"temperature\":0,\"max_tokens\":%u,"
                    "\"ignore_eos\":true%s}",
                    words, max_tokens, timings ? ",\"timings_per_token\":true" : "");
}

ssize_t client_transact(const char *path, const char *request, size_t len, char *buf, size_t size)
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

// ---- all ----------------------------------------------------------------------------------------------------------

int clients_run(struct client *clients, size_t n, void *(*fn)(void *), struct err *err)
{
    size_t n_started = 0;
    pthread_attr_t attr;
    int rc = 0;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);

    while (rc == 0 && n_started < n) {
        rc = -pthread_create(&clients[n_started].thread, &attr, fn, &clients[n_started]);
        n_started += rc == 0;
    }
    pthread_attr_destroy(&attr);
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

struct client *clients_new(const struct bench_options *options, const char *mount_dir, size_t n)
{
    struct client *clients = calloc(n, sizeof(clients[0]));

    for (size_t i = 0; clients && i < n; i++) {
        clients[i] = (struct client){ .options = options, .mount_dir = mount_dir, .idx = i };
        clients[i].delays_us = calloc(options->max_tokens, sizeof(double));
        if (!clients[i].delays_us) {
            abort();
        }
    }
    return clients;
}

void clients_free(struct client *clients, size_t n)
{
    for (size_t i = 0; clients && i < n; i++) {
        free(clients[i].delays_us);
    }
    free(clients);
}

int clients_report_delays(struct client *clients, size_t n, struct bench_report *report, struct err *err)
{
    size_t n_delays = 0;
    double *delays = calloc(n * clients[0].options->max_tokens, sizeof(double));
    if (!delays) {
        return err_set(err, -ENOMEM, "out of memory for %zu readers", n);
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(delays + n_delays, clients[i].delays_us, clients[i].n_delays * sizeof(double));
        n_delays += clients[i].n_delays;
    }
    int rc = n_delays > 0 ? 0 : err_set(err, -EIO, "nobody was told when a token was sampled");
    if (rc == 0) {
        bench_report_add(report, "stream_tokens", (double)n_delays, "tokens measured");
        bench_report_add(report, "stream_delay_us_p50", bench_quantile(delays, n_delays, 0.5), "us, sampled to read");
        bench_report_add(report, "stream_delay_us_p90", bench_quantile(delays, n_delays, 0.9), "us");
        bench_report_add(report, "stream_delay_us_p99", bench_quantile(delays, n_delays, 0.99), "us");
    }
    free(delays);
    return rc;
}

// ---- requests per second -------------------------------------------------------------------------------------------

static void *request_client(void *arg)
{
    struct client *client = arg;
    char path[256], request[512], answer[8192];

    int len = client_format_request(1, false, request, sizeof(request));
    snprintf(path, sizeof(path), "%s/v1/chat/completions", client->mount_dir);
    while (client->error == 0 && clock_monotonic_ns() < client->deadline_ns) {
        ssize_t n = client_transact(path, request, (size_t)len, answer, sizeof(answer));

        if (n <= 0) {
            client->error = n < 0 ? (int)n : -EIO;
        } else {
            client->n_requests++;
        }
    }
    return NULL;
}

int clients_measure_requests(const struct bench_options *options, const char *dir, struct bench_report *report,
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
    int rc = clients_run(clients, n, request_client, err);
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
