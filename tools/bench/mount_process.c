// A tokfs process of our own: started on a temporary mount point, stopped again.
#include "tools/bench/mount_process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int wait_until_mounted(struct mount_process *process, struct err *err)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/health", process->dir);
    for (;;) {
        int status;

        if (access(path, R_OK) == 0) {
            return 0;
        }
        if (waitpid(process->pid, &status, WNOHANG) == process->pid) {
            process->pid = 0;
            return err_set(err, -EIO, "tokfs ended before the mount answered (wait status %d)", status);
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
}

int mount_process_start(const struct bench_options *options, const char *name, const char *model_dir,
                        struct mount_process *ret, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    char program[512], threads[16], sequences[16], sessions[16];
    int n = 0;

    *ret = (struct mount_process){ 0 };
    snprintf(ret->dir, sizeof(ret->dir), "%s/tokfs-mount-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(ret->dir)) {
        return err_set(err, -errno, "%s: cannot be created: %s", ret->dir, strerror(errno));
    }
    bench_program_path(name, program, sizeof(program));
    snprintf(threads, sizeof(threads), "%u", options->n_threads);
    snprintf(sequences, sizeof(sequences), "%u", options->n_sequences);
    char *argv[16];
    argv[n++] = program;
    argv[n++] = (char *)"-f";
    argv[n++] = (char *)"--max-sequences";
    argv[n++] = sequences;
    if (options->n_requests > 0) {
        snprintf(sessions, sizeof(sessions), "%u", options->n_requests);
        argv[n++] = (char *)"--max-sessions";
        argv[n++] = sessions;
    }
    if (options->n_threads) {
        argv[n++] = (char *)"--threads";
        argv[n++] = threads;
    }
    argv[n++] = (char *)model_dir;
    argv[n++] = ret->dir;
    argv[n] = NULL;
    int rc = posix_spawnp(&ret->pid, program, NULL, NULL, argv, environ);
    if (rc != 0) {
        ret->pid = 0;
        rmdir(ret->dir);
        return err_set(err, -rc, "%s: cannot be started: %s", program, strerror(rc));
    }
    rc = wait_until_mounted(ret, err);
    if (rc < 0) {
        rmdir(ret->dir);
    }
    return rc;
}

int mount_process_stop(struct mount_process *process, struct err *err)
{
    int status = 0;

    if (process->pid == 0) {
        return 0;
    }
    kill(process->pid, SIGTERM);
    while (waitpid(process->pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_set(err, -errno, "waitpid: %s", strerror(errno));
        }
    }
    process->pid = 0;
    rmdir(process->dir);
    return status == 0 ? 0 : err_set(err, -EIO, "tokfs ended with wait status %d", status);
}
