// Workload `http`: an OpenAI server as its clients see it: this project's bridge on a mount of its own, or whatever
// answers at --url. With --peer or --mount another server, or the mount's file, is asked the same in turn, so that what
// else the machine does meets all of them.
#include "engine/base/json.h"
#include "tools/bench/file_load.h"
#include "tools/bench/http_load.h"
#include "tools/bench/mount_process.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

struct server {
    struct bench_model model;
    struct mount_process mount;
    pid_t bridge; // 0: none of ours
    char socket[108];
};

// It is there before anybody listens.
static bool is_listening(const char *path)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
    bool is_connected = fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_connected;
}

static int wait_for_socket(struct server *server, struct err *err)
{
    for (int i = 0; i < 1000; i++) {
        int status;
        if (is_listening(server->socket)) {
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
    snprintf(server->socket, sizeof(server->socket), "%.100s.sock", server->mount.dir);
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

// ---- what is asked -------------------------------------------------------------------------------------------------

// Fields that only tokfs knows: as many tokens as asked for, and when they were sampled.
static int write_body(const struct bench_options *options, bool is_tokfs, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "messages");
    json_write_array_begin(&w);
    json_write_object_begin(&w);
    json_write_member_cstr(&w, "role", "user");
    json_write_member_cstr(&w, "content", options->ask);
    json_write_object_end(&w);
    json_write_array_end(&w);
    json_write_member_u64(&w, "temperature", 0);
    json_write_member_u64(&w, "max_tokens", options->max_tokens);
    if (options->stream) {
        json_write_member_bool(&w, "stream", true);
    }
    if (is_tokfs) {
        json_write_member_bool(&w, "ignore_eos", true);
    }
    if (is_tokfs && options->stream) {
        json_write_member_bool(&w, "timings_per_token", true);
    }
    json_write_object_end(&w);
    return out->error;
}

// ---- who is asked --------------------------------------------------------------------------------------------------

#define SIDES_MAX 3

struct side {
    const char *prefix; // of its figures
    int (*run)(const struct load *load, struct load_times *ret, struct err *err);
    struct load load;
    struct strbuf body;
    struct load_times times; // of all rounds
};

static struct side *add_side(struct side *sides, size_t *n, const struct bench_options *options, const char *prefix,
                             bool is_tokfs)
{
    struct side *side = &sides[(*n)++];
    *side = (struct side){ .prefix = prefix, .run = http_load_run };
    strbuf_init(&side->body, 0);
    write_body(options, is_tokfs, &side->body);
    side->load = (struct load){ .body = side->body.ptr,
                                .is_stream = options->stream,
                                .rate = options->rate,
                                .n_clients = options->n_clients,
                                .seconds = options->seconds,
                                .seed = options->seed };
    return side;
}

static size_t make_sides(const struct bench_options *options, const struct server *server, char *file, size_t file_size,
                         struct side *sides)
{
    size_t n = 0;
    struct side *side = add_side(sides, &n, options, "", !options->url || options->mount);
    side->load.url = options->url ? options->url : "http://bridge/v1/chat/completions";
    side->load.unix_path = options->url ? options->unix_path : server->socket;
    if (options->mount) {
        snprintf(file, file_size, "%s/v1/chat/completions", options->mount);
        side = add_side(sides, &n, options, "file_", true);
        side->run = file_load_run;
        side->load.file = file;
    }
    if (options->peer) {
        side = add_side(sides, &n, options, "peer_", false);
        side->load.url = options->peer;
    }
    return n;
}

static int run_round(struct side *side, struct err *err)
{
    struct load_times times = { 0 };
    int rc = side->run(&side->load, &times, err);
    if (rc == 0 && times.total_ms.n == 0) {
        rc = err_set(err, -EIO, "%s: none of %zu requests was answered: %s",
                     side->load.url ? side->load.url : side->load.file, times.n_failed, times.failure);
    }
    if (rc == 0 && times.n_failed > 0) {
        fprintf(stderr, "tokfs-bench: %s: %zu requests failed, the first: %s\n",
                side->load.url ? side->load.url : side->load.file, times.n_failed, times.failure);
    }
    load_times_add(&side->times, &times);
    load_times_deinit(&times);
    return rc;
}

static double p(struct series *series, double q)
{
    return bench_quantile(series->values, series->n, q);
}

// The first side to the last: how many times as much, what it adds.
static void report_against(struct side *own, struct side *other, struct bench_report *report)
{
    struct load_times *a = &own->times, *b = &other->times;
    if (other->run == file_load_run) {
        bench_report_add(report, "added_ms_p50", p(&a->total_ms, 0.5) - p(&b->total_ms, 0.5),
                         "ms a request, to the file");
    } else {
        bench_report_add(report, "times_requests_per_s",
                         (double)a->total_ms.n / a->seconds / ((double)b->total_ms.n / b->seconds), "of the peer's");
        bench_report_add(report, "times_first_ms_p50", p(&a->first_ms, 0.5) / p(&b->first_ms, 0.5), "of the peer's");
    }
    if (a->n_tokens > 0 && b->n_tokens > 0 && other->run != file_load_run) {
        bench_report_add(report, "times_events_per_s",
                         (double)a->n_tokens / a->seconds / ((double)b->n_tokens / b->seconds), "of the peer's");
    }
    if (a->delay_us.n > 0 && b->delay_us.n > 0) {
        bench_report_add(report, "added_us_p50", p(&a->delay_us, 0.5) - p(&b->delay_us, 0.5),
                         "us a token, to the file");
        bench_report_add(report, "added_us_p99", p(&a->delay_us, 0.99) - p(&b->delay_us, 0.99), "us a token");
    }
}

static int measure(const struct bench_options *options, const struct server *server, struct bench_report *report,
                   struct err *err)
{
    char file[512];
    struct side sides[SIDES_MAX];
    size_t n = make_sides(options, server, file, sizeof(file), sides);
    int rc = 0;
    for (unsigned round = 0; round < options->n_rounds; round++) {
        for (size_t i = 0; i < n && rc == 0; i++) {
            rc = run_round(&sides[i], err);
        }
    }
    for (size_t i = 0; i < n && rc == 0; i++) {
        load_times_report(&sides[i].times, sides[i].prefix, report);
        if (i > 0) {
            report_against(&sides[0], &sides[i], report);
        }
    }
    for (size_t i = 0; i < n; i++) {
        load_times_deinit(&sides[i].times);
        strbuf_deinit(&sides[i].body);
    }
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
