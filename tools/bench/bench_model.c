// The model that a workload runs on, and the paths of the project's other programs.
#include "engine/base/str.h"
#include "tools/bench/bench.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void bench_program_path(const char *name, char *ret, size_t size)
{
    static const char *const places[] = { ".", "../model", "../../fs" };
    char self[512];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (len > 0) {
        self[len] = '\0';
        char *dir = dirname(self);
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            int n = snprintf(ret, size, "%s/%s/%s", dir, places[i], name);

            if (n > 0 && (size_t)n < size && access(ret, X_OK) == 0) {
                return;
            }
        }
    }
    snprintf(ret, size, "%s", name);
}

static int run_program(char *const argv[], struct err *err)
{
    pid_t pid;
    int status;
    int rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);

    if (rc != 0) {
        return err_set(err, -rc, "%s: cannot be started: %s", argv[0], strerror(rc));
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_set(err, -errno, "%s: waitpid: %s", argv[0], strerror(errno));
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        return err_set(err, -EIO, "%s: failed (wait status %d)", argv[0], status);
    }
    return 0;
}

int bench_model_prepare(const struct bench_options *options, struct bench_model *ret, struct err *err)
{
    char program[512];
    const char *tmp = getenv("TMPDIR");

    *ret = (struct bench_model){ 0 };
    if (options->model) {
        if ((size_t)snprintf(ret->dir, sizeof(ret->dir), "%s", options->model) >= sizeof(ret->dir)) {
            return err_set(err, -ENAMETOOLONG, "--model %s: longer than %zu bytes", options->model, sizeof(ret->dir));
        }
        return 0;
    }
    snprintf(ret->dir, sizeof(ret->dir), "%s/tokfs-bench-XXXXXX", tmp && *tmp ? tmp : "/var/tmp");
    if (!mkdtemp(ret->dir)) {
        return err_set(err, -errno, "%s: cannot be created: %s", ret->dir, strerror(errno));
    }
    ret->is_temporary = true;
    bench_program_path("tokfs-model", program, sizeof(program));
    char *argv[] = {
        program,           (char *)"random",       (char *)"--shape", (char *)options->shape,
        (char *)"--dtype", (char *)options->dtype, ret->dir,          NULL,
    };
    int rc = run_program(argv, err);
    if (rc < 0) {
        bench_model_remove(ret);
    }
    return rc;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void bench_model_remove(struct bench_model *model)
{
    if (model->is_temporary) {
        nftw(model->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
        model->is_temporary = false;
    }
}
