// Fields that all requests to the model have, whatever their kind: how they are delivered, when they run, what is
// refused of all of them by name, and what changes no answer.
//
// A kind's own table comes before these: it takes what others refuse (a completion's echo). Shared by the parsers of
// chats, completions and generate; nobody else uses it.
#ifndef TOKFS_TEXT_REQUEST_FIELDS_H
#define TOKFS_TEXT_REQUEST_FIELDS_H

#include "engine/text/answer_rule.h"
#include "engine/text/json_fields.h"
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

struct request_parse {
    struct request_common_parse common;
    struct sampling_parse sampling;
    bool sampling_is_inside; // an object of the request holds its sampling fields (request_apply_sampling)
};

// Sampling parameters that are not named are those of `defaults`; NULL: sampling_params_default.
void request_parse_init(struct request_parse *parse, const struct sampling_params *defaults);
// Applies to the body's members `own` tables first, then those that all share.
#define REQUEST_OWN_TABLES_MAX 2
int request_apply(struct field_ctx *ctx, const struct field_table *own, size_t n_own, const struct json *object,
                  struct request_parse *parse);
// Applies to the members of the object that holds the sampling fields: `own`, those, and the form of the answer.
int request_apply_sampling(struct field_ctx *ctx, struct field_table own, const struct json *object, const char *path,
                           struct request_parse *parse);
// What can only be judged when all fields are known. -EINVAL.
int request_parse_finish(struct request_parse *parse, struct sampling_params *ret_sampling,
                         struct request_common *ret_common, struct err *err);

#endif
