// Where a pool's workers go: which processor belongs to which core and to which node of memory.
//
// From sysfs (Documentation/ABI/stable/sysfs-devices-system-cpu, sysfs-devices-node): three numbers for each processor
// are all that is asked of the machine, which is why no topology library is linked. What cannot be read counts as a
// core of its own, on node 0.
#ifndef TOKFS_KERNELS_CPU_PLACES_H
#define TOKFS_KERNELS_CPU_PLACES_H

#include <sched.h>
#include <stddef.h>

struct place {
    int cpu;
    int core; // the lowest processor of its core
    int node;
};

// The processors of `allowed`, of which there are at most CPU_SETSIZE. `root`: "", or a directory in place of it.
size_t places_read(const char *root, const cpu_set_t *allowed, struct place ret[CPU_SETSIZE]);
// Puts those where n_workers go first: nodes share them evenly, as far as they have processors, and on each node cores
// come before second threads of cores. Workers of one node stand side by side, so that they take from each other what
// is left of a loop before they take from far away.
void places_order(struct place *places, size_t n, size_t n_workers);
// How many nodes there are.
size_t places_count_nodes(const struct place *places, size_t n);

// Processors' worth that the control group (v2) of this process and those above it may use, rounded up; 0: no limit.
size_t places_quota(const char *root);

#endif
