// Stacks that take turns with the one that resumes them. By ucontext where there is nothing better: it asks the kernel
// to save a signal mask each time. Sanitizers are told which stack runs.
#ifndef TOKFS_KERNELS_CUDA_SHIM_FIBRE_H
#define TOKFS_KERNELS_CUDA_SHIM_FIBRE_H

#include <stddef.h>
#ifndef __x86_64__
#include <ucontext.h>
#endif

struct fibre {
#ifdef __x86_64__
    void *at; // where it goes on
#else
    ucontext_t context;
#endif
    const void *bottom; // [bytes] its stack
    size_t bytes;
    void *fake;   // of AddressSanitizer, kept: it is costly to make
    void *thread; // of ThreadSanitizer: made once, kept
};

// `run` is to end by fibre_end. What ran on it before is forgotten.
void fibre_begin(struct fibre *f, unsigned char *stack, size_t bytes, void (*run)());
void fibre_resume(struct fibre *f); // until it leaves, or ends
void fibre_leave(struct fibre *self);
[[noreturn]] void fibre_end(struct fibre *self);

#endif
