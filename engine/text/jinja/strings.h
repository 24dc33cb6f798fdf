// Operations on strings that methods and filters share.
#ifndef TOKFS_TEXT_JINJA_STRINGS_H
#define TOKFS_TEXT_JINJA_STRINGS_H

#include "engine/text/jinja/call.h"
#include "engine/text/jinja/text.h"

struct str str_arg(struct rt *rt, struct value v, const char *method); // fails for what is no string
bool str_arg_is_given(struct value v);                                 // neither missing nor none
struct value str_map_case(struct rt *rt, struct value s, enum text_case to);
struct value str_capitalize(struct rt *rt, struct value s);
struct value str_title(struct rt *rt, struct value s);
struct value str_strip(struct rt *rt, struct value s, struct value chars, bool left, bool right);
struct value str_replace(struct rt *rt, struct value s, struct str old, struct str by, int64_t max);
struct value str_split(struct rt *rt, struct value s, struct value sep, int64_t max);
struct value str_rsplit(struct rt *rt, struct value s, struct value sep, int64_t max);
struct value str_splitlines(struct rt *rt, struct value s, bool keep_ends);
// Offset of the last place, or -1. Places that look right at both ends are charged for.
ptrdiff_t str_find_last(struct rt *rt, struct str text, struct str needle);
struct value str_join(struct rt *rt, struct value sep, struct value items, bool is_method);
struct value str_pad(struct rt *rt, struct value s, int64_t width, struct str fill,
                     int where); // -1 left, 0 centre, 1 right

#endif
