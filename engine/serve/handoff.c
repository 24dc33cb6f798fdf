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
    atomic_init(&handoff->is_used, false);
    handoff->is_wanted = n_compute_threads == 0 || n_compute_threads >= n_processors();
}

void handoff_deinit(struct handoff *handoff)
{
    pthread_cond_destroy(&handoff->cond);
    pthread_mutex_destroy(&handoff->lock);
}

void handoff_tell(struct handoff *handoff, uint32_t n_passed_on)
{
    if (!handoff->is_wanted || atomic_load(&handoff->passed_on) == n_passed_on) {
        return;
    }
    pthread_mutex_lock(&handoff->lock);
    atomic_store(&handoff->passed_on, n_passed_on);
    atomic_store(&handoff->is_used, true);
    pthread_cond_signal(&handoff->cond);
    pthread_mutex_unlock(&handoff->lock);
}

bool handoff_wait(struct handoff *handoff, uint32_t n_published, uint64_t step_ns)
{
    if (!atomic_load(&handoff->is_used) || step_ns < HANDOFF_STEP_MIN_NS) {
        return false;
    }
    uint64_t until_ns = clock_monotonic_ns() + HANDOFF_WAIT_MAX_NS;
    struct timespec until = { (time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u) };
    pthread_mutex_lock(&handoff->lock);
    while (atomic_load(&handoff->passed_on) != n_published &&
           pthread_cond_timedwait(&handoff->cond, &handoff->lock, &until) != ETIMEDOUT) {
    }
    pthread_mutex_unlock(&handoff->lock);
    nanosleep(&(struct timespec){ .tv_nsec = HANDOFF_GRACE_NS }, NULL);
    return true;
}
