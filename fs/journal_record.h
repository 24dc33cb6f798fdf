// Numbers in the bodies of the journal's records that its writer and its reader share.
#ifndef TOKFS_FS_JOURNAL_RECORD_H
#define TOKFS_FS_JOURNAL_RECORD_H

#include "engine/base/str.h"
#include <tokfs/engine.h>

#define JOURNAL_FORMAT 1 // what another number says is not read

// IS_MADE: what came of the user's words follows, and the request; otherwise the words.
enum { JOURNAL_TURN_IS_TEXT = 1, JOURNAL_TURN_ADOPTS = 2, JOURNAL_TURN_IS_MADE = 4 };
enum {
    JOURNAL_ANSWER_ACCEPTED = 1,
    JOURNAL_ANSWER_STREAM = 2,
    JOURNAL_ANSWER_USAGE = 4,
    JOURNAL_ANSWER_TIMINGS = 8,
    JOURNAL_ANSWER_LOGPROBS = 16
};

// Whether the body of an EVENT, from its kind on, is the last of its turn, after which the time of day stands.
static inline bool journal_event_is_end(struct str body)
{
    return body.len > 0 && (body.ptr[0] == TOKFS_EVENT_FINISHED || body.ptr[0] == TOKFS_EVENT_FAILED);
}

#endif
