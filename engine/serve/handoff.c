// A count, a lock and a condition. One teller, one waiter; the count is written under the lock so that no tell is
// missed, and read without it first, because most often the caller has nothing new to say.
#include "engine/serve/handoff.h"

#include "engine/base/loop.h"
#include <errno.h>
#include <sched.h>
#include <time.h>

static unsigned n_processors(void)
{
    cpu_set_t allowed;
    return sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 1;
}

void handoff_init(struct handoff *handoff, unsigned n_compute_threads)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&handoff->lock, NULL);
    pthread_cond_init(&handoff->cond, &attr);
    pthread_condattr_destroy(&attr);
    atomic_init(&handoff->passed_on, 0);
    atomic_init(&handoff->n_away, 0);
    handoff->n_published = 0;
    handoff->is_over = NULL;
    atomic_init(&handoff->is_used, false);
    handoff->is_wanted = n_compute_threads == 0 || n_compute_threads >= n_processors();
}

void handoff_deinit(struct handoff *handoff)
{
    pthread_cond_destroy(&handoff->cond);
    pthread_mutex_destroy(&handoff->lock);
}

static bool is_passed_on(const struct handoff *handoff)
{
    return atomic_load(&handoff->passed_on) == handoff->n_published;
}

static bool is_settled(const struct handoff *handoff)
{
    return is_passed_on(handoff) && atomic_load(&handoff->n_away) == 0;
}

// The waiter is woken for nothing but what it waits for: it would take the processor from those it waits for.
void handoff_tell(struct handoff *handoff, uint32_t n_passed_on, uint32_t n_away)
{
    if (!handoff->is_wanted ||
        (atomic_load(&handoff->passed_on) == n_passed_on && atomic_load(&handoff->n_away) == n_away)) {
        return;
    }
    pthread_mutex_lock(&handoff->lock);
    atomic_store(&handoff->passed_on, n_passed_on);
    atomic_store(&handoff->n_away, n_away);
    atomic_store(&handoff->is_used, true);
    if (handoff->is_over && handoff->is_over(handoff)) {
        pthread_cond_signal(&handoff->cond);
    }
    pthread_mutex_unlock(&handoff->lock);
}

static void sleep_until(struct handoff *handoff, bool (*is_over)(const struct handoff *), uint64_t wait_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + wait_ns;
    struct timespec until = { (time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u) };
    handoff->is_over = is_over;
    while (!is_over(handoff) && pthread_cond_timedwait(&handoff->cond, &handoff->lock, &until) != ETIMEDOUT) {
    }
    handoff->is_over = NULL;
}

static uint64_t wait_max_ns(uint32_t n_events, uint64_t step_ns)
{
    uint64_t wait_ns = HANDOFF_WAIT_NS + (uint64_t)n_events * HANDOFF_EVENT_NS;
    return wait_ns < step_ns / HANDOFF_WAIT_STEP_DIV ? wait_ns : step_ns / HANDOFF_WAIT_STEP_DIV;
}

bool handoff_wait(struct handoff *handoff, uint32_t n_published, uint64_t step_ns)
{
    uint32_t n_events = n_published - handoff->n_published;
    if (!atomic_load(&handoff->is_used)) {
        return false;
    }
    pthread_mutex_lock(&handoff->lock);
    handoff->n_published = n_published;
    if (step_ns >= HANDOFF_STEP_MIN_NS) {
        sleep_until(handoff, is_passed_on, wait_max_ns(n_events, step_ns));
        sleep_until(handoff, is_settled, HANDOFF_GRACE_NS);
    }
    pthread_mutex_unlock(&handoff->lock);
    return step_ns >= HANDOFF_STEP_MIN_NS;
}
