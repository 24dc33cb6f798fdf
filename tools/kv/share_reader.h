// Matches prompts against an index that lies in Redis, so that a router needs none of its own (share_schema.h).
//
// Blocks are asked for in waves, each twice as long as the one before, and no further once nobody holds a block. A
// match has a bounded time; a Redis that is away, or too slow, makes it fail, which is for the caller to do without.
// The nodes that are alive, with their models and loads, become peers of the scorer. Loop thread only.
#ifndef TOKFS_KV_SHARE_READER_H
#define TOKFS_KV_SHARE_READER_H

#include "tools/kv/redis_link.h"
#include "tools/kv/score.h"
#include "tools/kv/share_schema.h"

struct share_reader;
struct share_walk;

struct share_reader_options {
    struct redis_url url;
    enum share_kind kind;
    unsigned timeout_ms; // of a match
};

struct share_reader_counts {
    uint64_t n_matches, n_failed, n_blocks; // n_blocks: asked for
    bool is_up;
};

int share_reader_new(struct loop *loop, const struct share_reader_options *options, struct scorer *scorer,
                     struct share_reader **ret);     // as share_writer_new
void share_reader_stop(struct share_reader *reader); // NULL is accepted, likewise below; matches end with -ECANCELED
void share_reader_free(struct share_reader *reader); // when the loop has nothing pending
const struct share_reader_counts *share_reader_counts(const struct share_reader *reader);

// What the keys of a request for the model are to be made for.
void share_reader_sizes(const struct share_reader *reader, struct str model, struct score_sizes *ret);

struct share_match { // its caller's, until done
    // Given:
    const struct score_keys *keys;
    struct str model;
    void (*done)(struct share_match *match); // perhaps before share_reader_match returns
    // Made:
    int result;                // 0, -ENOTCONN, -ETIMEDOUT, -ENOMEM, -ECANCELED
    struct score_found *found; // [n_found]
    size_t n_found;
    // The rest is the reader's.
    struct share_match *next;
    struct share_walk *walk;
    uint64_t deadline_ns;
};
void share_reader_match(struct share_reader *reader, struct share_match *match);
void share_match_deinit(struct share_match *match); // not under way

#endif
