// Who writes a shared index (share_schema.h), as its readers know them: the nodes that are alive, which become peers of
// a scorer with their models and loads, and the numbers under which tokfs's form keeps their blocks.
//
//   tokfs   all that there is stands in the registry
//   llm-d   pods that llm-d's own writers tell of have no entry there: they are heard of where their blocks are found
//
// Loop thread only.
#ifndef TOKFS_KV_SHARE_REGISTRY_H
#define TOKFS_KV_SHARE_REGISTRY_H

#include "tools/kv/index_names.h"
#include "tools/kv/score.h"
#include "tools/kv/share_schema.h"

#define SHARE_GROUPS_MAX 256
#define SHARE_NAME_MAX   600
#define SHARE_TEXT_MAX   300

struct redisReply; // of hiredis

struct share_node {
    struct share_node *next;
    struct score_source *source; // NULL: one whose blocks are not swept yet, though it has gone
    char name[SHARE_NAME_MAX], address[SHARE_TEXT_MAX], model[SHARE_TEXT_MAX];
    uint32_t block_size;
    unsigned slot;
    uint64_t scope;
    bool is_seen;  // with the look in hand
    bool is_heard; // llm-d: a pod without an entry of ours, found last at heard_ns
    uint64_t heard_ns;
};

struct share_group { // tokfs: whose blocks have the number in their keys
    unsigned number, tier;
    uint32_t block_size;
    char model[SHARE_TEXT_MAX];
};

struct share_registry {
    struct scorer *scorer;
    enum share_kind kind;
    struct share_node *nodes;
    unsigned n_nodes;
    struct index_names by_name; // hash of a node's name -> pointer
    struct share_group groups[SHARE_GROUPS_MAX];
    unsigned n_groups;
};

// Takes what the script share_nodes answered: nodes that it does not name leave.
void share_registry_take_nodes(struct share_registry *registry, const struct redisReply *reply);
// Takes the hash of groups.
void share_registry_take_groups(struct share_registry *registry, const struct redisReply *reply);
// A pod that no entry of ours tells of becomes a peer. NULL: there is no room for it.
struct share_node *share_registry_hear_of(struct share_registry *registry, struct str pod, struct str model);
// What the keys of a request for the model are to be made for.
void share_registry_sizes(const struct share_registry *registry, struct str model, struct score_sizes *ret);
void share_registry_deinit(struct share_registry *registry); // leaves the scorer as it is

#endif
