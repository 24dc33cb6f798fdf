// How the engine thread sleeps when it has nothing to do, and how others wake it.
//
// A notifier first makes its change visible (a sequentially consistent store, or one under a lock), then calls
// wake_notify, which costs one load while the engine is awake. The sleeper announces itself, looks at everything once
// more, and only then sleeps: a change is either seen by that look or its notifier sees the announcement.
#ifndef TOKFS_SERVE_WAKE_H
#define TOKFS_SERVE_WAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct wake {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_signalled; // under the lock
    atomic_bool is_asleep;
};

void wake_init(struct wake *wake);
void wake_deinit(struct wake *wake);
void wake_notify(struct wake *wake); // any thread
// The sleeper: announce, look again, then sleep (or cancel). wake_sleep returns after a notification.
void wake_announce(struct wake *wake);
void wake_cancel(struct wake *wake);
void wake_sleep(struct wake *wake);

#endif
