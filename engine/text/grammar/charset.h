// Sets of characters, and how the characters of a set are written: as they are, or inside a JSON string.
#ifndef TOKFS_TEXT_GRAMMAR_CHARSET_H
#define TOKFS_TEXT_GRAMMAR_CHARSET_H

#include "engine/text/grammar/nfa.h"

#define CHARSET_RANGES_MAX 128
#define CODEPOINT_MAX      0x10ffffu

// Ascending ranges that do not touch.
struct charset {
    size_t n;
    struct {
        uint32_t lo, hi;
    } ranges[CHARSET_RANGES_MAX];
};

int charset_add(struct charset *set, uint32_t lo, uint32_t hi); // 0 or -E2BIG
int charset_invert(struct charset *set);                        // 0 or -E2BIG
bool charset_has_plain(const struct charset *set);              // all plain characters (nfa.h)
bool charset_has(const struct charset *set, uint32_t codepoint);

// One character of the set. In a JSON string a quote, backslash or control character has one spelling (\" \\ \n
// \u001f), all others are written as they are.
uint32_t charset_write(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next);
// The part of that which is written with more than one byte, alone; ends in `next`, NFA_FAILED when there is none.
uint32_t charset_write_long(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next);
// The part of one byte.
uint32_t charset_write_short(struct nfa *nfa, const struct charset *set, bool in_json, uint32_t next);

#endif
