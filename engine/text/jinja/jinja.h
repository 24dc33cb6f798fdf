// Jinja templates as jinja2 renders them in transformers' sandboxed environment: compile once, render often.
#ifndef TOKFS_TEXT_JINJA_JINJA_H
#define TOKFS_TEXT_JINJA_JINJA_H

#include "engine/base/err.h"
#include "engine/base/json.h"
#include "engine/text/jinja/lex.h"

#include <time.h>

struct jinja_template; // immutable; any number of threads may render it at once

// -EINVAL, -EOPNOTSUPP, -E2BIG, -ENOMEM; err has line and column.
int jinja_compile(struct str source, const struct jinja_options *options, struct jinja_template **ret, struct err *err);
void jinja_free(struct jinja_template *tmpl);

enum jinja_var_kind { JINJA_JSON, JINJA_TEXT, JINJA_BOOL, JINJA_NONE };
struct jinja_var {
    struct str name;
    enum jinja_var_kind kind;
    const struct json *json;
    struct str text;
    bool boolean;
};

// What {% generation %} blocks rendered, in characters of the whole rendering, in the order in which the blocks end. As
// in transformers, a block inside of a macro or of a captured text counts from where that began.
struct jinja_spans {
    struct jinja_span {
        uint64_t start, end;
    } * items;
    size_t n, cap;
};
void jinja_spans_deinit(struct jinja_spans *spans);

struct jinja_input {
    const struct jinja_var *vars; // of several with one name the last counts
    size_t n_vars;
    time_t now;                     // of strftime_now, shown as local time
    struct jinja_spans *generation; // appended to, unless the rendering fails; NULL: not recorded
    uint64_t *steps_left;           // the bound on its steps, which shrinks by those it took; NULL: JINJA_STEPS_MAX
};

#define JINJA_STEPS_MAX (20u << 20) // evaluations, and bytes looked at / 16

// Appends the rendering to `out`; on failure `out` is as it was. -EINVAL (an error of the template: line, column,
// words), -E2BIG (a bound was hit), -EOPNOTSUPP (something of Python that is not implemented was used), -ENOMEM.
int jinja_render(const struct jinja_template *tmpl, const struct jinja_input *input, struct strbuf *out,
                 struct err *err);

bool jinja_has_generation(const struct jinja_template *tmpl); // it marks the assistant's text by generation tags

#endif
