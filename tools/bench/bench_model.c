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
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

void bench_program_path(const char *name, char *ret, size_t size)
{
    static const char *const places[] = { ".", "../model", "../bridge", "../../fs", "../../tests/fs" };
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

// Starts it with standard error going to a file: 0 or a positive errno, as posix_spawn.
static int start_program(char *const argv[], int stderr_fd, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
    rc = rc ? rc : posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

// The one line that the program said, or how it ended.
static int tell_failure(const char *program, int stderr_fd, int status, struct err *err)
{
    char line[200];
    ssize_t n = pread(stderr_fd, line, sizeof(line), 0);
    struct str said = str_trim((struct str){ line, n > 0 ? (size_t)n : 0 });
    if (said.len > 0) {
        return err_set(err, -EIO, "%.*s", STR_ARG(said));
    }
    return err_set(err, -EIO, "%s: failed (wait status %d)", program, status);
}

static int run_program(char *const argv[], struct err *err)
{
    pid_t pid;
    int status, messages = memfd_create("stderr", MFD_CLOEXEC);
    if (messages < 0) {
        return err_set(err, -errno, "memfd_create: %s", strerror(errno));
    }
    int rc = start_program(argv, messages, &pid);
    if (rc != 0) {
        close(messages);
        return err_set(err, -rc, "%s: cannot be started: %s", argv[0], strerror(rc));
    }
    while (waitpid(pid, &status, 0) < 0) { // EINTR
    }
    rc = WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : tell_failure(argv[0], messages, status, err);
    close(messages);
    return rc;
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
