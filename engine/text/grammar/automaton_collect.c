// Forgetting: what is held is marked, everything else is squeezed out in place, and the tables are made anew. Nothing
// is allocated.
#include "engine/text/grammar/automaton_internal.h"
#include <string.h>

void automaton_clear_buckets(struct automaton *a)
{
    for (int i = 0; i < 3; i++) {
        memset(a->buckets[i], 0xff, N_BUCKETS * sizeof(uint32_t));
    }
}

static void mark_state(struct automaton *a, uint32_t idx)
{
    struct state *state = &a->states[idx];
    for (uint32_t i = 0; !state->moved && i < state->n; i++) {
        const struct thread *thread = &a->threads[state->first + i];
        a->sets[thread->set].moved = 1;
        for (uint32_t s = thread->stack; !a->stacks[s].moved; s = a->stacks[s].parent) {
            a->stacks[s].moved = 1;
        }
    }
    state->moved = 1;
}

// Each of the three moves what is marked to the front, in order, and leaves in `moved` where it went.

static void compact_stacks(struct automaton *a)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->n_stacks; i++) {
        struct stack stack = a->stacks[i];
        if (!stack.moved) {
            continue;
        }
        if (i > 0) { // parents come first, so theirs are known; slot n is this one's or that of one gone by
            stack.parent = a->stacks[stack.parent].moved;
            uint32_t *bucket = automaton_stack_bucket(a, stack.node, stack.parent);
            stack.next_in_bucket = *bucket;
            *bucket = n;
        }
        uint32_t kept = a->stacks[n].moved;
        a->stacks[n] = stack;
        a->stacks[n].moved = n == i ? n : kept;
        a->stacks[i].moved = n++;
    }
    a->n_stacks = n;
}

static void compact_sets(struct automaton *a)
{
    uint32_t n = 0, n_members = 0;
    for (uint32_t i = 0; i < a->n_sets; i++) {
        struct set set = a->sets[i];
        if (!set.moved) {
            continue;
        }
        memmove(a->members + n_members, a->members + set.first, set.n * sizeof(uint32_t));
        set.first = n_members;
        n_members += set.n;
        if (i > 0) {
            uint32_t *bucket = automaton_bucket(a, SETS, a->members + set.first, set.n);
            set.next_in_bucket = *bucket;
            *bucket = n;
        }
        uint32_t kept = a->sets[n].moved;
        a->sets[n] = set;
        a->sets[n].moved = n == i ? n : kept;
        a->sets[i].moved = n++;
    }
    a->n_sets = n;
    a->n_members = n_members;
}

static void compact_states(struct automaton *a)
{
    uint32_t n = 0, n_threads = 0;
    for (uint32_t i = 0; i < a->n_states; i++) {
        struct state state = a->states[i];
        if (!state.moved) {
            continue;
        }
        for (uint32_t k = 0; k < state.n; k++) {
            struct thread thread = a->threads[state.first + k];
            a->threads[n_threads + k] = (struct thread){ a->stacks[thread.stack].moved, a->sets[thread.set].moved };
        }
        state.first = n_threads;
        n_threads += state.n;
        if (i > 0) {
            uint32_t *bucket = automaton_bucket(a, STATES, (const uint32_t *)(a->threads + state.first), 2 * state.n);
            state.next_in_bucket = *bucket;
            *bucket = n;
        }
        uint32_t kept = a->states[n].moved;
        a->states[n] = state;
        a->states[n].moved = n == i ? n : kept;
        a->states[i].moved = n++;
    }
    a->n_states = n;
    a->n_threads = n_threads;
}

static void unmark(struct automaton *a)
{
    for (uint32_t i = 0; i < N_STACKS; i++) {
        a->stacks[i].moved = 0;
    }
    for (uint32_t i = 0; i < N_SETS; i++) {
        a->sets[i].moved = 0;
    }
    for (uint32_t i = 0; i < N_STATES; i++) {
        a->states[i].moved = 0;
    }
}

void automaton_forget_moves(struct automaton *a)
{
    size_t n_classes = a->nfa->n_classes;
    memset(a->set_next, 0xff, a->n_sets * n_classes * sizeof(uint32_t));
    memset(a->state_next, 0xff, a->n_states * n_classes * sizeof(uint32_t));
    memset(a->set_next, 0, n_classes * sizeof(uint32_t)); // what is empty stays so
    memset(a->state_next, 0, n_classes * sizeof(uint32_t));
    memset(a->closures, 0xff, a->nfa->n_nodes * sizeof(uint32_t));
}

void automaton_collect(struct automaton *a, uint32_t *held, size_t n_held)
{
    a->stacks[0].moved = a->sets[0].moved = a->states[0].moved = 1;
    mark_state(a, a->start);
    for (struct automaton_cursor *cursor = a->cursors; cursor; cursor = cursor->next) {
        mark_state(a, cursor->state);
    }
    for (size_t i = 0; i < n_held; i++) {
        mark_state(a, held[i]);
    }
    automaton_clear_buckets(a);
    compact_stacks(a);
    compact_sets(a);
    compact_states(a);
    a->start = a->states[a->start].moved;
    for (struct automaton_cursor *cursor = a->cursors; cursor; cursor = cursor->next) {
        cursor->state = a->states[cursor->state].moved;
    }
    for (size_t i = 0; i < n_held; i++) {
        held[i] = a->states[held[i]].moved;
    }
    unmark(a);
    automaton_forget_moves(a);
    a->n_work +=
        (N_STACKS + N_SETS + N_STATES + (N_SETS + N_STATES) * (uint64_t)a->nfa->n_classes + a->nfa->n_nodes) / 2;
    a->generation++;
}

uint32_t automaton_generation(const struct automaton *a)
{
    return a->generation;
}
