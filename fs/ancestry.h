// A process and its ancestors, as /proc tells: how sessions/last finds the session that belongs to its caller's shell.
#ifndef TOKFS_FS_ANCESTRY_H
#define TOKFS_FS_ANCESTRY_H

#include <stdint.h>
#include <sys/types.h>

#define ANCESTRY_MAX 12

struct ancestry {
    struct {
        pid_t pid;
        uint64_t start;   // clock ticks since boot: a pid that was used again is another process
    } link[ANCESTRY_MAX]; // the process itself first
    unsigned n;
};

// Empty where the process is unknown (gone, or in another pid namespace). proc: "/proc".
void ancestry_read(const char *proc, pid_t pid, struct ancestry *ret);
// How far up `from` is the nearest process that is also in `other`; ANCESTRY_MAX when there is none. Init (pid 1) is no
// kin.
unsigned ancestry_distance(const struct ancestry *from, const struct ancestry *other);

#endif
