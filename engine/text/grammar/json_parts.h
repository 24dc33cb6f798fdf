// The pieces of JSON that need no schema: strings, names, white space, any value.
#ifndef TOKFS_TEXT_GRAMMAR_JSON_PARTS_H
#define TOKFS_TEXT_GRAMMAR_JSON_PARTS_H

#include "engine/text/grammar/nfa.h"

struct json_parts {
    struct nfa *nfa;
    bool is_compact;
    uint32_t space_rule; // white space that is not empty
    uint32_t rest_rule;  // a character of a string that is no plain ASCII character
    uint32_t name_rule;  // the same in its one spelling
    uint32_t value_rule; // any value
};

void json_parts_init(struct json_parts *parts, struct nfa *nfa, bool is_compact); // errors are the nfa's
uint32_t json_parts_space(struct json_parts *parts, uint32_t next);               // may be empty
uint32_t json_parts_value(struct json_parts *parts, uint32_t next);               // any
uint32_t json_parts_object(struct json_parts *parts, uint32_t next);              // any
uint32_t json_parts_array(struct json_parts *parts, uint32_t next);               // any
// A string of min..max characters (max UINT32_MAX: any number), quotes included.
uint32_t json_parts_string(struct json_parts *parts, uint32_t min, uint32_t max, uint32_t next);
// A name that is none of those given, each in its one spelling.
uint32_t json_parts_other_name(struct json_parts *parts, const struct str *names, size_t n_names, uint32_t next);
// Punctuation with the white space that may stand at it: behind a bracket that opens, a comma and a colon, and before a
// bracket that closes.
uint32_t json_parts_open(struct json_parts *parts, char bracket, uint32_t inner);
uint32_t json_parts_close(struct json_parts *parts, char bracket, uint32_t next);
uint32_t json_parts_comma(struct json_parts *parts, uint32_t next);
uint32_t json_parts_colon(struct json_parts *parts, uint32_t next);

#endif
