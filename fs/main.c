// tokfs: mounts a model.
//
// Parent                                 child (the daemon)
//   parse, find the model, check the mount point
//   fork ------------------------------> ring, engine (progress on the terminal), mount
//   wait for a byte or the end <-------- INIT answered: leave the terminal, write a byte
//   exit 0, or the child's status        serve until unmounted or told to end; drain; exit 0
//
// Errors are one line on standard error, written by whoever finds them. With -f there is no parent.
#include "engine/base/log.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/places.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct daemon {
    struct options options;
    char model[PATH_MAX];
    char mountpoint[PATH_MAX];
    sigset_t signals;
    int ready_fd; // -1: in front
    bool has_progress;
};

// What libfuse last complained about: its messages go through a callback without a context.
static char fuse_message[256];

static void keep_fuse_message(enum fuse_log_level level, const char *fmt, va_list args)
{
    (void)level;
    vsnprintf(fuse_message, sizeof(fuse_message), fmt, args);
    fuse_message[strcspn(fuse_message, "\n")] = 0;
}

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("tokfs: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_FAILURE;
}

// ---- loading -------------------------------------------------------------------------------------------------------

static void end_progress(struct daemon *d)
{
    if (d->has_progress) {
        fputs("\r\033[K", stderr);
        d->has_progress = false;
    }
}

// Signals are blocked for the engine's threads' sake; while nothing is mounted one simply ends the program.
static void on_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    struct daemon *d = ctx;
    sigset_t pending;
    if (sigpending(&pending) == 0 && (sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM))) {
        end_progress(d);
        _exit(complain("interrupted while loading %s", d->model));
    }
    if (isatty(STDERR_FILENO) && bytes_total > 0) {
        d->has_progress = true;
        fprintf(stderr, "\rloading %s: %3d%% of %" PRIu64 " MB", d->options.model,
                (int)((double)bytes_done * 100.0 / (double)bytes_total), bytes_total / 1000000u);
    }
}

static int open_engine(struct daemon *d, struct tokfs_engine **ret)
{
    struct tokfs_error error = { 0 };
    d->options.engine.model = d->model;
    if (!d->options.engine.served_name && strcmp(d->options.model, "demo") == 0) {
        d->options.engine.served_name = d->options.model; // not the name of the directory where it happens to lie
    }
    d->options.engine.progress = on_progress;
    d->options.engine.progress_ctx = d;
    int r = tokfs_engine_open(&d->options.engine, ret, &error);
    end_progress(d);
    if (r < 0) {
        complain("%s", error.msg[0] ? error.msg : strerror(-r));
    }
    return r;
}

// The kernel aborts the whole mount when one request takes longer than this, and readers here wait as long as they
// like.
static void warn_of_timeouts(void)
{
    static const char *const names[] = { "default_request_timeout", "max_request_timeout" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[64];
        long seconds = 0;
        snprintf(path, sizeof(path), "/proc/sys/fs/fuse/%s", names[i]);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%ld", &seconds) == 1 && seconds > 0) {
            fprintf(stderr, "tokfs: warning: fs.fuse.%s is %ld: the kernel ends the mount when a reader waits longer\n",
                    names[i], seconds);
        }
        if (file) {
            fclose(file);
        }
    }
}

// ---- serving -------------------------------------------------------------------------------------------------------

static void on_ready(void *ctx)
{
    struct daemon *d = ctx;
    if (d->ready_fd < 0) {
        return;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    if (chdir("/") < 0 || null < 0) {
        _exit(complain("cannot leave the terminal: %s", strerror(errno)));
    }
    log_setup("tokfs", LOG_LEVEL_INFO, LOG_TARGET_SYSLOG);
    fflush(stderr);
    for (int fd = 0; fd <= 2; fd++) {
        dup2(null, fd);
    }
    close(null);
    if (write(d->ready_fd, "", 1) != 1) {
        log_warn("the program that started this has gone");
    }
    close(d->ready_fd);
}

static int make_fuse_args(const struct daemon *d, struct fuse_args *args)
{
    struct strbuf opts;
    strbuf_init(&opts, 0);
    strbuf_printf(&opts, "fsname=tokfs,subtype=tokfs,default_permissions,noatime");
    if (d->options.fuse.len > 0) {
        strbuf_append_byte(&opts, ',');
        strbuf_append(&opts, strbuf_str(&d->options.fuse));
    }
    int r = opts.error;
    if (r == 0 && (fuse_opt_add_arg(args, "tokfs") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
                   fuse_opt_add_arg(args, opts.ptr) < 0)) {
        r = -ENOMEM;
    }
    strbuf_deinit(&opts);
    return r;
}

static int complain_of_mount(const struct err *err)
{
    return fuse_message[0] ? complain("%s (%s)", err->msg, fuse_message) : complain("%s", err->msg);
}

static int serve(struct daemon *d, struct loop *loop, struct tokfs_engine *engine, int signal_fd)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct mount_options options = {
        .args = &args, .limits = mount_limits_default, .signal_fd = signal_fd, .ready = on_ready, .ready_ctx = d
    };
    struct mount *mount = NULL;
    struct err err = { 0 };
    if (d->options.max_sessions) {
        options.limits.n_sessions = d->options.max_sessions;
    }
    int status = EXIT_SUCCESS;
    if (make_fuse_args(d, &args) < 0) {
        status = complain("out of memory");
    } else if (mount_new(&options, loop, engine, &mount, &err) < 0 || mount_attach(mount, d->mountpoint, &err) < 0) {
        status = complain_of_mount(&err);
    } else {
        int r = mount_run(mount);
        if (r < 0) {
            log_error("the ring failed: %s", strerror(-r));
            status = EXIT_FAILURE;
        }
    }
    mount_free(mount);
    fuse_opt_free_args(&args);
    return status;
}

static int run(struct daemon *d)
{
    struct tokfs_engine *engine = NULL;
    struct loop *loop = NULL;
    struct err err = { 0 };
    int status = EXIT_FAILURE;
    int signal_fd = signalfd(-1, &d->signals, SFD_CLOEXEC);
    warn_of_timeouts();
    if (signal_fd < 0) {
        complain("signalfd: %s", strerror(errno));
    } else if (loop_new(256, &loop, &err) < 0) {
        complain("%s", err.msg);
    } else if (open_engine(d, &engine) == 0) {
        status = serve(d, loop, engine, signal_fd);
    }
    tokfs_engine_close(engine);
    if (loop) {
        loop_free(loop);
    }
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return status;
}

static int run_in_background(struct daemon *d)
{
    int ends[2], status = 0;
    char byte;
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return complain("pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid < 0) {
        return complain("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        close(ends[0]);
        d->ready_fd = ends[1];
        return run(d);
    }
    close(ends[1]);
    // The child ends itself at a signal; this one waits for what it has to say.
    ssize_t n = read(ends[0], &byte, 1);
    close(ends[0]);
    if (n == 1) {
        return EXIT_SUCCESS;
    }
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        return complain("the daemon ended by signal %d before it was ready",
                        WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_SUCCESS;
}

static int prepare(struct daemon *d, struct err *err)
{
    sigemptyset(&d->signals);
    sigaddset(&d->signals, SIGINT);
    sigaddset(&d->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &d->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    fuse_set_log_func(keep_fuse_message);
    d->ready_fd = -1;
    int r = place_find_model(d->options.model, d->model, err);
    return r < 0 ? r : place_prepare_mountpoint(d->options.mountpoint, d->options.nonempty, d->mountpoint, err);
}

int main(int argc, char **argv)
{
    static struct daemon d;
    struct err err = { 0 };
    int status;
    log_setup("tokfs", LOG_LEVEL_INFO, LOG_TARGET_STDERR);
    if (options_parse(argc, argv, &d.options, &err) < 0) {
        complain("%s", err.msg);
        return 2;
    }
    if (d.options.show_help || d.options.show_version) {
        fputs(d.options.show_help ? options_help : "tokfs " TOKFS_VERSION "\n", stdout);
        status = EXIT_SUCCESS;
    } else if (prepare(&d, &err) < 0) {
        status = complain("%s", err.msg);
    } else {
        status = d.options.foreground ? run(&d) : run_in_background(&d);
    }
    options_deinit(&d.options);
    return status;
}
