// Negative controls of the model of a GPU: that it ends the program, by itself or by a sanitizer.
#ifndef TOKFS_TESTS_KERNELS_SHIM_FAULT_H
#define TOKFS_TESTS_KERNELS_SHIM_FAULT_H

#include "kernels/cuda/gpu.h"

#include <functional>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

// clang-format off
extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
}
// clang-format on

#define FAULT_ROUNDS 20 // what depends on the order of things shows in one of so many

// In a process of its own.
static inline bool ends_program(const std::function<void()> &fault)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(0);
        }
        for (int i = 0; i < FAULT_ROUNDS; i++) {
            fault();
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status != 0;
}

struct fault {
    void (*kernel)(float *);
    unsigned n_threads;
};

template <size_t N> static inline void expect_found(const struct fault (&faults)[N], size_t shared_bytes)
{
    for (size_t i = 0; i < N; i++) {
        const struct fault f = faults[i];
        if (!ends_program([=] { gpu_launch(NULL, f.kernel, 1, f.n_threads, shared_bytes, (float *)NULL); })) {
            fail_msg("fault %zu is not found", i);
        }
    }
}

#endif
