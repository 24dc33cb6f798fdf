// Strings and numbers of a schema.
#include "engine/text/grammar/number.h"
#include "engine/text/grammar/pattern.h"
#include "engine/text/grammar/schema.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>

#define YEAR "\\d{4}"
#define DATE                                                                                                           \
    YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-"  \
         "8]))"
#define TIME  "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,9})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define HOST  LABEL "(?:\\." LABEL "){0,3}"
// As a part of something else, without the length of labels: loops have few states, and masks of them are soon made.
#define LOOSE_LABEL "[A-Za-z0-9]+(?:-+[A-Za-z0-9]+)*"
#define LOOSE_HOST  LOOSE_LABEL "(?:\\." LOOSE_LABEL ")*"
#define BYTE        "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define GROUP       "[0-9A-Fa-f]{1,4}"

// What is accepted of each format: less than all of it where all of it cannot be said, such as February 29.
static const struct {
    const char *name, *pattern;
} formats[] = {
    { "date-time", DATE "T" TIME },
    { "date", DATE },
    { "time", TIME },
    { "duration",
      "P(?:\\d+W|(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)(?:T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|"
      "\\d+S))?|T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))" },
    { "email", "[A-Za-z0-9_%+-]+(?:\\.[A-Za-z0-9_%+-]+)*@" LOOSE_HOST },
    { "hostname", HOST },
    { "ipv4", BYTE "\\." BYTE "\\." BYTE "\\." BYTE },
    { "ipv6", "(?:" GROUP ":){7}" GROUP "|::(?:" GROUP ":){0,5}" GROUP "|" GROUP "::(?:" GROUP ":){0,4}" GROUP "|::" },
    { "uuid", "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}" },
    { "uri", "[A-Za-z][A-Za-z0-9+.-]*://" LOOSE_HOST "(?::\\d{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*"
             "(?:\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?(?:#[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?" },
};

static uint32_t write_quoted_pattern(struct schema_compiler *c, struct str pattern, unsigned flags,
                                     struct pattern_size size, uint32_t next)
{
    uint32_t close = nfa_bytes(c->nfa, '"', '"', next), first = NFA_FAILED;
    struct err why = { 0 };
    int rc = pattern_add_sized(c->nfa, pattern, PATTERN_IN_JSON | flags, size, close, &first, &why);
    if (rc < 0) {
        return schema_fail(c, rc, "%s", why.msg[0] ? why.msg : "out of memory");
    }
    return nfa_bytes(c->nfa, '"', '"', first);
}

uint32_t schema_write_pattern(struct schema_compiler *c, struct str pattern, uint32_t next)
{
    return write_quoted_pattern(c, pattern, PATTERN_SEARCH, (struct pattern_size){ 0, PATTERN_ANY_SIZE }, next);
}

static uint32_t write_format(struct schema_compiler *c, const struct json *format, struct pattern_size size,
                             uint32_t next)
{
    for (size_t i = 0; format->type == JSON_STRING && i < sizeof(formats) / sizeof(*formats); i++) {
        if (str_eq(format->text, str_from(formats[i].name))) {
            return write_quoted_pattern(c, str_from(formats[i].pattern), 0, size, next);
        }
    }
    return schema_fail(c, -EOPNOTSUPP, "the \"format\" \"%.*s\" is not supported", STR_ARG(str_take(format->text, 40)));
}

uint32_t schema_write_string(struct schema_compiler *c, const struct json *schema, uint32_t next)
{
    const struct json *pattern = json_get(schema, STR("pattern")), *format = json_get(schema, STR("format"));
    struct pattern_size size = { schema_count(c, schema, "minLength", 0),
                                 schema_count(c, schema, "maxLength", PATTERN_ANY_SIZE) };
    if (pattern && format) {
        return schema_fail(c, -EOPNOTSUPP, "\"pattern\" together with \"format\" is not supported");
    }
    if (pattern && pattern->type != JSON_STRING) {
        return schema_fail(c, -EINVAL, "\"pattern\" must be a string");
    }
    return c->error != 0 ? NFA_FAILED
           : pattern     ? write_quoted_pattern(c, pattern->text, PATTERN_SEARCH, size, next)
           : format      ? write_format(c, format, size, next)
                         : json_parts_string(&c->parts, size.min, size.max, next);
}

// ---- numbers -------------------------------------------------------------------------------------------------------

struct bound {
    bool is_there, is_excluded;
    double value;
    const struct json *json;
};

// Of two keywords the one that allows less. sign: 1 lower bounds, -1 upper ones.
static struct bound take_bound(struct schema_compiler *c, const struct json *schema, const char *key,
                               const char *excluding, int sign)
{
    struct bound bound = { 0 };
    for (int is_excluded = 0; is_excluded < 2; is_excluded++) {
        const char *name = is_excluded ? excluding : key;
        const struct json *value = json_get(schema, str_from(name));
        if (!value) {
            continue;
        }
        double v = value->type == JSON_NUMBER ? json_get_double(value) : NAN;
        if (!(fabs(v) <= (double)(INT64_C(1) << 53))) {
            schema_fail(c, -EOPNOTSUPP, "\"%s\" must be a number between -2^53 and 2^53", name);
        } else if (!bound.is_there || sign * v > sign * bound.value || (is_excluded && v == bound.value)) {
            bound = (struct bound){ true, is_excluded, v, value };
        }
    }
    return bound;
}

// The nearest whole number inside.
static int64_t whole_bound(const struct bound *bound, int sign)
{
    double v = sign > 0 ? ceil(bound->value) : floor(bound->value);
    return (int64_t)v + (bound->is_excluded && v == bound->value ? sign : 0);
}

// "multipleOf" of whole numbers by 1 says nothing; any other is beyond this.
static void check_multiple(struct schema_compiler *c, const struct json *schema, bool is_integer)
{
    const struct json *multiple = json_get(schema, STR("multipleOf"));
    if (multiple && !(is_integer && multiple->type == JSON_NUMBER && json_get_double(multiple) == 1)) {
        schema_fail(c, -EOPNOTSUPP, "\"multipleOf\" is not supported (but 1 for integers)");
    }
}

// The bound digit by digit. False: it has an exponent and a fraction, or too many digits.
static bool take_limit(const struct bound *bound, struct number_limit *ret)
{
    char whole[32];
    bool is_whole = floor(bound->value) == bound->value;
    struct str text = bound->json->text, digits;
    *ret = (struct number_limit){ .is_excluded = bound->is_excluded, .is_negative = bound->value < 0 };
    if (is_whole) {
        snprintf(whole, sizeof whole, "%.0f", fabs(bound->value));
        text = str_from(whole);
    }
    text = str_skip(text, text.len > 0 && text.ptr[0] == '-');
    text = str_cut(text, '.', &digits);
    int64_t value;
    while (text.len > 0 && text.ptr[text.len - 1] == '0') {
        text.len--;
    }
    if (str_parse_i64(digits, &value) < 0 || value > NUMBER_BOUND_MAX || text.len > NUMBER_FRACTION_MAX) {
        return false;
    }
    ret->whole = (uint64_t)value;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') {
            return false;
        }
        ret->fraction[ret->n_fraction++] = text.ptr[i];
    }
    return true;
}

static uint32_t write_real(struct schema_compiler *c, const struct bound *min, const struct bound *max, uint32_t next)
{
    struct number_limit lo, hi;
    if ((min->is_there && !take_limit(min, &lo)) || (max->is_there && !take_limit(max, &hi))) {
        return schema_fail(c, -EOPNOTSUPP, "bounds with exponents or more than %d decimal places are not supported",
                           NUMBER_FRACTION_MAX);
    }
    return number_write_real(c->nfa, min->is_there ? &lo : NULL, max->is_there ? &hi : NULL, next);
}

uint32_t schema_write_number(struct schema_compiler *c, const struct json *schema, bool is_integer, uint32_t next)
{
    struct bound min = take_bound(c, schema, "minimum", "exclusiveMinimum", 1);
    struct bound max = take_bound(c, schema, "maximum", "exclusiveMaximum", -1);
    check_multiple(c, schema, is_integer);
    if (c->error != 0) {
        return NFA_FAILED;
    }
    if (!is_integer) {
        return write_real(c, &min, &max, next);
    }
    const struct number_bounds bounds = { min.is_there, max.is_there, whole_bound(&min, 1), whole_bound(&max, -1) };
    return number_write_integer(c->nfa, &bounds, next);
}
