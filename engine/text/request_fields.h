// Fields that all requests to the model have, whatever their kind: how they are delivered, when they run, what is
// refused of all of them by name, and what changes no answer.
//
// A kind's own table comes before these: it takes what others refuse (a completion's echo). Shared by the parsers of
// chats, completions and generate; nobody else uses it.
#ifndef TOKFS_TEXT_REQUEST_FIELDS_H
#define TOKFS_TEXT_REQUEST_FIELDS_H

#include "engine/text/answer_rule.h"
#include "engine/text/chat_fields.h"
#include "engine/text/sampling_params.h"

#define CHOICES_MAX          128 // n
#define TOP_LOGPROBS_MAX     20
#define CACHE_SALT_BYTES_MAX 1024

struct request_common {
    struct str model; // ptr NULL: the served one
    bool stream, include_usage;
    bool timings_per_token;  // llama-server's extension: chunks tell when their token was sampled
    int64_t priority;        // lower comes earlier, as vLLM counts
    struct str cache_salt;   // only requests with the same one may share what was computed; empty: none
    struct answer_rule rule; // the form of the answer
};

struct request_common_parse {
    struct request_common common;
    bool has_stream_options;
};

#define REQUEST_TABLES 5 // that request_tables fills in

// The tables of a request: `own` first, then those that all share. `sampling` NULL: its sampling fields are elsewhere.
void request_tables(struct field_table ret[REQUEST_TABLES], struct field_table own, struct sampling_parse *sampling,
                    struct request_common_parse *common);
// Of an object inside the request that holds its sampling fields: `own`, the sampling fields, and the form of the
// answer.
#define SAMPLING_TABLES 3
void request_sampling_tables(struct field_table ret[SAMPLING_TABLES], struct field_table own,
                             struct sampling_parse *sampling, struct answer_rule *rule);
// What can only be judged when all fields are known. -EINVAL.
int request_common_finish(const struct request_common_parse *parse, struct request_common *ret, struct err *err);

#endif
