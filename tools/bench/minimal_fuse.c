// libfuse's low-level interface and its own loop on one thread, in a process of its own: a request is read(2), answered
// from a constant and written.
#define FUSE_USE_VERSION 314
#include "tools/bench/minimal_fuse.h"
#include <errno.h>
#include <fuse_lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_INO 2

static const char content[64] = "the least that a file can be\n";

static struct stat stat_of(fuse_ino_t ino)
{
    return (struct stat){ .st_ino = ino,
                          .st_mode = ino == FILE_INO ? S_IFREG | 0444 : S_IFDIR | 0755,
                          .st_nlink = 1,
                          .st_size = sizeof(content) };
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = { .ino = FILE_INO, .attr = stat_of(FILE_INO) };
    (void)parent;
    if (strcmp(name, "f") == 0) {
        fuse_reply_entry(req, &entry);
    } else {
        fuse_reply_err(req, ENOENT);
    }
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st = stat_of(ino);
    (void)fi;
    fuse_reply_attr(req, &st, 0);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->direct_io = 1;
    fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
    (void)ino, (void)offset, (void)fi;
    fuse_reply_buf(req, content, size < sizeof(content) ? size : sizeof(content));
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = op_lookup, .getattr = op_getattr, .open = op_open, .read = op_read
};

static void serve(const char *dir)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    fuse_opt_add_arg(&args, "minimal");
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof(operations), NULL);
    if (session && fuse_set_signal_handlers(session) == 0 && fuse_session_mount(session, dir) == 0) {
        fuse_session_loop(session);
        fuse_session_unmount(session);
    }
    _exit(0);
}

int minimal_fuse_start(struct minimal_fuse *ret, struct err *err)
{
    char path[160];
    *ret = (struct minimal_fuse){ .dir = "/tmp/tokfs-minimal-XXXXXX" };
    if (!mkdtemp(ret->dir)) {
        return err_set(err, -errno, "%s: cannot be created: %s", ret->dir, strerror(errno));
    }
    ret->pid = fork();
    if (ret->pid == 0) {
        serve(ret->dir);
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

void minimal_fuse_stop(struct minimal_fuse *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGTERM);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
    rmdir(server->dir);
}
