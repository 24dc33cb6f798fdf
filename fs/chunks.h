// An answer as a sequence of OpenAI chunks, or what was thought before it, made while it is read.
//
// Nothing is stored: the chunks of a turn follow from its text and the lengths of its pieces, so each reader carries a
// cursor and any number of slow readers costs no memory. The same turn gives the same bytes to each.
#ifndef TOKFS_FS_CHUNKS_H
#define TOKFS_FS_CHUNKS_H

#include "fs/turn.h"

enum chunk_form {
    CHUNKS_NDJSON, // a line each; usage with the finish reason
    CHUNKS_SSE, // "data: {...}\n\n" each, then "data: [DONE]\n\n"; usage in a chunk of its own where it was asked for
    CHUNKS_REASONING, // text: what the model thought, and nothing of its answer
};

enum chunk_phase { CHUNK_ROLE, CHUNK_PIECES, CHUNK_FINISH, CHUNK_USAGE, CHUNK_DONE, CHUNK_END };

struct chunk_cursor {
    enum chunk_form form;
    enum chunk_phase phase;
    size_t piece_idx;
    unsigned role_idx; // choices whose role was told
};

void chunk_cursor_init(struct chunk_cursor *cursor, enum chunk_form form);
// Appends the next chunk: 1, 0 when there is none (yet, or any more), -ENOMEM.
int chunk_next(struct chunk_cursor *cursor, const struct turn *turn, struct strbuf *out);
bool chunk_has_next(const struct chunk_cursor *cursor, const struct turn *turn);

#endif
