// What the engine's threads do. Text threads turn requests into prompts; the engine thread runs step after step.
//
// Order of a completion's first two events: a text thread puts the verdict (ACCEPTED) into its queue before it hands
// the completion on, and tokfs_poll looks at the verdicts after it has read how far the ring was published. So whoever
// sees STARTED in the ring finds ACCEPTED first. No lock is held while another is taken.
#include "engine/serve/engine.h"

#include "engine/serve/recover.h"
#include "engine/serve/slice.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

// While the caller polls there is nothing to wake, and a write would cost more than a token's text. Whoever finds the
// flag set has published before tokfs_poll takes it back, and tokfs_poll looks once more after that.
void engine_signal(struct tokfs_engine *engine)
{
    if (atomic_exchange(&engine->is_signalled, true)) {
        return;
    }
    eventfd_write(engine->event_fd, 1); // fails only when the counter is full: then it is readable anyway
}

// ---- text threads -------------------------------------------------------------------------------------------------

static void count_over(struct tokfs_engine *engine, uint64_t *counter)
{
    pthread_mutex_lock(&engine->stats_lock);
    ++*counter;
    pthread_mutex_unlock(&engine->stats_lock);
}

static void *text_main(void *ctx)
{
    struct tokfs_engine *engine = ctx;
    pthread_setname_np(pthread_self(), "tokfs-text");
    struct tokfs_completion *c;
    while ((c = completion_queue_wait(&engine->work)) != NULL) {
        intake_prepare(&engine->intake, c);
        if (c->refusal.code == 0 && c->retrieval && !c->retrieval->is_looked_up) {
            completion_queue_push(&engine->admission, c); // and back
            wake_notify(&engine->wake);
            continue;
        }
        bool is_accepted = c->refusal.code == 0 && !c->is_text; // work on text is over now, well or ill
        if (!is_accepted) {
            count_over(engine, c->refusal.code < 0 ? &engine->n_refused : &engine->n_texts);
        }
        completion_queue_push(&engine->verdicts, c); // one that is not accepted is the caller's now
        engine_signal(engine);
        if (is_accepted) {
            completion_queue_push(&engine->admission, c);
            wake_notify(&engine->wake);
        }
    }
    return NULL;
}

// ---- engine thread ------------------------------------------------------------------------------------------------

static void publish(void *ctx)
{
    struct tokfs_engine *engine = ctx;
    if (event_ring_publish(&engine->ring)) {
        engine_signal(engine);
    }
}

// What the prefix cache told in this step, and a piece of the snapshot that is being made.
static void publish_kv(struct tokfs_engine *engine)
{
    radix_log_snapshot(&engine->runner.radix);
    if (kv_log_publish(&engine->kv_log)) {
        engine_signal(engine);
    }
}

static void publish_stats(struct tokfs_engine *engine)
{
    struct tokfs_engine_stats *stats = &engine->runner.stats;
    stats->n_running = engine->runner.n_active;
    stats->n_queued = engine->runner.n_waiting;
    stats->n_pages = engine->runner.pool.n_pages;
    stats->n_pages_free = engine->runner.pool.n_free + engine->runner.pool.n_cached;
    stats->n_evicted = engine->runner.radix.n_evicted;
    stats->n_pages_cached = engine->runner.pool.n_cached;
    stats->n_to_host = engine->runner.radix.n_to_host;
    stats->n_from_host = engine->runner.radix.n_from_host;
    stats->n_host_evicted = engine->runner.radix.n_host_evicted;
    stats->n_host_pages = engine->runner.host_pool.n_pages;
    stats->n_host_pages_cached = engine->runner.host_pool.n_cached;
    pthread_mutex_lock(&engine->stats_lock);
    engine->stats = *stats;
    pthread_mutex_unlock(&engine->stats_lock);
}

// What the cache holds: back to the text threads, who write it, or to the caller when they are gone.
static void answer_retrieval(struct tokfs_engine *engine, struct tokfs_completion *c)
{
    struct runner *r = &engine->runner;
    retrieval_look_up(c->retrieval, &r->radix, r->has_prefix_cache ? radix_root_find(&r->radix, c->cache_salt) : 0);
    if (!completion_queue_push_open(&engine->work, c)) {
        err_set(&c->refusal, -ECANCELED, "cancelled");
        count_over(engine, &engine->n_refused);
        completion_queue_push(&engine->verdicts, c);
        engine_signal(engine);
    }
}

static void take_arrivals(struct tokfs_engine *engine)
{
    struct tokfs_completion *c;
    while ((c = completion_queue_pop(&engine->admission)) != NULL) {
        if (c->retrieval) {
            answer_retrieval(engine, c);
            continue;
        }
        runner_add(&engine->runner, c);
        if (atomic_load(&c->cancel)) { // flagged on its way here
            atomic_store(&engine->cancel_pending, true);
        }
    }
}

static void take_cancels(struct tokfs_engine *engine)
{
    if (atomic_exchange(&engine->cancel_pending, false) && !runner_cancel_flagged(&engine->runner)) {
        atomic_store(&engine->cancel_pending, true); // the ring is full: again when it has room
    }
}

// What a sleeping engine thread waits for. Sequences that could not run wait for room in the ring: until it is half
// empty, so that a caller that takes single events does not wake the engine for each.
static bool has_news(struct tokfs_engine *engine)
{
    bool is_idle = runner_is_idle(&engine->runner);
    return atomic_load(&engine->admission.n) > 0 || kv_log_has_work(&engine->kv_log) ||
           (!is_idle && event_ring_is_roomy(&engine->ring)) || (is_idle && atomic_load(&engine->is_closing));
}

static void sleep_until_news(struct tokfs_engine *engine)
{
    atomic_store(&engine->wants_room, !runner_is_idle(&engine->runner));
    wake_announce(&engine->wake);
    if (has_news(engine)) {
        wake_cancel(&engine->wake);
    } else {
        wake_sleep(&engine->wake);
    }
    atomic_store(&engine->wants_room, false);
}

static void *engine_main(void *ctx)
{
    struct tokfs_engine *engine = ctx;
    pthread_setname_np(pthread_self(), "tokfs-engine");
    slice_set(SLICE_COMPUTE_NS);
    for (;;) {
        take_arrivals(engine);
        take_cancels(engine);
        uint64_t before_ns = engine->runner.stats.step_ns;
        bool has_run = engine_is_down(engine) ? engine_recover(engine) : runner_step(&engine->runner, publish, engine);
        publish_stats(engine);
        publish_kv(engine);
        publish(engine);
        if (has_run) {
            handoff_wait(&engine->handoff, event_ring_published(&engine->ring),
                         engine->runner.stats.step_ns - before_ns);
            continue;
        }
        if (atomic_load(&engine->is_closing) && runner_is_idle(&engine->runner) &&
            atomic_load(&engine->admission.n) == 0) {
            return NULL;
        }
        sleep_until_news(engine);
    }
}

// ---- start and stop -----------------------------------------------------------------------------------------------

// Threads of a library take no signals: they are the program's.
static int start(pthread_t *ret, void *(*fn)(void *), struct tokfs_engine *engine, struct err *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(ret, NULL, fn, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : err_set(err, -rc, "no thread for the engine (error %d)", rc);
}

int engine_start_threads(struct tokfs_engine *engine, struct err *err)
{
    int rc = start(&engine->engine_thread, engine_main, engine, err);
    engine->has_engine_thread = rc == 0;
    unsigned n_text_threads = sysconf(_SC_NPROCESSORS_ONLN) >= 4 ? TEXT_THREADS_MAX : 1;
    while (rc == 0 && engine->n_text_threads < n_text_threads) {
        rc = start(&engine->text_threads[engine->n_text_threads], text_main, engine, err);
        engine->n_text_threads += rc == 0;
    }
    return rc;
}

void engine_stop_text_threads(struct tokfs_engine *engine)
{
    completion_queue_close(&engine->work);
    for (unsigned i = 0; i < engine->n_text_threads; i++) {
        pthread_join(engine->text_threads[i], NULL);
    }
    engine->n_text_threads = 0;
}

void engine_stop_engine_thread(struct tokfs_engine *engine)
{
    atomic_store(&engine->is_closing, true);
    wake_notify(&engine->wake);
    if (engine->has_engine_thread) {
        pthread_join(engine->engine_thread, NULL);
        engine->has_engine_thread = false;
    }
}
