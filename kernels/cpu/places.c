// Reading is by small files, ordering is pure.
#include "kernels/cpu/places.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_line(const char *root, const char *path, char *line, int size)
{
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", root, path);
    FILE *f = fopen(full, "re");
    bool is_read = f && fgets(line, size, f);
    if (f) {
        fclose(f);
    }
    return is_read;
}

// ---- processors ----------------------------------------------------------------------------------------------------

// The next range of a list like "0-3,8,10-11"; NULL: there is none.
static const char *next_range(const char *list, int *ret_first, int *ret_last)
{
    char *end;
    long first = strtol(list, &end, 10), last = first;
    if (end == list) {
        return NULL;
    }
    if (*end == '-') {
        last = strtol(end + 1, &end, 10);
    }
    *ret_first = (int)first;
    *ret_last = (int)last;
    return *end == ',' ? end + 1 : end;
}

static int read_core(const char *root, int cpu)
{
    char path[128], line[4096];
    int first, last;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    return read_line(root, path, line, sizeof(line)) && next_range(line, &first, &last) ? first : cpu;
}

static void read_node(const char *root, int node, struct place *places, size_t n)
{
    char path[128], line[4096];
    int first, last;
    snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpulist", node);
    const char *at = read_line(root, path, line, sizeof(line)) ? line : NULL;
    while (at && (at = next_range(at, &first, &last))) {
        for (size_t i = 0; i < n; i++) {
            places[i].node = places[i].cpu >= first && places[i].cpu <= last ? node : places[i].node;
        }
    }
}

size_t places_read(const char *root, const cpu_set_t *allowed, struct place ret[CPU_SETSIZE])
{
    char line[4096];
    size_t n = 0;
    int first, last;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, allowed)) {
            ret[n++] = (struct place){ .cpu = cpu, .core = read_core(root, cpu) };
        }
    }
    const char *at = read_line(root, "/sys/devices/system/node/has_cpu", line, sizeof(line)) ? line : NULL;
    while (at && (at = next_range(at, &first, &last))) {
        for (int node = first; node <= last && node - first < CPU_SETSIZE; node++) {
            read_node(root, node, ret, n);
        }
    }
    return n;
}

// ---- order ---------------------------------------------------------------------------------------------------------

static int by_node(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return x->node != y->node ? (x->node > y->node) - (x->node < y->node) : (x->cpu > y->cpu) - (x->cpu < y->cpu);
}

// Of one node: one processor of each core, then the second ones, and so on.
static void order_node(struct place *places, size_t n)
{
    for (size_t done = 0; done < n;) {
        size_t begin = done;
        for (size_t i = done; i < n; i++) {
            bool has_core = false;
            for (size_t k = begin; k < done; k++) {
                has_core = has_core || places[k].core == places[i].core;
            }
            if (!has_core) {
                struct place one = places[i];
                memmove(&places[done + 1], &places[done], (i - done) * sizeof(one));
                places[done++] = one;
            }
        }
    }
}

static size_t node_end(const struct place *places, size_t n, size_t begin)
{
    size_t end = begin;
    while (end < n && places[end].node == places[begin].node) {
        end++;
    }
    return end;
}

size_t places_count_nodes(const struct place *places, size_t n)
{
    int nodes[CPU_SETSIZE];
    size_t n_nodes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n_nodes && nodes[k] != places[i].node) {
            k++;
        }
        nodes[k] = places[i].node;
        n_nodes += k == n_nodes;
    }
    return n_nodes;
}

void places_order(struct place *places, size_t n, size_t n_workers)
{
    assert(n <= CPU_SETSIZE);
    struct place rest[CPU_SETSIZE];
    size_t n_taken = 0, n_rest = 0, n_nodes = places_count_nodes(places, n);
    n_workers = n_workers < n ? n_workers : n;
    qsort(places, n, sizeof(*places), by_node);
    // A node takes its share of those that are left to place, unless the nodes behind it have too few processors.
    for (size_t begin = 0, end; begin < n; begin = end, n_nodes--) {
        end = node_end(places, n, begin);
        size_t n_here = end - begin, n_left = n_workers - n_taken, n_behind = n - end;
        size_t share = (n_left + n_nodes - 1) / n_nodes;
        share = n_left - share > n_behind ? n_left - n_behind : share;
        share = share < n_here ? share : n_here;
        order_node(places + begin, n_here);
        memcpy(rest + n_rest, places + begin + share, (n_here - share) * sizeof(*places));
        n_rest += n_here - share;
        memmove(places + n_taken, places + begin, share * sizeof(*places));
        n_taken += share;
    }
    memcpy(places + n_taken, rest, n_rest * sizeof(*places));
}

// ---- quota ---------------------------------------------------------------------------------------------------------

// "max 100000", or what may be used of each period.
static size_t read_quota(const char *root, const char *group)
{
    char path[PATH_MAX], line[128];
    unsigned long long quota, period;
    snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
    bool is_read = read_line(root, path, line, sizeof(line)) && sscanf(line, "%llu %llu", &quota, &period) == 2;
    return is_read && period > 0 && quota > 0 ? (size_t)((quota + period - 1) / period) : 0;
}

size_t places_quota(const char *root)
{
    char group[PATH_MAX - 64], path[PATH_MAX];
    size_t least = 0;
    snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(group, sizeof(group), f)) {
        if (strncmp(group, "0::/", 4) != 0) {
            continue;
        }
        group[strcspn(group, "\n")] = 0;
        for (char *end = group + strlen(group); end; end = strrchr(group + 3, '/')) {
            *end = 0;
            size_t quota = read_quota(root, group + 3);
            least = quota > 0 && (least == 0 || quota < least) ? quota : least;
        }
        break;
    }
    if (f) {
        fclose(f);
    }
    return least;
}
