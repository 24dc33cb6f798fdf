// What the parts of the automaton share; for them alone.
#ifndef TOKFS_TEXT_GRAMMAR_AUTOMATON_INTERNAL_H
#define TOKFS_TEXT_GRAMMAR_AUTOMATON_INTERNAL_H

#include "engine/text/grammar/automaton.h"

#define N_STATES     4096
#define N_SETS       4096
#define N_STACKS     65536
#define N_THREADS    65536   // of all states
#define N_MEMBERS    1048576 // of all sets
#define THREADS_MAX  128     // of one state
#define SET_SIZE_MAX 2048    // so that all states along a token fit, whatever else is held
#define N_BUCKETS    8192    // a power of two, for each of the three tables
#define UNKNOWN      UINT32_MAX
#define NONE         UINT32_MAX

struct thread {
    uint32_t stack, set;
};

struct stack { // 0 is the bottom
    uint32_t node, parent, depth;
    uint32_t next_in_bucket, moved;
};

struct set {           // 0 is empty
    uint32_t first, n; // in members
    uint32_t next_in_bucket, moved;
    uint8_t plain, need_max;
    bool has_end, has_call;
};

struct state {         // 0 is DEAD
    uint32_t first, n; // in threads
    uint32_t next_in_bucket, moved;
    uint8_t plain;
    bool may_end;
};

struct automaton {
    const struct nfa *nfa;
    struct automaton_cursor *cursors;
    uint32_t generation;
    bool is_full;
    uint64_t n_work; // nodes and threads looked at, ever
    uint32_t start;

    struct stack *stacks;
    struct set *sets;
    struct state *states;
    struct thread *threads; // [N_THREADS]
    uint32_t *members;      // [N_MEMBERS]
    uint32_t n_stacks, n_sets, n_states, n_threads, n_members;
    uint32_t *buckets[3]; // of stacks, sets, states
    uint32_t *set_next;   // [N_SETS][n_classes] or UNKNOWN
    uint32_t *state_next; // [N_STATES][n_classes] or UNKNOWN
    uint32_t *closures;   // [n_nodes] the set of a node with nothing taken, or UNKNOWN

    // Scratch.
    uint32_t *seen; // [n_nodes] == n_seen: already in the set being made
    uint32_t n_seen;
    uint32_t *todo;  // [n_nodes]
    uint32_t *found; // [n_nodes]
    size_t n_found;
    struct thread made[THREADS_MAX];
    size_t n_made;
};

enum { STACKS, SETS, STATES };

static inline uint32_t automaton_hash(const uint32_t *words, size_t n)
{
    uint64_t h = 0x9e3779b97f4a7c15u + n;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ words[i]) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    return (uint32_t)h & (N_BUCKETS - 1);
}

// The bucket of a set or state, of the words that it consists of, or of a stack.
static inline uint32_t *automaton_bucket(struct automaton *a, int table, const uint32_t *words, size_t n)
{
    return &a->buckets[table][automaton_hash(words, n)];
}

static inline uint32_t *automaton_stack_bucket(struct automaton *a, uint32_t node, uint32_t parent)
{
    return automaton_bucket(a, STACKS, (uint32_t[]){ node, parent }, 2);
}

void automaton_clear_buckets(struct automaton *a);
void automaton_forget_moves(struct automaton *a); // all transitions; states stay

#endif
