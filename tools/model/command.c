// What the subcommands say to the user and write to files, in one place so that it looks the same.
#include "tools/model/command.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int command_fail(const struct command *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "tokfs-model %s: ", command->name);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return 1;
}

int command_misuse(const struct command *command, const struct err *err)
{
    command_fail(command, "%s", err->msg);
    return 2;
}

int command_usage(const struct command *command)
{
    fprintf(stderr, "usage: tokfs-model %s %s\n", command->name, command->synopsis);
    return 2;
}

int command_help(const struct command *command)
{
    printf("usage: tokfs-model %s %s\n\n%s\n\n%s", command->name, command->synopsis, command->summary,
           command->options);
    return command_finish(command);
}

int command_finish(const struct command *command)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return command_fail(command, "standard output: %s", strerror(errno ? errno : EIO));
    }
    return 0;
}

int command_each_line(const struct command *command, command_line *take, void *ctx, size_t *ret_n)
{
    char *line = NULL;
    size_t cap = 0, number = 0;
    int status = 0;
    struct arena arena;
    arena_init(&arena, 0);
    for (ssize_t len; status == 0 && (len = getline(&line, &cap, stdin)) >= 0;) {
        struct str text = str_trim((struct str){ line, (size_t)len });
        struct err err = { 0 };
        number++;
        if (text.len > 0 && take(ctx, &arena, text, &err) < 0) {
            fflush(stdout);
            status = command_fail(command, "line %zu: %s", number, err.msg);
        }
        arena_reset(&arena);
    }
    if (status == 0 && ferror(stdin)) {
        status = command_fail(command, "standard input: %s", strerror(errno));
    }
    free(line);
    arena_deinit(&arena);
    if (ret_n) {
        *ret_n = number;
    }
    return status;
}

static int write_fully(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        text = str_skip(text, (size_t)n);
    }
    return 0;
}

int output_write(const char *dir, const char *name, struct str text, struct err *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path)) {
        return err_set(err, -ENAMETOOLONG, "%s/%s: %s", dir, name, strerror(ENAMETOOLONG));
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    }
    int rc = write_fully(fd, text);
    if (close(fd) < 0 && rc == 0) {
        rc = -errno;
    }
    if (rc < 0) {
        unlink(path);
        return err_set(err, rc, "%s: %s", path, strerror(-rc));
    }
    return 0;
}
