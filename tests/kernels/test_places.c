// Workers on machines that are made of files: nodes, cores with two threads, cpusets, quotas.
#include "kernels/cpu/places.h"
#include "tests/unit.h"
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static char root[64];

static int make_root(void **state)
{
    (void)state;
    strcpy(root, "/tmp/tokfs-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void put(const char *path, const char *text)
{
    char full[512], command[640];
    snprintf(full, sizeof(full), "%s%s", root, path);
    snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\"", full);
    assert_int_equal(system(command), 0);
    FILE *f = fopen(full, "we");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    fclose(f);
}

// Two nodes with two cores of two threads each, numbered as firmware often does: second threads behind all first ones.
static void make_two_nodes(void)
{
    for (int cpu = 0; cpu < 8; cpu++) {
        char path[128], siblings[32];
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        snprintf(siblings, sizeof(siblings), "%d,%d", cpu % 4, cpu % 4 + 4);
        put(path, siblings);
    }
    put("/sys/devices/system/node/has_cpu", "0-1");
    put("/sys/devices/system/node/node0/cpulist", "0-1,4-5");
    put("/sys/devices/system/node/node1/cpulist", "2-3,6-7");
}

static cpu_set_t set_of(const int *cpus, size_t n)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < n; i++) {
        CPU_SET(cpus[i], &set);
    }
    return set;
}

static void expect_order(const int *allowed, size_t n, size_t n_workers, const int *wanted)
{
    struct place places[CPU_SETSIZE];
    cpu_set_t set = set_of(allowed, n);
    assert_int_equal(places_read(root, &set, places), n);
    places_order(places, n, n_workers);
    for (size_t i = 0; i < n_workers; i++) {
        if (places[i].cpu != wanted[i]) {
            fail_msg("worker %zu of %zu is on %d, not on %d", i, n_workers, places[i].cpu, wanted[i]);
        }
    }
    bool is_there[CPU_SETSIZE] = { false };
    for (size_t i = 0; i < n; i++) { // nobody is lost
        assert_true(CPU_ISSET(places[i].cpu, &set) && !is_there[places[i].cpu]);
        is_there[places[i].cpu] = true;
    }
}

static const int all[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void test_places_nodes_share_and_cores_come_first(void **state)
{
    (void)state;
    make_two_nodes();
    expect_order(all, 8, 1, (const int[]){ 0 });
    expect_order(all, 8, 2, (const int[]){ 0, 2 });
    expect_order(all, 8, 4, (const int[]){ 0, 1, 2, 3 });
    expect_order(all, 8, 3, (const int[]){ 0, 1, 2 });
    expect_order(all, 8, 6, (const int[]){ 0, 1, 4, 2, 3, 6 });
    expect_order(all, 8, 8, (const int[]){ 0, 1, 4, 5, 2, 3, 6, 7 });
}

static void test_places_of_a_cpuset_are_kept_to(void **state)
{
    (void)state;
    make_two_nodes();
    const int some[] = { 0, 4, 5, 7 };
    expect_order(some, 4, 2, (const int[]){ 0, 7 });
    expect_order(some, 4, 3, (const int[]){ 0, 5, 7 });
    expect_order(some, 4, 4, (const int[]){ 0, 5, 4, 7 });
    const int far[] = { 1, 2, 3, 6, 7 }; // one processor on the first node
    expect_order(far, 5, 4, (const int[]){ 1, 2, 3, 6 });
    struct place places[CPU_SETSIZE];
    cpu_set_t set = set_of(some, 3);
    assert_int_equal(places_count_nodes(places, places_read(root, &set, places)), 1);
    set = set_of(some, 4);
    assert_int_equal(places_count_nodes(places, places_read(root, &set, places)), 2);
}

static void test_places_of_a_machine_that_tells_nothing(void **state)
{
    (void)state;
    expect_order(all, 8, 8, all);
    put("/sys/devices/system/node/has_cpu", "none");
    put("/sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "");
    expect_order(all, 8, 3, all);
}

static void test_places_of_this_machine(void **state)
{
    (void)state;
    struct place places[CPU_SETSIZE];
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    size_t n = places_read("", &set, places);
    assert_int_equal(n, CPU_COUNT(&set));
    places_order(places, n, n);
    assert_true(places_count_nodes(places, n) >= 1);
}

static void test_places_quota_is_the_least_of_all_groups(void **state)
{
    (void)state;
    assert_int_equal(places_quota(root), 0);
    put("/proc/self/cgroup", "0::/pods/one");
    put("/sys/fs/cgroup/pods/one/cpu.max", "max 100000");
    assert_int_equal(places_quota(root), 0);
    put("/sys/fs/cgroup/pods/cpu.max", "250000 100000");
    assert_int_equal(places_quota(root), 3);
    put("/sys/fs/cgroup/pods/one/cpu.max", "50000 100000");
    assert_int_equal(places_quota(root), 1);
    put("/proc/self/cgroup", "0::/");
    put("/sys/fs/cgroup/cpu.max", "200000 100000"); // of a container, which sees its group as the root
    assert_int_equal(places_quota(root), 2);
}

#define ON_MACHINE(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(test_places_nodes_share_and_cores_come_first), ON_MACHINE(test_places_of_a_cpuset_are_kept_to),
        ON_MACHINE(test_places_of_a_machine_that_tells_nothing),  ON_MACHINE(test_places_of_this_machine),
        ON_MACHINE(test_places_quota_is_the_least_of_all_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
