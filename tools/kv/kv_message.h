// What an engine says about its prefix cache, in whatever form it came:
//
//   kv_batch_decode   vLLM's event batches (msgpack; events as arrays or as maps), which are also the payload of an
//                     entry of the Redis stream
//   kv_entry_decode   an entry of the Redis stream `tokfs:NODE:events`: fields epoch, seq, payload
//   kv_line_decode    a line of a mount's kv/events or kv/snapshot
//
// Formats: docs/kv-events.md. All that is decoded lies in the caller's arena, or borrows from the bytes given. Any
// bytes are safe to decode; those that make no sense give -EINVAL with the field and value named, and -ENOMEM means
// that the arena was full.
#ifndef TOKFS_KV_MESSAGE_H
#define TOKFS_KV_MESSAGE_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

#define KV_BLOCK_TOKENS_MAX 65536

enum kv_message_kind {
    KV_MESSAGE_STORED,  // blocks are there now
    KV_MESSAGE_REMOVED, // blocks are not there any more
    KV_MESSAGE_CLEARED, // nothing is there any more
};

struct kv_message {
    enum kv_message_kind kind;
    size_t n_blocks;
    // [n_blocks], as the engine names its blocks; a longer name (sha256) by its last 64 bits. STORED: a chain, in which
    // each block follows the one before it. Blocks that were told before may be told again.
    const uint64_t *hashes;
    // STORED:
    bool has_parent;        // false: hashes[0] begins its timeline
    uint64_t parent;        // otherwise: the block before hashes[0]
    uint32_t block_size;    // tokens in a block, never 0
    const uint32_t *tokens; // [n_blocks * block_size]; NULL: they are not told
    // [n_blocks]: what the block was computed of beside tokens (cache salt, adapter, images), as one number: the same
    // tokens with another number are another block. 0: nothing; NULL: nothing for all. Of one text alone the
    // XXH3 of that, which at the first block of a timeline is the cache_salt (tokfs tells the XXH3 itself).
    const uint64_t *extras;
    struct str lora_name; // adapter; empty: none
    struct str medium;    // STORED, REMOVED: "gpu", "cpu", "disk" ..., in lower case; empty: not told
};

struct kv_batch {
    double time_s; // since 1970
    int64_t rank;  // of a data-parallel engine; -1: not told
    size_t n_messages;
    struct kv_message *messages;
};

// Event types that are not known are an error, since the state is unknown then; fields that are not known are not.
int kv_batch_decode(struct arena *arena, struct str payload, struct kv_batch *ret, struct err *err);

struct kv_encoding {
    bool as_maps;    // events as maps; the batch is an array in any case
    bool has_tokens; // false: token ids are not told
};
// Appends to `out`, whose sticky error is to be looked at. Hashes are uint64 whatever their value.
void kv_batch_encode(const struct kv_batch *batch, const struct kv_encoding *encoding, struct strbuf *out);

// In lower case, as media are; ptr NULL when the arena is full.
struct str kv_medium_copy(struct arena *arena, struct str name);

// "kv@ADDRESS@MODEL", the topic of a batch that is published by ZMQ: -EINVAL when it is not one.
int kv_topic_parse(struct str topic, struct str *ret_address, struct str *ret_model, struct err *err);

// ---- the Redis stream ----------------------------------------------------------------------------------------------

// Applying a snapshot and then every entry of its epoch with a higher seq gives what the engine holds. Within an epoch
// the entries' numbers have no gap: whoever sees one, or another epoch, has missed something and takes the snapshot.
struct kv_entry {
    uint64_t epoch, seq;
    struct kv_batch batch;
};

// `fields`: [n_fields] name, value, name, value ..., as XREAD gives them. Fields that are not known are left alone.
int kv_entry_decode(struct arena *arena, const struct str *fields, size_t n_fields, struct kv_entry *ret,
                    struct err *err);

// ---- lines of a mount ----------------------------------------------------------------------------------------------

enum kv_line_kind {
    KV_LINE_STORED,
    KV_LINE_REMOVED,
    KV_LINE_LOST,     // what was known is worth nothing until the next snapshot
    KV_LINE_SNAPSHOT, // first line of a snapshot
    KV_LINE_END,      // last line
};

struct kv_line {
    enum kv_line_kind kind;
    uint64_t epoch, seq; // the engine's
    uint32_t block_size; // STORED, SNAPSHOT where it is told; 0: it is not
    uint64_t n_blocks;   // END: of the snapshot
    size_t n_messages;   // STORED, REMOVED
    struct kv_message *messages;
};

int kv_line_decode(struct arena *arena, struct str line, struct kv_line *ret, struct err *err);

#endif
