// The tojson filter as transformers defines it: Python's json.dumps(value, ensure_ascii, indent, separators,
// sort_keys).
#include "engine/text/jinja/ops.h"
#include "engine/text/jinja/text.h"

#include <math.h>
#include <stdio.h>

struct dump {
    struct rt *rt;
    bool ensure_ascii, sort_keys, has_indent;
    struct str indent, item_separator, key_separator;
};

static void dump_value(struct dump *d, struct value v, unsigned depth);

static void out_escape(struct dump *d, uint32_t c)
{
    static const char short_forms[] = "\"\"\\\\\nn\rr\tt\ff\bb";
    char text[16];

    for (size_t i = 0; i < sizeof(short_forms) - 1; i += 2) {
        if (c == (uint32_t)short_forms[i]) {
            const char escape[] = { '\\', short_forms[i + 1] };

            rt_out(d->rt, (struct str){ escape, 2 });
            return;
        }
    }
    if (c >= 0x10000) {
        c -= 0x10000;
        snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd800 + (c >> 10), 0xdc00 + (c & 0x3ff));
    } else {
        snprintf(text, sizeof(text), "\\u%04x", c);
    }
    rt_out(d->rt, str_from(text));
}

static void dump_str(struct dump *d, struct str s)
{
    size_t plain = 0; // start of what can be written as it is

    rt_charge_bytes(d->rt, s.len);
    rt_out(d->rt, STR("\""));
    for (size_t i = 0; i < s.len;) {
        unsigned char byte = (unsigned char)s.ptr[i];
        size_t len = 1;
        uint32_t c = byte;

        if (byte >= 32 && byte != '"' && byte != '\\' && (!d->ensure_ascii || byte < 127)) {
            i++;
            continue;
        }
        if (byte >= 128) {
            len = char_decode(str_skip(s, i), &c);
        }
        rt_out(d->rt, str_take(str_skip(s, plain), i - plain));
        out_escape(d, c);
        i += len;
        plain = i;
    }
    rt_out(d->rt, str_skip(s, plain));
    rt_out(d->rt, STR("\""));
}

static void dump_float(struct dump *d, double x)
{
    char text[40];

    if (isnan(x) || isinf(x)) {
        rt_out(d->rt, isnan(x) ? STR("NaN") : x > 0 ? STR("Infinity") : STR("-Infinity"));
    } else {
        rt_out(d->rt, (struct str){ text, format_float(x, text) });
    }
}

static void dump_newline(struct dump *d, unsigned depth)
{
    if (!d->has_indent) {
        return;
    }
    rt_out(d->rt, STR("\n"));
    for (unsigned i = 0; i < depth; i++) {
        rt_out(d->rt, d->indent);
    }
}

static void dump_items(struct dump *d, struct value v, unsigned depth)
{
    if (v.len == 0) {
        rt_out(d->rt, STR("[]"));
        return;
    }
    rt_out(d->rt, STR("["));
    for (uint32_t i = 0; i < v.len; i++) {
        if (i > 0) {
            rt_out(d->rt, d->item_separator);
        }
        dump_newline(d, depth + 1);
        dump_value(d, v.items[i], depth + 1);
    }
    dump_newline(d, depth);
    rt_out(d->rt, STR("]"));
}

// Keys that are no strings are written as JSON would write them, in quotes.
static void dump_key(struct dump *d, struct value key)
{
    switch ((enum value_type)key.type) {
    case V_STR: dump_str(d, value_str(key)); return;
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_BIGINT:
    case V_FLOAT:
        rt_out(d->rt, STR("\""));
        dump_value(d, key, 0);
        rt_out(d->rt, STR("\""));
        return;
    default: rt_fail(d->rt, "keys must be str, int, float, bool or None, not %s", value_type_name(key));
    }
}

// The entries by their keys: an insertion into a list of places, stable and small as objects are; long ones go through
// the sorting filter's way of comparing as well, so keys of different types fail as in Python.
static const uint32_t *sorted_entries(struct dump *d, const struct dict *dict)
{
    uint32_t *order = rt_alloc(d->rt, dict->n * sizeof(*order)), *scratch = rt_alloc(d->rt, dict->n * sizeof(*scratch));

    for (uint32_t i = 0; i < dict->n; i++) {
        order[i] = i;
    }
    for (uint32_t width = 1; width < dict->n; width *= 2) {
        for (uint32_t start = 0; start < dict->n; start += 2 * width) {
            uint32_t middle = start + width < dict->n ? start + width : dict->n;
            uint32_t end = start + 2 * width < dict->n ? start + 2 * width : dict->n, i = start, k = middle;

            for (uint32_t out = start; out < end; out++) {
                bool take_right = i >= middle || (k < end && value_less(d->rt, dict->entries[order[k]].key,
                                                                        dict->entries[order[i]].key, "<"));

                scratch[out] = take_right ? order[k++] : order[i++];
            }
        }
        uint32_t *swap = order;

        order = scratch;
        scratch = swap;
    }
    return order;
}

static void dump_dict(struct dump *d, const struct dict *dict, unsigned depth)
{
    const uint32_t *order = d->sort_keys ? sorted_entries(d, dict) : NULL;

    if (dict->n == 0) {
        rt_out(d->rt, STR("{}"));
        return;
    }
    rt_out(d->rt, STR("{"));
    for (uint32_t i = 0; i < dict->n; i++) {
        const struct dict_entry *entry = &dict->entries[order != NULL ? order[i] : i];

        if (i > 0) {
            rt_out(d->rt, d->item_separator);
        }
        dump_newline(d, depth + 1);
        dump_key(d, entry->key);
        rt_out(d->rt, d->key_separator);
        dump_value(d, entry->value, depth + 1);
    }
    dump_newline(d, depth);
    rt_out(d->rt, STR("}"));
}

static void dump_value(struct dump *d, struct value v, unsigned depth)
{
    if (depth > RT_VALUE_DEPTH) {
        rt_fail_code(d->rt, -7, "a value is nested too deeply");
    }
    rt_charge(d->rt, 1);
    switch ((enum value_type)v.type) {
    case V_NONE: rt_out(d->rt, STR("null")); break;
    case V_BOOL: rt_out(d->rt, v.i != 0 ? STR("true") : STR("false")); break;
    case V_INT:
    case V_BIGINT: out_value(d->rt, v); break;
    case V_FLOAT: dump_float(d, v.f); break;
    case V_STR: dump_str(d, value_str(v)); break;
    case V_LIST:
    case V_TUPLE: dump_items(d, v, depth); break;
    case V_DICT: dump_dict(d, v.dict, depth); break;
    default: rt_fail(d->rt, "Object of type %s is not JSON serializable", value_type_name(v));
    }
}

static void take_separators(struct dump *d, struct value v)
{
    if ((v.type != V_TUPLE && v.type != V_LIST) || v.len != 2 || v.items[0].type != V_STR || v.items[1].type != V_STR) {
        rt_fail(d->rt, "separators must be a pair of strings");
    }
    d->item_separator = value_str(v.items[0]);
    d->key_separator = value_str(v.items[1]);
}

static void take_indent(struct dump *d, struct value v)
{
    d->has_indent = true;
    d->item_separator = STR(",");
    if (v.type == V_STR) {
        d->indent = value_str(v);
    } else {
        d->indent = value_str(op_binary(d->rt, TOK_MUL, VALUE_LIT(" "), VALUE_INT(index_arg(d->rt, v, "indent"))));
    }
}

struct value filter_tojson(struct rt *rt, struct value self, const struct value *a, const struct args *args)
{
    struct dump d = { .rt = rt, .item_separator = STR(", "), .key_separator = STR(": ") };
    size_t mark = rt->out->len;

    (void)args;
    d.ensure_ascii = a[0].type != V_MISSING && value_truth(rt, a[0]);
    if (a[1].type != V_MISSING && a[1].type != V_NONE) {
        take_indent(&d, a[1]);
    }
    if (a[2].type != V_MISSING && a[2].type != V_NONE) {
        take_separators(&d, a[2]);
    }
    d.sort_keys = a[3].type != V_MISSING && value_truth(rt, a[3]);
    dump_value(&d, self, 0);
    return rt_capture(rt, mark);
}
