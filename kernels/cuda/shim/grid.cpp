// Fibres. (By ucontext where there is nothing better: it asks the kernel to save a signal mask each time; and under a
// sanitizer, which knows it.) A pass runs every thread that can run until it waits or ends; then warps whose lanes are
// all there act, those whose condition has come true go on, or one of the things that run behind the threads' backs
// happens (hopper.cpp), which it also does now and then before a pass. When nothing else can move, the barrier opens.
#include "kernels/cuda/shim/grid.h"
#include "kernels/cuda/shim/scheduler.h"
#include <list>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <utility>
#include <vector>

#define STACK_BYTES ((size_t)256 << 10)
#define THREADS_MAX 1024

enum state { RUNNABLE, AT_BARRIER, IN_WARP, WAITING, EARLY, ENDED };

struct copy {
    void *to;
    const void *from;
    bool is_there;
};

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SWITCH 0
#elif defined(__has_feature)
#define HAS_SWITCH (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define HAS_SWITCH 1
#endif

struct fibre {
    ucontext_t context;
    void *stack; // HAS_SWITCH: where it goes on
    enum state state;
    dim3 thread;
    uint32_t mask; // IN_WARP: with whom, to do what
    shim_warp_fn *act;
    void *arg;
    bool (*is_over)(void *); // WAITING, with `arg`: for what
    const char *waits_for;
    std::vector<std::vector<copy>> groups; // of copies that were not waited for, the open one last
};

// Fibres of a CTA, kept from one to the next.
struct crew {
    struct fibre *fibres; // [THREADS_MAX]
    unsigned char *stacks;
    bool is_busy;
};

#define EARLY_MAX 3 // launches that wait for their turn, beside the one that comes

struct launch {
    struct shim_call call;
    bool is_early, has_waited;
    dim3 grid, block;
    size_t shared_bytes;
    std::function<void()> thread;
    struct crew *crew; // of a CTA that has begun; NULL: none has
    size_t begun;      // which one
    struct shim_place place;
    void *memory; // its shared memory
};

// The CTA that runs. One at a time in a process: see the head of grid.h.
static struct {
    ucontext_t scheduler;
    void *stack;
    struct crew *crew;
    struct fibre *fibres; // the crew's
    size_t current, n_threads;
    struct launch *launch;
    bool is_ahead; // earlier launches are not done
    uint64_t rng;
} cta;

static struct crew crews[EARLY_MAX + 2];
static std::list<struct launch> early; // in order

struct shim_place shim_place;
struct shim_state shim_state;

[[noreturn]] void shim_fail(const char *what)
{
    fprintf(stderr, "gpu shim: CTA (%u, %u, %u), thread %zu: %s\n", blockIdx.x, blockIdx.y, blockIdx.z, cta.current,
            what);
    abort();
}

size_t shim_random_below(size_t n)
{
    cta.rng = cta.rng * 6364136223846793005u + 1442695040888963407u; // Knuth's MMIX generator
    return (size_t)(cta.rng >> 33) % n;
}

#if HAS_SWITCH
// Leaves what the ABI lets a callee keep on this stack and takes it from the other one.
extern "C" void shim_switch(void **save, void *to);
asm(".text\n"
    "shim_switch:\n"
    "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "mov %rsp, (%rdi)\n mov %rsi, %rsp\n"
    "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
    "ret\n");

static void run_thread();

// As if run_thread had been called and had left at its first instruction.
static void begin(struct fibre *f, unsigned char *stack)
{
    void **top = reinterpret_cast<void **>(stack + STACK_BYTES);
    memset(top - 8, 0, 8 * sizeof(*top));
    top[-2] = reinterpret_cast<void *>(run_thread);
    f->stack = top - 8;
}

static void leave(struct fibre *self)
{
    shim_switch(&self->stack, cta.stack);
}

static void resume(struct fibre *f)
{
    shim_switch(&cta.stack, f->stack);
}
#else
static void run_thread();

static void begin(struct fibre *f, unsigned char *stack)
{
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, run_thread, 0);
}

static void leave(struct fibre *self)
{
    swapcontext(&self->context, &cta.scheduler);
}

static void resume(struct fibre *f)
{
    swapcontext(&cta.scheduler, &f->context);
}
#endif

static void yield(enum state state)
{
    struct fibre *self = &cta.fibres[cta.current];
    self->state = state;
    leave(self);
}

static void run_thread()
{
    cta.launch->thread();
    struct fibre *self = &cta.fibres[cta.current];
    for (const auto &group : self->groups) {
        if (!group.empty()) {
            shim_fail("ends with copies to shared memory that it did not wait for");
        }
    }
    yield(ENDED);
}

static struct crew *take_crew()
{
    struct crew *crew = crews;
    while (crew->is_busy) {
        crew++;
    }
    if (!crew->fibres) {
        crew->fibres = new fibre[THREADS_MAX];
        crew->stacks = static_cast<unsigned char *>(malloc(THREADS_MAX * STACK_BYTES));
    }
    crew->is_busy = true;
    return crew;
}

static void start_threads(dim3 block)
{
    cta.n_threads = (size_t)block.x * block.y * block.z;
    if (cta.n_threads == 0 || cta.n_threads > THREADS_MAX) {
        shim_fail("no such number of threads");
    }
    cta.crew = take_crew();
    cta.fibres = cta.crew->fibres;
    for (size_t i = 0; i < cta.n_threads; i++) {
        struct fibre *f = &cta.fibres[i];
        f->state = RUNNABLE;
        f->thread = dim3((unsigned)(i % block.x), (unsigned)(i / block.x % block.y), (unsigned)(i / block.x / block.y));
        f->groups.assign(1, {});
        begin(f, cta.crew->stacks + i * STACK_BYTES);
    }
}

static bool run_runnable(std::vector<size_t> &order)
{
    order.clear();
    for (size_t i = 0; i < cta.n_threads; i++) {
        if (cta.fibres[i].state == RUNNABLE) {
            order.push_back(i);
        }
    }
    for (size_t n = order.size(); n > 1; n--) {
        std::swap(order[n - 1], order[shim_random_below(n)]);
    }
    for (size_t i : order) {
        cta.current = i;
        shim_place.thread = cta.fibres[i].thread;
        resume(&cta.fibres[i]);
    }
    return !order.empty();
}

static size_t first_of(uint32_t lanes)
{
    return (size_t)__builtin_ctz(lanes);
}

// Whether the lanes that lane `first` of a warp waits for are all there; if so they act.
static bool act_together(size_t warp, size_t first)
{
    const struct fibre *caller = &cta.fibres[warp + first];
    void *args[32] = {};
    for (uint32_t rest = caller->mask; rest; rest &= rest - 1) {
        size_t lane = first_of(rest);
        const struct fibre *f = warp + lane < cta.n_threads ? &cta.fibres[warp + lane] : NULL;
        if (!f || f->state == ENDED) {
            shim_fail("a lane named in a mask has ended");
        }
        if (f->state != IN_WARP) {
            return false;
        }
        if (f->mask != caller->mask || f->act != caller->act) {
            shim_fail("the lanes of a mask do different things");
        }
        args[lane] = f->arg;
    }
    caller->act(args);
    for (uint32_t rest = caller->mask; rest; rest &= rest - 1) {
        cta.fibres[warp + first_of(rest)].state = RUNNABLE;
    }
    return true;
}

static bool run_warps()
{
    bool has_acted = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        if (cta.fibres[i].state == IN_WARP) {
            cta.current = i;
            has_acted |= act_together(i / 32 * 32, i % 32);
        }
    }
    return has_acted;
}

static bool run_waiting()
{
    bool has_moved = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        struct fibre *f = &cta.fibres[i];
        if (f->state == WAITING && f->is_over(f->arg)) {
            f->state = RUNNABLE;
            has_moved = true;
        }
    }
    return has_moved;
}

// True while threads are left.
static bool open_barrier()
{
    bool is_any_left = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        cta.current = i;
        if (cta.fibres[i].state == IN_WARP) {
            shim_fail("waits for lanes that wait at a barrier");
        }
        if (cta.fibres[i].state == WAITING) {
            shim_fail(cta.fibres[i].waits_for);
        }
        is_any_left |= cta.fibres[i].state == AT_BARRIER;
    }
    for (size_t i = 0; i < cta.n_threads; i++) {
        cta.current = i;
        if (is_any_left && cta.fibres[i].state == ENDED) {
            shim_fail("ended while others wait at a barrier");
        }
        if (cta.fibres[i].state == AT_BARRIER) {
            cta.fibres[i].state = RUNNABLE;
        }
    }
    return is_any_left;
}

// Makes CTA number i of the launch the one that runs.
static void enter_cta(struct launch *l, size_t i)
{
    const dim3 grid = l->grid;
    cta.launch = l;
    if (posix_memalign(&l->memory, 1024, 128 + l->shared_bytes) != 0) {
        shim_fail("no memory for the shared memory of a CTA");
    }
    shim_place.grid_dim = grid;
    shim_place.block_dim = l->block;
    shim_place.block = dim3((unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y));
    shim_place.shared = static_cast<unsigned char *>(l->memory) + 128;
    shim_place.shared_bytes = l->shared_bytes;
    memset(shim_place.shared, 0xff, l->shared_bytes);
    start_threads(l->block);
}

static void finish_cta()
{
    std::vector<size_t> order;
    shim_async_begin(cta.n_threads);
    do {
        do {
            if (shim_random_below(4) == 0) {
                shim_async_step();
            }
        } while (run_runnable(order) || run_warps() || run_waiting() || shim_async_step());
    } while (open_barrier());
    shim_async_end();
    cta.crew->is_busy = false;
    free(cta.launch->memory);
}

static bool are_all_at_barrier()
{
    bool is_any = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        enum state state = cta.fibres[i].state;
        if (state != AT_BARRIER && state != ENDED) {
            return false;
        }
        is_any |= state == AT_BARRIER;
    }
    return is_any;
}

// A CTA of it runs until its threads wait for earlier launches, which are not done.
static void begin_ahead(struct launch *l)
{
    std::vector<size_t> order;
    l->begun = shim_random_below((size_t)l->grid.x * l->grid.y * l->grid.z);
    enter_cta(l, l->begun);
    cta.is_ahead = true;
    do {
        while (run_runnable(order) || run_warps()) {
        }
    } while (are_all_at_barrier() && open_barrier());
    cta.is_ahead = false;
    l->crew = cta.crew;
    l->place = shim_place;
}

static void resume_begun(struct launch *l)
{
    cta.launch = l;
    cta.crew = l->crew;
    cta.fibres = l->crew->fibres;
    cta.n_threads = (size_t)l->block.x * l->block.y * l->block.z;
    shim_place = l->place;
    for (size_t i = 0; i < cta.n_threads; i++) {
        cta.fibres[i].state = cta.fibres[i].state == EARLY ? RUNNABLE : cta.fibres[i].state;
    }
    finish_cta();
}

static void run_launch(struct launch *l)
{
    struct shim_trace *trace = shim_trace_begin(l->call, l->grid, l->block, l->shared_bytes);
    if (l->crew) {
        resume_begun(l);
    }
    for (size_t i = 0; i < (size_t)l->grid.x * l->grid.y * l->grid.z; i++) {
        if (!l->crew || i != l->begun) {
            enter_cta(l, i);
            finish_cta();
        }
    }
    shim_trace_end(trace);
    if (l->is_early && !l->has_waited) {
        shim_fail("is of a kernel that was launched early and has not waited for earlier ones");
    }
}

static void finish_until(size_t n_left)
{
    while (early.size() > n_left) {
        run_launch(&early.front());
        early.pop_front();
    }
}

void shim_finish()
{
    finish_until(0);
}

void gpu_wait_for_earlier()
{
    cta.launch->has_waited = true;
    if (cta.is_ahead) {
        yield(EARLY);
    }
}

void shim_run_grid(const struct shim_call &call, bool is_early, dim3 grid, dim3 block, size_t shared_bytes,
                   const std::function<void()> &thread)
{
    if (shim_state.recording) {
        shim_state.recording->push_back([=] { shim_run_grid(call, is_early, grid, block, shared_bytes, thread); });
        return;
    }
    if (!is_early || shim_state.n_launches + 1 == shim_state.fails_at) {
        shim_finish();
    }
    if (++shim_state.n_launches == shim_state.fails_at) {
        shim_state.has_failed = true;
    }
    if (shim_state.has_failed) {
        return;
    }
    early.push_back({ call, is_early, false, grid, block, shared_bytes, thread, NULL, 0, {}, NULL });
    if (early.size() > 1) {
        begin_ahead(&early.back());
    }
    finish_until(is_early ? shim_random_below(EARLY_MAX + 1) : 0);
}

// ---- threads together ----------------------------------------------------------------------------------------------

void __syncthreads()
{
    yield(AT_BARRIER);
}

void shim_warp(uint32_t mask, shim_warp_fn *act, void *arg)
{
    struct fibre *self = &cta.fibres[cta.current];
    if (!(mask >> cta.current % 32 & 1)) {
        shim_fail("is not in its own mask");
    }
    self->mask = mask;
    self->act = act;
    self->arg = arg;
    yield(IN_WARP);
}

void shim_wait(bool (*is_over)(void *arg), void *arg, const char *what)
{
    if (is_over(arg)) {
        return;
    }
    struct fibre *self = &cta.fibres[cta.current];
    self->is_over = is_over;
    self->arg = arg;
    self->waits_for = what;
    yield(WAITING);
}

size_t shim_thread()
{
    return cta.current;
}

unsigned shim_lane()
{
    return (unsigned)(cta.current % 32);
}

static void act_nothing(void *const args[32])
{
    (void)args;
}

void __syncwarp(uint32_t mask)
{
    shim_warp(mask, act_nothing, NULL);
}

static void act_shuffle(void *const args[32])
{
    for (size_t lane = 0; lane < 32; lane++) {
        struct shim_shuffle *to = static_cast<struct shim_shuffle *>(args[lane]);
        if (to && !args[to->source]) {
            shim_fail("shuffles from a lane outside the mask");
        }
        if (to) {
            to->result = static_cast<const struct shim_shuffle *>(args[to->source])->bits;
        }
    }
}

uint32_t shim_shuffle(uint32_t mask, uint32_t bits, unsigned source)
{
    struct shim_shuffle shuffle = { bits, source, 0 };
    shim_warp(mask, act_shuffle, &shuffle);
    return shuffle.result;
}

struct ballot {
    bool predicate;
    uint32_t result;
};

static void act_ballot(void *const args[32])
{
    uint32_t votes = 0;
    for (size_t lane = 0; lane < 32; lane++) {
        votes |= args[lane] && static_cast<struct ballot *>(args[lane])->predicate ? (uint32_t)1 << lane : 0;
    }
    for (size_t lane = 0; lane < 32; lane++) {
        if (args[lane]) {
            static_cast<struct ballot *>(args[lane])->result = votes;
        }
    }
}

uint32_t __ballot_sync(uint32_t mask, bool predicate)
{
    struct ballot ballot = { predicate, 0 };
    shim_warp(mask, act_ballot, &ballot);
    return ballot.result;
}

// ---- memory --------------------------------------------------------------------------------------------------------

void gpu_copy_async_16(void *shared, const void *src, bool is_there)
{
    if ((uintptr_t)shared % 16 || (is_there && (uintptr_t)src % 16)) {
        shim_fail("copies 16 bytes that are not aligned");
    }
    cta.fibres[cta.current].groups.back().push_back({ shared, src, is_there });
}

void gpu_copy_async_commit()
{
    cta.fibres[cta.current].groups.push_back({});
}

void shim_copy_async_wait(unsigned n_left)
{
    auto &groups = cta.fibres[cta.current].groups;
    while (groups.size() > (size_t)n_left + 1) {
        for (const struct copy &c : groups.front()) {
            if (c.is_there) {
                memcpy(c.to, c.from, 16);
            } else {
                memset(c.to, 0, 16);
            }
        }
        groups.erase(groups.begin());
    }
}

void gpu_prefetch(const void *p, uint32_t bytes)
{
    if ((uintptr_t)p % 16 || bytes % 16 || bytes == 0) {
        shim_fail("asks for bytes that are not in multiples of 16");
    }
    const volatile unsigned char *at = static_cast<const unsigned char *>(p);
    (void)at[0]; // AddressSanitizer looks at both ends
    (void)at[bytes - 1];
}

// ---- matrices ------------------------------------------------------------------------------------------------------

struct load_matrices {
    const uint16_t *row;
    uint32_t *r;
};

static void load(void *const args[32], bool is_transposed)
{
    for (size_t lane = 0; lane < 32; lane++) {
        for (size_t matrix = 0; matrix < 4; matrix++) {
            uint16_t pair[2];
            for (size_t i = 0; i < 2; i++) {
                size_t row = lane / 4, column = 2 * (lane % 4) + i;
                if (is_transposed) {
                    std::swap(row, column);
                }
                pair[i] = static_cast<struct load_matrices *>(args[matrix * 8 + row])->row[column];
            }
            static_cast<struct load_matrices *>(args[lane])->r[matrix] = (uint32_t)pair[0] | (uint32_t)pair[1] << 16;
        }
    }
}

static void act_load(void *const args[32])
{
    load(args, false);
}

static void act_load_transposed(void *const args[32])
{
    load(args, true);
}

static void load_matrices(uint32_t r[4], const void *row, shim_warp_fn *act)
{
    if ((uintptr_t)row % 16) {
        shim_fail("loads a matrix row that is not aligned");
    }
    struct load_matrices arg = { static_cast<const uint16_t *>(row), r };
    shim_warp(0xffffffffu, act, &arg);
}

void gpu_load_matrices(uint32_t r[4], const void *row)
{
    load_matrices(r, row, act_load);
}

void gpu_load_matrices_transposed(uint32_t r[4], const void *row)
{
    load_matrices(r, row, act_load_transposed);
}

struct mma {
    float *d;
    const uint32_t *a;
    uint32_t b[2];
    float (*f32)(uint16_t);
};

static void act_mma(void *const args[32])
{
    float a[16][16], b[16][8];
    for (size_t lane = 0; lane < 32; lane++) {
        const struct mma *m = static_cast<const struct mma *>(args[lane]);
        size_t group = lane / 4, column = 2 * (lane % 4);
        for (size_t i = 0; i < 2; i++) {
            for (size_t reg = 0; reg < 4; reg++) {
                a[group + reg % 2 * 8][column + reg / 2 * 8 + i] = m->f32((uint16_t)(m->a[reg] >> 16 * i));
            }
            for (size_t reg = 0; reg < 2; reg++) {
                b[column + reg * 8 + i][group] = m->f32((uint16_t)(m->b[reg] >> 16 * i));
            }
        }
    }
    for (size_t lane = 0; lane < 32; lane++) {
        float *d = static_cast<const struct mma *>(args[lane])->d;
        for (size_t i = 0; i < 4; i++) {
            size_t row = lane / 4 + i / 2 * 8, column = 2 * (lane % 4) + i % 2;
            float sum = d[i];
            for (size_t k = 0; k < 16; k++) {
                sum += a[row][k] * b[k][column];
            }
            d[i] = sum;
        }
    }
}

void shim_mma(float d[4], const uint32_t a[4], uint32_t b0, uint32_t b1, float (*f32)(uint16_t))
{
    struct mma arg = { d, a, { b0, b1 }, f32 };
    shim_warp(0xffffffffu, act_mma, &arg);
}
