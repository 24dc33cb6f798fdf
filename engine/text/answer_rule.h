// What a request demands of the form of its answer: any JSON object, a document of a schema, the text of a regular
// expression, one of several texts. Under the names that OpenAI, vLLM, SGLang and llama-server give it.
#ifndef TOKFS_TEXT_ANSWER_RULE_H
#define TOKFS_TEXT_ANSWER_RULE_H

#include "engine/text/grammar/grammar.h"
#include "engine/text/json_fields.h"

enum answer_rule_kind {
    ANSWER_RULE_NONE, // any text
    ANSWER_RULE_OBJECT,
    ANSWER_RULE_SCHEMA,
    ANSWER_RULE_REGEX,
    ANSWER_RULE_CHOICE,
    ANSWER_RULE_CALLS, // tool calls (tool_grammar.h)
};

// Equal rules (kind, flags and source) allow the same.
struct answer_rule {
    enum answer_rule_kind kind;
    unsigned flags;    // enum grammar_flags
    struct str source; // JSON text of the schema or the list, or the pattern; borrows from the request
    const char *where; // the field that demands it; in the parser's arena
};

// For parsers of requests: the rows of these fields, to be applied together with the request's others. Zero-initialised
// before. A second demand is refused.
struct field_table answer_rule_table(struct answer_rule *rule);
// A grammar of the rule's own. -EINVAL, -EOPNOTSUPP, -E2BIG, -ENOMEM; err->param is the place within the field.
int answer_rule_compile(const struct answer_rule *rule, struct grammar **ret, struct err *err);

#endif
