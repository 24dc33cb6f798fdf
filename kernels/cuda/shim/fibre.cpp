#include "kernels/cuda/shim/fibre.h"

#include <stdlib.h>
#include <string.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define HAS_ASAN 1
#include <sanitizer/asan_interface.h>
#else
#define HAS_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define HAS_TSAN 0
#endif
// Its calls and returns are on two stacks, or it never returns.
#define UNSEEN __attribute__((noinline, no_sanitize("thread", "address")))

static struct fibre scheduler, *running;
static void (*entry)();

#ifdef __x86_64__
// Leaves what the ABI lets a callee keep on this stack and takes it from the other one.
extern "C" void shim_switch(void **save, void *to);
asm(".text\n"
    "shim_switch:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
    "ret\n");
#endif

UNSEEN static void go(struct fibre *from, struct fibre *to)
{
    running = to;
#if HAS_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->bottom, to->bytes);
#elif HAS_TSAN
    __tsan_switch_to_fiber(to->thread, 0);
#endif
#ifdef __x86_64__
    shim_switch(&from->at, to->at);
#else
    swapcontext(&from->context, &to->context);
#endif
#if HAS_ASAN
    __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#endif
}

UNSEEN static void first()
{
#if HAS_ASAN
    __sanitizer_finish_switch_fiber(running->fake, &scheduler.bottom, &scheduler.bytes);
#endif
    entry();
    abort();
}

void fibre_begin(struct fibre *f, unsigned char *stack, size_t bytes, void (*run)())
{
    entry = run;
    f->bottom = stack;
    f->bytes = bytes;
#if HAS_ASAN
    __asan_unpoison_memory_region(stack + bytes - 4096, 4096); // frames that never returned
#elif HAS_TSAN
    f->thread = f->thread ? f->thread : __tsan_create_fiber(0);
    scheduler.thread = __tsan_get_current_fiber();
#endif
#ifdef __x86_64__ // as if `first` had been called and had left at its first instruction
    void **top = reinterpret_cast<void **>(stack + bytes);
    memset(top - 8, 0, 8 * sizeof(*top));
    top[-2] = reinterpret_cast<void *>(first);
    f->at = top - 8;
#else
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack;
    f->context.uc_stack.ss_size = bytes;
    f->context.uc_link = NULL;
    makecontext(&f->context, first, 0);
#endif
}

void fibre_resume(struct fibre *f)
{
    go(&scheduler, f);
}

void fibre_leave(struct fibre *self)
{
    go(self, &scheduler);
}

UNSEEN void fibre_end(struct fibre *self)
{
    go(self, &scheduler);
    abort();
}
