// Workload `scale`: how far the mount goes by itself, on a null model (tokfs-fake of a build with tests), where
// computing is nobody's business.
//
//   1. what a READ costs beside the same of the least FUSE server there can be, in turns
//   2. sessions: making n_requests of them, their memory, listing them
//   3. requests/s through v1/chat/completions, and of that server, which does nothing with them
//   4. n_sequences running sessions with n_readers blocked readers: each line of an answer is the time at which it was
//      sampled, the delay is from there to the return of the reader's read(2); and as many readers of that server
#include "engine/base/loop.h"
#include "tools/bench/minimal_fuse.h"
#include "tools/bench/mount_client.h"
#include "tools/bench/mount_process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READS_PER_ROUND 5000
#define READ_ROUNDS     7

// ---- one READ ------------------------------------------------------------------------------------------------------

static double time_reads(int fd)
{
    char buf[64];
    uint64_t begin = clock_monotonic_ns();
    for (int i = 0; i < READS_PER_ROUND; i++) {
        if (pread(fd, buf, sizeof(buf), 0) <= 0) {
            return 0;
        }
    }
    return (double)(clock_monotonic_ns() - begin) / READS_PER_ROUND / 1e3;
}

static int measure_requests(const struct bench_options *options, const char *dir, struct bench_report *report,
                            struct err *err)
{
    struct minimal_fuse minimal;
    char path[300];
    snprintf(path, sizeof(path), "%s/v1/chat/completions", dir);
    bench_report_add(report, "request_clients", options->n_clients, "clients");
    int rc = clients_measure_requests(options, path, "requests_per_s", report, err);
    rc = rc < 0 ? rc : minimal_fuse_start(0, &minimal, err);
    if (rc == 0) {
        snprintf(path, sizeof(path), "%s/request", minimal.dir);
        rc = clients_measure_requests(options, path, "requests_minimal_per_s", report, err);
        minimal_fuse_stop(&minimal);
    }
    return rc;
}

static int measure_reads(const char *dir, struct bench_report *report, struct err *err)
{
    struct minimal_fuse minimal;
    double ours[READ_ROUNDS], least[READ_ROUNDS];
    char path[300];
    int rc = minimal_fuse_start(0, &minimal, err);
    if (rc < 0) {
        return rc;
    }
    snprintf(path, sizeof(path), "%s/f", minimal.dir);
    int least_fd = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/sessions/0/status", dir);
    int our_fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_good = least_fd >= 0 && our_fd >= 0;
    for (int i = 0; is_good && i < READ_ROUNDS; i++) {
        ours[i] = time_reads(our_fd);
        least[i] = time_reads(least_fd);
        is_good = ours[i] > 0 && least[i] > 0;
    }
    if (is_good) {
        double our = bench_quantile(ours, READ_ROUNDS, 0.5), lest = bench_quantile(least, READ_ROUNDS, 0.5);
        bench_report_add(report, "read_us", our, "us, a READ of the mount");
        bench_report_add(report, "read_minimal_us", lest, "us, of a minimal FUSE server");
        bench_report_add(report, "read_ratio", our / lest, "");
    }
    if (least_fd >= 0) {
        close(least_fd);
    }
    if (our_fd >= 0) {
        close(our_fd);
    }
    minimal_fuse_stop(&minimal);
    return is_good ? 0 : err_set(err, -EIO, "READs of %s failed", path);
}

// ---- many sessions -------------------------------------------------------------------------------------------------

static uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    unsigned long long pages = 0;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file && fscanf(file, "%*u %llu", &pages) != 1) {
        pages = 0;
    }
    if (file) {
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double list(const char *path, bool looks_at_each, size_t *ret_n)
{
    uint64_t begin = clock_monotonic_ns();
    DIR *dir = opendir(path);
    struct stat st;
    *ret_n = 0;
    while (dir) {
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            closedir(dir);
            break;
        }
        *ret_n += entry->d_type == DT_DIR;
        if (looks_at_each) {
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW);
        }
    }
    return (double)(clock_monotonic_ns() - begin) / 1e6;
}

static int measure_sessions(const struct bench_options *options, const struct mount_process *process,
                            struct bench_report *report, struct err *err)
{
    char path[300];
    size_t n_listed;
    uint64_t before = resident_bytes(process->pid), begin = clock_monotonic_ns();
    for (unsigned i = 0; i < options->n_requests; i++) {
        snprintf(path, sizeof(path), "%s/sessions/%u", process->dir, i);
        if (mkdir(path, 0700) < 0) {
            return err_set(err, -errno, "%s: %s", path, strerror(errno));
        }
    }
    double seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
    uint64_t after = resident_bytes(process->pid);
    snprintf(path, sizeof(path), "%s/sessions", process->dir);
    double names_ms = list(path, false, &n_listed), stats_ms = list(path, true, &n_listed);
    if (n_listed < options->n_requests) {
        return err_set(err, -EIO, "%s has %zu sessions", path, n_listed);
    }
    bench_report_add(report, "sessions", (double)options->n_requests, "sessions");
    bench_report_add(report, "mkdir_us", seconds * 1e6 / options->n_requests, "us each");
    bench_report_add(report, "session_bytes", (double)(after - before) / options->n_requests,
                     "bytes of the daemon each");
    bench_report_add(report, "ls_ms", names_ms, "ms, their names");
    bench_report_add(report, "ls_l_ms", stats_ms, "ms, stat(2) of each too");
    return 0;
}

// ---- readers -------------------------------------------------------------------------------------------------------

static void *reader(void *arg)
{
    struct client *client = arg;
    char path[300];
    snprintf(path, sizeof(path), "%s/sessions/%zu/output", client->mount_dir,
             client->idx % client->options->n_sequences);
    client->error = client_read_stamps(client, path);
    return NULL;
}

static int start_answers(const struct bench_options *options, const char *dir, struct err *err)
{
    for (unsigned i = 0; i < options->n_sequences; i++) {
        char path[300], text[200];
        int len = snprintf(text, sizeof(text),
                           "{\"messages\":[{\"role\":\"user\",\"content\":\"stamp %u\"}],\"ignore_eos\":true}",
                           options->max_tokens);
        snprintf(path, sizeof(path), "%s/sessions/%u/input", dir, i);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : write(fd, text, (size_t)len);
        int code = n < 0 ? -errno : 0;
        if (fd >= 0) {
            close(fd);
        }
        if (code < 0) {
            return err_set(err, code, "%s: %s", path, strerror(-code));
        }
    }
    return 0;
}

static int measure_readers(const struct bench_options *options, const char *dir, struct bench_report *report,
                           struct err *err)
{
    struct client *clients = clients_new(options, dir, options->n_readers);
    int rc = clients ? start_answers(options, dir, err) : err_set(err, -ENOMEM, "out of memory");
    if (rc == 0) {
        rc = clients_run(clients, options->n_readers, reader, err);
    }
    if (rc == 0) {
        bench_report_add(report, "running", options->n_sequences, "sessions");
        bench_report_add(report, "readers", options->n_readers, "readers");
        rc = clients_report_delays(clients, options->n_readers, "stream_delay", report, err);
    }
    clients_free(clients, options->n_readers);
    return rc < 0 ? rc : clients_measure_minimal(options, options->n_readers, options->step_us, report, err);
}

int bench_scale(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct mount_process process;
    struct err stop_err = { 0 };
    char step_us[32];
    if (options->n_sequences > options->n_requests) {
        return err_set(err, -EINVAL, "--sequences %u run among --requests %u sessions", options->n_sequences,
                       options->n_requests);
    }
    snprintf(step_us, sizeof(step_us), "%.0f", options->step_us);
    setenv("TOKFS_FAKE_TOKEN_US", "0", 1);
    snprintf(report->model, sizeof(report->model), "null");
    snprintf(report->backend, sizeof(report->backend), "none");
    int rc = mount_process_start(options, "tokfs-fake", "null", &process, err);
    if (rc < 0) {
        return rc;
    }
    rc = measure_sessions(options, &process, report, err);
    rc = rc < 0 ? rc : measure_reads(process.dir, report, err);
    rc = rc < 0 ? rc : measure_requests(options, process.dir, report, err);
    int stop_rc = mount_process_stop(&process, &stop_err);
    if (rc == 0 && stop_rc == 0) { // once more, in steps of that time
        setenv("TOKFS_FAKE_TOKEN_US", step_us, 1);
        struct bench_report unused = { 0 };
        rc = mount_process_start(options, "tokfs-fake", "null", &process, err);
        if (rc == 0) {
            rc = measure_sessions(options, &process, &unused, err);
            rc = rc < 0 ? rc : measure_readers(options, process.dir, report, err);
            stop_rc = mount_process_stop(&process, &stop_err);
        }
    }
    return rc == 0 && stop_rc < 0 ? err_set(err, stop_rc, "%s", stop_err.msg) : rc;
}
