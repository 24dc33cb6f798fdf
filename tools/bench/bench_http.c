// Workload `http`: an OpenAI server as its clients see it: this project's bridge on a mount of its own, or whatever
// answers at --url.
#include "tools/bench/http_load.h"
#include "tools/bench/mount_process.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct server {
    struct bench_model model;
    struct mount_process mount;
    pid_t bridge; // 0: none of ours
    char socket[160];
};

static int wait_for_socket(struct server *server, struct err *err)
{
    for (int i = 0; i < 1000; i++) {
        int status;
        if (access(server->socket, F_OK) == 0) {
            return 0;
        }
        if (waitpid(server->bridge, &status, WNOHANG) == server->bridge) {
            server->bridge = 0;
            return err_set(err, -EIO, "tokfs-bridge ended before it answered (wait status %d)", status);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return err_set(err, -ETIMEDOUT, "tokfs-bridge does not answer");
}

static int start_bridge(struct server *server, struct err *err)
{
    char program[512], listen[200];
    bench_program_path("tokfs-bridge", program, sizeof(program));
    snprintf(server->socket, sizeof(server->socket), "%s.sock", server->mount.dir);
    snprintf(listen, sizeof(listen), "unix:%s", server->socket);
    char *argv[] = { program, (char *)"--listen", listen, server->mount.dir, NULL };
    int rc = posix_spawnp(&server->bridge, program, NULL, NULL, argv, environ);
    if (rc != 0) {
        server->bridge = 0;
        return err_set(err, -rc, "%s: cannot be started: %s", program, strerror(rc));
    }
    return wait_for_socket(server, err);
}

static int start_server(const struct bench_options *options, struct server *server, struct err *err)
{
    int rc = bench_model_prepare(options, &server->model, err);
    rc = rc < 0 ? rc : mount_process_start(options, "tokfs", server->model.dir, &server->mount, err);
    return rc < 0 ? rc : start_bridge(server, err);
}

static int stop_server(struct server *server, struct err *err)
{
    if (server->bridge > 0) {
        kill(server->bridge, SIGTERM);
        waitpid(server->bridge, NULL, 0);
    }
    int rc = mount_process_stop(&server->mount, err);
    bench_model_remove(&server->model);
    return rc;
}

static void add_quantiles(struct bench_report *report, const char *name, double *values, size_t n, const char *unit)
{
    static const struct {
        const char *suffix;
        double q;
    } rows[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 } };
    for (size_t i = 0; n > 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
        char key[40];
        snprintf(key, sizeof(key), "%s_%s", name, rows[i].suffix);
        bench_report_add(report, key, bench_quantile(values, n, rows[i].q), unit);
    }
}

static int measure(const struct bench_options *options, const struct server *server, struct bench_report *report,
                   struct err *err)
{
    char body[512];
    struct http_times times;
    snprintf(
        body, sizeof(body),
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Say one two three four five six seven eight nine ten.\"}],"
        "\"temperature\":0,\"max_tokens\":%u%s%s}",
        options->max_tokens, options->stream ? ",\"stream\":true" : "",
        options->url      ? ""
        : options->stream ? ",\"ignore_eos\":true,\"timings_per_token\":true"
                          : ",\"ignore_eos\":true");
    struct http_load load = { .url = options->url ? options->url : "http://bridge/v1/chat/completions",
                              .unix_path = options->url ? NULL : server->socket,
                              .body = body,
                              .is_stream = options->stream,
                              .rate = options->rate,
                              .n_clients = options->n_clients,
                              .seconds = options->seconds,
                              .seed = options->seed };
    int rc = http_load_run(&load, &times, err);
    if (rc == 0 && times.n == 0) {
        rc = err_set(err, -EIO, "%s: none of %zu requests was answered: %s", load.url, times.n_failed, times.failure);
    }
    if (rc == 0) {
        bench_report_add(report, "requests_per_s", (double)times.n / times.seconds, "answered");
        bench_report_add(report, "requests", (double)times.n, "answered");
        bench_report_add(report, "failed", (double)times.n_failed, "not answered, or not with status 200");
        add_quantiles(report, "total_ms", times.total_ms, times.n, "ms, from when it was due");
        add_quantiles(report, "first_byte_ms", times.first_ms, times.n, "ms, from when it was due");
    }
    if (rc == 0 && times.n_events > 0) {
        bench_report_add(report, "events_per_s", (double)times.n_events / times.seconds, "of all streams");
        add_quantiles(report, "between_ms", times.between_ms, times.n_between, "ms between events");
        add_quantiles(report, "stream_delay_us", times.delay_us, times.n_delay, "us, sampled to received");
    }
    http_times_free(&times);
    return rc;
}

int bench_http(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct server server = { 0 };
    struct err stop_err = { 0 };
    int rc = options->url ? 0 : start_server(options, &server, err);
    snprintf(report->model, sizeof(report->model), "%s",
             options->url     ? options->url
             : options->model ? options->model
                              : options->shape);
    snprintf(report->backend, sizeof(report->backend), "%s", options->url ? "a server" : "a bridge and a mount");
    rc = rc < 0 ? rc : measure(options, &server, report, err);
    if (!options->url && stop_server(&server, &stop_err) < 0 && rc == 0) {
        rc = err_set(err, -EIO, "%s", stop_err.msg);
    }
    return rc;
}
