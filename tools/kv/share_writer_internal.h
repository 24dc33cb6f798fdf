// The writer between its files: what the scorer tells and when nodes are tended (share_writer.c), and what one node
// asks of Redis (shared_node.c). Nobody else includes this.
#ifndef TOKFS_KV_SHARE_WRITER_INTERNAL_H
#define TOKFS_KV_SHARE_WRITER_INTERNAL_H

#include "tools/kv/index_names.h"
#include "tools/kv/share_writer.h"

#define SHARED_NAME_MAX  600
#define SHARE_NUMBER_MAX 24

struct redisReply; // of hiredis

enum shared_state { SHARED_IDLE, SHARED_CLAIMING, SHARED_SWEEPING, SHARED_FILLING, SHARED_LIVE, SHARED_BEHIND };

struct placed { // a block in a tier
    uint64_t ours;
    enum kv_tier tier;
};

struct batch { // of members, for one script
    bool is_take;
    unsigned n;
    uint32_t ends[SHARE_MEMBERS]; // in the text
    struct strbuf text;
};

struct shared { // a source
    struct share_writer *writer;
    struct shared *next;
    struct score_source *source; // NULL: it has gone
    enum shared_state state;
    unsigned life;                       // what was asked in an earlier one is not listened to
    unsigned n_answers;                  // that will come: it stays until then
    unsigned slot, tiers;                // tiers: that have a group
    uint32_t block_size;                 // as told last
    unsigned groups[KV_N_TIERS];         // tokfs
    struct index_names keys[KV_N_TIERS]; // ours -> what the schema calls it, of what it holds in each tier
    struct index_names engines;          // ours -> theirs, where they differ
    struct placed *fill;                 // [n_fill] SHARED_FILLING: what is to be told
    size_t n_fill, n_filled;
    struct batch batch;
    char name[SHARED_NAME_MAX], pod[SHARED_NAME_MAX]; // pod: the peer's name, as in a text of JSON
};

struct asked {
    struct asked *next;
    struct shared *shared;
    unsigned life;
    void (*answered)(struct shared *shared, const struct redisReply *reply); // neither NULL nor an error
};

struct share_writer {
    struct loop_op tick;
    struct loop *loop;
    struct share_writer_options options;
    const struct share_schema *schema;
    struct scorer *scorer;
    struct redis_link *link;
    struct shared *all;
    struct asked *first, **last; // not answered, in their order: of a link that stops they never are
    bool is_collecting, is_stopped;
    struct share_writer_counts counts;
    char id[33]; // of the leases
};

bool shared_is_llmd(const struct shared *shared);
void shared_become(struct shared *shared, enum shared_state state);
void shared_claim(struct shared *shared); // and then all is told anew
void shared_beat(struct shared *shared);
void shared_release(struct shared *shared); // the lease, and the node's own entry
// A block that is stored or taken; sent when there are enough of them, or with the flush.
void shared_add(struct shared *shared, bool is_take, enum kv_tier tier, uint64_t ours, uint64_t key);
void shared_flush(struct shared *shared);
void share_asked_done(struct share_writer *writer); // the first that is not answered

struct str share_number(char ret[SHARE_NUMBER_MAX], uint64_t value);
uint64_t share_now_ms(void); // of the clock that all nodes have

#endif
