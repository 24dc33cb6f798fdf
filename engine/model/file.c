// Reads a small file as a whole. It refuses what has no end (devices, pipes) and what is larger than its caller can
// mean.
#include "engine/model/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_to_end(int fd, const char *path, size_t bytes_max, struct strbuf *out, struct err *err)
{
    char buf[65536];
    size_t total = 0;
    for (;;) {
        ssize_t n = read(fd, buf, sizeof(buf));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n == 0 ? 0 : err_set(err, -errno, "%s: %s", path, strerror(errno));
        }
        total += (size_t)n;
        if (total > bytes_max) {
            return err_set(err, -EFBIG, "%s: larger than %zu bytes", path, bytes_max);
        }
        int rc = strbuf_append(out, (struct str){ buf, (size_t)n });
        if (rc < 0) {
            return err_set(err, rc, "%s: %s", path, strerror(-rc));
        }
    }
}

int file_read_path(const char *path, size_t bytes_max, struct strbuf *out, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe in its place must not block
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    struct stat st;
    int rc;
    if (fstat(fd, &st) < 0) {
        rc = err_set(err, -errno, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        rc = err_set(err, -EINVAL, "%s: not a regular file", path);
    } else {
        rc = read_to_end(fd, path, bytes_max, out, err);
    }
    close(fd);
    return rc;
}

int file_read(const char *dir, const char *name, size_t bytes_max, struct strbuf *out, struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
        return err_set(err, -ENAMETOOLONG, "%s/%s: %s", dir, name, strerror(ENAMETOOLONG));
    }
    return file_read_path(path, bytes_max, out, err);
}
