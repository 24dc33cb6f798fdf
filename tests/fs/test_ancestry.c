// Ancestors from a /proc of our own.
#include "fs/ancestry.h"
#include "tests/unit.h"
#include <string.h>
#include <sys/stat.h>

static char proc[64];

static void add_process(int pid, const char *comm, int parent, int start)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%d", proc, pid);
    mkdir(path, 0700);
    strcat(path, "/stat");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d (%s) S %d 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 %d 23 24\n", pid, comm, parent, start);
    fclose(file);
}

static int make_proc(void **state)
{
    (void)state;
    strcpy(proc, "/tmp/tokfs-ancestry.XXXXXX");
    if (!mkdtemp(proc)) {
        return -1;
    }
    add_process(10, "terminal", 1, 5);
    add_process(20, "sh ell) 1 (", 10, 6);
    add_process(21, "other", 10, 7);
    add_process(30, "cat", 20, 8);
    add_process(31, "cat", 21, 9);
    return 0;
}

static int remove_proc(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", proc);
    return system(command);
}

static void test_ancestry_of_a_process_ends_below_init(void **state)
{
    struct ancestry a;
    (void)state;
    ancestry_read(proc, 30, &a);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.link[0].pid, 30);
    assert_int_equal(a.link[1].pid, 20);
    assert_int_equal(a.link[1].start, 6);
    assert_int_equal(a.link[2].pid, 10);
    ancestry_read(proc, 99, &a);
    assert_int_equal(a.n, 0);
}

static void test_ancestry_distance_prefers_the_same_shell(void **state)
{
    struct ancestry reader, shell, other;
    (void)state;
    ancestry_read(proc, 30, &reader);
    ancestry_read(proc, 20, &shell);
    ancestry_read(proc, 31, &other);
    assert_int_equal(ancestry_distance(&reader, &shell), 1);
    assert_int_equal(ancestry_distance(&reader, &other), 2);
    other.link[2].start = 1; // the same pid, another process
    assert_int_equal(ancestry_distance(&reader, &other), ANCESTRY_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ancestry_of_a_process_ends_below_init),
        cmocka_unit_test(test_ancestry_distance_prefers_the_same_shell),
    };
    return cmocka_run_group_tests(tests, make_proc, remove_proc);
}
