// /proc/PID/stat: "pid (comm) state ppid ..."; comm may hold spaces and parentheses, so fields are counted from the
// last ')'. Field numbers are those of proc(5): 4 is ppid, 22 starttime.
#include "fs/ancestry.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_stat(const char *proc, pid_t pid, pid_t *ret_parent, uint64_t *ret_start)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "%s/%d/stat", proc, (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0) {
        return -1;
    }
    text[n] = 0;
    char *at = strrchr(text, ')');
    char *save = NULL;
    at = at ? strtok_r(at + 1, " ", &save) : NULL;
    for (int field = 3; at; field++, at = strtok_r(NULL, " ", &save)) {
        if (field == 4) {
            *ret_parent = (pid_t)strtol(at, NULL, 10);
        } else if (field == 22) {
            *ret_start = strtoull(at, NULL, 10);
            return 0;
        }
    }
    return -1;
}

void ancestry_read(const char *proc, pid_t pid, struct ancestry *ret)
{
    ret->n = 0;
    while (pid > 1 && ret->n < ANCESTRY_MAX) {
        pid_t parent;
        uint64_t start;
        if (read_stat(proc, pid, &parent, &start) < 0) {
            return;
        }
        ret->link[ret->n].pid = pid;
        ret->link[ret->n].start = start;
        ret->n++;
        pid = parent;
    }
}

unsigned ancestry_distance(const struct ancestry *from, const struct ancestry *other)
{
    for (unsigned i = 0; i < from->n; i++) {
        for (unsigned k = 0; k < other->n; k++) {
            if (from->link[i].pid == other->link[k].pid && from->link[i].start == other->link[k].start) {
                return i;
            }
        }
    }
    return ANCESTRY_MAX;
}
