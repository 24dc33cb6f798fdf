// Lazy subset construction with stacks.
//
// Within one call of a rule everything is a set of nodes, as in any construction of a DFA. A call is not entered before
// the byte that it takes is known: it then becomes a thread of its own, with the node to return to on its stack. When a
// set contains the end of its rule, the thread of the caller is added beside it. Two threads with one stack are one
// thread with both sets. In practice there are one or two.
//
// A thread that cannot end within the depth that is left never comes to be (nfa_node.need), hence no state but DEAD is
// without a way to an end. Bounds on threads and set sizes drop threads and nodes, which makes the language smaller in
// absurd grammars but never leaves it.
#include "engine/base/pages.h"
#include "engine/text/grammar/automaton_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- stacks --------------------------------------------------------------------------------------------------------

static uint32_t stack_push(struct automaton *a, uint32_t parent, uint32_t node)
{
    uint32_t *bucket = automaton_stack_bucket(a, node, parent);
    for (uint32_t i = *bucket; i != NONE; i = a->stacks[i].next_in_bucket) {
        if (a->stacks[i].node == node && a->stacks[i].parent == parent) {
            return i;
        }
    }
    if (a->n_stacks == N_STACKS) {
        a->is_full = true;
        return 0;
    }
    a->stacks[a->n_stacks] = (struct stack){ node, parent, a->stacks[parent].depth + 1, *bucket, 0 };
    *bucket = a->n_stacks;
    return a->n_stacks++;
}

// ---- sets ----------------------------------------------------------------------------------------------------------

// Shell's sort: sets are small, nearly sorted, and made in decode steps, where qsort might allocate.
static void sort_u32(uint32_t *v, size_t n)
{
    size_t gap = 1;
    while (gap < n / 3) {
        gap = 3 * gap + 1;
    }
    for (; gap > 0; gap /= 3) {
        for (size_t i = gap; i < n; i++) {
            uint32_t x = v[i];
            size_t at = i;
            for (; at >= gap && v[at - gap] > x; at -= gap) {
                v[at] = v[at - gap];
            }
            v[at] = x;
        }
    }
}

static void set_describe(const struct automaton *a, struct set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const struct nfa_node *node = &a->nfa->nodes[a->members[set->first + i]];
        set->has_end |= node->kind == NFA_END;
        set->has_call |= node->kind == NFA_CALL;
        set->plain = node->plain > set->plain ? node->plain : set->plain;
        set->need_max = node->need > set->need_max ? node->need : set->need_max;
    }
}

// The set of what lies in `found`, sorted.
static uint32_t set_of_found(struct automaton *a)
{
    if (a->n_found == 0) {
        return 0;
    }
    uint32_t n = a->n_found > SET_SIZE_MAX ? SET_SIZE_MAX : (uint32_t)a->n_found;
    uint32_t *bucket = automaton_bucket(a, SETS, a->found, n);
    for (uint32_t i = *bucket; i != NONE; i = a->sets[i].next_in_bucket) {
        if (a->sets[i].n == n && memcmp(a->members + a->sets[i].first, a->found, n * sizeof(uint32_t)) == 0) {
            return i;
        }
    }
    if (a->n_sets == N_SETS || a->n_members + n > N_MEMBERS) {
        a->is_full = true;
        return 0;
    }
    struct set *set = &a->sets[a->n_sets];
    *set = (struct set){ .first = a->n_members, .n = n, .next_in_bucket = *bucket };
    memcpy(a->members + set->first, a->found, n * sizeof(uint32_t));
    a->n_members += n;
    set_describe(a, set);
    memset(a->set_next + (size_t)a->n_sets * a->nfa->n_classes, 0xff, a->nfa->n_classes * sizeof(uint32_t));
    *bucket = a->n_sets;
    return a->n_sets++;
}

static void begin_found(struct automaton *a)
{
    a->n_found = 0;
    if (++a->n_seen == 0) {
        memset(a->seen, 0, a->nfa->n_nodes * sizeof(uint32_t));
        a->n_seen = 1;
    }
}

static void see(struct automaton *a, uint32_t idx, size_t *n_todo)
{
    if (a->seen[idx] != a->n_seen && a->nfa->nodes[idx].need != NFA_ENDLESS) {
        a->seen[idx] = a->n_seen;
        a->todo[(*n_todo)++] = idx;
    }
}

// Adds to `found` a node and what is reached from it by choices alone; the choices themselves are left out.
static void find_closure(struct automaton *a, uint32_t idx)
{
    size_t n_todo = 0;
    see(a, idx, &n_todo);
    while (n_todo > 0) {
        idx = a->todo[--n_todo];
        a->n_work++;
        const struct nfa_node *node = &a->nfa->nodes[idx];
        if (node->kind == NFA_SPLIT) {
            see(a, node->next, &n_todo);
            see(a, node->alt, &n_todo);
        } else {
            a->found[a->n_found++] = idx;
        }
    }
}

static uint32_t finish_found(struct automaton *a)
{
    a->n_work += 8 * a->n_found; // sorting
    sort_u32(a->found, a->n_found);
    return set_of_found(a);
}

static uint32_t set_closure(struct automaton *a, uint32_t idx)
{
    if (a->closures[idx] == UNKNOWN) {
        begin_found(a);
        find_closure(a, idx);
        uint32_t set = finish_found(a);
        if (a->is_full) {
            return 0;
        }
        a->closures[idx] = set;
    }
    return a->closures[idx];
}

static uint32_t set_move(struct automaton *a, uint32_t set, uint8_t class)
{
    size_t at = (size_t)set * a->nfa->n_classes + class;
    if (a->set_next[at] != UNKNOWN) {
        return a->set_next[at];
    }
    uint8_t byte = a->nfa->byte_of[class];
    a->n_work += a->sets[set].n;
    begin_found(a);
    for (uint32_t i = 0; i < a->sets[set].n; i++) {
        const struct nfa_node *node = &a->nfa->nodes[a->members[a->sets[set].first + i]];
        if (node->kind == NFA_BYTES && node->lo <= byte && byte <= node->hi) {
            find_closure(a, node->next);
        }
    }
    uint32_t next = finish_found(a);
    if (!a->is_full) {
        a->set_next[at] = next;
    }
    return next;
}

static uint32_t set_union(struct automaton *a, uint32_t one, uint32_t two)
{
    if (one == two) {
        return one;
    }
    a->n_work += a->sets[one].n + a->sets[two].n;
    begin_found(a);
    for (int side = 0; side < 2; side++) {
        const struct set *set = &a->sets[side == 0 ? one : two];
        for (uint32_t i = 0; i < set->n; i++) {
            uint32_t idx = a->members[set->first + i];
            if (a->seen[idx] != a->n_seen) {
                a->seen[idx] = a->n_seen;
                a->found[a->n_found++] = idx;
            }
        }
    }
    return finish_found(a);
}

// Without the nodes that cannot end within `room` calls.
static uint32_t set_within(struct automaton *a, uint32_t set, uint32_t room)
{
    if (a->sets[set].need_max <= room) {
        return set;
    }
    a->n_work += a->sets[set].n;
    a->n_found = 0;
    for (uint32_t i = 0; i < a->sets[set].n; i++) {
        uint32_t idx = a->members[a->sets[set].first + i];
        if (a->nfa->nodes[idx].need <= room) {
            a->found[a->n_found++] = idx;
        }
    }
    return set_of_found(a);
}

// ---- states --------------------------------------------------------------------------------------------------------

static uint32_t room_of(const struct automaton *a, uint32_t stack)
{
    return NFA_DEPTH_MAX - a->stacks[stack].depth;
}

// Adds a thread to the state being made, and those that its end adds.
static void add_thread(struct automaton *a, uint32_t stack, uint32_t set)
{
    for (;;) {
        set = set_within(a, set, room_of(a, stack));
        if (set == 0 || a->is_full) {
            return;
        }
        bool has_end = a->sets[set].has_end && stack != 0;
        if (!has_end || a->sets[set].n > 1) {
            size_t i = 0;
            while (i < a->n_made && a->made[i].stack != stack) {
                i++;
            }
            if (i < a->n_made) {
                a->made[i].set = set_union(a, a->made[i].set, set);
            } else if (a->n_made < THREADS_MAX) {
                a->made[a->n_made++] = (struct thread){ stack, set };
            }
        }
        if (!has_end) {
            return;
        }
        set = set_closure(a, a->stacks[stack].node);
        stack = a->stacks[stack].parent;
    }
}

// What a thread becomes with one more byte. Calls are followed as far as their first bytes (rules do not begin with
// themselves, so this ends).
static void add_moves(struct automaton *a, uint32_t stack, uint32_t set, uint8_t class)
{
    uint32_t moved = set_move(a, set, class);
    if (moved != 0) {
        add_thread(a, stack, moved);
    }
    for (uint32_t i = 0; a->sets[set].has_call && i < a->sets[set].n && !a->is_full; i++) {
        const struct nfa_node *node = &a->nfa->nodes[a->members[a->sets[set].first + i]];
        if (node->kind != NFA_CALL || a->stacks[stack].depth >= NFA_DEPTH_MAX) {
            continue;
        }
        uint32_t begin = set_closure(a, node->alt);
        if (a->is_full || (!a->sets[begin].has_call && set_move(a, begin, class) == 0)) {
            continue;
        }
        // Nothing is left to do after the call: its end is the caller's.
        uint32_t inner = node->next == NFA_ENDED ? stack : stack_push(a, stack, node->next);
        if (!a->is_full) {
            add_moves(a, inner, begin, class);
        }
    }
}

static void begin_made(struct automaton *a)
{
    a->n_made = 0;
}

static void state_describe(const struct automaton *a, struct state *state)
{
    for (uint32_t i = 0; i < state->n; i++) {
        const struct thread *thread = &a->threads[state->first + i];
        const struct set *set = &a->sets[thread->set];
        state->may_end |= thread->stack == 0 && set->has_end;
        if (set->plain > state->plain && room_of(a, thread->stack) > 0) {
            state->plain = set->plain;
        }
    }
}

static uint32_t finish_made(struct automaton *a)
{
    if (a->n_made == 0 || a->is_full) {
        return 0;
    }
    for (size_t i = 1; i < a->n_made; i++) { // by stack
        struct thread t = a->made[i];
        size_t at = i;
        for (; at > 0 && a->made[at - 1].stack > t.stack; at--) {
            a->made[at] = a->made[at - 1];
        }
        a->made[at] = t;
    }
    uint32_t *bucket = automaton_bucket(a, STATES, (const uint32_t *)a->made, 2 * a->n_made);
    size_t n_bytes = a->n_made * sizeof(struct thread);
    for (uint32_t i = *bucket; i != NONE; i = a->states[i].next_in_bucket) {
        if (a->states[i].n == a->n_made && memcmp(a->threads + a->states[i].first, a->made, n_bytes) == 0) {
            return i;
        }
    }
    if (a->n_states == N_STATES || a->n_threads + a->n_made > N_THREADS) {
        a->is_full = true;
        return 0;
    }
    struct state *state = &a->states[a->n_states];
    *state = (struct state){ .first = a->n_threads, .n = (uint32_t)a->n_made, .next_in_bucket = *bucket };
    memcpy(a->threads + state->first, a->made, n_bytes);
    a->n_threads += (uint32_t)a->n_made;
    state_describe(a, state);
    memset(a->state_next + (size_t)a->n_states * a->nfa->n_classes, 0xff, a->nfa->n_classes * sizeof(uint32_t));
    *bucket = a->n_states;
    return a->n_states++;
}

uint32_t automaton_next(struct automaton *a, uint32_t state, uint8_t class)
{
    uint32_t *known = &a->state_next[(size_t)state * a->nfa->n_classes + class];
    if (*known != UNKNOWN) {
        return *known;
    }
    begin_made(a);
    a->n_work += 8 + 8 * a->states[state].n;
    for (uint32_t i = 0; i < a->states[state].n && !a->is_full; i++) {
        struct thread thread = a->threads[a->states[state].first + i];
        add_moves(a, thread.stack, thread.set, class);
    }
    uint32_t next = finish_made(a);
    if (a->is_full) {
        a->is_full = false;
        return AUTOMATON_FULL;
    }
    *known = next;
    return next;
}

uint64_t automaton_work(const struct automaton *a)
{
    return a->n_work;
}

bool automaton_may_end(const struct automaton *a, uint32_t state)
{
    return a->states[state].may_end;
}

uint8_t automaton_plain(const struct automaton *a, uint32_t state)
{
    return a->states[state].plain;
}

// ---- life ----------------------------------------------------------------------------------------------------------

static bool allocate(struct automaton *a)
{
    size_t n_nodes = a->nfa->n_nodes, n_classes = a->nfa->n_classes;
    a->stacks = pages_new(N_STACKS, sizeof(*a->stacks));
    a->sets = pages_new(N_SETS, sizeof(*a->sets));
    a->states = pages_new(N_STATES, sizeof(*a->states));
    a->threads = pages_new(N_THREADS, sizeof(*a->threads));
    a->members = pages_new(N_MEMBERS, sizeof(*a->members));
    a->set_next = pages_new(N_SETS * n_classes, sizeof(uint32_t));
    a->state_next = pages_new(N_STATES * n_classes, sizeof(uint32_t));
    a->closures = calloc(n_nodes, sizeof(uint32_t));
    a->seen = calloc(n_nodes, sizeof(uint32_t));
    a->todo = calloc(n_nodes, sizeof(uint32_t));
    a->found = calloc(n_nodes, sizeof(uint32_t));
    bool is_whole = a->stacks && a->sets && a->states && a->threads && a->members && a->set_next && a->state_next &&
                    a->closures && a->seen && a->todo && a->found;
    for (int i = 0; i < 3; i++) {
        a->buckets[i] = calloc(N_BUCKETS, sizeof(uint32_t));
        is_whole = is_whole && a->buckets[i];
    }
    return is_whole;
}

size_t automaton_bytes(const struct nfa *nfa)
{
    size_t n_tables = N_STACKS * sizeof(struct stack) + N_SETS * sizeof(struct set) + N_STATES * sizeof(struct state) +
                      N_THREADS * sizeof(struct thread) + (N_MEMBERS + 3 * N_BUCKETS) * sizeof(uint32_t);
    size_t n_moves = (size_t)(N_SETS + N_STATES) * nfa->n_classes * sizeof(uint32_t);
    size_t n_nodes = nfa->n_nodes * 4 * sizeof(uint32_t) + nfa->cap_nodes * sizeof(struct nfa_node);
    return sizeof(struct automaton) + n_tables + n_moves + n_nodes;
}

int automaton_new(const struct nfa *nfa, struct automaton **ret)
{
    struct automaton *a = calloc(1, sizeof(*a));
    if (!a) {
        return -ENOMEM;
    }
    a->nfa = nfa;
    if (!allocate(a)) {
        automaton_free(a);
        return -ENOMEM;
    }
    a->n_stacks = a->n_sets = a->n_states = 1;
    automaton_clear_buckets(a);
    automaton_forget_moves(a);
    begin_made(a);
    add_thread(a, 0, set_closure(a, nfa->start));
    a->start = finish_made(a);
    *ret = a;
    return 0;
}

void automaton_free(struct automaton *a)
{
    if (!a) {
        return;
    }
    assert(!a->cursors);
    for (int i = 0; i < 3; i++) {
        free(a->buckets[i]);
    }
    pages_free(a->stacks, N_STACKS, sizeof(*a->stacks));
    pages_free(a->sets, N_SETS, sizeof(*a->sets));
    pages_free(a->states, N_STATES, sizeof(*a->states));
    pages_free(a->threads, N_THREADS, sizeof(*a->threads));
    pages_free(a->members, N_MEMBERS, sizeof(*a->members));
    pages_free(a->set_next, N_SETS * (size_t)a->nfa->n_classes, sizeof(uint32_t));
    pages_free(a->state_next, N_STATES * (size_t)a->nfa->n_classes, sizeof(uint32_t));
    free(a->closures);
    free(a->seen);
    free(a->todo);
    free(a->found);
    free(a);
}

const struct nfa *automaton_nfa(const struct automaton *a)
{
    return a->nfa;
}
