// The request of a conversation's next turn while it is put together, which is a text thread's work: what a user wrote
// may be megabytes, and everybody else would wait for its check on the loop thread.
//
// Made by the loop thread with copies of all that goes in; worked on by a text thread until the engine has given its
// verdict; then the loop thread's again, which takes the input from it. Shared by both until then.
#ifndef TOKFS_FS_COMPOSITION_H
#define TOKFS_FS_COMPOSITION_H

#include "fs/conversation.h"
#include <tokfs/engine.h>

struct composition;

// What is known of one when the journal tells of its turn.
struct composition_made {
    struct conversation_input input;
    struct strbuf body;
};

// given: a user's text, or JSON as conversation_input_set_json takes it. Bodies above body_bytes_max are refused with
// -EFBIG.
// keeps_body: for those who ask for it later.
int composition_new(const struct conversation *base, struct str given, bool is_json, size_t body_bytes_max,
                    bool keeps_body, struct composition **ret);
// One that was made before; takes what `made` holds, also when it fails. -ENOMEM.
int composition_restore(struct composition_made *made, struct composition **ret);
// Makes it now, on the calling thread, instead of submitting it. 0, or -errno with the reason.
int composition_make(struct composition *composition, struct tokfs_error *reason);
void composition_unref(struct composition *composition); // NULL is accepted; any thread
// What to submit. Holds a reference of its own, which is to be put if the submission fails.
struct tokfs_chat_source composition_source(struct composition *composition);
// What it takes of memory, its copies and the engine's: less when the verdict is there, which settle tells it.
uint64_t composition_bytes(const struct composition *composition);
void composition_settle(struct composition *composition);
// What the turn adds to its conversation; complete when the request was accepted.
const struct conversation_input *composition_input(const struct composition *composition);
// Likewise, of one that keeps it; otherwise empty.
struct str composition_body(const struct composition *composition);

#endif
