// A parallel loop over a futex.
//
// One word per worker counts the chunks left in its run. Whoever takes a chunk lowers that word by compare-and-swap and
// only then reads the job: a job cannot end, and the next cannot be written, while a taken chunk is not done. A worker
// that comes late therefore finds zeros, or chunks of the next job that it may take as well; nothing ties it to a job
// that is over.
//
//   pool_run: write job -> store counts (release) -> bump epoch -> wake if n_parked -> take chunks -> wait for n_undone
//   == 0 worker:   wait for epoch to change (spin, then park) -> take chunks (acquire) -> lower n_undone (release),
//   wake at 0
//
// Workers from n_active on sit on the bench: they wait for n_active to change, not for jobs. Which workers take part is
// the caller's choice between jobs (share.h); one that is on its way to the bench may still take a chunk, as any other.
//
// Parking uses the usual two-sided check (announce, look again, sleep; change, look for sleepers), sequentially
// consistent.
#include "kernels/cpu/pool.h"
#include "kernels/cpu/places.h"
#include "kernels/cpu/share.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What a worker that waits asks for at most: what memory gives while a few small operations run, and less than an L2
// cache holds.
#define AHEAD_BYTES ((size_t)128 << 10)

// Longer than the gap between two operations of a step, shorter than anyone notices on an idle machine.
#define SPIN_NS 50000

// How often the caller looks at the others' clocks, and at its own.
#define SHARE_NS   100000000
#define SHARE_JOBS 64

struct worker {
    _Alignas(64) atomic_uint n_left; // chunks of this worker's run that nobody has taken
    size_t chunk_end;                // the run ends before this chunk; written by pool_run
    struct pool *pool;
    size_t index;
    pthread_t thread;         // not set for worker 0, the caller
    atomic_int tid;           // 0: it has not begun yet; of worker 0, the last caller's
    struct share_clock clock; // when the caller last looked
};

struct pool {
    size_t n_threads;
    size_t n_started; // threads to join
    int64_t spin_ns;
    struct place *places; // [n_places], in the order of the workers
    size_t n_places, n_nodes;
    bool may_pin, is_pinned; // the workers, each to a processor of its own
    struct share share;
    int64_t looked_ns;
    unsigned n_jobs;
    // The job. Written by pool_run while n_undone is 0.
    host_fn *fn;
    void *ctx;
    size_t n_items, chunk_items;
    struct pool_ahead ahead;
    _Alignas(64) atomic_uint epoch; // futex of parked workers; counts jobs
    atomic_uint n_parked;
    atomic_bool is_stopping;
    atomic_uint n_active;              // workers that take part; futex of those that do not
    _Alignas(64) atomic_uint n_undone; // chunks not done; futex of a parked caller
    atomic_bool is_caller_parked;
    struct worker workers[];
};

static void futex_wait(atomic_uint *word, unsigned value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word, int n_waiters)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n_waiters, NULL, NULL, 0);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

// Memory that a thread asks for while it waits.
struct stretch {
    const unsigned char *at, *end;
};

// Of the job's memory ahead, what this worker begins with. The caller has taken a chunk of the job, which is therefore
// still there.
static struct stretch stretch_of(const struct pool *pool, size_t worker)
{
    const struct pool_ahead *ahead = &pool->ahead;
    size_t n_active = atomic_load_explicit(&pool->n_active, memory_order_relaxed);
    if (ahead->mem == NULL || worker >= n_active) {
        return (struct stretch){ 0 };
    }
    size_t begin = ahead->n_chunks * worker / n_active, end = ahead->n_chunks * (worker + 1) / n_active;
    size_t bytes = (end - begin) * ahead->chunk_bytes;
    const unsigned char *at = ahead->mem + begin * ahead->chunk_bytes;
    return (struct stretch){ at, at + (bytes < AHEAD_BYTES ? bytes : AHEAD_BYTES) };
}

// Spins until *word differs from `value` (or, with until_equal, is it), and asks for `next`, a line at a time. False:
// time is up.
static bool spin(atomic_uint *word, unsigned value, bool until_equal, int64_t spin_ns, struct stretch *next)
{
    int64_t start_ns = spin_ns > 0 ? now_ns() : 0;
    do {
        for (int i = 0; i < 64; i++) {
            if ((atomic_load_explicit(word, memory_order_acquire) == value) == until_equal) {
                return true;
            }
            if (next->at < next->end) {
                __builtin_prefetch(next->at, 0, 2);
                next->at += 64;
            } else {
                relax();
            }
        }
    } while (spin_ns > 0 && now_ns() - start_ns < spin_ns);
    return false;
}

// Takes one chunk of w's run: false when none is left.
static bool worker_take(struct worker *w, size_t *ret_chunk)
{
    unsigned n_left = atomic_load_explicit(&w->n_left, memory_order_relaxed);
    while (n_left != 0) {
        if (atomic_compare_exchange_weak_explicit(&w->n_left, &n_left, n_left - 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            *ret_chunk = w->chunk_end - n_left;
            return true;
        }
    }
    return false;
}

static void run_chunk(struct pool *pool, size_t chunk, size_t worker)
{
    size_t begin = chunk * pool->chunk_items;
    size_t end = pool->n_items - begin < pool->chunk_items ? pool->n_items : begin + pool->chunk_items;
    pool->fn(pool->ctx, begin, end, worker);
    if (atomic_fetch_sub(&pool->n_undone, 1) == 1 && atomic_load(&pool->is_caller_parked)) {
        futex_wake(&pool->n_undone, 1);
    }
}

// Own chunks first, then those of the workers after this one. Returns what to ask for afterwards.
static struct stretch run_chunks(struct pool *pool, size_t worker)
{
    struct stretch next = { 0 };
    for (size_t i = 0; i < pool->n_threads; i++) {
        struct worker *w = &pool->workers[(worker + i) % pool->n_threads];
        size_t chunk;
        while (worker_take(w, &chunk)) {
            next = stretch_of(pool, worker);
            run_chunk(pool, chunk, worker);
        }
    }
    return next;
}

static void wait_on_bench(struct pool *pool, size_t worker)
{
    unsigned n_active;
    while (worker >= (n_active = atomic_load(&pool->n_active))) {
        futex_wait(&pool->n_active, n_active);
    }
}

static void wait_for_job(struct pool *pool, unsigned seen, struct stretch *next)
{
    if (spin(&pool->epoch, seen, false, pool->spin_ns, next)) {
        return;
    }
    atomic_fetch_add(&pool->n_parked, 1);
    while (atomic_load(&pool->epoch) == seen) {
        futex_wait(&pool->epoch, seen);
    }
    atomic_fetch_sub(&pool->n_parked, 1);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct pool *pool = w->pool;
    atomic_store(&w->tid, gettid());
    // Epoch 0 is before the first job: a worker that starts late may find the job under way, or over.
    struct stretch next = { 0 };
    for (unsigned seen = 0;;) {
        wait_on_bench(pool, w->index);
        wait_for_job(pool, seen, &next);
        seen = atomic_load(&pool->epoch);
        if (atomic_load(&pool->is_stopping)) {
            return NULL;
        }
        next = run_chunks(pool, w->index);
    }
}

static void announce(struct pool *pool)
{
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->n_parked) > 0) {
        futex_wake(&pool->epoch, INT_MAX);
    }
}

static void wait_for_workers(struct pool *pool, struct stretch *next)
{
    if (spin(&pool->n_undone, 0, true, pool->spin_ns, next)) {
        return;
    }
    atomic_store(&pool->is_caller_parked, true);
    unsigned n_undone;
    while ((n_undone = atomic_load(&pool->n_undone)) != 0) {
        futex_wait(&pool->n_undone, n_undone);
    }
    atomic_store(&pool->is_caller_parked, false);
}

// ---- who takes part ------------------------------------------------------------------------------------------------

// Where a worker may run: on its own processor, or wherever its node's memory is near.
static cpu_set_t processors_of(const struct pool *pool, size_t worker, bool is_pinned)
{
    const struct place *own = &pool->places[worker % pool->n_places];
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t i = 0; i < pool->n_places; i++) {
        const struct place *p = &pool->places[i];
        if (is_pinned ? p == own : p->node == own->node) {
            CPU_SET(p->cpu, &set);
        }
    }
    return set;
}

// A worker that has a processor to itself keeps it; where others want them too the kernel finds the free ones.
static void set_pinned(struct pool *pool, bool is_pinned)
{
    for (size_t i = 1; pool->may_pin && pool->is_pinned != is_pinned && i < pool->n_threads; i++) {
        cpu_set_t set = processors_of(pool, i, is_pinned);
        pthread_setaffinity_np(pool->workers[i].thread, sizeof(set), &set);
    }
    pool->is_pinned = pool->may_pin && is_pinned;
}

void pool_limit(struct pool *pool, size_t n)
{
    assert(n > 0 && n <= pool->n_threads);
    size_t before = atomic_load(&pool->n_active);
    set_pinned(pool, n == pool->n_threads);
    atomic_store(&pool->n_active, (unsigned)n);
    if (n > before) {
        futex_wake(&pool->n_active, INT_MAX);
    }
}

// Adds what a worker has waited since the last look; *window grows to how long it wanted to run.
static uint64_t look_at(struct worker *w, uint64_t *window)
{
    struct share_clock now, last = w->clock;
    int tid = atomic_load(&w->tid);
    if (tid == 0 || !share_read_clock(tid, &now)) {
        return 0;
    }
    w->clock = now;
    if (last.run_ns == 0) {
        return 0;
    }
    uint64_t run_ns = now.run_ns - last.run_ns, wait_ns = now.wait_ns - last.wait_ns;
    *window = run_ns + wait_ns > *window ? run_ns + wait_ns : *window;
    return wait_ns;
}

static void look_around(struct pool *pool)
{
    int64_t now = now_ns();
    if (now - pool->looked_ns < SHARE_NS) {
        return;
    }
    pool->looked_ns = now;
    struct worker *caller = &pool->workers[0];
    int tid = gettid();
    if (atomic_exchange(&caller->tid, tid) != tid) {
        caller->clock = (struct share_clock){ 0 };
    }
    uint64_t window_ns = 0, waited_ns = 0;
    size_t n = atomic_load(&pool->n_active);
    for (size_t i = 0; i < n; i++) {
        waited_ns += look_at(&pool->workers[i], &window_ns);
    }
    size_t n_next = share_next(&pool->share, window_ns, waited_ns);
    for (size_t i = n; i < n_next; i++) {
        pool->workers[i].clock = (struct share_clock){ 0 };
    }
    if (n_next != n) {
        pool_limit(pool, n_next);
    }
}

// ---- jobs ----------------------------------------------------------------------------------------------------------

void pool_run(struct pool *pool, size_t n_items, size_t chunk_items, host_fn *fn, void *ctx)
{
    pool_run_ahead(pool, n_items, chunk_items, fn, ctx, (struct pool_ahead){ 0 });
}

void pool_run_ahead(struct pool *pool, size_t n_items, size_t chunk_items, host_fn *fn, void *ctx,
                    struct pool_ahead ahead)
{
    assert(chunk_items > 0);
    if (n_items == 0) {
        return;
    }
    if (pool->n_threads == 1 || n_items <= chunk_items) {
        fn(ctx, 0, n_items, 0);
        return;
    }
    if (++pool->n_jobs % SHARE_JOBS == 0) {
        look_around(pool);
    }
    size_t n_chunks = (n_items - 1) / chunk_items + 1, n_active = atomic_load(&pool->n_active);
    assert(n_chunks <= UINT_MAX);
    pool->fn = fn;
    pool->ctx = ctx;
    pool->n_items = n_items;
    pool->chunk_items = chunk_items;
    pool->ahead = ahead;
    atomic_store_explicit(&pool->n_undone, (unsigned)n_chunks, memory_order_relaxed);
    for (size_t i = 0; i < n_active; i++) {
        struct worker *w = &pool->workers[i];
        size_t begin = n_chunks * i / n_active;
        w->chunk_end = n_chunks * (i + 1) / n_active;
        atomic_store_explicit(&w->n_left, (unsigned)(w->chunk_end - begin), memory_order_release);
    }
    announce(pool);
    struct stretch next = run_chunks(pool, 0);
    wait_for_workers(pool, &next);
}

// ---- life ----------------------------------------------------------------------------------------------------------

static int start_worker(struct worker *w)
{
    const struct pool *pool = w->pool;
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r != 0) {
        return r;
    }
    if (pool->is_pinned || pool->n_nodes > 1) {
        cpu_set_t cpus = processors_of(pool, w->index, pool->is_pinned);
        pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
    }
    r = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_attr_destroy(&attr);
    if (r == 0) {
        pthread_setname_np(w->thread, "tokfs-compute");
    }
    return r;
}

// Signals belong to the process's other threads.
static int start_workers(struct pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    while (r == 0 && pool->n_started + 1 < pool->n_threads) {
        r = start_worker(&pool->workers[pool->n_started + 1]);
        pool->n_started += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static bool find_places(struct pool *pool, const cpu_set_t *allowed)
{
    pool->places = calloc(CPU_SETSIZE, sizeof(*pool->places));
    if (pool->places) {
        pool->n_places = places_read("", allowed, pool->places);
        pool->n_nodes = places_count_nodes(pool->places, pool->n_places);
        places_order(pool->places, pool->n_places, pool->n_threads);
    }
    return pool->places != NULL;
}

int pool_new(size_t n_threads, struct pool **ret, struct err *err)
{
    if (n_threads > POOL_THREADS_MAX) {
        return err_set(err, -EINVAL, "threads: %zu is more than %d", n_threads, POOL_THREADS_MAX);
    }
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    size_t n_cpus = sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (size_t)CPU_COUNT(&allowed) : 0;
    bool is_known = n_cpus > 0;
    n_cpus = is_known ? n_cpus : (size_t)sysconf(_SC_NPROCESSORS_ONLN);
    size_t quota = places_quota(""), n_usable = quota > 0 && quota < n_cpus ? quota : n_cpus;
    if (n_threads == 0) {
        n_threads = n_usable < POOL_THREADS_MAX ? n_usable : POOL_THREADS_MAX;
    }
    size_t bytes = sizeof(struct pool) + n_threads * sizeof(struct worker);
    struct pool *pool = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (pool == NULL) {
        return err_set(err, -ENOMEM, "no memory for a pool of %zu threads", n_threads);
    }
    memset(pool, 0, bytes);
    pool->n_threads = n_threads;
    atomic_store(&pool->n_active, (unsigned)n_threads);
    share_init(&pool->share, n_threads);
    pool->spin_ns = n_threads <= n_usable ? SPIN_NS : 0;
    for (size_t i = 0; i < n_threads; i++) {
        pool->workers[i].pool = pool;
        pool->workers[i].index = i;
    }
    // Two pools that each pinned their workers to the first few processors would share those and leave the others idle.
    if (is_known && n_threads > 1 && !find_places(pool, &allowed)) {
        pool_free(pool);
        return err_set(err, -ENOMEM, "no memory for the places of %zu threads", n_threads);
    }
    pool->may_pin = pool->is_pinned = pool->places && n_threads == n_cpus;
    int r = start_workers(pool);
    if (r != 0) {
        err_set(err, -r, "thread %zu of %zu: %s", pool->n_started + 2, n_threads, strerror(r));
        pool_free(pool);
        return -r;
    }
    *ret = pool;
    return 0;
}

void pool_free(struct pool *pool)
{
    if (pool == NULL) {
        return;
    }
    atomic_store(&pool->is_stopping, true);
    atomic_store(&pool->n_active, (unsigned)pool->n_threads);
    futex_wake(&pool->n_active, INT_MAX);
    announce(pool);
    for (size_t i = 0; i < pool->n_started; i++) {
        pthread_join(pool->workers[i + 1].thread, NULL);
    }
    free(pool->places);
    free(pool);
}

size_t pool_n_threads(const struct pool *pool)
{
    return pool->n_threads;
}
