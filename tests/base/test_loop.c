// The loop on pipes, temporary files and timers. A ring that the machine forbids skips all of it but the refusals.
#include "engine/base/loop.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define MS UINT64_C(1000000)

struct probe {
    struct loop_op op; // first: done() casts
    int n_done;
    int res;
    int serial; // order among all probes of the test
    struct loop_op *cancel_other;
    bool stops;
};

static int last_serial; // reset by setup
static bool watches;    // every test runs on both kinds of loop

static void probe_done(struct loop_op *op, int res)
{
    struct probe *p = (struct probe *)op;
    assert_false(op->is_pending);
    p->n_done++;
    p->res = res;
    p->serial = ++last_serial;
    if (p->cancel_other) {
        loop_cancel(op->owner, p->cancel_other);
    }
    if (p->stops) {
        loop_stop(op->owner);
    }
}

#define PROBE                                                                                                          \
    {                                                                                                                  \
        .op = {.done = probe_done }                                                                                    \
    }

static int setup(void **state)
{
    struct loop *loop = NULL;
    struct err err = { 0 };
    last_serial = 0;
    if ((watches ? loop_new_watching(64, &loop, &err) : loop_new(64, &loop, &err)) < 0) {
        print_error("%s\n", err.msg);
        return -1;
    }
    *state = loop;
    return 0;
}

static int teardown(void **state)
{
    loop_free(*state);
    return 0;
}

static int open_temporary(void)
{
    char path[] = "/tmp/tokfs-test-loop-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void test_loop_timers_expire_in_order_of_deadline(void **state)
{
    struct loop *loop = *state;
    enum { N = 200 };
    static struct probe timers[N];
    uint64_t start = clock_monotonic_ns();
    for (int i = 0; i < N; i++) {
        timers[i] = (struct probe)PROBE;
        loop_timer(loop, &timers[i].op, (uint64_t)((i * 37) % N) * MS / 4 + 5 * MS);
    }
    // Each counts from when it was set: those further apart than the setting of all took expire in their order.
    int n_apart = (int)((clock_monotonic_ns() - start) / (MS / 4)) + 1;
    int serials[N];
    assert_int_equal(loop_n_pending(loop), N);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(clock_monotonic_ns() - start >= (N - 1) * MS / 4 + 5 * MS);
    for (int i = 0; i < N; i++) {
        assert_int_equal(timers[i].n_done, 1);
        assert_int_equal(timers[i].res, 0);
        serials[(i * 37) % N] = timers[i].serial;
    }
    for (int i = 0; i < N; i++) {
        for (int j = i + n_apart; j < N; j++) {
            assert_true(serials[i] < serials[j]);
        }
    }
}

static void test_loop_timer_zero_and_forever(void **state)
{
    struct loop *loop = *state;
    struct probe zero = PROBE, forever = PROBE;
    zero.cancel_other = &forever.op;
    loop_timer(loop, &forever.op, UINT64_MAX);
    loop_timer(loop, &zero.op, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(zero.res, 0);
    assert_int_equal(forever.res, -ECANCELED);
}

// As a file is replaced: made under another name, written, synced, renamed, the directory synced.
static void test_loop_file_is_made_and_renamed(void **state)
{
    struct loop *loop = *state;
    struct probe p = PROBE;
    char dir[] = "/tmp/tokfs-loop-XXXXXX", text[8] = "";
    assert_non_null(mkdtemp(dir));
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    loop_openat(loop, &p.op, dir_fd, "new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(loop_run_until_idle(loop), 0);
    int fd = p.res;
    assert_true(fd >= 0);
    loop_write(loop, &p.op, fd, "text", 4, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    loop_fdatasync(loop, &p.op, fd);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(p.res, 0);
    loop_renameat(loop, &p.op, dir_fd, "new", "old");
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(p.res, 0);
    loop_fsync(loop, &p.op, dir_fd);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(p.res, 0);
    assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
    assert_string_equal(text, "text");
    loop_close(loop, &p.op, fd);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    loop_openat(loop, &p.op, dir_fd, "new", O_RDONLY, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(p.res, -ENOENT);
    loop_unlinkat(loop, &p.op, dir_fd, "old");
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(p.res, 0);
    close(dir_fd);
    assert_int_equal(rmdir(dir), 0);
}

static void test_loop_file_write_then_read_at_offsets(void **state)
{
    struct loop *loop = *state;
    int fd = open_temporary();
    struct probe a = PROBE, b = PROBE, sync = PROBE;
    loop_write(loop, &a.op, fd, "hello", 5, 4096);
    loop_write(loop, &b.op, fd, "world", 5, 4101);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(a.res, 5);
    assert_int_equal(b.res, 5);
    loop_fsync(loop, &sync.op, fd);
    char text[16] = "", hole[4] = "xxx";
    loop_read(loop, &a.op, fd, text, sizeof(text), 4098);
    loop_read(loop, &b.op, fd, hole, 2, 100);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(sync.res, 0);
    assert_int_equal(a.res, 8);
    assert_string_equal(text, "lloworld");
    assert_memory_equal(hole, "\0\0x", 4);
    close(fd);
}

// Whether or not the system lets the buffer be registered; beside it, and over its end, reads are as any other.
static void test_loop_reads_into_a_registered_buffer(void **state)
{
    struct loop *loop = *state;
    static char memory[3 * 4096];
    char *buffer = memory + 4096;
    int fd = open_temporary();
    struct probe within = PROBE, across = PROBE, beside = PROBE;
    assert_int_equal(write(fd, "0123456789", 10), 10);
    if (!loop_register_buffer(loop, buffer, 4096)) {
        print_message("the system registers no buffer\n");
    }
    loop_read(loop, &within.op, fd, buffer + 100, 4, 1);
    loop_read(loop, &across.op, fd, buffer + 4094, 8, 2);
    loop_read(loop, &beside.op, fd, memory, 10, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(within.res == 4 && across.res == 8 && beside.res == 10);
    assert_memory_equal(buffer + 100, "1234", 4);
    assert_memory_equal(buffer + 4094, "23456789", 8);
    assert_memory_equal(memory, "0123456789", 10);
    close(fd);
}

static void test_loop_failing_call_gives_errno(void **state)
{
    struct loop *loop = *state;
    struct probe bad_fd = PROBE, bad_sync = PROBE;
    char c;
    loop_read(loop, &bad_fd.op, -1, &c, 1, 0);
    loop_fsync(loop, &bad_sync.op, 9999);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(bad_fd.res, -EBADF);
    assert_int_equal(bad_sync.res, -EBADF);
}

static void test_loop_cancel_pending_pipe_read_ends_it(void **state)
{
    struct loop *loop = *state;
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    struct probe reader = PROBE, kept = PROBE, timer = PROBE;
    timer.cancel_other = &reader.op;
    loop_read(loop, &reader.op, fds[0], &c, 1, (uint64_t)-1);
    loop_poll(loop, &kept.op, fds[0], POLLIN);
    loop_timer(loop, &timer.op, 5 * MS);
    timer.stops = true;
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(loop_n_pending(loop), 2); // cancelled but not yet done; the poll untouched
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(reader.n_done == 1 && (reader.res == -ECANCELED || reader.res == 1));
    assert_int_equal(kept.n_done, 1);
    close(fds[0]);
    close(fds[1]);
}

static void test_loop_cancel_before_submission_never_reaches_the_kernel(void **state)
{
    struct loop *loop = *state;
    int fd = open_temporary();
    struct probe write_op = PROBE, other = PROBE;
    loop_write(loop, &write_op.op, fd, "x", 1, 0);
    loop_timer(loop, &other.op, 0);
    loop_cancel(loop, &write_op.op);
    loop_cancel(loop, &write_op.op); // twice is once
    assert_int_equal(write_op.n_done, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(write_op.n_done, 1);
    assert_int_equal(write_op.res, -ECANCELED);
    assert_int_equal(other.res, 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    loop_cancel(loop, &write_op.op); // not pending: nothing
    assert_int_equal(loop_n_pending(loop), 0);
    close(fd);
}

// Two polls become ready in one turn; the first done cancels the second, whose completion is already here.
static void test_loop_cancel_of_completed_op_lets_its_result_through(void **state)
{
    struct loop *loop = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct probe a = PROBE, b = PROBE;
    a.cancel_other = &b.op;
    b.cancel_other = &a.op;
    loop_poll(loop, &a.op, fds[1], POLLOUT);
    loop_poll(loop, &b.op, fds[1], POLLOUT);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(a.n_done + b.n_done, 2);
    assert_int_equal((a.serial == 1 ? a : b).res, POLLOUT);
    // The op's next use must not be hit by a cancellation left over.
    a.cancel_other = b.cancel_other = NULL;
    loop_timer(loop, &a.op, 3 * MS);
    loop_timer(loop, &b.op, 3 * MS);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(a.res == 0 && b.res == 0);
    close(fds[0]);
    close(fds[1]);
}

static void test_loop_poll_gives_ready_events(void **state)
{
    struct loop *loop = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct probe readable = PROBE, timer = PROBE;
    timer.stops = true;
    loop_poll(loop, &readable.op, fds[0], POLLIN);
    loop_timer(loop, &timer.op, 3 * MS);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(readable.n_done, 0);
    close(fds[1]);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(readable.res & POLLHUP);
    close(fds[0]);
}

// ---- resubmission from done ----------------------------------------------------------------------------------------

struct copier {
    struct loop_op op;
    int fd;
    size_t n_read;
    unsigned char buf[100];
};

static void copier_done(struct loop_op *op, int res)
{
    struct copier *c = (struct copier *)op;
    assert_true(res >= 0);
    for (int i = 0; i < res; i++) {
        assert_int_equal(c->buf[i], (unsigned char)((c->n_read + (size_t)i) % 251));
    }
    c->n_read += (size_t)res;
    if (res > 0) {
        loop_read(op->owner, op, c->fd, c->buf, sizeof(c->buf), c->n_read);
    }
}

static void test_loop_done_may_submit_the_same_op(void **state)
{
    struct loop *loop = *state;
    static unsigned char bytes[12345];
    int fd = open_temporary();
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(i % 251);
    }
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    struct copier c = { .op = { .done = copier_done }, .fd = fd };
    loop_read(loop, &c.op, fd, c.buf, sizeof(c.buf), 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(c.n_read, sizeof(bytes));
    close(fd);
}

static void test_loop_ten_thousand_ops_pass_a_small_ring(void **state)
{
    struct loop *loop = *state;
    enum { N = 10000 };
    int fd = open_temporary();
    struct probe *probes = calloc(N, sizeof(*probes));
    uint32_t *values = calloc(N, sizeof(*values));
    for (uint32_t i = 0; i < N; i++) {
        probes[i] = (struct probe)PROBE;
        values[i] = i * 2654435761u;
        loop_write(loop, &probes[i].op, fd, &values[i], 4, i * 4u);
    }
    assert_int_equal(loop_run_until_idle(loop), 0);
    uint32_t *back = calloc(N, sizeof(*back));
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(probes[i].res, 4);
        loop_read(loop, &probes[i].op, fd, &back[i], 4, i * 4u);
    }
    assert_int_equal(loop_run_until_idle(loop), 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(probes[i].n_done == 2 && probes[i].res == 4);
    }
    assert_memory_equal(values, back, N * sizeof(*values));
    free(back);
    free(values);
    free(probes);
    close(fd);
}

// More ops in flight at once than the completion ring holds: the kernel must keep the overflow for us.
static void test_loop_thousands_in_flight_then_cancelled(void **state)
{
    struct loop *loop = *state;
    enum { N = 5000 };
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct probe *probes = calloc(N, sizeof(*probes));
    struct probe timer = PROBE;
    timer.stops = true;
    for (int i = 0; i < N; i++) {
        probes[i] = (struct probe)PROBE;
        loop_poll(loop, &probes[i].op, fds[0], POLLIN);
    }
    loop_timer(loop, &timer.op, 5 * MS);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(loop_n_pending(loop), N);
    for (int i = 0; i < N; i++) {
        loop_cancel(loop, &probes[i].op);
    }
    assert_int_equal(loop_run_until_idle(loop), 0);
    for (int i = 0; i < N; i++) {
        assert_true(probes[i].n_done == 1 && probes[i].res == -ECANCELED);
    }
    free(probes);
    close(fds[0]);
    close(fds[1]);
}

// ---- running -------------------------------------------------------------------------------------------------------

struct gatherer {
    struct loop *loop;
    struct probe *followup;
    int n_turns;
    int serial_seen;
};

static void on_turn_end(void *ctx)
{
    struct gatherer *g = ctx;
    g->n_turns++;
    g->serial_seen = last_serial;
    if (g->followup) {
        loop_timer(g->loop, &g->followup->op, 0);
        g->followup = NULL;
    }
}

static void test_loop_turn_end_runs_after_callbacks_and_may_submit(void **state)
{
    struct loop *loop = *state;
    struct probe a = PROBE, b = PROBE;
    struct gatherer g = { .loop = loop, .followup = &b };
    loop_set_turn_end(loop, on_turn_end, &g);
    loop_timer(loop, &a.op, 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_true(a.n_done == 1 && b.n_done == 1);
    assert_int_equal(g.serial_seen, 2);
    assert_in_range(g.n_turns, 2, 4);
    loop_set_turn_end(loop, NULL, NULL);
    loop_timer(loop, &a.op, 0);
    int n_turns = g.n_turns;
    assert_int_equal(loop_run_until_idle(loop), 0);
    assert_int_equal(g.n_turns, n_turns);
}

static void test_loop_run_with_nothing_pending_is_edeadlk(void **state)
{
    struct loop *loop = *state;
    assert_int_equal(loop_run(loop), -EDEADLK);
    assert_int_equal(loop_run_until_idle(loop), 0);
    loop_stop(loop);
    assert_int_equal(loop_run(loop), 0); // stopped before it ran
}

static void *run_until_idle(void *ctx)
{
    return (void *)(intptr_t)loop_run_until_idle(ctx);
}

static void test_loop_made_and_filled_here_runs_in_another_thread(void **state)
{
    struct loop *loop = *state;
    enum { N = 1000 }; // more than the ring's entries: filling must not make this thread the owner
    static struct probe probes[N];
    for (int i = 0; i < N; i++) {
        probes[i] = (struct probe)PROBE;
        loop_timer(loop, &probes[i].op, 0);
    }
    pthread_t thread;
    void *rc = NULL;
    assert_int_equal(pthread_create(&thread, NULL, run_until_idle, loop), 0);
    assert_int_equal(pthread_join(thread, &rc), 0);
    assert_null(rc);
    assert_int_equal(last_serial, N);
}

// Ending of an empty parent side: the loop sees a wake from another thread through an eventfd-like pipe.
static void *write_later(void *ctx)
{
    nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
    return (void *)(intptr_t)write(*(int *)ctx, "w", 1);
}

static void test_loop_sleeping_is_woken_by_another_thread(void **state)
{
    struct loop *loop = *state;
    int fds[2];
    char c = 0;
    assert_int_equal(pipe(fds), 0);
    struct probe reader = PROBE;
    loop_read(loop, &reader.op, fds[0], &c, 1, (uint64_t)-1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_later, &fds[1]), 0);
    assert_int_equal(loop_run_until_idle(loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(c, 'w');
    close(fds[0]);
    close(fds[1]);
}

// ---- refusals ------------------------------------------------------------------------------------------------------

static void test_loop_new_absurd_size_is_refused(void **state)
{
    (void)state;
    struct loop *loop = NULL;
    struct err err = { 0 };
    assert_int_equal(loop_new(0, &loop, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "ring of 0 entries"));
    assert_null(loop);
    loop_free(NULL);
}

// In a child whose seccomp filter refuses io_uring_setup with `error`: 0 when loop_new said what it should.
static int child_without_io_uring(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        return TEST_EXIT_SKIP;
    }
    struct loop *loop = NULL;
    struct err err = { 0 };
    return loop_new(8, &loop, &err) == -error && strstr(err.msg, "kernel.io_uring_disabled") ? 0 : 1;
}

static void test_loop_new_forbidden_names_the_sysctl(void **state)
{
    (void)state;
    static const int errors[] = { EPERM, ENOSYS };
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            _exit(child_without_io_uring(errors[i]));
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == TEST_EXIT_SKIP) {
            skip();
        }
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

struct bell {
    struct loop_watcher watcher; // first
    struct loop *loop;
    int n_rung, n_max;
    bool reads, stops;
};

static void on_bell(struct loop_watcher *watcher)
{
    struct bell *bell = (struct bell *)watcher;
    char byte;
    bell->n_rung++;
    if (bell->reads) {
        assert_int_equal(read(watcher->fd, &byte, 1), 1);
    }
    if (bell->n_rung >= bell->n_max) {
        loop_stop(bell->loop);
    }
}

static void test_loop_watcher_is_called_while_readable(void **state)
{
    struct loop *loop = *state;
    int ends[2];
    if (!watches) {
        return;
    }
    assert_int_equal(pipe(ends), 0);
    struct bell bell = { .watcher = { ends[0], on_bell }, .loop = loop, .n_max = 3 };
    loop_watch(loop, &bell.watcher);
    assert_int_equal(write(ends[1], "xy", 2), 2);
    assert_int_equal(loop_run(loop), 0); // nothing else is pending
    assert_int_equal(bell.n_rung, 3);
    bell = (struct bell){ .watcher = { ends[0], on_bell }, .loop = loop, .n_max = 2, .reads = true };
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(bell.n_rung, 2);
    loop_unwatch(loop, &bell.watcher);
    close(ends[0]);
    close(ends[1]);
}

// What goes through the ring wakes a loop that sleeps beside quiet watchers, and watchers one whose ring is quiet.
static void test_loop_ring_and_watchers_wake_it(void **state)
{
    struct loop *loop = *state;
    int quiet[2], pipe_ends[2];
    char byte;
    if (!watches) {
        return;
    }
    assert_int_equal(pipe(quiet), 0);
    assert_int_equal(pipe(pipe_ends), 0);
    struct bell bell = { .watcher = { quiet[0], on_bell }, .loop = loop, .n_max = 1, .reads = true };
    struct probe timer = PROBE, reader = PROBE;
    loop_watch(loop, &bell.watcher);
    timer.stops = true;
    for (int i = 1; i <= 50; i++) {
        loop_timer(loop, &timer.op, 1 * MS);
        assert_int_equal(loop_run(loop), 0);
        assert_int_equal(timer.n_done, i);
    }
    loop_read(loop, &reader.op, pipe_ends[0], &byte, 1, (uint64_t)-1);
    reader.stops = true;
    timer.stops = false;
    loop_timer(loop, &timer.op, 20 * MS);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(reader.res, 1);
    assert_int_equal(write(quiet[1], "x", 1), 1);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(bell.n_rung, 1);
    loop_unwatch(loop, &bell.watcher);
    assert_int_equal(loop_run_until_idle(loop), 0);
    for (int i = 0; i < 2; i++) {
        close(quiet[i]);
        close(pipe_ends[i]);
    }
}

#define LOOP_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest refusals[] = {
        cmocka_unit_test(test_loop_new_absurd_size_is_refused),
        cmocka_unit_test(test_loop_new_forbidden_names_the_sysctl),
    };
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_loop_timers_expire_in_order_of_deadline),
        LOOP_TEST(test_loop_timer_zero_and_forever),
        LOOP_TEST(test_loop_file_write_then_read_at_offsets),
        LOOP_TEST(test_loop_reads_into_a_registered_buffer),
        LOOP_TEST(test_loop_file_is_made_and_renamed),
        LOOP_TEST(test_loop_failing_call_gives_errno),
        LOOP_TEST(test_loop_cancel_pending_pipe_read_ends_it),
        LOOP_TEST(test_loop_cancel_before_submission_never_reaches_the_kernel),
        LOOP_TEST(test_loop_cancel_of_completed_op_lets_its_result_through),
        LOOP_TEST(test_loop_poll_gives_ready_events),
        LOOP_TEST(test_loop_done_may_submit_the_same_op),
        LOOP_TEST(test_loop_ten_thousand_ops_pass_a_small_ring),
        LOOP_TEST(test_loop_thousands_in_flight_then_cancelled),
        LOOP_TEST(test_loop_turn_end_runs_after_callbacks_and_may_submit),
        LOOP_TEST(test_loop_run_with_nothing_pending_is_edeadlk),
        LOOP_TEST(test_loop_made_and_filled_here_runs_in_another_thread),
        LOOP_TEST(test_loop_sleeping_is_woken_by_another_thread),
        LOOP_TEST(test_loop_watcher_is_called_while_readable),
        LOOP_TEST(test_loop_ring_and_watchers_wake_it),
    };
    if (cmocka_run_group_tests(refusals, NULL, NULL) != 0) {
        return 1;
    }
    struct loop *loop = NULL;
    struct err err = { 0 };
    int rc = loop_new(8, &loop, &err);
    loop_free(loop);
    if (rc == -EPERM || rc == -ENOSYS) {
        printf("skipped: %s\n", err.msg);
        return TEST_EXIT_SKIP;
    }
    int n_failed = cmocka_run_group_tests(tests, NULL, NULL);
    watches = true;
    return n_failed + cmocka_run_group_tests_name("watching", tests, NULL, NULL);
}
