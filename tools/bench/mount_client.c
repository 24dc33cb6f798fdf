#include "tools/bench/mount_client.h"
#include "engine/base/loop.h"
#include "tools/bench/minimal_fuse.h"
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

static void report_quantile(struct bench_report *report, const char *name, double *delays, size_t n, int percent)
{
    char figure[64];
    snprintf(figure, sizeof(figure), "%s_us_p%d", name, percent);
    bench_report_add(report, figure, bench_quantile(delays, n, percent / 100.0), "us");
}

int clients_report_delays(struct client *clients, size_t n, const char *name, struct bench_report *report,
                          struct err *err)
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
        char figure[64];
        snprintf(figure, sizeof(figure), "%s_n", name);
        bench_report_add(report, figure, (double)n_delays, "measured");
        report_quantile(report, name, delays, n_delays, 50);
        report_quantile(report, name, delays, n_delays, 90);
        report_quantile(report, name, delays, n_delays, 99);
    }
    free(delays);
    return rc;
}

int client_read_stamps(struct client *client, const char *path)
{
    char buf[8192];
    size_t len = 0;
    bool is_first = true;
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    while (client->n_delays < client->options->max_tokens && (n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0) {
        uint64_t now = clock_monotonic_ns();
        char *line = buf, *end;
        len += (size_t)n;
        buf[len] = '\0';
        for (; (end = strchr(line, '\n')); line = end + 1) {
            uint64_t stamp_ns = strtoull(line, NULL, 10);
            if (!is_first && stamp_ns > 0 && client->n_delays < client->options->max_tokens) {
                client->delays_us[client->n_delays++] = (double)(now - stamp_ns) / 1e3;
            }
        }
        len = strlen(line);
        memmove(buf, line, len);
        is_first = false;
    }
    close(fd);
    return n < 0 ? -errno : 0;
}

static void *tick_client(void *arg)
{
    struct client *client = arg;
    char path[300];
    snprintf(path, sizeof(path), "%s/ticks", client->mount_dir);
    client->error = client_read_stamps(client, path);
    return NULL;
}

int clients_measure_minimal(const struct bench_options *options, size_t n, double tick_us, struct bench_report *report,
                            struct err *err)
{
    struct minimal_fuse minimal;
    int rc = minimal_fuse_start(tick_us, &minimal, err);
    if (rc < 0) {
        return rc;
    }
    struct client *clients = clients_new(options, minimal.dir, n);
    rc =
        clients ? clients_run(clients, n, tick_client, err) : err_set(err, -ENOMEM, "out of memory for %zu readers", n);
    if (rc == 0) {
        rc = clients_report_delays(clients, n, "minimal_delay", report, err);
    }
    clients_free(clients, n);
    minimal_fuse_stop(&minimal);
    return rc;
}

// ---- requests per second -------------------------------------------------------------------------------------------

static void *request_client(void *arg)
{
    struct client *client = arg;
    char request[512], answer[8192];

    int len = client_format_request(1, false, request, sizeof(request));
    while (client->error == 0 && clock_monotonic_ns() < client->deadline_ns) {
        ssize_t n = client_transact(client->mount_dir, request, (size_t)len, answer, sizeof(answer));

        if (n <= 0) {
            client->error = n < 0 ? (int)n : -EIO;
        } else {
            client->n_requests++;
        }
    }
    return NULL;
}

int clients_measure_requests(const struct bench_options *options, const char *path, const char *name,
                             struct bench_report *report, struct err *err)
{
    size_t n = options->n_clients, n_requests = 0;
    struct client *clients = clients_new(options, path, n);
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
        bench_report_add(report, name, (double)n_requests / seconds, "requests/s");
    }
    clients_free(clients, n);
    return rc;
}
