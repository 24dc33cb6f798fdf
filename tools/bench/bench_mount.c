// Workload `mount`: what the file interface adds, measured from outside, through a real mount.
//
// Part one: n_sequences sessions stream at once, one blocked reader each on `events`. The request asks for
// timings_per_token, so every chunk tells when its token was sampled (CLOCK_MONOTONIC, shared by all processes); the
// delay is from there to the return of the reader's read(2). As many readers of the least FUSE server there can be, all
// woken at once while nothing else runs, tell what of that is the machine's. Part two: clients that each open
// v1/chat/completions, write, read to the end, close.
#include "engine/base/loop.h"
#include "tools/bench/mount_client.h"
#include "tools/bench/mount_process.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINIMAL_TICK_US 10000

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

    int len = client_format_request(client->options->max_tokens, true, request, sizeof(request));
    snprintf(path, sizeof(path), "%s/sessions/new", client->mount_dir);
    ssize_t n = client_transact(path, request, (size_t)len, id, sizeof(id) - 1);
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

static int measure_streams(const struct bench_options *options, const char *dir, struct bench_report *report,
                           struct err *err)
{
    size_t n = options->n_sequences;
    struct client *clients = clients_new(options, dir, n);
    int rc = clients ? clients_run(clients, n, stream_client, err)
                     : err_set(err, -ENOMEM, "out of memory for %zu readers", n);

    if (rc == 0) {
        bench_report_add(report, "stream_readers", (double)n, "sessions streaming at once");
        rc = clients_report_delays(clients, n, "stream_delay", report, err);
    }
    clients_free(clients, n);
    return rc < 0 ? rc : clients_measure_minimal(options, n, MINIMAL_TICK_US, report, err);
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
    rc = mount_process_start(options, "tokfs", model.dir, &process, err);
    if (rc == 0) {
        rc = measure_streams(options, process.dir, report, err);
        if (rc == 0) {
            char path[300];
            snprintf(path, sizeof(path), "%s/v1/chat/completions", process.dir);
            bench_report_add(report, "request_clients", options->n_clients, "clients, max_tokens 1");
            rc = clients_measure_requests(options, path, "requests_per_s", report, err);
        }
        int stop_rc = mount_process_stop(&process, &stop_err);
        if (rc == 0 && stop_rc < 0) {
            rc = err_set(err, stop_rc, "%s", stop_err.msg);
        }
    }
    bench_model_remove(&model);
    return rc;
}
