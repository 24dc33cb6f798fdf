// Threads that read for the loop: pipes stand for the files of a mount.
#include "tests/unit.h"
#include "tools/bridge/waiters.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define MANY 60

struct reader {
    struct wait_op op;
    struct fixture *fixture;
    int other; // end of the pair
    size_t n_bytes;
    unsigned n_ready;
};

struct fixture {
    struct loop *loop;
    struct waiters *waiters;
    struct reader readers[MANY];
    unsigned n_over;
};

static void ready(struct wait_op *op)
{
    struct reader *reader = (struct reader *)op;
    reader->n_ready++;
    reader->n_bytes += waiters_take(reader->fixture->waiters, op).len;
    reader->fixture->n_over += !op->is_pending;
}

static void set_up(struct fixture *f, unsigned n)
{
    struct err err = { 0 };
    *f = (struct fixture){ 0 };
    assert_int_equal(loop_new(64, &f->loop, &err), 0);
    assert_int_equal(waiters_new(f->loop, &f->waiters, &err), 0);
    for (unsigned i = 0; i < n; i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        wait_op_init(&f->readers[i].op, ready);
        f->readers[i].fixture = f;
        f->readers[i].op.fd = fds[0];
        f->readers[i].other = fds[1];
    }
}

static void tear_down(struct fixture *f, unsigned n)
{
    waiters_stop(f->waiters);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    for (unsigned i = 0; i < n; i++) {
        wait_op_deinit(&f->readers[i].op);
        close(f->readers[i].op.fd);
        close(f->readers[i].other);
    }
    waiters_free(f->waiters);
    loop_free(f->loop);
}

static void test_writes_and_reads_once(void **state)
{
    struct fixture *f = *state;
    char asked[8] = { 0 };
    set_up(f, 1);
    struct reader *reader = &f->readers[0];
    reader->op.out = STR("ask");
    assert_int_equal(write(reader->other, "answer", 6), 6);
    assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(reader->op.written, 0);
    assert_int_equal(reader->op.n_read, 6);
    assert_int_equal(reader->n_bytes, 6);
    assert_int_equal(read(reader->other, asked, sizeof(asked)), 3);
    assert_string_equal(asked, "ask");
    tear_down(f, 1);
}

static void test_follows_to_the_end_of_many(void **state)
{
    struct fixture *f = *state;
    set_up(f, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        f->readers[i].op.follows = true;
        assert_int_equal(waiters_start(f->waiters, &f->readers[i].op), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        for (int k = 0; k < 5; k++) {
            assert_int_equal(write(f->readers[i].other, "bytes", 5), 5);
        }
        shutdown(f->readers[i].other, SHUT_WR);
    }
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(f->n_over, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(f->readers[i].n_bytes, 25);
        assert_int_equal(f->readers[i].op.n_read, 0);
    }
    tear_down(f, MANY);
}

struct passed {
    atomic_uint n_bytes, n_refused;
    unsigned n_max; // bytes; what comes beyond is refused
};

static bool pass(void *ctx, struct str bytes)
{
    struct passed *passed = ctx;
    bool is_taken = passed->n_bytes + bytes.len <= passed->n_max;
    passed->n_bytes += is_taken ? (unsigned)bytes.len : 0;
    passed->n_refused += !is_taken;
    return is_taken;
}

static void test_passes_pieces_until_one_is_refused(void **state)
{
    struct fixture *f = *state;
    struct passed passed = { .n_max = 10 };
    set_up(f, 1);
    struct reader *reader = &f->readers[0];
    reader->op.follows = true;
    waiters_pass(f->waiters, &reader->op, pass, &passed); // not begun: nothing happens
    assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
    waiters_pass(f->waiters, &reader->op, pass, &passed);
    for (unsigned k = 1; k <= 2; k++) {
        assert_int_equal(write(reader->other, "bytes", 5), 5);
        while (passed.n_bytes < 5 * k) {
            usleep(100);
        }
    }
    assert_int_equal(write(reader->other, "more", 4), 4);
    shutdown(reader->other, SHUT_WR);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(passed.n_bytes, 10);
    assert_int_equal(reader->n_bytes, 4);
    assert_int_equal(reader->op.n_read, 0);
    tear_down(f, 1);
}

// Has bytes kept, which nobody takes before the loop runs.
static void keep(struct fixture *f, struct reader *reader, struct passed *nothing)
{
    waiters_pass(f->waiters, &reader->op, pass, nothing);
    assert_int_equal(write(reader->other, "kept", 4), 4);
    while (nothing->n_refused == 0) {
        usleep(100);
    }
}

static void test_passes_nothing_before_what_is_kept_or_once_held_or_cancelled(void **state)
{
    struct fixture *f = *state;
    struct passed passed = { .n_max = 1000 }, nothing = { 0 };
    set_up(f, 3);
    for (unsigned i = 0; i < 3; i++) {
        struct reader *reader = &f->readers[i];
        reader->op.follows = true;
        assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
        if (i == 0) {
            keep(f, reader, &nothing);
        }
        waiters_pass(f->waiters, &reader->op, pass, &passed);
        if (i == 1) {
            waiters_hold(&reader->op);
        } else if (i == 2) {
            waiters_cancel(f->waiters, &reader->op);
        }
        assert_int_equal(write(reader->other, "bytes", 5), 5);
        shutdown(reader->other, SHUT_WR);
    }
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(passed.n_bytes + passed.n_refused, 0);
    assert_int_equal(f->readers[0].n_bytes, 9);
    assert_int_equal(f->readers[1].n_bytes, 5);
    tear_down(f, 3);
}

static void test_cancelled_ends_wherever_it_is(void **state)
{
    struct fixture *f = *state;
    set_up(f, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        f->readers[i].op.follows = i % 2;
        assert_int_equal(waiters_start(f->waiters, &f->readers[i].op), 0);
        if (i % 3 == 0) { // some in the middle of what they read
            assert_int_equal(write(f->readers[i].other, "x", 1), 1);
        }
        waiters_cancel(f->waiters, &f->readers[i].op);
        waiters_cancel(f->waiters, &f->readers[i].op);
    }
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(f->n_over, MANY);
    tear_down(f, MANY);
}

// Begins anew while the other is still in the list of those that are over, and is over again before that is looked at.
static void start_again(struct wait_op *op)
{
    struct reader *reader = (struct reader *)op;
    reader->n_ready++;
    if (reader->fixture->n_over++ == 0) {
        assert_int_equal(waiters_start(reader->fixture->waiters, op), 0);
        usleep(20000);
    }
}

static void test_nothing_is_pending_when_all_are_over(void **state)
{
    struct fixture *f = *state;
    set_up(f, 2);
    for (unsigned i = 0; i < 2; i++) {
        close(f->readers[i].op.fd);
        f->readers[i].op.fd = -1;
        f->readers[i].op.ready = start_again;
        f->readers[i].op.path = "/nonexistent/file";
        assert_int_equal(waiters_start(f->waiters, &f->readers[i].op), 0);
    }
    usleep(20000);
    assert_int_equal(loop_run_until_idle(f->loop), 0); // and it returns
    assert_int_equal(f->n_over, 3);
    for (unsigned i = 0; i < 2; i++) {
        f->readers[i].op.fd = dup(f->readers[i].other);
    }
    tear_down(f, 2);
}

static void hold(struct wait_op *op)
{
    struct reader *reader = (struct reader *)op;
    reader->n_ready++;
    reader->fixture->n_over += !op->is_pending;
}

// What nobody takes is bounded, and cancelled all the same.
static void test_untaken_bytes_stop_the_reader(void **state)
{
    struct fixture *f = *state;
    char bytes[4096] = { 0 };
    size_t n_sent = 0;
    set_up(f, 1);
    struct reader *reader = &f->readers[0];
    reader->op.ready = hold;
    reader->op.follows = true;
    assert_int_equal(fcntl(reader->other, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
    int n_unread = 0;
    for (int idle = 0; idle < 20 || n_sent - (size_t)n_unread < 16384;) { // until it takes no more, for 20 ms
        ssize_t n = write(reader->other, bytes, sizeof(bytes));
        n_sent += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        usleep(n > 0 ? 0 : 1000);
        assert_int_equal(ioctl(reader->op.fd, FIONREAD, &n_unread), 0);
    }
    waiters_cancel(f->waiters, &reader->op);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(f->n_over, 1);
    size_t n_kept = waiters_take(f->waiters, &reader->op).len;
    assert_in_range(n_kept, 16384, 2 * 16384);
    assert_true(n_kept < n_sent);
    tear_down(f, 1);
}

static void test_file_that_does_not_open_says_so(void **state)
{
    struct fixture *f = *state;
    set_up(f, 1);
    struct reader *reader = &f->readers[0];
    int fd = reader->op.fd;
    reader->op.fd = -1;
    reader->op.path = "/nonexistent/file";
    assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(reader->op.opened, -ENOENT);
    assert_int_equal(reader->op.fd, -1);
    reader->op.path = "/dev/zero";
    reader->op.flags = O_RDWR;
    assert_int_equal(waiters_start(f->waiters, &reader->op), 0);
    assert_int_equal(loop_run_until_idle(f->loop), 0);
    assert_int_equal(reader->op.opened, 0);
    assert_int_equal(reader->op.n_read, 4096);
    close(fd);
    tear_down(f, 1);
}

int main(void)
{
    static struct fixture fixture;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_writes_and_reads_once, &fixture),
        cmocka_unit_test_prestate(test_follows_to_the_end_of_many, &fixture),
        cmocka_unit_test_prestate(test_passes_pieces_until_one_is_refused, &fixture),
        cmocka_unit_test_prestate(test_passes_nothing_before_what_is_kept_or_once_held_or_cancelled, &fixture),
        cmocka_unit_test_prestate(test_cancelled_ends_wherever_it_is, &fixture),
        cmocka_unit_test_prestate(test_nothing_is_pending_when_all_are_over, &fixture),
        cmocka_unit_test_prestate(test_untaken_bytes_stop_the_reader, &fixture),
        cmocka_unit_test_prestate(test_file_that_does_not_open_says_so, &fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
