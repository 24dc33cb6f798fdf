// Builds grammars and finds out, once, what running them asks for all the time.
//
// nfa_finish computes for each node how many calls within each other it needs at the least before it can end. Nodes
// that cannot end at all are never entered, and none is entered at a depth that leaves too little room: whatever a
// reader of this grammar has taken so far can be completed.
#include "engine/text/grammar/nfa.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool grow(void **array, size_t *cap, size_t n, size_t item_size)
{
    if (n < *cap) {
        return true;
    }
    size_t new_cap = *cap > 0 ? 2 * *cap : 256;
    void *grown = reallocarray(*array, new_cap, item_size);
    if (!grown) {
        return false;
    }
    *array = grown;
    *cap = new_cap;
    return true;
}

static uint32_t add(struct nfa *nfa, struct nfa_node node)
{
    if (nfa->error != 0) {
        return NFA_FAILED;
    }
    if (nfa->n_nodes >= NFA_NODES_MAX) {
        nfa->error = -E2BIG;
        return NFA_FAILED;
    }
    if (!grow((void **)&nfa->nodes, &nfa->cap_nodes, nfa->n_nodes, sizeof(*nfa->nodes))) {
        nfa->error = -ENOMEM;
        return NFA_FAILED;
    }
    node.need = NFA_ENDLESS;
    nfa->nodes[nfa->n_nodes] = node;
    return (uint32_t)nfa->n_nodes++;
}

int nfa_init(struct nfa *nfa)
{
    *nfa = (struct nfa){ 0 };
    add(nfa, (struct nfa_node){ .kind = NFA_FAIL });
    add(nfa, (struct nfa_node){ .kind = NFA_END });
    return nfa->error;
}

void nfa_deinit(struct nfa *nfa)
{
    free(nfa->nodes);
    free(nfa->rules);
    *nfa = (struct nfa){ 0 };
}

uint32_t nfa_bytes(struct nfa *nfa, uint8_t lo, uint8_t hi, uint32_t next)
{
    return next == NFA_FAILED ? next
                              : add(nfa, (struct nfa_node){ .kind = NFA_BYTES, .lo = lo, .hi = hi, .next = next });
}

uint32_t nfa_literal(struct nfa *nfa, struct str bytes, uint32_t next)
{
    for (size_t i = bytes.len; i > 0; i--) {
        uint8_t byte = (uint8_t)bytes.ptr[i - 1];
        next = nfa_bytes(nfa, byte, byte, next);
    }
    return next;
}

uint32_t nfa_either(struct nfa *nfa, uint32_t a, uint32_t b)
{
    if (a == NFA_FAILED || b == NFA_FAILED || a == b) {
        return a == NFA_FAILED ? b : a;
    }
    return add(nfa, (struct nfa_node){ .kind = NFA_SPLIT, .next = a, .alt = b });
}

uint32_t nfa_call(struct nfa *nfa, uint32_t rule, uint32_t next)
{
    return next == NFA_FAILED ? next : add(nfa, (struct nfa_node){ .kind = NFA_CALL, .alt = rule, .next = next });
}

uint32_t nfa_rule(struct nfa *nfa)
{
    if (nfa->n_rules >= NFA_RULES_MAX) {
        nfa->error = -E2BIG;
        return 0;
    }
    if (!grow((void **)&nfa->rules, &nfa->cap_rules, nfa->n_rules, sizeof(*nfa->rules))) {
        nfa->error = -ENOMEM;
        return 0;
    }
    nfa->rules[nfa->n_rules] = NFA_FAILED;
    return (uint32_t)nfa->n_rules++;
}

void nfa_rule_set(struct nfa *nfa, uint32_t rule, uint32_t first)
{
    if (rule < nfa->n_rules) {
        nfa->rules[rule] = first;
    }
}

uint32_t nfa_loop(struct nfa *nfa)
{
    return add(nfa, (struct nfa_node){ .kind = NFA_SPLIT });
}

void nfa_loop_set(struct nfa *nfa, uint32_t loop, uint32_t a, uint32_t b)
{
    if (loop != NFA_FAILED) {
        nfa->nodes[loop].next = a;
        nfa->nodes[loop].alt = b;
    }
}

// ---- characters ----------------------------------------------------------------------------------------------------

// lo..hi have encodings of one length whose bytes vary independently.
static uint32_t add_encoded(struct nfa *nfa, uint32_t lo, uint32_t hi, uint32_t next)
{
    char first[4], last[4];
    size_t len = utf8_encode(lo, first);
    utf8_encode(hi, last);
    for (size_t i = len; i > 0; i--) {
        next = nfa_bytes(nfa, (uint8_t)first[i - 1], (uint8_t)last[i - 1], next);
    }
    return next;
}

// Where lo..hi must be cut so that the first part is simple; hi when it need not be.
static uint32_t first_cut(uint32_t lo, uint32_t hi)
{
    static const uint32_t borders[] = { 0x7f, 0x7ff, 0xffff };
    for (size_t i = 0; i < 3; i++) {
        if (lo <= borders[i] && hi > borders[i]) {
            hi = borders[i];
        }
    }
    if (hi < 0x80) {
        return hi;
    }
    for (uint32_t bits = 6; bits <= 18; bits += 6) {
        uint32_t low = (UINT32_C(1) << bits) - 1;
        if ((lo & ~low) != (hi & ~low)) {
            if ((lo & low) != 0) {
                return lo | low;
            }
            if ((hi & low) != low) {
                hi = (hi & ~low) - 1;
            }
        }
    }
    return hi;
}

static uint32_t add_range(struct nfa *nfa, uint32_t lo, uint32_t hi, uint32_t next)
{
    uint32_t all = NFA_FAILED;
    while (lo <= hi && nfa->error == 0) {
        uint32_t cut = first_cut(lo, hi);
        all = nfa_either(nfa, add_encoded(nfa, lo, cut, next), all);
        lo = cut + 1;
    }
    return all;
}

uint32_t nfa_codepoints(struct nfa *nfa, uint32_t lo, uint32_t hi, uint32_t next)
{
    uint32_t below_hi = hi < 0xd7ff ? hi : 0xd7ff, above_lo = lo > 0xe000 ? lo : 0xe000;
    uint32_t below = lo <= below_hi ? add_range(nfa, lo, below_hi, next) : NFA_FAILED;
    uint32_t above = above_lo <= hi ? add_range(nfa, above_lo, hi, next) : NFA_FAILED;
    return nfa_either(nfa, below, above);
}

// ---- what ends -----------------------------------------------------------------------------------------------------

// Who leads to each node, as lists in one array: those of node n are pred[first[n]..first[n + 1]).
struct backwards {
    uint32_t *first, *pred;
    uint32_t *queue[2]; // nodes settled at this depth, and those of the next
    size_t n_queue[2];
};

static bool backwards_init(struct backwards *b, const struct nfa *nfa)
{
    size_t n = nfa->n_nodes;
    b->first = calloc(n + 2, sizeof(uint32_t));
    b->pred = calloc(2 * n, sizeof(uint32_t));
    b->queue[0] = calloc(n, sizeof(uint32_t));
    b->queue[1] = calloc(2 * n, sizeof(uint32_t));
    if (!b->first || !b->pred || !b->queue[0] || !b->queue[1]) {
        return false;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < n; i++) {
            const struct nfa_node *node = &nfa->nodes[i];
            if (node->kind == NFA_FAIL || node->kind == NFA_END) {
                continue;
            }
            for (int edge = 0; edge < (node->kind == NFA_BYTES ? 1 : 2); edge++) {
                uint32_t to = edge == 0 ? node->next : node->alt;
                if (pass == 0) {
                    b->first[to + 2]++;
                } else {
                    b->pred[b->first[to + 1]++] = i;
                }
            }
        }
        for (size_t i = 2; pass == 0 && i < n + 2; i++) {
            b->first[i] += b->first[i - 1];
        }
    }
    return true;
}

static void backwards_deinit(struct backwards *b)
{
    free(b->first);
    free(b->pred);
    free(b->queue[0]);
    free(b->queue[1]);
}

static void settle(struct nfa *nfa, struct backwards *b, uint32_t idx, uint8_t depth)
{
    if (nfa->nodes[idx].need == NFA_ENDLESS) {
        nfa->nodes[idx].need = depth;
        b->queue[0][b->n_queue[0]++] = idx;
    }
}

// `idx` can end within `depth` calls: what does that tell of the nodes before it?
static void spread(struct nfa *nfa, struct backwards *b, uint32_t idx, uint8_t depth)
{
    for (uint32_t i = b->first[idx]; i < b->first[idx + 1]; i++) {
        const struct nfa_node *node = &nfa->nodes[b->pred[i]];
        if (node->kind != NFA_CALL) {
            settle(nfa, b, b->pred[i], depth);
            continue;
        }
        uint8_t callee = nfa->nodes[node->alt].need, after = nfa->nodes[node->next].need;
        if (callee == NFA_ENDLESS || after == NFA_ENDLESS) {
            continue;
        }
        if (callee < depth) {
            settle(nfa, b, b->pred[i], depth);
        } else {
            b->queue[1][b->n_queue[1]++] = b->pred[i];
        }
    }
}

// Breadth first by depth. A call costs one more than what it calls.
static int find_needs(struct nfa *nfa)
{
    struct backwards b = { 0 };
    if (!backwards_init(&b, nfa)) {
        backwards_deinit(&b);
        return -ENOMEM;
    }
    settle(nfa, &b, NFA_ENDED, 0);
    for (uint8_t depth = 0; depth < NFA_DEPTH_MAX && b.n_queue[0] > 0; depth++) {
        nfa->need_max = depth;
        for (size_t done = 0; done < b.n_queue[0]; done++) {
            spread(nfa, &b, b.queue[0][done], depth);
        }
        size_t n_next = b.n_queue[1];
        b.n_queue[0] = b.n_queue[1] = 0;
        for (size_t i = 0; i < n_next; i++) {
            settle(nfa, &b, b.queue[1][i], depth + 1);
        }
    }
    backwards_deinit(&b);
    return 0;
}

// ---- what begins ---------------------------------------------------------------------------------------------------

// Looks for a rule that calls itself before it has taken a byte, without recursion: a path of nodes and of what is left
// to look at on them.
struct begin_search {
    uint8_t *seen; // [n_nodes] 0 no, 1 on the path, 2 done
    uint32_t *path;
    size_t n_path;
};

// The next node to look at from `idx` without a byte, NFA_FAILED when none is left.
static uint32_t next_unseen(const struct nfa *nfa, const struct begin_search *s, uint32_t idx, bool *ret_is_cycle)
{
    const struct nfa_node *node = &nfa->nodes[idx];
    uint32_t to[2] = { NFA_FAILED, NFA_FAILED };
    if (node->kind == NFA_SPLIT) {
        to[0] = node->next;
    }
    if (node->kind == NFA_SPLIT || node->kind == NFA_CALL) {
        to[1] = node->alt;
    }
    for (int i = 0; i < 2; i++) {
        if (to[i] != NFA_FAILED && s->seen[to[i]] == 1) {
            *ret_is_cycle = true;
        } else if (to[i] != NFA_FAILED && s->seen[to[i]] == 0) {
            return to[i];
        }
    }
    return NFA_FAILED;
}

static bool search_from(const struct nfa *nfa, struct begin_search *s, uint32_t start)
{
    bool is_cycle = false;
    s->n_path = 0;
    s->path[s->n_path++] = start;
    s->seen[start] = 1;
    while (s->n_path > 0 && !is_cycle) {
        uint32_t top = s->path[s->n_path - 1], next = next_unseen(nfa, s, top, &is_cycle);
        if (next == NFA_FAILED) {
            s->seen[top] = 2;
            s->n_path--;
        } else {
            s->seen[next] = 1;
            s->path[s->n_path++] = next;
        }
    }
    return is_cycle;
}

// Loops of free choices alone, as of the pattern (a*)*, stand behind a quote in every rule: the search does not meet
// them.
static int check_begins(struct nfa *nfa, struct err *err)
{
    struct begin_search s = { calloc(nfa->n_nodes, 1), calloc(nfa->n_nodes, sizeof(uint32_t)), 0 };
    int rc = s.seen && s.path ? 0 : -ENOMEM;
    for (size_t i = 0; i < nfa->n_rules && rc == 0; i++) {
        if (s.seen[nfa->rules[i]] == 0 && search_from(nfa, &s, nfa->rules[i])) {
            rc = err_set(err, -EINVAL, "a definition refers to itself without anything before the reference");
        }
    }
    free(s.seen);
    free(s.path);
    return rc;
}

static void find_classes(struct nfa *nfa)
{
    bool begins[257] = { true };
    for (size_t i = 0; i < nfa->n_nodes; i++) {
        if (nfa->nodes[i].kind == NFA_BYTES) {
            begins[nfa->nodes[i].lo] = begins[nfa->nodes[i].hi + 1] = true;
        }
    }
    int class = -1;
    for (int byte = 0; byte < 256; byte++) {
        if (begins[byte]) {
            class ++;
            nfa->byte_of[class] = (uint8_t)byte;
        }
        nfa->class_of[byte] = (uint8_t) class;
        nfa->class_len[class]++;
    }
    nfa->n_classes = (uint16_t)(class + 1);
}

int nfa_finish(struct nfa *nfa, uint32_t start, struct err *err)
{
    if (nfa->error == -E2BIG) {
        return err_set(err, -E2BIG, "the grammar is too large (%zu nodes are the limit)", NFA_NODES_MAX);
    }
    if (nfa->error != 0) {
        return nfa->error;
    }
    for (size_t i = 0; i < nfa->n_nodes; i++) {
        if (nfa->nodes[i].kind == NFA_CALL) {
            nfa->nodes[i].alt = nfa->rules[nfa->nodes[i].alt];
        }
    }
    nfa->start = start;
    find_classes(nfa);
    int rc = check_begins(nfa, err);
    if (rc == 0) {
        rc = find_needs(nfa);
    }
    if (rc == 0 && nfa->nodes[start].need == NFA_ENDLESS) {
        rc = err_set(err, -EINVAL, "nothing can satisfy it");
    }
    return rc;
}
