// The mount's glue: ring, device, engine descriptor, signals, timers, and the order of starting and ending.
//
// The FUSE descriptor is made non-blocking and read in the loop's own thread, so requests are handled in the order in
// which the kernel queued them (a RELEASE that submits an input comes before the open of its output), which reads
// blocking in worker threads would not promise. It and the engine's descriptor are watched with poll(2) rather than
// through the ring: see struct loop_watcher.
#include "fs/mount.h"
#include "fs/journal.h"
#include "fs/reply_crew.h"
#include "fs/root_files.h"
#include "fs/session_table.h"
#include "fs/turn.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECEIVE_BYTES     (MOUNT_WRITE_BYTES_MAX + 4096)
#define REQUESTS_PER_TURN 64
#define EVENTS_PER_TURN   4096 // of the engine; the device gets its turn in between
#define EVENTS_PER_FLUSH  8    // their readers have other processors to run on while more is taken
#define REPLIES_LEFT      8    // to the crew then

const struct mount_limits mount_limits_default = {
    .n_sessions = 10000,
    .n_files = 65536,
    .n_parked = 65536,
    .body_bytes = 8u << 20,
    .setting_bytes = 256u << 10,
    .users = { .n = { [USER_SESSIONS] = 2500, [USER_TURNS] = 256, [USER_FILES] = 16384, [USER_PARKED] = 16384 },
               .bytes = 512u << 20,
               .bytes_total = (uint64_t)2 << 30 },
    .write_timeout_ms = 3600000,
    .drain_ms = 10000,
    .linger_ms = 1000,
};

bool mount_is_draining(const struct mount *mount)
{
    return mount->phase != MOUNT_SERVING;
}

// ---- ending --------------------------------------------------------------------------------------------------------

static void stop(struct mount *mount)
{
    if (mount->phase != MOUNT_STOPPED) {
        mount->phase = MOUNT_STOPPED;
        loop_stop(mount->loop);
    }
}

// Out of the namespace without waiting: what is open stays open. Never waits for the helper program, which may itself
// ask the mount something.
static void detach_lazily(struct mount *mount)
{
    if (geteuid() == 0) {
        umount2(mount->mountpoint, MNT_DETACH);
        return;
    }
    char *argv[] = { "fusermount3", "-u", "-q", "-z", "--", mount->mountpoint, NULL };
    char *envp[] = { "PATH=/usr/bin:/bin:/usr/local/bin", NULL };
    pid_t pid;
    if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, envp) == 0) {
        mount->helper = pid;
    }
}

// One that the journal has goes on after the next start.
static void end_late_turn(struct mount *mount, struct turn *turn)
{
    if (mount->journal && turn->trail) {
        struct tokfs_error error = { 0 };
        reason_set(&error, -ESHUTDOWN, NULL, "the mount is shutting down: the answer goes on when it starts again");
        turn_fail(turn, &error);
    } else {
        turn_cancel(turn);
    }
}

static void on_timer(struct loop_op *op, int res)
{
    struct mount *mount = list_entry(op, struct mount, timer_op);
    if (res < 0) {
        return;
    }
    if (mount->phase == MOUNT_DETACHED) {
        stop(mount);
    } else if (mount->phase == MOUNT_DRAINING) {
        list_for_each(link, next, &mount->running)
        {
            end_late_turn(mount, list_entry(link, struct turn, link));
        }
    }
}

static void on_stall_timer(struct loop_op *op, int res)
{
    struct mount *mount = list_entry(op, struct mount, stall_op);
    if (res >= 0) {
        uint64_t now = clock_monotonic_ns(), next = file_give_up_stalled(mount, now);
        if (next > 0 && mount->phase != MOUNT_STOPPED) {
            loop_timer(mount->loop, op, next - now);
        }
    }
}

void mount_watch_writers(struct mount *mount)
{
    if (!mount->stall_op.is_pending && mount->phase != MOUNT_STOPPED) {
        loop_timer(mount->loop, &mount->stall_op, mount->limits.write_timeout_ms * 1000000u);
    }
}

static void detach(struct mount *mount)
{
    mount->phase = MOUNT_DETACHED;
    channel_mark(&mount->kv.channel); // its readers are told the end
    loop_cancel(mount->loop, &mount->timer_op);
    if (mount->mountpoint) {
        mount->was_detached = true;
        detach_lazily(mount);
    }
}

// Called between the loop's turns, so that nothing of a turn that just ended is left unsaid.
static void go_on_draining(struct mount *mount)
{
    if (mount->phase == MOUNT_DRAINING && mount->counts.n_running == 0) {
        detach(mount);
    }
    if (mount->phase == MOUNT_DETACHED && !mount->timer_op.is_pending) {
        loop_timer(mount->loop, &mount->timer_op, (uint64_t)mount->limits.linger_ms * 1000000u);
    }
}

void mount_drain(struct mount *mount)
{
    if (mount->phase == MOUNT_SERVING) {
        mount->phase = MOUNT_DRAINING;
        if (mount->drain) {
            mount->drain(mount->ctx);
        }
        loop_timer(mount->loop, &mount->timer_op, (uint64_t)mount->limits.drain_ms * 1000000u);
    } else { // asked twice: in a hurry
        stop(mount);
    }
}

// ---- the loop's callbacks ------------------------------------------------------------------------------------------

static void flush_to(struct mount *mount, unsigned n_left)
{
    while (!list_is_empty(&mount->dirty_channels)) {
        channel_flush(list_entry(mount->dirty_channels.next, struct channel, dirty_link));
    }
    if (mount->crew) {
        reply_crew_help(mount->crew, n_left);
    }
}

void mount_flush(struct mount *mount)
{
    flush_to(mount, 0);
}

static void on_turn_end(void *ctx)
{
    struct mount *mount = ctx;
    mount_flush(mount);
    journal_flush(mount->journal);
    if (journal_is_idle(mount->journal)) {
        tokfs_engine_passed_on(mount->engine, mount->counts.n_away);
    }
    go_on_draining(mount);
}

void mount_process(struct mount *mount, const struct fuse_buf *buf)
{
    fuse_session_process_buf(mount->fuse, buf);
    if (fuse_session_exited(mount->fuse)) {
        stop(mount);
    }
}

// Requests are read here, and not through the ring: see struct loop_watcher.
static void on_device(struct loop_watcher *watcher)
{
    struct mount *mount = list_entry(watcher, struct mount, device);
    for (int i = 0; i < REQUESTS_PER_TURN && mount->phase != MOUNT_STOPPED; i++) {
        ssize_t n = read(fuse_session_fd(mount->fuse), mount->received, RECEIVE_BYTES);
        if (n > 0) {
            struct fuse_buf buf = { .size = (size_t)n, .mem = mount->received };
            mount_process(mount, &buf);
        } else if (n == 0 || errno == EAGAIN) {
            break;
        } else if (errno != EINTR && errno != ENOENT) { // ENOENT: the request was withdrawn
            stop(mount);                                // ENODEV: unmounted
        }
    }
}

void mount_take_events(struct mount *mount)
{
    struct tokfs_event event;
    for (int i = 1; i <= EVENTS_PER_TURN && journal_has_room(mount->journal) && tokfs_poll(mount->engine, &event);
         i++) {
        if (!journal_take_event(event.user, &event)) {
            turn_take_event(event.user, &event);
        }
        if (i % EVENTS_PER_FLUSH == 0) {
            flush_to(mount, REPLIES_LEFT);
        }
    }
    if (kv_feed_take(&mount->kv) && !mount->kv_op.is_pending && mount->phase != MOUNT_STOPPED) {
        loop_timer(mount->loop, &mount->kv_op, 0);
    }
}

static void on_more_kv(struct loop_op *op, int res)
{
    struct mount *mount = list_entry(op, struct mount, kv_op);
    if (res == 0 && kv_feed_take(&mount->kv)) {
        loop_timer(mount->loop, &mount->kv_op, 0);
    }
}

void mount_watch_engine(struct mount *mount, bool is_watched)
{
    is_watched = is_watched && mount->phase != MOUNT_STOPPED;
    if (is_watched && !mount->is_engine_watched) {
        loop_watch(mount->loop, &mount->engine_events);
    } else if (!is_watched && mount->is_engine_watched) {
        loop_unwatch(mount->loop, &mount->engine_events);
    }
    mount->is_engine_watched = is_watched;
}

static void on_engine(struct loop_watcher *watcher)
{
    struct mount *mount = list_entry(watcher, struct mount, engine_events);
    mount_take_events(mount);
    if (!journal_has_room(mount->journal)) {
        mount_watch_engine(mount, false);
    }
}

static void on_signal(struct loop_op *op, int res)
{
    struct mount *mount = list_entry(op, struct mount, signal_op);
    if (res > 0) {
        mount_drain(mount);
    }
    if (mount->phase != MOUNT_STOPPED) {
        loop_read(mount->loop, &mount->signal_op, mount->signal_fd, mount->signal_buf, sizeof(mount->signal_buf),
                  (uint64_t)-1);
    }
}

void mount_on_init(struct mount *mount, struct fuse_conn_info *conn)
{
    // Off: what would let the kernel answer by itself from what it remembers, or split one client's request.
    conn->want &=
        ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                    FUSE_CAP_SPLICE_MOVE | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_WRITEBACK_CACHE);
    conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_AUTO_INVAL_DATA);
    conn->max_write = MOUNT_WRITE_BYTES_MAX;
    conn->max_background = 1024;
    conn->max_read = MOUNT_READ_BYTES_MAX;
    if (mount->ready) {
        mount->ready(mount->ctx);
        mount->ready = NULL;
    }
}

// ---- life ----------------------------------------------------------------------------------------------------------

static void lay_out(struct mount *mount, const struct node_type *dir)
{
    for (const struct node_type *child = node_type_children(mount, dir); child && child->name; child++) {
        mount->nodes[mount->n_nodes] = (struct node){ .type = child, .ino = mount->n_nodes + 1 };
        mount->n_nodes++;
        lay_out(mount, child);
    }
}

static int make_nodes(struct mount *mount)
{
    mount->nodes = calloc(1 + node_type_count(mount, &root_type), sizeof(*mount->nodes));
    if (!mount->nodes) {
        return -ENOMEM;
    }
    mount->nodes[0] = (struct node){ .type = &root_type, .ino = 1 };
    mount->n_nodes = 1;
    lay_out(mount, &root_type);
    return 0;
}

int mount_new(const struct mount_options *options, struct loop *loop, struct tokfs_engine *engine, struct mount **ret,
              struct err *err)
{
    struct mount *mount = calloc(1, sizeof(*mount));
    if (!mount) {
        return err_set(err, -ENOMEM, "out of memory");
    }
    mount->loop = loop;
    mount->engine = engine;
    mount->received = aligned_alloc(4096, RECEIVE_BYTES);
    mount->limits = options->limits;
    mount->has_private_caches = options->has_private_caches;
    mount->signal_fd = options->signal_fd;
    mount->ready = options->ready;
    mount->drain = options->drain;
    mount->ctx = options->ctx;
    mount->uid = geteuid();
    mount->gid = getegid();
    mount->signal_op.done = on_signal;
    mount->engine_events = (struct loop_watcher){ tokfs_engine_fd(engine), on_engine };
    mount->timer_op.done = on_timer;
    mount->stall_op.done = on_stall_timer;
    mount->kv_op.done = on_more_kv;
    tokfs_engine_get_info(engine, &mount->info);
    clock_gettime(CLOCK_REALTIME, &mount->started);
    list_init(&mount->files);
    list_init(&mount->begun);
    list_init(&mount->listings);
    list_init(&mount->running);
    list_init(&mount->dirty_channels);
    list_init(&mount->fresh_nodes);
    list_init(&mount->all_sessions);
    kv_feed_init(&mount->kv, mount);
    pruner_init(&mount->pruner, mount);
    int r = mount->received ? model_dir_init(&mount->models, engine) : -ENOMEM;
    r = r < 0 ? r : make_nodes(mount);
    r = r < 0 ? r : users_new(&options->limits.users, mount->uid, &mount->users);
    r = r < 0 ? r : session_table_new(mount, &mount->sessions);
    if (r < 0) {
        err_set(err, r, "out of memory");
    } else {
        mount->fuse = fuse_session_new(options->args, &node_operations, sizeof(node_operations), mount);
        r = mount->fuse ? 0 : err_set(err, -EINVAL, "the -o options are not accepted");
    }
    if (r < 0) {
        mount_free(mount);
        return r;
    }
    *ret = mount;
    return 0;
}

static ssize_t send_message(int fd, struct iovec *iov, int n_iov, void *userdata)
{
    struct mount *mount = userdata;
    return mount->crew ? reply_crew_writev(mount->crew, iov, n_iov) : writev(fd, iov, n_iov);
}

static ssize_t receive_message(int fd, void *buf, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buf, size);
}

int mount_attach(struct mount *mount, const char *mountpoint, struct err *err)
{
    errno = 0;
    if (fuse_session_mount(mount->fuse, mountpoint) != 0) {
        int code = errno ? -errno : -EIO;
        return err_set(err, code, "cannot mount at %s: %s", mountpoint, strerror(-code));
    }
    mount->mountpoint = str_dup(str_from(mountpoint));
    const struct fuse_custom_io io = { .writev = send_message, .read = receive_message };
    int fd = fuse_session_fd(mount->fuse);
    int flags = fcntl(fd, F_GETFL);
    if (!mount->mountpoint || fuse_session_custom_io(mount->fuse, &io, fd) != 0 || flags < 0 ||
        fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return err_set(err, mount->mountpoint ? -errno : -ENOMEM, "cannot prepare the FUSE device");
    }
    return 0;
}

static void cancel_all(struct mount *mount)
{
    journal_settle_down(mount->journal);
    loop_unwatch(mount->loop, &mount->device);
    mount_watch_engine(mount, false);
    loop_cancel(mount->loop, &mount->signal_op);
    loop_cancel(mount->loop, &mount->timer_op);
    loop_cancel(mount->loop, &mount->stall_op);
    loop_cancel(mount->loop, &mount->kv_op);
    pruner_stop(&mount->pruner);
    loop_run_until_idle(mount->loop);
}

int mount_run(struct mount *mount)
{
    loop_set_turn_end(mount->loop, on_turn_end, mount);
    journal_start(mount->journal);
    mount->device = (struct loop_watcher){ fuse_session_fd(mount->fuse), on_device };
    loop_watch(mount->loop, &mount->device);
    mount_watch_engine(mount, true);
    if (mount->signal_fd >= 0) {
        on_signal(&mount->signal_op, 0);
    }
    int r = reply_crew_new(fuse_session_fd(mount->fuse), &mount->crew);
    r = r == 0 ? loop_run(mount->loop) : r;
    reply_crew_free(mount->crew);
    mount->crew = NULL;
    mount->phase = MOUNT_STOPPED;
    cancel_all(mount);
    loop_set_turn_end(mount->loop, NULL, NULL);
    return r;
}

static void release_all(struct mount *mount)
{
    list_for_each(link, next, &mount->files)
    {
        struct file *file = list_entry(link, struct file, link);
        if (file->channel) {
            channel_abort(file->channel, -ENOTCONN);
        }
    }
    while (!list_is_empty(&mount->files)) {
        file_free(list_entry(mount->files.next, struct file, link));
    }
}

// libfuse unmounts by path when it closes the session. What is at that path may be another mount by now (ours was
// detached, and the next one started): a descriptor that reports an error makes it believe, rightly, that ours is gone.
static void keep_path(struct mount *mount)
{
    int ends[2];
    if (mount->was_detached && pipe2(ends, O_CLOEXEC) == 0) {
        close(ends[0]);
        dup2(ends[1], fuse_session_fd(mount->fuse));
        close(ends[1]);
    }
}

void mount_free(struct mount *mount)
{
    if (!mount) {
        return;
    }
    mount->phase = MOUNT_STOPPED;
    release_all(mount);
    node_close_dirs(mount);
    node_forget_all(mount);
    session_table_free(mount->sessions);
    kv_feed_deinit(&mount->kv);
    if (mount->fuse) {
        keep_path(mount);
        if (mount->mountpoint) {
            fuse_session_unmount(mount->fuse);
        }
        fuse_session_destroy(mount->fuse);
    }
    if (mount->helper > 0) {
        waitpid(mount->helper, NULL, 0);
    }
    const struct mount_counts *counts = &mount->counts;
    assert(counts->n_sessions == 0 && counts->n_files == 0 && counts->n_dirs == 0 && counts->n_parked == 0 &&
           counts->n_turns == 0);
    assert(counts->n_running == 0 && counts->n_exchanges == 0 && counts->n_fresh_nodes == 0 && counts->n_away == 0 &&
           list_is_empty(&mount->dirty_channels));
    users_free(mount->users);
    free(mount->received);
    free(mount->mountpoint);
    free(mount->nodes);
    model_dir_deinit(&mount->models);
    free(mount);
}
