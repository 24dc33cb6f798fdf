// A text whose matches are replaced is copied from one match to the next.
#include "engine/text/replace.h"

#include "engine/text/spec.h"

#include <stdio.h>

int replace_load(const struct json *spec, const char *where, const struct unicode_table *table, struct str *ret_pattern,
                 struct str *ret_content, struct regex **ret_regex, struct err *err)
{
    struct str content, pattern;
    bool is_regex;
    int r = spec_str(spec, where, "content", SPEC_REQUIRED, &content, err);
    r = r ? r : spec_pattern(spec, where, &pattern, &is_regex, err);
    r = r ? r : spec_copy(content, ret_content);
    r = r ? r : spec_copy(pattern, ret_pattern);
    if (r == 0 && is_regex) {
        char path[SPEC_PATH_MAX];
        snprintf(path, sizeof path, "%s.pattern", where);
        r = regex_new(pattern, table, path, ret_regex, err);
    }
    return r;
}

int replace_text(struct str text, struct str pattern, struct str content, struct strbuf *out)
{
    ptrdiff_t at;
    while (pattern.len > 0 && (at = str_find(text, pattern)) >= 0) {
        strbuf_append(out, str_take(text, (size_t)at));
        strbuf_append(out, content);
        text = str_skip(text, (size_t)at + pattern.len);
    }
    return strbuf_append(out, text);
}

int replace_matches(struct str text, const struct regex *regex, struct regex_scratch *scratch, struct str content,
                    struct strbuf *out)
{
    struct regex_iter iter = { .re = regex, .scratch = scratch, .text = text };
    size_t done = 0, start, end;
    int r;
    while ((r = regex_iter_next(&iter, &start, &end)) > 0) {
        strbuf_append(out, (struct str){ text.ptr + done, start - done });
        strbuf_append(out, content);
        done = end;
    }
    return r < 0 ? r : strbuf_append(out, str_skip(text, done));
}
