// What one open file sees of a conversation's answers: the turn that was current when it was opened, then those that
// follow.
//
// Offsets run on from one turn to the next. At the end of each turn the reader is told so once, by an end of file (or
// by the error with which the turn ended); the read after that goes on with the next turn. So `cat` stops at the end of
// an answer and `tail -f` follows the conversation, on the same file.
#ifndef TOKFS_FS_VIEW_H
#define TOKFS_FS_VIEW_H

#include "fs/chunks.h"
#include "fs/turn.h"

enum view_kind {
    VIEW_TEXT,
    VIEW_CHUNKS,    // NDJSON
    VIEW_REASONING, // what the model thought before it answered
};

struct view {
    struct turn *first;   // shared: the turn at offset 0
    uint64_t told_serial; // ends up to this turn's have been told
    bool has_told;        // told_serial is set
    uint64_t read_end;    // offset after the latest read, for poll
    enum view_kind kind;
    // All but text: the position of what was made last. out holds the bytes from out_offset on.
    struct turn *chunk_turn; // reachable from first
    struct chunk_cursor cursor;
    struct strbuf out;
    uint64_t out_offset;
};

void view_init(struct view *view, struct turn *current, enum view_kind kind);
void view_deinit(struct view *view);
// Bytes, 0 at an end, FILE_WAIT, or -errno at the end of a turn that failed. *ret_bytes stays valid until the next
// read.
int view_read(struct view *view, size_t size, uint64_t offset, struct str *ret_bytes);
bool view_is_readable(struct view *view);
// Length of the text, or reasoning, of a view whose reader asks for it: complete turns, and what the running one has
// when it is not the first.
uint64_t view_size(const struct view *view);

#endif
