// What grid.cpp, which runs the threads, and hopper.cpp, which does what runs behind their backs, ask of each other.
#ifndef TOKFS_KERNELS_CUDA_SHIM_SCHEDULER_H
#define TOKFS_KERNELS_CUDA_SHIM_SCHEDULER_H

#include <stddef.h>

// grid.cpp
[[noreturn]] void shim_fail(const char *what);
size_t shim_thread(); // the running one, or of those that act together one
size_t shim_random_below(size_t n);
// Until `is_over` is true; it may take what it waits for. `what`: for the message when nothing can make it true.
void shim_wait(bool (*is_over)(void *arg), void *arg, const char *what);

// hopper.cpp, for each CTA
void shim_async_begin(size_t n_threads);
bool shim_async_step(); // one of the things that are under way happens; false: none is
void shim_async_end();

#endif
