// libfuse's low-level interface on one thread, in a process of its own: a request is read(2), answered from a constant
// and written. At a tick all who wait are answered, one after the other.
#define FUSE_USE_VERSION 314
#include "tools/bench/minimal_fuse.h"
#include "engine/base/loop.h"
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAITING_MAX   16384
#define RECEIVE_BYTES ((1u << 20) + 4096)

enum { FILE_INO = 2, TICKS_INO, REQUEST_INO };

static const char content[64] = "the least that a file can be\n";

// The server's, which is a process of its own.
static struct {
    fuse_req_t waiting[WAITING_MAX];
    size_t n_waiting;
    char received[RECEIVE_BYTES];
} server;

static struct stat stat_of(fuse_ino_t ino)
{
    return (struct stat){ .st_ino = ino,
                          .st_mode = ino == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666,
                          .st_nlink = 1,
                          .st_size = ino == FILE_INO ? sizeof(content) : 0 };
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    static const char *const names[] = { [FILE_INO] = "f", [TICKS_INO] = "ticks", [REQUEST_INO] = "request" };
    (void)parent;
    for (fuse_ino_t ino = FILE_INO; ino <= REQUEST_INO; ino++) {
        if (strcmp(name, names[ino]) == 0) {
            struct fuse_entry_param entry = { .ino = ino, .attr = stat_of(ino) };
            fuse_reply_entry(req, &entry);
            return;
        }
    }
    fuse_reply_err(req, ENOENT);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = stat_of(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 0);
}

// A descriptor of `request` knows whether it is to be read.
static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    bool *is_written = ino == REQUEST_INO ? calloc(1, sizeof(*is_written)) : NULL;
    fi->fh = (uintptr_t)is_written;
    fi->direct_io = 1;
    fuse_reply_open(req, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    free((bool *)(uintptr_t)fi->fh);
    fuse_reply_err(req, 0);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
    bool *is_written = (bool *)(uintptr_t)fi->fh;
    (void)ino, (void)buf, (void)offset;
    if (is_written) {
        *is_written = true;
    }
    fuse_reply_write(req, size);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    bool *is_written = (bool *)(uintptr_t)fi->fh;
    (void)offset;
    if (ino == TICKS_INO && server.n_waiting < WAITING_MAX) {
        server.waiting[server.n_waiting++] = req;
        return;
    }
    bool is_there = ino == FILE_INO || (is_written && *is_written);
    if (is_written) {
        *is_written = false;
    }
    size = is_there ? size : 0;
    fuse_reply_buf(req, content, size < sizeof(content) ? size : sizeof(content));
}

static const struct fuse_lowlevel_ops operations = { .lookup = op_lookup,
                                                     .getattr = op_getattr,
                                                     .open = op_open,
                                                     .release = op_release,
                                                     .write = op_write,
                                                     .flush = op_flush,
                                                     .read = op_read };

static void tick(void)
{
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)clock_monotonic_ns());
    for (size_t i = 0; i < server.n_waiting; i++) {
        fuse_reply_buf(server.waiting[i], text, len);
    }
    server.n_waiting = 0;
}

static void take_request(struct fuse_session *session)
{
    ssize_t n = read(fuse_session_fd(session), server.received, sizeof(server.received));
    if (n > 0) {
        struct fuse_buf buf = { .size = (size_t)n, .mem = server.received };
        fuse_session_process_buf(session, &buf);
    } else if (n < 0 && errno == ENODEV) {
        fuse_session_exit(session);
    }
}

static void run(struct fuse_session *session, int timer)
{
    struct pollfd fds[] = { { .fd = fuse_session_fd(session), .events = POLLIN }, { .fd = timer, .events = POLLIN } };
    uint64_t n_ticks;
    fcntl(fds[0].fd, F_SETFL, O_NONBLOCK);
    while (!fuse_session_exited(session)) {
        if (poll(fds, 2, -1) > 0 && fds[1].revents && read(timer, &n_ticks, sizeof(n_ticks)) > 0) {
            tick();
        } else if (fds[0].revents) {
            take_request(session);
        }
    }
}

static void serve(const char *dir, double tick_us)
{
    struct timespec interval = { .tv_sec = (time_t)(tick_us / 1e6), .tv_nsec = (long)(tick_us * 1e3) % 1000000000 };
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(timer, 0, &(struct itimerspec){ interval, interval }, NULL);
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&args, "minimal");
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
    if (timer >= 0 && session && fuse_set_signal_handlers(session) == 0 && fuse_session_mount(session, dir) == 0) {
        run(session, timer);
        fuse_session_unmount(session);
    }
    _exit(0);
}

int minimal_fuse_start(double tick_us, struct minimal_fuse *ret, struct err *err)
{
    char path[160];
    *ret = (struct minimal_fuse){ .dir = "/tmp/tokfs-minimal-XXXXXX" };
    if (!mkdtemp(ret->dir)) {
        return err_set(err, -errno, "%s: cannot be created: %s", ret->dir, strerror(errno));
    }
    ret->pid = fork();
    if (ret->pid == 0) {
        serve(ret->dir, tick_us);
    }
    snprintf(path, sizeof(path), "%s/f", ret->dir);
    for (int i = 0; ret->pid > 0 && i < 500; i++) {
        if (access(path, R_OK) == 0) {
            return 0;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    minimal_fuse_stop(ret);
    return err_set(err, -EIO, "the minimal FUSE server did not start");
}

void minimal_fuse_stop(struct minimal_fuse *server_process)
{
    if (server_process->pid > 0) {
        kill(server_process->pid, SIGTERM);
        waitpid(server_process->pid, NULL, 0);
        server_process->pid = 0;
    }
    rmdir(server_process->dir);
}
