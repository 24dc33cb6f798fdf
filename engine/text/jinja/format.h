// What % and format() share: specifications, and values written after them.
#ifndef TOKFS_TEXT_JINJA_FORMAT_H
#define TOKFS_TEXT_JINJA_FORMAT_H

#include "engine/text/jinja/rt.h"

#define FORMAT_WIDTH_MAX 100000

struct format_spec {
    struct str fill;
    char align; // '<', '>', '^', '=' or 0
    char sign;  // '+', ' ', or 0
    bool is_alternate, is_zero;
    char grouping;        // ',' or '_' or 0
    int width, precision; // -1: not given
    char type;            // 0: not given
};

void format_add(struct rt *rt, struct value *out, struct str s); // to a string
struct value format_pad(struct rt *rt, struct value s, const struct format_spec *spec, char default_align);
struct value format_int(struct rt *rt, int64_t i, char type, const struct format_spec *spec);
struct value format_double(struct rt *rt, double x, char type, const struct format_spec *spec);
struct value format_char(struct rt *rt, int64_t code);                       // fails when it is no character
struct value format_convert(struct rt *rt, struct value v, char conversion); // 's', 'r' or 'a'

#endif
