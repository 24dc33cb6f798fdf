// A grammar over bytes: nodes joined by byte ranges, free choices and calls of rules.
//
// It is built backwards: every function that adds a piece is given the node that follows it and returns the piece's
// first node, so that nothing is patched and ends are shared freely. A rule is a piece that ends in NFA_END and is
// entered by calls; it takes at least one byte. Calls make the language context-free; all that is not recursive could
// do without, but a rule that is called ten times has its nodes once.
//
//   BYTES lo-hi -> next        SPLIT -> next | alt        CALL rule alt, then next        END        FAIL
//
// Errors are sticky: after a failed addition every function returns NFA_FAILED, and nfa_finish tells.
#ifndef TOKFS_TEXT_GRAMMAR_NFA_H
#define TOKFS_TEXT_GRAMMAR_NFA_H

#include "engine/base/err.h"
#include "engine/base/str.h"

#define NFA_NODES_MAX ((size_t)1 << 18)
#define NFA_RULES_MAX ((size_t)1 << 13)
#define NFA_DEPTH_MAX 96  // calls within calls: deeper is not part of the language
#define NFA_ENDLESS   255 // of nodes from which no end can be reached

// Runs of plain characters are told apart up to this length; longer ones count as endless.
#define NFA_PLAIN_MAX 32

enum nfa_kind { NFA_FAIL, NFA_BYTES, NFA_SPLIT, NFA_CALL, NFA_END };
enum { NFA_FAILED = 0, NFA_ENDED = 1 }; // the FAIL node, the END node

struct nfa_node {
    uint32_t next;
    uint32_t alt; // SPLIT: a node; CALL: a rule, and its first node once finished
    uint8_t kind;
    uint8_t lo, hi;
    // From here at least this many plain characters may follow, any of them (at most NFA_PLAIN_MAX); each takes one
    // call at most. Plain are those that need no escape in a JSON string, but for the line separators U+2028 and
    // U+2029, which patterns leave out of their dot.
    uint8_t plain;
    uint8_t need; // calls within each other without which no end can be reached; NFA_ENDLESS
};

struct nfa {
    struct nfa_node *nodes; // [n_nodes]
    size_t n_nodes, cap_nodes;
    uint32_t *rules; // [n_rules] first nodes
    size_t n_rules, cap_rules;
    int error; // 0, -ENOMEM or -E2BIG
    // Set by nfa_finish.
    uint32_t start;
    uint8_t need_max;        // largest finite need
    uint16_t n_classes;      // bytes that no node tells apart share a class
    uint8_t class_of[256];   // by byte
    uint8_t byte_of[256];    // by class: its first byte
    uint16_t class_len[256]; // by class: how many bytes
};

int nfa_init(struct nfa *nfa); // 0 or -ENOMEM
void nfa_deinit(struct nfa *nfa);

uint32_t nfa_bytes(struct nfa *nfa, uint8_t lo, uint8_t hi, uint32_t next);
uint32_t nfa_literal(struct nfa *nfa, struct str bytes, uint32_t next);
uint32_t nfa_either(struct nfa *nfa, uint32_t a, uint32_t b); // NFA_FAILED is left out
uint32_t nfa_call(struct nfa *nfa, uint32_t rule, uint32_t next);
uint32_t nfa_rule(struct nfa *nfa);                                        // a new rule, without a body yet
void nfa_rule_set(struct nfa *nfa, uint32_t rule, uint32_t first);         // its body, which ends in NFA_ENDED
uint32_t nfa_loop(struct nfa *nfa);                                        // a node to come back to...
void nfa_loop_set(struct nfa *nfa, uint32_t loop, uint32_t a, uint32_t b); // ...and where it leads
// A character of lo..hi in UTF-8; surrogates are left out.
uint32_t nfa_codepoints(struct nfa *nfa, uint32_t lo, uint32_t hi, uint32_t next);

// Makes it ready to run from `start`. 0, -ENOMEM, -E2BIG (too many nodes), or -EINVAL: nothing can ever be accepted, or
// a rule calls itself before it takes a byte.
int nfa_finish(struct nfa *nfa, uint32_t start, struct err *err);

#endif
