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
#include "engine/base/notify.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/options.h"
#include "fs/places.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define FILES_MIN  64 // descriptors: ring, wakes, FUSE device, the files of a model while it loads

struct daemon {
    struct options options;
    char model[PATH_MAX];
    char mountpoint[PATH_MAX];
    struct state_dir state;
    sigset_t signals;
    int ready_fd; // -1: in front
    bool has_progress;
};

// What libfuse last complained about: its messages go through a callback without a context, some in several pieces.
static char fuse_message[256];
static bool fuse_message_goes_on;

// What a signal says while the model loads: handlers have no context either.
static char interrupt_message[PATH_MAX + 64];

static void keep_fuse_message(enum fuse_log_level level, const char *fmt, va_list args)
{
    (void)level;
    size_t len = fuse_message_goes_on ? strlen(fuse_message) : 0;
    vsnprintf(fuse_message + len, sizeof(fuse_message) - len, fmt, args);
    len = strcspn(fuse_message, "\n");
    fuse_message_goes_on = fuse_message[len] == 0;
    fuse_message[len] = 0;
}

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int complain(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs(log_is_journal() ? "<3>tokfs: " : "tokfs: ", stderr);
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

// While nothing is mounted a signal simply ends the program, whatever the engine is waiting for. Async-signal-safe.
static void on_interrupt(int signal)
{
    (void)signal;
    if (write(STDERR_FILENO, interrupt_message, strlen(interrupt_message)) < 0) {
        // Nobody is left to be told.
    }
    _exit(EXIT_FAILURE);
}

// All threads of the engine block all signals, so that the handler runs in this one. What was ignored (nohup, a job in
// the background of a script) stays ignored.
static void let_signals_end_it(const struct daemon *d)
{
    static const int signals[] = { SIGINT, SIGTERM };
    snprintf(interrupt_message, sizeof(interrupt_message), "%stokfs: interrupted while loading %s\n",
             isatty(STDERR_FILENO) ? "\r\033[K" : "", d->model);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction old, action = { .sa_handler = on_interrupt };
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
    sigprocmask(SIG_UNBLOCK, &d->signals, NULL);
}

static void on_progress(void *ctx, uint64_t bytes_done, uint64_t bytes_total)
{
    struct daemon *d = ctx;
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
    let_signals_end_it(d);
    int r = tokfs_engine_open(&d->options.engine, ret, &error);
    sigprocmask(SIG_BLOCK, &d->signals, NULL); // from here on the loop takes them
    end_progress(d);
    if (r < 0) {
        complain("%s%s", options_blame(&d->options, error.param), error.msg[0] ? error.msg : strerror(-r));
    }
    return r;
}

// What works, but not as one may expect.
static void warn_of_model(const struct daemon *d, const struct tokfs_engine *engine)
{
    struct tokfs_engine_info info;
    tokfs_engine_get_info(engine, &info);
    if (!info.has_chat_template) {
        log_warn("%s has no chat template: every chat will be refused", d->model);
    }
    if (info.device_note[0]) {
        log_info("%s; computing on %s", info.device_note, info.backend);
    }
    if (info.pack_note[0]) {
        log_write(info.pack_failed ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "--pack-cache: %s", info.pack_note);
    }
    if (d->options.engine.n_ctx == 0 && info.n_ctx < info.n_ctx_model) {
        log_warn("the context is %zu tokens of the model's %zu: %s %" PRIu64 " bytes for keys and values", info.n_ctx,
                 info.n_ctx_model, d->options.engine.kv_bytes > 0 ? "--kv-mem gives" : "there are", info.kv_bytes);
    }
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
            log_warn("fs.fuse.%s is %ld: the kernel ends the mount when a reader waits longer", names[i], seconds);
        }
        if (file) {
            fclose(file);
        }
    }
}

// ---- serving -------------------------------------------------------------------------------------------------------

static void set_up_log(const struct daemon *d, enum log_target target)
{
    bool is_kept = target == LOG_TARGET_SYSLOG || log_is_journal();
    enum log_level usual = is_kept ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    log_setup("tokfs", d->options.has_log_level ? d->options.log_level : usual, target);
}

static void tell_ready(const struct daemon *d)
{
    char state[PATH_MAX + 128];
    log_info("%s is mounted at %s", d->model, d->mountpoint);
    snprintf(state, sizeof(state), "READY=1\nSTATUS=%s is mounted at %s", d->options.model, d->mountpoint);
    notify_manager(state);
}

static void on_drain(void *ctx)
{
    const struct daemon *d = ctx;
    log_info("%s is told to end: running answers have time to come to theirs", d->mountpoint);
    notify_manager("STOPPING=1\nSTATUS=running answers come to their end");
}

static void on_ready(void *ctx)
{
    struct daemon *d = ctx;
    if (d->ready_fd < 0) {
        tell_ready(d);
        return;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    if (chdir("/") < 0 || null < 0) {
        _exit(complain("cannot leave the terminal: %s", strerror(errno)));
    }
    set_up_log(d, LOG_TARGET_SYSLOG);
    tell_ready(d);
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
    strbuf_printf(&opts, "fsname=tokfs,subtype=tokfs,default_permissions,noatime,max_read=%u", MOUNT_READ_BYTES_MAX);
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

// Before minutes of loading, whether libfuse knows what -o asks for.
static int check_fuse_options(const struct daemon *d, struct err *err)
{
    static const struct fuse_lowlevel_ops none;
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    int r = 0;
    if (make_fuse_args(d, &args) < 0) {
        r = err_set(err, -ENOMEM, "out of memory");
    } else {
        struct fuse_session *session = fuse_session_new(&args, &none, sizeof(none), NULL);
        r = session ? 0 : err_set(err, -EINVAL, "-o %s is not accepted: %s", d->options.fuse.ptr, fuse_message);
        if (session) {
            fuse_session_destroy(session);
        }
    }
    fuse_opt_free_args(&args);
    return r;
}

static void set_limits(const struct options *options, struct mount_limits *limits)
{
    struct user_limits *users = &limits->users;
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    limits->n_sessions = options->max_sessions ? options->max_sessions : limits->n_sessions;
    users->bytes_total = options->max_bytes ? options->max_bytes : memory / 4;
    users->bytes = options->user_bytes ? options->user_bytes : users->bytes_total / 4;
    users->n[USER_SESSIONS] = options->user_sessions ? options->user_sessions : (limits->n_sessions + 3) / 4;
    users->n[USER_TURNS] = options->user_turns ? options->user_turns : users->n[USER_TURNS];
    users->n[USER_FILES] = options->user_files ? options->user_files : users->n[USER_FILES];
    users->n[USER_PARKED] = users->n[USER_FILES];
    users->tokens_per_minute = options->user_tokens;
    if (options->write_timeout_s) {
        limits->write_timeout_ms = (uint64_t)options->write_timeout_s * 1000u;
    }
}

static int open_journal(struct daemon *d, struct mount *mount, struct err *err)
{
    return d->state.path ? journal_open(&d->state, &d->options.journal, mount, &mount->journal, err) : 0;
}

static int serve(struct daemon *d, struct loop *loop, struct tokfs_engine *engine, int signal_fd)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct mount_options options = { .args = &args,
                                     .limits = mount_limits_default,
                                     .signal_fd = signal_fd,
                                     .ready = on_ready,
                                     .drain = on_drain,
                                     .ctx = d };
    struct mount *mount = NULL;
    struct err err = { 0 };
    set_limits(&d->options, &options.limits);
    options.has_private_caches = d->options.lets_others_in && !d->options.shares_prefix_cache;
    int status = EXIT_SUCCESS;
    if (make_fuse_args(d, &args) < 0) {
        status = complain("out of memory");
    } else if (mount_new(&options, loop, engine, &mount, &err) < 0 || open_journal(d, mount, &err) < 0 ||
               mount_attach(mount, d->mountpoint, &err) < 0) {
        status = complain_of_mount(&err);
    } else {
        int r = mount_run(mount);
        if (r < 0) {
            log_error("the ring failed: %s", strerror(-r));
            status = EXIT_FAILURE;
        } else {
            log_info("%s has ended", d->mountpoint);
        }
    }
    if (mount) {
        journal_close(mount->journal);
        mount->journal = NULL;
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
    } else if (loop_new_watching(256, &loop, &err) < 0) {
        complain("%s", err.msg);
    } else if (d->options.state && state_dir_open(d->options.state, &d->state, &err) < 0) {
        complain("%s", err.msg);
    } else if (open_engine(d, &engine) == 0) {
        warn_of_model(d, engine);
        status = serve(d, loop, engine, signal_fd);
    }
    tokfs_engine_close(engine);
    if (loop) {
        loop_free(loop);
    }
    state_dir_close(&d->state);
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return status;
}

// Whether the child says that it is ready, and was not told to end. What is sent to this process is meant for the child
// as long as it loads.
static bool wait_until_ready(const struct daemon *d, pid_t pid, int ready_fd)
{
    int signal_fd = signalfd(-1, &d->signals, SFD_CLOEXEC);
    struct pollfd fds[] = { { .fd = ready_fd, .events = POLLIN }, { .fd = signal_fd, .events = POLLIN } };
    bool is_told_to_end = false;
    char byte;
    while (poll(fds, 2, -1) < 0 || !fds[0].revents || fds[1].revents) {
        struct signalfd_siginfo info;
        if (fds[1].revents && read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            kill(pid, (int)info.ssi_signo);
            is_told_to_end = true;
        }
    }
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return read(ready_fd, &byte, 1) == 1 && !is_told_to_end;
}

static int run_in_background(struct daemon *d)
{
    int ends[2], status = 0;
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
    bool is_ready = wait_until_ready(d, pid, ends[0]);
    close(ends[0]);
    if (is_ready) {
        return EXIT_SUCCESS;
    }
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status)) {
        return complain("the daemon ended by signal %d before it was ready",
                        WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_FAILURE; // it was told to end when it had just begun
}

// Nothing that is opened later may become standard input, output or error: messages would be written into it.
static void occupy_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) { // NOLINT: fusermount3 needs them too
            _exit(EXIT_FAILURE);
        }
    }
}

static int check_open_files(struct err *err)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_MIN) {
        return 0;
    }
    if (limit.rlim_max >= FILES_MIN) {
        limit.rlim_cur = FILES_MIN;
        return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : err_set(err, -errno, "setrlimit: %s", strerror(errno));
    }
    return err_set(err, -EMFILE, "the limit of open files (ulimit -n) is %llu: at least %d are needed",
                   (unsigned long long)limit.rlim_max, FILES_MIN);
}

static int prepare(struct daemon *d, struct err *err)
{
    sigemptyset(&d->signals);
    sigaddset(&d->signals, SIGINT);
    sigaddset(&d->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &d->signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    d->ready_fd = -1;
    int r = check_open_files(err);
    r = r < 0 ? r : place_find_model(d->options.model, d->model, err);
    return r < 0 ? r : place_prepare_mountpoint(d->options.mountpoint, d->options.nonempty, d->mountpoint, err);
}

int main(int argc, char **argv)
{
    static struct daemon d;
    struct err err = { 0 };
    int status;
    occupy_standard_files();
    fuse_set_log_func(keep_fuse_message);
    log_setup("tokfs", LOG_LEVEL_WARN, LOG_TARGET_STDERR);
    if (options_parse(argc, argv, &d.options, &err) < 0) {
        complain("%s", err.msg);
        return EXIT_USAGE;
    }
    set_up_log(&d, LOG_TARGET_STDERR);
    if (d.options.show_help || d.options.show_version) {
        fputs(d.options.show_help ? options_help : "tokfs " TOKFS_VERSION "\n", stdout);
        status = fflush(stdout) == 0 ? EXIT_SUCCESS : complain("standard output: %s", strerror(errno));
    } else if (check_fuse_options(&d, &err) < 0) {
        complain("%s", err.msg);
        status = err.code == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    } else if (prepare(&d, &err) < 0) {
        status = complain("%s", err.msg);
    } else if (d.options.is_fake) {
        status = EXIT_SUCCESS;
    } else {
        status = d.options.foreground ? run(&d) : run_in_background(&d);
    }
    options_deinit(&d.options);
    return status;
}
