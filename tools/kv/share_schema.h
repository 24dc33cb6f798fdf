// How the index lies in Redis when routers share it: keys, and the scripts that change them. docs/kv-events.md draws
// it.
//
//   SHARE_TOKFS   a block is a string of bits, one for each holder: what a router reads is what an AND needs. A holder
//                 is a number ("slot") for one life of a node: a node that is cleared gets another one, and the bits of
//                 the old are swept out later, as in index.c.
//   SHARE_LLMD    llm-d's own: a hash for each block, its fields are pods; `engine:` keys lead from an engine's names
//                 to the blocks. It has no lives: what a node held before has to be swept out before it is told anew.
//
// In both one bridge at a time writes a node (a lease), what a node holds is also kept by node, so that clearing it
// costs what it held, and the node's own entry lives for SHARE_TTL_MS: routers look at nobody else's blocks. Every
// script is atomic, and those that change a node's blocks do nothing for a bridge without the lease.
#ifndef TOKFS_KV_SHARE_SCHEMA_H
#define TOKFS_KV_SHARE_SCHEMA_H

#include "engine/base/str.h"

enum share_kind { SHARE_TOKFS, SHARE_LLMD };
extern const char *const share_kinds[]; // their names, NULL at the end

#define SHARE_TTL_MS    "10000"
#define SHARE_SLOTS_MAX 65536
#define SHARE_MEMBERS   256 // blocks that a script is given, or takes, at most

struct share_schema {
    struct str prefix; // of the keys that are not llm-d's
    // KEYS writer, node, slots, free, last, groups (llm-d: pods); ARGV id, TTL, name, pod, then for each tier that is
    // in use "SIZE TIER MODEL". -1: another bridge has it; else [slot, number of the group ...]
    struct str claim;
    // KEYS writer, held; ARGV id, slot (llm-d: pod), prefix of blocks, member ... A member names a block at a holder:
    // tokfs "GROUP:HASH", llm-d "TIER:ENGINE:REQUEST".
    struct str store, take;
    struct str sweep; // KEYS writer, held; ARGV id, pod: how many of its old blocks it took; empty: none is needed
    // KEYS slots, free (llm-d: nodes, pods); ARGV prefix, time ms: takes some blocks of a node that has gone: 1, or 0
    // when there is none
    struct str collect;
};

extern const struct share_schema share_schemas[];

// KEYS writer, node, nodes; ARGV id, TTL, name, time ms, field, value ...: 0 when the lease is lost.
extern const struct str share_beat;
// KEYS writer, node; ARGV id.
extern const struct str share_release;
// KEYS nodes; ARGV prefix: [name, address, model, block_size, slot, requests_running, requests_waiting, cache_scope] of
// each node that is alive, [name] of others.
extern const struct str share_nodes;

#endif
