// Grammars of tool calls, in the very form that a chat template teaches the model (answer_format.h): the names of the
// request's functions, and arguments by their schemas.
#ifndef TOKFS_TEXT_TOOL_GRAMMAR_H
#define TOKFS_TEXT_TOOL_GRAMMAR_H

#include "engine/text/answer_format.h"
#include "engine/text/grammar/grammar.h"
#include "engine/text/tokenizer.h"

struct tool_demand {
    const struct call_syntax *calls;
    const struct json *tools; // the request's
    struct str name;          // only this one; ptr NULL: any
    bool is_many;             // several calls may follow each other, where the form has it
    bool is_begun;            // the mark at the beginning has been said already
    bool only_strict;         // arguments of functions that are not strict are any object
};

// Whether a call can be demanded in this form.
bool tool_grammar_has_form(const struct call_syntax *calls);
// The demand as a text that tells all of it, for tool_grammar_compile and for finding equal ones: in the arena. The
// tokenizer says which marks are special tokens. -ENOMEM.
int tool_grammar_describe(const struct tool_demand *demand, const struct tokenizer *tok, struct arena *arena,
                          struct str *ret, struct err *err);
// -EINVAL, -EOPNOTSUPP (err->param names the tool's schema and the place in it), -E2BIG, -ENOMEM.
int tool_grammar_compile(struct str description, unsigned flags, struct grammar **ret, struct err *err);

#endif
