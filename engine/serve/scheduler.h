// Which sequences run in the next step, with how many tokens: a pure function of what it is shown.
//
// No clock, no allocation, no engine: tests and simulators drive it with plain numbers.
#ifndef TOKFS_SERVE_SCHEDULER_H
#define TOKFS_SERVE_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// One sequence as the policy sees it. n_tokens - n_computed tokens are to be run; when that is reached, one more is
// sampled.
struct sched_seq {
    uint32_t n_tokens;   // known: prompt and sampled so far
    uint32_t n_computed; // of them, whose K and V are in pages
    uint32_t n_pages;    // held; 0 for one that was preempted or never ran
    uint32_t n_own;      // of them, those that nobody else holds: what its preemption sets free at least
    bool is_decoding;    // what is to be run are sampled and forced tokens, whose pages it may lack
    uint32_t n_draft;    // guessed tokens after them, to be checked if that costs nobody anything
    int64_t priority;    // the lowest is the most urgent
    bool is_blocked;     // its last output has not been taken over by the event queue: it keeps its pages and waits
    struct sched_cached {
        uint32_t n_tokens; // of a sequence without pages, that the prefix cache has now; fewer than all
        // Of the whole pages that these take, those that no sequence holds: until taken, available. Also those that are
        // to be brought from the host tier: they take free ones.
        uint32_t n_unheld;
        bool is_tail_unheld; // the same of the last page, when they end within it (it is to be copied)
    } cached;
    // Names the tokens up to the end of the block that it computes next; equal for those that would compute the same.
    // 0: none.
    uint64_t next_block;
};

struct sched_input {
    const struct sched_seq *active;  // admitted, by priority, then the oldest first; preempted ones included
    const struct sched_seq *waiting; // not admitted yet, in order of admission; as many as there are free slots will do
    size_t n_active, n_waiting;
    size_t n_slots_free;
    uint32_t n_pages_free; // free, or to be had from the prefix cache
    uint32_t page_tokens;
    size_t batch_tokens;   // rows of one step
    size_t prefill_tokens; // of them, the most that prompts take in a step in which answers go on; not 0
};

struct sched_item {
    uint32_t idx;      // into active; n_active + i for waiting[i]
    uint32_t n_tokens; // rows of this step, the guessed ones included
    uint32_t n_draft;  // guessed
    uint32_t n_cached; // tokens to take from the prefix cache first
    uint32_t n_pages;  // that it must hold when the step begins
};

// Order of execution: preempted sequences give all their pages back, the admitted become active in this order, all that
// begin hold what they take from the cache, what of it is in the host tier is brought, then each item takes the pages
// that it lacks. Items that refer to waiting ones stand in the order of admission. The arrays are the caller's: items
// for n_active + n_slots_free, preempted for n_active.
struct sched_plan {
    struct sched_item *items;
    uint32_t *preempted; // indices into active
    size_t n_items, n_preempted, n_admitted;
};

void scheduler_plan(const struct sched_input *input, struct sched_plan *plan);

#endif
