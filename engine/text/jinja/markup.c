// markupsafe.Markup: strings that count as HTML already. Nothing is escaped in a chat template's output, but what is
// joined to such a string is, and templates mark strings as safe without need.
#include "engine/text/jinja/ops.h"

struct value mark_safe(struct value v)
{
    v.flags |= STR_MARKUP;
    return v;
}

struct value mark_like(struct value result, struct value like)
{
    return value_is_markup(like) ? mark_safe(result) : result;
}

static struct str entity(char c)
{
    switch (c) {
    case '&': return STR("&amp;");
    case '<': return STR("&lt;");
    case '>': return STR("&gt;");
    case '"': return STR("&#34;");
    case '\'': return STR("&#39;");
    default: return STR("");
    }
}

struct value markup_escape(struct rt *rt, struct value v)
{
    struct value s = to_str(rt, v);
    size_t size = 0, n = 0;
    char *text;

    if (value_is_markup(s)) {
        return s;
    }
    rt_charge_bytes(rt, s.len);
    for (uint32_t i = 0; i < s.len; i++) {
        struct str e = entity(s.s[i]);

        size += e.len > 0 ? e.len : 1;
    }
    if (size == s.len) {
        return mark_safe(s);
    }
    struct value escaped = rt_str_n(rt, size, &text);
    for (uint32_t i = 0; i < s.len; i++) {
        struct str e = entity(s.s[i]);

        if (e.len > 0) {
            memcpy(text + n, e.ptr, e.len);
            n += e.len;
        } else {
            text[n++] = s.s[i];
        }
    }
    return mark_safe(escaped);
}
