#include "fs/state_dir.h"
#include "engine/base/str.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int check(const char *path, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return err_set(err, -errno, "--state %s: %s", path, strerror(errno));
    }
    if (st.st_uid != geteuid()) {
        return err_set(err, -EACCES, "--state %s: it belongs to user %u, and this is user %u", path, st.st_uid,
                       geteuid());
    }
    if (st.st_mode & 077) {
        return err_set(err, -EACCES,
                       "--state %s: its mode is %04o: conversations would be open to others (chmod 700 it)", path,
                       st.st_mode & 07777);
    }
    return 0;
}

int state_dir_open(const char *path, struct state_dir *ret, struct err *err)
{
    struct state_dir dir = { .path = str_dup(str_from(path)), .fd = -1, .lock_fd = -1 };
    int r = dir.path ? 0 : err_set(err, -ENOMEM, "out of memory");
    if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST) {
        r = err_set(err, -errno, "--state %s: %s", path, strerror(errno));
    }
    if (r == 0) {
        dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir.lock_fd = dir.fd < 0 ? -1 : openat(dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = dir.lock_fd < 0 ? err_set(err, -errno, "--state %s: %s", path, strerror(errno)) : 0;
    }
    r = r == 0 ? check(path, dir.fd, err) : r;
    if (r == 0 && flock(dir.lock_fd, LOCK_EX | LOCK_NB) < 0) {
        r = errno == EWOULDBLOCK ? err_set(err, -EBUSY, "--state %s: another tokfs uses it", path)
                                 : err_set(err, -errno, "--state %s: flock: %s", path, strerror(errno));
    }
    if (r < 0) {
        state_dir_close(&dir);
        return r;
    }
    *ret = dir;
    return 0;
}

void state_dir_close(struct state_dir *dir)
{
    if (!dir->path) {
        return;
    }
    if (dir->lock_fd >= 0) {
        close(dir->lock_fd);
    }
    if (dir->fd >= 0) {
        close(dir->fd);
    }
    free(dir->path);
    *dir = (struct state_dir){ .fd = -1, .lock_fd = -1 };
}
