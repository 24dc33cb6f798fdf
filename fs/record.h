// Records of the journal: framing, and the numbers and texts in their bodies. Pure: no files, nothing of the mount.
//
//   offset  bytes
//        0      4  length of the body
//        4      1  type
//        5      3  "tkr"
//        8      8  epoch (16 bits), sequence number (48 bits)
//       16      8  XXH3 (64 bits) of the 16 bytes before it and of the body
//       24         body: little-endian numbers; texts with their length (32 bits) before them
//
// In a file the sequence numbers follow one another. The epoch grows with each opening, so that what an earlier, failed
// write left behind the end of a later, shorter one is not taken for its continuation.
#ifndef TOKFS_FS_RECORD_H
#define TOKFS_FS_RECORD_H

#include "engine/base/str.h"

#define RECORD_HEAD_BYTES 24
#define RECORD_BODY_MAX   (1u << 30)
#define RECORD_EPOCH_MAX  UINT16_MAX

enum record_type {
    RECORD_HEAD = 1, // what is in each: docs/journal.md, journal_write.c, recovery.c
    RECORD_MARK,
    RECORD_SESSION,
    RECORD_RENAME,
    RECORD_REMOVE,
    RECORD_SETTING,
    RECORD_MESSAGES,
    RECORD_PRIORITY,
    RECORD_RESET,
    RECORD_DRAFT,
    RECORD_DRAFT_END,
    RECORD_TURN,
    RECORD_EVENT,
    RECORD_REFUSED,
    RECORD_FAILED,
    RECORD_CANCEL,
    RECORD_ANSWER,
    RECORD_TYPES_END,
};

struct record {
    enum record_type type;
    uint16_t epoch;
    uint64_t seq;
    struct str body; // borrowed
};

// -EFBIG, -ENOMEM; the buffer's error is set.
int record_append(struct strbuf *out, const struct record *record);
// The record with which `bytes` begin: its length with the head; 0: more bytes are needed to tell; -EBADMSG: there is
// none.
int64_t record_parse(struct str bytes, struct record *ret);
// How many bytes the record will have that begins so; 0: more are needed; -EBADMSG: none begins so.
int64_t record_length(struct str bytes);

// ---- bodies --------------------------------------------------------------------------------------------------------

void record_put_u8(struct strbuf *out, uint8_t value);
void record_put_u32(struct strbuf *out, uint32_t value);
void record_put_u64(struct strbuf *out, uint64_t value);
void record_put_str(struct strbuf *out, struct str text);

// Reading past the end, or anything that cannot be, sets is_bad and gives zeros.
struct record_reader {
    struct str rest;
    bool is_bad;
};

uint8_t record_get_u8(struct record_reader *reader);
uint32_t record_get_u32(struct record_reader *reader);
uint64_t record_get_u64(struct record_reader *reader);
struct str record_get_str(struct record_reader *reader);
// A count of things of which each takes at least n_bytes_each.
uint32_t record_get_count(struct record_reader *reader, size_t n_bytes_each);

#endif
