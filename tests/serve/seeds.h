// Random tests by number: how many, beginning where, and which one failed, also when an assertion ends the program.
#ifndef TOKFS_TESTS_SERVE_SEEDS_H
#define TOKFS_TESTS_SERVE_SEEDS_H

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed_running; // 0: none

static inline void seeds_tell(void)
{
    if (seed_running > 0) {
        fprintf(stderr, "TOKFS_TEST_SEED=%llu was running\n", (unsigned long long)seed_running);
        seed_running = 0;
    }
}

static inline void seeds_on_abort(int signal)
{
    (void)signal;
    seeds_tell(); // nothing goes on after it
}

static inline uint64_t seeds_number(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value ? strtoull(value, NULL, 10) : otherwise;
}

// Runs fn with one seed after the other: `n` of them, unless the environment variable `name` says how many, from
// TOKFS_TEST_SEED on. Returns how many.
static inline uint64_t seeds_run(const char *name, uint64_t n, void (*fn)(uint64_t seed, void *ctx), void *ctx)
{
    uint64_t first = seeds_number("TOKFS_TEST_SEED", 1);
    n = seeds_number(name, n);
    signal(SIGABRT, seeds_on_abort);
    atexit(seeds_tell);
    for (uint64_t i = 0; i < n; i++) {
        seed_running = first + i;
        fn(first + i, ctx);
    }
    seed_running = 0;
    return n;
}

#endif
