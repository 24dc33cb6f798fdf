// A flag, a lock and a condition (see wake.h). One sleeper, any number of notifiers. A notification that comes between
// announce and cancel is kept and makes the next sleep return early: a spurious wake, which the sleeper's look absorbs.
#include "engine/serve/wake.h"

#include <assert.h>

void wake_init(struct wake *wake)
{
    pthread_mutex_init(&wake->lock, NULL);
    pthread_cond_init(&wake->cond, NULL);
    wake->is_signalled = false;
    atomic_init(&wake->is_asleep, false);
}

void wake_deinit(struct wake *wake)
{
    assert(!atomic_load(&wake->is_asleep));
    pthread_cond_destroy(&wake->cond);
    pthread_mutex_destroy(&wake->lock);
}

void wake_notify(struct wake *wake)
{
    if (!atomic_load(&wake->is_asleep)) {
        return;
    }
    pthread_mutex_lock(&wake->lock);
    wake->is_signalled = true;
    pthread_cond_signal(&wake->cond);
    pthread_mutex_unlock(&wake->lock);
}

void wake_announce(struct wake *wake)
{
    atomic_store(&wake->is_asleep, true);
}

void wake_cancel(struct wake *wake)
{
    atomic_store(&wake->is_asleep, false);
}

void wake_sleep(struct wake *wake)
{
    pthread_mutex_lock(&wake->lock);
    while (!wake->is_signalled) {
        pthread_cond_wait(&wake->cond, &wake->lock);
    }
    wake->is_signalled = false;
    pthread_mutex_unlock(&wake->lock);
    atomic_store(&wake->is_asleep, false);
}
