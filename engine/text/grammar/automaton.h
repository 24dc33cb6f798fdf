// A grammar as it is run: states made when they are first needed, remembered, and forgotten together when they are too
// many.
//
// A state is a number. It stands for a set of threads, a stack of return nodes and a set of nodes each; equal sets have
// equal numbers, so that comparing is comparing numbers and everything that depends on a state alone can be kept by it.
// Memory is taken at the beginning and bounded; when it is used up, whatever the cursors (and the caller of
// automaton_collect) do not hold is dropped, and numbers change.
//
//   states --threads--> (stack, set)     stacks: return node -> parent ... -> bottom     sets: sorted node numbers
//
// One thread of execution at a time. The grammar must outlive it.
#ifndef TOKFS_TEXT_GRAMMAR_AUTOMATON_H
#define TOKFS_TEXT_GRAMMAR_AUTOMATON_H

#include "engine/text/grammar/nfa.h"

#define AUTOMATON_DEAD 0u         // the state from which there is no way on
#define AUTOMATON_FULL UINT32_MAX // no room for the answer: automaton_collect, then ask again

struct automaton;

// A place in the grammar that survives automaton_collect. The owner links and unlinks it; it must not move meanwhile.
struct automaton_cursor {
    uint32_t state;
    struct automaton_cursor *next, **link;
};

int automaton_new(const struct nfa *nfa, struct automaton **ret); // 0 or -ENOMEM
size_t automaton_bytes(const struct nfa *nfa);                    // what one takes, and the grammar itself
void automaton_free(struct automaton *a);                         // asserts that no cursor is left
const struct nfa *automaton_nfa(const struct automaton *a);

void automaton_cursor_init(struct automaton *a, struct automaton_cursor *cursor); // at the beginning
void automaton_cursor_copy(struct automaton *a, struct automaton_cursor *cursor, const struct automaton_cursor *from);
void automaton_cursor_deinit(struct automaton_cursor *cursor); // zero-initialised ones are accepted
// Takes bytes. False: they are not part of the language, and the cursor has stayed where it was.
bool automaton_cursor_advance(struct automaton *a, struct automaton_cursor *cursor, struct str bytes);

// A state after one more byte of a class: AUTOMATON_DEAD, AUTOMATON_FULL or a state.
uint32_t automaton_next(struct automaton *a, uint32_t state, uint8_t class);
bool automaton_may_end(const struct automaton *a, uint32_t state);
// Any so many characters of a JSON string that need no escape may follow (nfa.h); NFA_PLAIN_MAX: any number.
uint8_t automaton_plain(const struct automaton *a, uint32_t state);
// Forgets all states but those of cursors and held[0..n_held), whose numbers it replaces. Counted by
// automaton_generation: what was kept by number is void when that has changed.
void automaton_collect(struct automaton *a, uint32_t *held, size_t n_held);
// How much was looked at so far: what it costs to meet new states, in units of a few nanoseconds.
uint64_t automaton_work(const struct automaton *a);
uint32_t automaton_generation(const struct automaton *a);

// The bytes that must follow, because at each place nothing else may and the text must not end: appends at most n_max
// to `out` and returns how many. The cursor stays where it is.
size_t automaton_forced(struct automaton *a, const struct automaton_cursor *cursor, size_t n_max, char *out);
// The text is complete, and nothing may follow it.
bool automaton_is_over(struct automaton *a, const struct automaton_cursor *cursor);

#endif
