// Filters and tests by name.
#ifndef TOKFS_TEXT_JINJA_FILTERS_H
#define TOKFS_TEXT_JINJA_FILTERS_H

#include "engine/text/jinja/call.h"

struct filter {
    const char *name;
    builtin_fn fn;
    struct signature sig;
    bool needs_context; // not evaluated while compiling
};

struct test {
    const char *name;
    bool (*fn)(struct rt *rt, struct value v, struct value arg);
    bool has_arg;
};

const struct filter *filter_find(struct str name);
const struct test *test_find(struct str name);
bool test_run(struct rt *rt, const struct test *test, struct value v, const struct args *args);

// Tables that filter_find searches; each ends with a NULL name.
extern const struct filter text_filters[], seq_filters[], lazy_filters[], num_filters[];

#endif
