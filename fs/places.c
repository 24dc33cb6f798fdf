// Nothing here is kept: each call looks at the system as it is.
#include "fs/places.h"
#include <dirent.h>
#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// ---- the model -----------------------------------------------------------------------------------------------------

static bool is_model_dir(const char *path)
{
    char file[PATH_MAX + 16];
    snprintf(file, sizeof(file), "%s/config.json", path);
    return access(file, R_OK) == 0;
}

static bool find_beside_program(const char *relative, char ret[PATH_MAX])
{
    char exe[PATH_MAX], path[2 * PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0) {
        return false;
    }
    exe[n] = 0;
    char *slash = strrchr(exe, '/');
    if (!slash) {
        return false;
    }
    *slash = 0;
    snprintf(path, sizeof(path), "%s/%s", exe, relative);
    return realpath(path, ret) && is_model_dir(ret);
}

int place_find_model(const char *name, char ret[PATH_MAX], struct err *err)
{
    if (strcmp(name, "demo") != 0) {
        if ((size_t)snprintf(ret, PATH_MAX, "%s", name) >= PATH_MAX) {
            return err_set(err, -ENAMETOOLONG, "%.100s...: the name is too long", name);
        }
        return 0;
    }
    if (find_beside_program("../share/tokfs/demo", ret)) {
        return 0;
    }
    if (is_model_dir(TOKFS_DATADIR "/demo")) {
        snprintf(ret, PATH_MAX, "%s", TOKFS_DATADIR "/demo");
        return 0;
    }
    if (find_beside_program("../../tools/demo/model", ret)) { // BUILD/fs/tokfs of a build folder in the source tree
        return 0;
    }
    return err_set(err, -ENOENT, "the model `demo` is not installed: there is no %s/demo/config.json", TOKFS_DATADIR);
}

// ---- the mount point -----------------------------------------------------------------------------------------------

static int run_helper(char *const argv[])
{
    pid_t pid;
    int status;
    int r = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (r != 0) {
        return -r;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

static int recover(const char *path, struct err *err)
{
    char *argv[] = { "fusermount3", "-u", "-z", "--", (char *)(uintptr_t)path, NULL };
    int r = run_helper(argv);
    return r < 0 ? err_set(err, r, "%s: a dead mount is there, and fusermount3 -u -z cannot remove it", path) : 0;
}

static int check_free(const char *path, struct err *err)
{
    struct stat st, above;
    char parent[PATH_MAX + 4];
    snprintf(parent, sizeof(parent), "%s/..", path);
    if (stat(path, &st) < 0 || stat(parent, &above) < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (st.st_dev != above.st_dev || st.st_ino == above.st_ino) {
        return err_set(err, -EBUSY, "%s: something is mounted there already", path);
    }
    return 0;
}

static int check_empty(const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int r = 0;
    if (!dir) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    while (r == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            r = err_set(err, -ENOTEMPTY, "%s: the directory is not empty (it has %s); -o nonempty hides what is there",
                        path, entry->d_name);
        }
    }
    closedir(dir);
    return r;
}

int place_prepare_mountpoint(const char *path, bool allow_nonempty, char ret[PATH_MAX], struct err *err)
{
    struct statvfs fs; // which is not answered from what the kernel remembers
    struct stat st;
    int r = 0;
    // A dead mount; ECONNABORTED when the kernel was taking it down while we asked.
    if (statvfs(path, &fs) < 0 && (errno == ENOTCONN || errno == ECONNABORTED)) {
        r = recover(path, err);
    }
    if (r < 0) {
        return r;
    }
    if (stat(path, &st) < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return err_set(err, -ENOTDIR, "%s: not a directory", path);
    }
    if (!realpath(path, ret)) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    r = check_free(ret, err);
    return r < 0 || allow_nonempty ? r : check_empty(ret, err);
}
