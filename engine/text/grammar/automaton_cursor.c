// Cursors: places that survive forgetting, because the automaton knows them all.
#include "engine/text/grammar/automaton_internal.h"

static void link_cursor(struct automaton *a, struct automaton_cursor *cursor, uint32_t state)
{
    *cursor = (struct automaton_cursor){ state, a->cursors, &a->cursors };
    if (a->cursors) {
        a->cursors->link = &cursor->next;
    }
    a->cursors = cursor;
}

void automaton_cursor_init(struct automaton *a, struct automaton_cursor *cursor)
{
    link_cursor(a, cursor, a->start);
}

void automaton_cursor_copy(struct automaton *a, struct automaton_cursor *cursor, const struct automaton_cursor *from)
{
    link_cursor(a, cursor, from->state);
}

void automaton_cursor_deinit(struct automaton_cursor *cursor)
{
    if (!cursor->link) {
        return;
    }
    *cursor->link = cursor->next;
    if (cursor->next) {
        cursor->next->link = cursor->link;
    }
    *cursor = (struct automaton_cursor){ 0 };
}

// automaton_next, forgetting when it must. held[0] is the state; should there be no room even then, there is no way on.
static uint32_t next_collecting(struct automaton *a, uint32_t held[2], uint8_t class)
{
    uint32_t next = automaton_next(a, held[0], class);
    if (next == AUTOMATON_FULL) {
        automaton_collect(a, held, 2);
        next = automaton_next(a, held[0], class);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_DEAD : next;
}

bool automaton_cursor_advance(struct automaton *a, struct automaton_cursor *cursor, struct str bytes)
{
    uint32_t held[2] = { cursor->state, AUTOMATON_DEAD };
    for (size_t i = 0; i < bytes.len; i++) {
        held[0] = next_collecting(a, held, a->nfa->class_of[(uint8_t)bytes.ptr[i]]);
        if (held[0] == AUTOMATON_DEAD) {
            return false;
        }
    }
    cursor->state = held[0];
    return true;
}

// The state after the only byte that may follow: DEAD when there is not exactly one.
static uint32_t next_forced(struct automaton *a, uint32_t held[2], uint8_t *ret_byte)
{
    if (automaton_may_end(a, held[0])) {
        return AUTOMATON_DEAD;
    }
    held[1] = AUTOMATON_DEAD;
    for (uint16_t class = 0; class < a->nfa->n_classes; class ++) {
        uint32_t next = next_collecting(a, held, (uint8_t) class);
        if (next == AUTOMATON_DEAD) {
            continue;
        }
        if (held[1] != AUTOMATON_DEAD || a->nfa->class_len[class] > 1) {
            return AUTOMATON_DEAD;
        }
        held[1] = next;
        *ret_byte = a->nfa->byte_of[class];
    }
    return held[1];
}

size_t automaton_forced(struct automaton *a, const struct automaton_cursor *cursor, size_t n_max, char *out)
{
    uint32_t held[2] = { cursor->state, AUTOMATON_DEAD };
    size_t n = 0;
    for (uint8_t byte = 0; n < n_max; out[n++] = (char)byte) {
        uint32_t next = next_forced(a, held, &byte);
        if (next == AUTOMATON_DEAD) {
            break;
        }
        held[0] = next;
    }
    return n;
}

bool automaton_is_over(struct automaton *a, const struct automaton_cursor *cursor)
{
    uint32_t held[2] = { cursor->state, AUTOMATON_DEAD };
    if (!automaton_may_end(a, held[0])) {
        return false;
    }
    for (uint16_t class = 0; class < a->nfa->n_classes; class ++) {
        if (next_collecting(a, held, (uint8_t) class) != AUTOMATON_DEAD) {
            return false;
        }
    }
    return true;
}
