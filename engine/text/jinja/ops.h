// Operations on values: operators, subscripts, conversions to text.
#ifndef TOKFS_TEXT_JINJA_OPS_H
#define TOKFS_TEXT_JINJA_OPS_H

#include "engine/text/jinja/call.h"

struct value op_add(struct rt *rt, struct value a, struct value b);
struct value op_binary(struct rt *rt, enum token_type op, struct value a, struct value b);
struct value op_negate(struct rt *rt, struct value v);

// attr.c
struct value get_attr(struct rt *rt, struct value object, const struct attribute *attr); // object.name
struct value get_attr_name(struct rt *rt, struct value object, struct str name);
struct value get_item(struct rt *rt, struct value object, struct value key);                 // object[key]
struct value get_item_str(struct rt *rt, struct value object, const struct attribute *attr); // object['name']
struct value get_slice(struct rt *rt, struct value object, struct value start, struct value stop, struct value step);
struct value undefined_attr(struct rt *rt, struct value object, struct value key);
// "a.b.0" as filters take it: fails for other than string, int, none.
struct value get_path(struct rt *rt, struct value object, struct value path, struct value default_value);
int64_t index_arg(struct rt *rt, struct value v, const char *what); // an int where Python wants one

// repr.c
struct value to_str(struct rt *rt, struct value v); // str(v); Markup stays what it is
struct value to_plain_str(struct rt *rt, struct value v);
struct value to_repr(struct rt *rt, struct value v);
struct value to_ascii(struct rt *rt, struct value v); // repr(v) with all but ASCII escaped
void out_value(struct rt *rt, struct value v);        // writes str(v)
void out_repr(struct rt *rt, struct value v, unsigned depth);
size_t format_float(double x, char out[static 40]); // float.__repr__

// markup.c
struct value markup_escape(struct rt *rt, struct value v); // markupsafe.escape(v)
struct value mark_safe(struct value v);
struct value mark_like(struct value result, struct value like); // Markup when `like` is

// format_percent.c, format_braces.c
struct value format_percent(struct rt *rt, struct value format, struct value args);      // format % args
struct value format_braces(struct rt *rt, struct value format, const struct args *args); // format.format(...)

// tojson.c
struct value filter_tojson(struct rt *rt, struct value self, const struct value *a, const struct args *args);

#endif
