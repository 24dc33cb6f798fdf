// What the writers of answer objects (chat_response.h) share: members of an object that has been begun. Nobody else
// uses it.
#ifndef TOKFS_TEXT_RESPONSE_PARTS_H
#define TOKFS_TEXT_RESPONSE_PARTS_H

#include "engine/text/chat_response.h"

void response_write_head(struct json_writer *w, const struct chat_response_head *head, const char *object);
void response_write_usage(struct json_writer *w, const struct chat_usage *usage);
void response_write_finish_reason(struct json_writer *w, struct str reason); // empty: null
// Of the whole (NULL: none), and of the token of a chunk (0: none).
void response_write_timings(struct json_writer *w, const struct chat_timings *timings, uint64_t sampled_ns);
void response_write_prompt_logprobs(struct json_writer *w, struct str json); // empty: absent
// Values: all text of one kind (and, of arguments, one call) as one string; a number with the ten millionths that say
// all that a float knows.
void response_write_joined(struct json_writer *w, const struct chat_answer *answer, enum answer_part_kind kind,
                           unsigned call_idx);
void response_write_logprob(struct json_writer *w, float logprob);

#endif
