// Stands between the journal and the loop: linked with --wrap of the functions that write and sync.
#include "tests/fs/journal_medium.h"
#include "tests/unit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>

struct medium medium;
static int hang[2] = { -1, -1 }; // a pipe that is full, where all writes go while it is open

void __real_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
void __wrap_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset);
void __real_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd);
void __wrap_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd);

static int no_space_fd = -1; // full(4) gives ENOSPC, a closed number EBADF

static int fd_that_fails(int error)
{
    if (error == -ENOSPC && no_space_fd < 0) {
        no_space_fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    }
    return error == -ENOSPC ? no_space_fd : 999999;
}

void __wrap_loop_write(struct loop *loop, struct loop_op *op, int fd, const void *buf, size_t len, uint64_t offset)
{
    if (medium.write_error && medium.n_torn > 0) {
        assert_int_equal(pwrite(fd, buf, medium.n_torn < len ? medium.n_torn : len, (off_t)offset),
                         medium.n_torn < len ? medium.n_torn : len);
    }
    fd = medium.write_error ? fd_that_fails(medium.write_error) : fd;
    if (hang[1] >= 0 && (!medium.only_in_switch || (*medium.only_in_switch)->stage == JOURNAL_SWITCHING)) {
        fd = hang[1];
    }
    __real_loop_write(loop, op, fd, buf, len, offset);
}

void __wrap_loop_fdatasync(struct loop *loop, struct loop_op *op, int fd)
{
    __real_loop_fdatasync(loop, op, medium.sync_error ? 999999 : fd);
}

void medium_begin_to_hang(void)
{
    char bytes[4096] = { 0 };
    assert_int_equal(pipe2(hang, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(hang[1], bytes, sizeof(bytes)) > 0) {
    }
    assert_int_equal(fcntl(hang[1], F_SETFL, 0), 0);
    signal(SIGPIPE, SIG_IGN);
}

void medium_end_to_hang(void)
{
    close(hang[0]);
    close(hang[1]);
    hang[0] = hang[1] = -1;
    medium.only_in_switch = NULL;
}
