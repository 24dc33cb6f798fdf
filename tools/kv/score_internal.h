// The scorer between its files: who there is (score.c), what tells of them (score_source.c, score_apply.c), what
// prompts get (score_rank.c). Nobody else includes this.
#ifndef TOKFS_KV_SCORE_INTERNAL_H
#define TOKFS_KV_SCORE_INTERNAL_H

#include "tools/kv/index_names.h"
#include "tools/kv/score.h"

#define NODE_UNKNOWN UINT32_MAX

struct score_model {
    char *name;
    struct tokfs_text *text; // NULL: only heard of
};

struct score_peer {
    char *name; // NULL: free
    struct scorer_load load;
    uint64_t scope;
    bool is_kept;
    // During scorer_rank:
    bool has_model;
    struct score_tally tally;
};

struct score_source {
    struct scorer *scorer;
    struct score_source *next;
    unsigned n_users, n_arrived;
    unsigned peer, model;
    uint32_t node; // NODE_UNKNOWN until the first block
    uint32_t block_size;
    bool is_foreign; // `names` tells its blocks' names
    struct index_names names;
    uint64_t n_orphans;
    void *data; // the listener's
};

struct score_group { // of nodes: those whose blocks have one name if they are the same
    unsigned model;
    uint32_t block_size;
};

struct scorer {
    struct kv_index *index;
    struct score_model *models;
    struct score_peer *peers;
    struct score_group *groups;
    size_t n_models, n_peers, n_groups; // n_peers: free ones too
    struct score_source *sources;
    struct score_source *of_node[KV_INDEX_NODES_MAX];
    struct kv_match found[KV_INDEX_NODES_MAX];
    struct score_row *rows;          // [n_peers]
    struct scorer_listener listener; // all NULL: none
};

// Numbers of a model, and of a group of nodes. -ENOENT; -ENOMEM.
int score_find_model(const struct scorer *scorer, struct str name);
int score_add_model(struct scorer *scorer, struct str name);
int score_find_group(const struct scorer *scorer, unsigned model, uint32_t block_size);
struct score_peer *score_peer_at(const struct scorer *scorer, unsigned peer); // that there is

#endif
