// What an answer may be: a JSON document of a schema, any JSON object, or the text of a regular expression.
//
// A grammar is immutable and may be used by any number of automata (automaton.h), each on its own thread.
//
// JSON Schema as it is understood here. Every accepted document satisfies the schema; of the documents that do, these
// are accepted:
//   - an object's members stand in the order of "properties", those that are not required may be left out; other
//   members
//     come after them. Without "additionalProperties", an object with "properties" has no others (but required ones),
//     and one without may have any. Names are written without needless escapes where some name is declared.
//   - oneOf is taken as anyOf. That is more than it says where alternatives overlap.
//   - without "type", keywords of one type imply it. Whole numbers have neither fraction nor exponent, exponents two
//     digits at most. Numbers with bounds have no exponent.
//   - strings are any JSON strings; where "pattern" or "format" rules them, characters have one spelling only.
//   - "patternProperties" take one pattern and, like "propertyNames", no "properties" beside them. Other members than
//     the declared ones are counted as if none came twice; a count that they would have to reach is refused.
//   - white space: none, one space, or a line feed with up to 32 spaces or 16 tabs, behind { [ , : and before } ]. None
//     around the document.
// Whatever cannot be expressed is refused, with its keyword and its place.
#ifndef TOKFS_TEXT_GRAMMAR_GRAMMAR_H
#define TOKFS_TEXT_GRAMMAR_GRAMMAR_H

#include "engine/base/arena.h"
#include "engine/text/grammar/nfa.h"

#define GRAMMAR_SOURCE_BYTES_MAX ((size_t)1 << 20)

enum grammar_flags {
    GRAMMAR_COMPACT = 1 << 0, // no white space outside of strings
    GRAMMAR_STRICT = 1 << 1,  // refuse schemas that OpenAI's strict mode does: all is required, nothing additional
    GRAMMAR_SPACED = 1 << 2,  // up to two lines' ends may come first
};

struct grammar;

// -EINVAL (not a schema, or one that nothing satisfies), -EOPNOTSUPP (a keyword or construct that is not supported),
// -E2BIG, -ENOMEM. err->param names the place, beginning with `where`.
int grammar_from_schema(struct str schema, unsigned flags, const char *where, struct grammar **ret, struct err *err);
int grammar_from_any_object(unsigned flags, struct grammar **ret, struct err *err);
int grammar_from_regex(struct str pattern, unsigned flags, const char *where, struct grammar **ret,
                       struct err *err); // all of the text
int grammar_from_choices(struct str list, unsigned flags, const char *where, struct grammar **ret,
                         struct err *err); // a JSON array of texts
// From what is written by a function that adds it to `nfa`, ends in NFA_ENDED and returns its first node in *ret_start.
typedef int grammar_write_fn(void *ctx, struct nfa *nfa, struct arena *arena, uint32_t *ret_start, struct err *err);
int grammar_from_writer(grammar_write_fn *write, void *ctx, unsigned flags, const char *where, struct grammar **ret,
                        struct err *err);
void grammar_free(struct grammar *grammar);
const struct nfa *grammar_nfa(const struct grammar *grammar);

#endif
