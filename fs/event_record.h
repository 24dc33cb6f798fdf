// What the engine says of a turn as the body of a record, and back.
#ifndef TOKFS_FS_EVENT_RECORD_H
#define TOKFS_FS_EVENT_RECORD_H

#include "fs/record.h"
#include <tokfs/engine.h>

#define EVENT_RECORD_PROBS_MAX 21

void event_record_put(struct strbuf *out, const struct tokfs_event *event);

// An event that was read; its texts are borrowed from the body, but for those that end in NUL.
struct event_record {
    struct tokfs_event event; // without completion and user
    struct tokfs_error error;
    struct tokfs_logprob probs[EVENT_RECORD_PROBS_MAX];
    char call_id[128];
    char finish_reason[16];
};
// The bytes of tokens in probs are the engine's. is_bad of the reader: it is none.
void event_record_get(struct record_reader *reader, const struct tokfs_engine *engine, struct event_record *ret);

void record_put_usage(struct strbuf *out, const struct tokfs_usage *usage);
struct tokfs_usage record_get_usage(struct record_reader *reader);
void record_put_error(struct strbuf *out, const struct tokfs_error *error);
struct tokfs_error record_get_error(struct record_reader *reader);
void record_put_probs(struct strbuf *out, const struct tokfs_logprob *probs, size_t n);
// Into `ret`, of which n_max are there. How many.
size_t record_get_probs(struct record_reader *reader, const struct tokfs_engine *engine, struct tokfs_logprob *ret,
                        size_t n_max);
// A text that ends in NUL, into `ret`; bad where it is longer or has a NUL inside.
void record_get_cstr(struct record_reader *reader, char *ret, size_t size);

#endif
