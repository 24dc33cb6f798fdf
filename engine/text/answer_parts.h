// What an answer is made of, in the order in which it was said: content, reasoning, tool calls and their arguments.
#ifndef TOKFS_TEXT_ANSWER_PARTS_H
#define TOKFS_TEXT_ANSWER_PARTS_H

#include "engine/base/str.h"

#define ANSWER_CALL_ID_MAX 96 // bytes

enum answer_part_kind {
    ANSWER_CONTENT,
    ANSWER_REASONING,
    ANSWER_CALL,      // a tool call begins: its id and the function's name
    ANSWER_ARGUMENTS, // a piece of the call's arguments: JSON text as the model wrote it
};

struct answer_part {
    enum answer_part_kind kind;
    unsigned call_idx; // CALL, ARGUMENTS: calls count from 0
    struct str id;     // CALL
    struct str text;   // CALL: the name
};

// A queue of parts, first in first out. Text that follows text of its own kind joins it. Invariant: the lengths of the
// entries sum up to text.len.
struct answer_parts {
    struct strbuf text;
    struct strbuf entries; // array of struct answer_entry
};

void answer_parts_init(struct answer_parts *parts);
void answer_parts_deinit(struct answer_parts *parts);
int answer_parts_reserve(struct answer_parts *parts, size_t n_bytes, size_t n_entries); // 0 or -ENOMEM
void answer_parts_reset(struct answer_parts *parts);                                    // empties, keeps the memory
int answer_parts_add(struct answer_parts *parts, const struct answer_part *part);       // 0 or -ENOMEM; copies
bool answer_parts_is_empty(const struct answer_parts *parts);
// The first part, as far as it has come; borrowed until the next add or take. False: there is none.
bool answer_parts_first(const struct answer_parts *parts, struct answer_part *ret);
// Takes n bytes of the first part's text away; a call goes as a whole.
void answer_parts_take(struct answer_parts *parts, size_t n_bytes);

#endif
