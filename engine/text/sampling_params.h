// How an answer is sampled: the parameters of a request, with the names that OpenAI, vLLM, SGLang and llama-server give
// them.
#ifndef TOKFS_TEXT_SAMPLING_PARAMS_H
#define TOKFS_TEXT_SAMPLING_PARAMS_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/text/json_fields.h"

#define STOP_STRINGS_MAX      16 // OpenAI allows 4; vLLM and llama-server more
#define STOP_STRING_BYTES_MAX 256
#define STOP_IDS_MAX          128
#define LOGIT_BIAS_MAX        1024 // OpenAI allows 300
#define TIMEOUT_S_MAX         1e9

struct logit_bias {
    int32_t id;
    float bias; // added to the logit; -INFINITY: never drawn
};

struct sampling_params {
    double temperature;            // >= 0; 0 = greedy
    double top_p;                  // (0, 1]
    int64_t top_k;                 // 0 = off
    double min_p;                  // [0, 1]
    double typical_p;              // (0, 1]; 0 or 1 = off
    double repetition_penalty;     // > 0; 0 or 1 = off
    int64_t repetition_window;     // the penalty sees only the last so many tokens; 0 = all
    double frequency_penalty;      // 0 = off
    double presence_penalty;       // 0 = off
    const struct logit_bias *bias; // [n_bias] distinct ids
    size_t n_bias;
    bool has_seed; // otherwise the engine draws one
    uint64_t seed;
    int64_t max_tokens; // -1: as many as the context allows
    int64_t min_tokens;
    bool ignore_eos;
    struct str stop[STOP_STRINGS_MAX];
    size_t n_stop;
    const int32_t *stop_ids; // [n_stop_ids] tokens that end the answer, as the model's own end tokens do
    size_t n_stop_ids;
    double timeout_s;   // from submission to the end of the answer; 0: as long as it takes
    bool include_stop;  // what ended the answer is part of its text
    bool shows_special; // special tokens appear in the text
};

void sampling_params_default(struct sampling_params *params); // OpenAI's: temperature 1, top_p 1

// ---- for parsers of requests ---------------------------------------------------------------------------------------

// A request's sampling fields while they are read. Everything in it lives in the arena or borrows from the JSON.
struct sampling_parse {
    struct sampling_params params;
    int64_t max_completion_tokens; // -1: not given; comes before max_tokens
    double repeat_penalty;         // 0: not given; llama-server's, over its own window
    int64_t repeat_last_n;         // -2: not given
};

void sampling_parse_init(struct sampling_parse *parse,
                         const struct sampling_params *defaults); // NULL: sampling_params_default
// The table of the fields, to be applied together with the request's others.
struct field_table sampling_parse_table(struct sampling_parse *parse);
// What can only be judged when all fields are known. -EINVAL.
int sampling_parse_finish(struct sampling_parse *parse, struct sampling_params *ret, struct err *err);

// ---- on their own --------------------------------------------------------------------------------------------------

// The defaults that a model's authors chose: temperature, top_p, top_k, min_p and repetition_penalty of a
// generation_config.json, and greedy where it says "do_sample": false. What it does not name keeps its value in *ret.
// -EINVAL names the field.
int sampling_defaults_parse(struct arena *arena, struct str generation_json, struct sampling_params *ret,
                            struct err *err);
// A JSON object of sampling parameters alone, or lines "name value". Writes a JSON object with the same meaning to *out
// (for merging into requests): the form in which a session keeps them.
int sampling_params_parse(struct arena *arena, struct str text, struct strbuf *out, struct err *err);

#endif
