// Reads two estimates of free memory and gives the smaller one.
//
// Linux hands out memory that it does not have, and kills later: asking before a large allocation is the only way to
// fail with a clear message. Page cache counts as free, since the kernel gives it up.
#include "engine/model/host_memory.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The number that follows `key` at the beginning of a line of a file; with an empty key, the number the file begins
// with.
static uint64_t number_in_file(const char *path, const char *key, uint64_t fallback)
{
    FILE *f = fopen(path, "re");
    char line[256];
    uint64_t value = fallback;
    size_t key_len = strlen(key);
    while (f && fgets(line, sizeof(line), f)) {
        char *end;
        if (strncmp(line, key, key_len) != 0) {
            continue;
        }
        errno = 0;
        unsigned long long n = strtoull(line + key_len, &end, 10);
        if (end != line + key_len && errno == 0) {
            value = n;
        }
        break;
    }
    if (f) {
        fclose(f);
    }
    return value;
}

static uint64_t group_available(const char *group)
{
    char path[PATH_MAX + 64];
    if (snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", group) >= (int)sizeof(path)) {
        return UINT64_MAX;
    }
    uint64_t max = number_in_file(path, "", UINT64_MAX); // "max": no limit
    if (max == UINT64_MAX) {
        return UINT64_MAX;
    }
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.current", group);
    uint64_t current = number_in_file(path, "", 0);
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.stat", group);
    uint64_t cache = number_in_file(path, "inactive_file ", 0);
    uint64_t used = current > cache ? current - cache : 0;
    return max > used ? max - used : 0;
}

// The group of this process and every group above it: each may have a limit.
static uint64_t groups_available(void)
{
    char line[PATH_MAX] = "";
    FILE *f = fopen("/proc/self/cgroup", "re");
    uint64_t least = UINT64_MAX;
    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, "0::/", 4) != 0) {
            continue;
        }
        char *group = line + 3;
        group[strcspn(group, "\n")] = 0;
        for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
            *end = 0;
            uint64_t n = group_available(group);
            least = n < least ? n : least;
        }
        break;
    }
    if (f) {
        fclose(f);
    }
    return least;
}

uint64_t host_memory_available(void)
{
    uint64_t kib = number_in_file("/proc/meminfo", "MemAvailable:", UINT64_MAX);
    uint64_t machine = kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
    uint64_t group = groups_available();
    return group < machine ? group : machine;
}
