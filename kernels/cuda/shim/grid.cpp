// Threads are fibres. A pass runs every thread that can run until it waits or ends; then warps whose lanes are
// all there act, those whose condition has come true go on, or one of the things that run behind the threads' backs
// happens (hopper.cpp), which it also does now and then before a pass. When nothing else can move, the barrier opens.
// Some warps may be held back meanwhile: they run when all others wait.
#include "kernels/cuda/shim/grid.h"
#include "kernels/cuda/shim/fibre.h"
#include "kernels/cuda/shim/scheduler.h"
#include <list>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
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

struct thread {
    struct fibre fibre;
    enum state state;
    dim3 index;
    uint32_t mask; // IN_WARP: with whom, to do what
    shim_warp_fn *act;
    void *arg;
    bool (*is_over)(void *); // WAITING, with `arg`: for what
    const char *waits_for;
    std::vector<std::vector<copy>> groups; // of copies that were not waited for, the open one last
};

// Threads of a CTA, kept from one to the next.
struct crew {
    struct thread *threads; // [THREADS_MAX]
    unsigned char *stacks;
    bool is_busy;
};

#define EARLY_MAX 3 // launches that wait for their turn, beside the one that comes

// Shared memory that a kernel has by name.
struct shared_array {
    const void *name;
    void *memory;
};

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
    std::vector<struct shared_array> arrays;
    size_t arrays_bytes;
};

// The CTA that runs. One at a time in a process: see the head of grid.h.
static struct {
    struct crew *crew;
    struct thread *threads; // the crew's
    size_t current, n_threads;
    struct launch *launch;
    bool is_ahead; // earlier launches are not done
    uint64_t rng;
    uint32_t held;      // warps that do not run while others can
    unsigned eagerness; // of 4: how often things happen by themselves
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

static void yield(enum state state)
{
    struct thread *self = &cta.threads[cta.current];
    self->state = state;
    fibre_leave(&self->fibre);
}

static void run_thread()
{
    cta.launch->thread();
    struct thread *self = &cta.threads[cta.current];
    for (const auto &group : self->groups) {
        if (!group.empty()) {
            shim_fail("ends with copies to shared memory that it did not wait for");
        }
    }
    self->state = ENDED;
    fibre_end(&self->fibre);
}

static struct crew *take_crew()
{
    struct crew *crew = crews;
    while (crew->is_busy) {
        crew++;
    }
    if (!crew->threads) {
        crew->threads = new thread[THREADS_MAX]();
        crew->stacks = static_cast<unsigned char *>(malloc(THREADS_MAX * STACK_BYTES));
    }
    crew->is_busy = true;
    return crew;
}

static void start_threads(dim3 block)
{
    cta.n_threads = (size_t)block.x * block.y * block.z;
    cta.crew = take_crew();
    cta.threads = cta.crew->threads;
    for (size_t i = 0; i < cta.n_threads; i++) {
        struct thread *t = &cta.threads[i];
        t->state = RUNNABLE;
        t->index = dim3((unsigned)(i % block.x), (unsigned)(i / block.x % block.y), (unsigned)(i / block.x / block.y));
        t->groups.assign(1, {});
        fibre_begin(&t->fibre, cta.crew->stacks + i * STACK_BYTES, STACK_BYTES, run_thread);
    }
}

static bool run_runnable(std::vector<size_t> &order)
{
    order.clear();
    for (size_t i = 0; i < cta.n_threads; i++) {
        if (cta.threads[i].state == RUNNABLE && !(cta.held >> i / 32 & 1)) {
            order.push_back(i);
        }
    }
    for (size_t n = order.size(); n > 1; n--) {
        std::swap(order[n - 1], order[shim_random_below(n)]);
    }
    for (size_t i : order) {
        cta.current = i;
        shim_place.thread = cta.threads[i].index;
        fibre_resume(&cta.threads[i].fibre);
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
    const struct thread *caller = &cta.threads[warp + first];
    void *args[32] = {};
    for (uint32_t rest = caller->mask; rest; rest &= rest - 1) {
        size_t lane = first_of(rest);
        const struct thread *t = warp + lane < cta.n_threads ? &cta.threads[warp + lane] : NULL;
        if (!t || t->state == ENDED) {
            shim_fail("a lane named in a mask has ended");
        }
        if (t->state != IN_WARP) {
            return false;
        }
        if (t->mask != caller->mask || t->act != caller->act) {
            shim_fail("the lanes of a mask do different things");
        }
        args[lane] = t->arg;
    }
    caller->act(args);
    for (uint32_t rest = caller->mask; rest; rest &= rest - 1) {
        cta.threads[warp + first_of(rest)].state = RUNNABLE;
    }
    return true;
}

static bool run_warps()
{
    bool has_acted = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        if (cta.threads[i].state == IN_WARP) {
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
        struct thread *t = &cta.threads[i];
        if (t->state == WAITING && t->is_over(t->arg)) {
            t->state = RUNNABLE;
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
        if (cta.threads[i].state == IN_WARP) {
            shim_fail("waits for lanes that wait at a barrier");
        }
        if (cta.threads[i].state == WAITING) {
            shim_fail(cta.threads[i].waits_for);
        }
        is_any_left |= cta.threads[i].state == AT_BARRIER;
    }
    for (size_t i = 0; i < cta.n_threads; i++) {
        cta.current = i;
        if (is_any_left && cta.threads[i].state == ENDED) {
            shim_fail("ended while others wait at a barrier");
        }
        if (cta.threads[i].state == AT_BARRIER) {
            cta.threads[i].state = RUNNABLE;
        }
    }
    return is_any_left;
}

// One of the warps that were held back and can run may, and others are held instead. False: none can.
static bool let_go()
{
    std::vector<size_t> warps;
    for (size_t i = 0; i < cta.n_threads; i++) {
        if (cta.threads[i].state == RUNNABLE && (warps.empty() || warps.back() != i / 32)) {
            warps.push_back(i / 32);
        }
    }
    if (!warps.empty()) {
        cta.held =
            (uint32_t)shim_random_below((size_t)1 << 31) & ~((uint32_t)1 << warps[shim_random_below(warps.size())]);
    }
    return !warps.empty();
}

// "CUDA C++ Programming Guide", technical specifications per compute capability; those of 9.0, and for kernels of 8.0
// and later what all of them have.
#define SHARED_MAX        ((size_t)227 << 10)
#define SHARED_BY_DEFAULT ((size_t)48 << 10)

// What the driver would refuse.
static void check_launch(dim3 grid, dim3 block, size_t shared_bytes)
{
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535) {
        shim_fail("no such grid");
    }
    if (block.x == 0 || block.y == 0 || block.z == 0 || block.z > 64 ||
        (uint64_t)block.x * block.y * block.z > THREADS_MAX) {
        shim_fail("no such number of threads");
    }
    if (shared_bytes > SHARED_MAX) {
        shim_fail("more shared memory than a CTA can have");
    }
}

static void *exact_memory(size_t alignment, size_t bytes)
{
    void *memory = memalign(alignment, bytes);
    if (!memory) {
        shim_fail("no memory for the shared memory of a CTA");
    }
    return memset(memory, 0xff, bytes);
}

void *shim_shared_array(const void *name, size_t bytes)
{
    struct launch *l = cta.launch;
    for (const struct shared_array &array : l->arrays) {
        if (array.name == name) {
            return array.memory;
        }
    }
    l->arrays_bytes += bytes;
    // gpu_launch asks for more than the default by the dynamic bytes alone.
    size_t bytes_max = l->shared_bytes > SHARED_BY_DEFAULT ? SHARED_MAX : SHARED_BY_DEFAULT;
    if (l->arrays_bytes + l->shared_bytes > bytes_max) {
        shim_fail("more shared memory than the launch may have");
    }
    l->arrays.push_back({ name, exact_memory(128, bytes) });
    return l->arrays.back().memory;
}

static void free_memory(struct launch *l)
{
    for (const struct shared_array &array : l->arrays) {
        free(array.memory);
    }
    l->arrays.clear();
    l->arrays_bytes = 0;
    free(l->memory);
}

// Makes CTA number i of the launch the one that runs.
static void enter_cta(struct launch *l, size_t i)
{
    const dim3 grid = l->grid;
    cta.launch = l;
    cta.held = 0;
    l->memory = exact_memory(1024, 128 + l->shared_bytes);
    shim_place.grid_dim = grid;
    shim_place.block_dim = l->block;
    shim_place.block = dim3((unsigned)(i % grid.x), (unsigned)(i / grid.x % grid.y), (unsigned)(i / grid.x / grid.y));
    shim_place.shared = static_cast<unsigned char *>(l->memory) + 128;
    shim_place.shared_bytes = l->shared_bytes;
    start_threads(l->block);
}

static void finish_cta()
{
    std::vector<size_t> order;
    shim_async_begin(cta.n_threads);
    cta.held = shim_random_below(2) == 0 ? 0 : (uint32_t)shim_random_below((size_t)1 << 31);
    cta.eagerness = (unsigned)shim_random_below(4);
    do {
        do {
            if (shim_random_below(4) < cta.eagerness) {
                shim_async_step();
            }
        } while (run_runnable(order) || run_warps() || run_waiting() || shim_async_step() || let_go());
    } while (open_barrier());
    shim_async_end();
    cta.crew->is_busy = false;
    free_memory(cta.launch);
}

static bool are_all_at_barrier()
{
    bool is_any = false;
    for (size_t i = 0; i < cta.n_threads; i++) {
        enum state state = cta.threads[i].state;
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
    cta.threads = l->crew->threads;
    cta.n_threads = (size_t)l->block.x * l->block.y * l->block.z;
    shim_place = l->place;
    for (size_t i = 0; i < cta.n_threads; i++) {
        cta.threads[i].state = cta.threads[i].state == EARLY ? RUNNABLE : cta.threads[i].state;
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
    check_launch(grid, block, shared_bytes);
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
    early.push_back({ call, is_early, false, grid, block, shared_bytes, thread, NULL, 0, {}, NULL, {}, 0 });
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
    struct thread *self = &cta.threads[cta.current];
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
    struct thread *self = &cta.threads[cta.current];
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
    cta.threads[cta.current].groups.back().push_back({ shared, src, is_there });
}

void gpu_copy_async_commit()
{
    cta.threads[cta.current].groups.push_back({});
}

void shim_copy_async_wait(unsigned n_left)
{
    auto &groups = cta.threads[cta.current].groups;
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
