// Where the engine lets its caller finish before it computes on.
//
// With as many compute threads as processors, a step that begins takes the processor from the thread that passes the
// last step's tokens on, and from the readers that it has just woken: they have run a moment ago, so the kernel owes
// the others time, and one token in each step waits for the next tick or the step's end. So the engine thread sleeps
// until the caller says that it has passed on what it took, and a moment longer for readers that have not come back for
// more. Short steps are over before that matters, and a caller that never says so is not waited for.
#ifndef TOKFS_SERVE_HANDOFF_H
#define TOKFS_SERVE_HANDOFF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HANDOFF_STEP_MIN_NS 2000000 // steps shorter than this are not held up
// For the caller: so much, and more for each event, but no more than a part of the step.
#define HANDOFF_WAIT_NS       500000
#define HANDOFF_EVENT_NS      25000
#define HANDOFF_WAIT_STEP_DIV 4
#define HANDOFF_GRACE_NS      200000 // for readers that were woken last

struct handoff {
    pthread_mutex_t lock;
    pthread_cond_t cond;   // CLOCK_MONOTONIC
    atomic_uint passed_on; // events taken and passed on, a free-running count (as event_ring's)
    atomic_uint n_away;    // readers that were given something and have not asked for more
    atomic_bool is_used;   // the caller tells
    bool is_wanted;        // processors are scarce; constant
    uint32_t n_published;  // the engine thread's: when it waited last
    bool (*is_over)(const struct handoff *handoff); // what it waits for; NULL: it does not. Under the lock
};

void handoff_init(struct handoff *handoff, unsigned n_compute_threads); // 0: as many as processors
void handoff_deinit(struct handoff *handoff);
void handoff_tell(struct handoff *handoff, uint32_t n_passed_on, uint32_t n_away); // the caller
// The engine thread, after a step that took step_ns. True: it waited.
bool handoff_wait(struct handoff *handoff, uint32_t n_published, uint64_t step_ns);

#endif
