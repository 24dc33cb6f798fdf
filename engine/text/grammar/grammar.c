// The door of the compilers: text in, a finished grammar out.
#include "engine/text/grammar/grammar.h"
#include "engine/text/grammar/pattern.h"
#include "engine/text/grammar/schema.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES_MAX ((size_t)64 << 20)

struct grammar {
    struct nfa nfa;
};

static int grammar_new(struct grammar **ret)
{
    struct grammar *grammar = calloc(1, sizeof(*grammar));
    if (!grammar || nfa_init(&grammar->nfa) < 0) {
        grammar_free(grammar);
        return -ENOMEM;
    }
    *ret = grammar;
    return 0;
}

void grammar_free(struct grammar *grammar)
{
    if (grammar) {
        nfa_deinit(&grammar->nfa);
        free(grammar);
    }
}

const struct nfa *grammar_nfa(const struct grammar *grammar)
{
    return &grammar->nfa;
}

// The field comes before what is wrong with it.
static int name_field(struct err *err, const char *where, int rc)
{
    if (rc < 0 && rc != -ENOMEM && err) {
        err_prefix(err, "%s", where);
        snprintf(err->param, sizeof err->param, "%s", where);
    }
    return rc;
}

static int finish(struct grammar *grammar, int rc, uint32_t start, unsigned flags, const char *where,
                  struct grammar **ret, struct err *err)
{
    for (int i = 0; i < 2 && (flags & GRAMMAR_SPACED) && rc == 0; i++) {
        start = nfa_either(&grammar->nfa, start, nfa_bytes(&grammar->nfa, '\n', '\n', start));
    }
    if (rc == 0) {
        rc = name_field(err, where, nfa_finish(&grammar->nfa, start, err));
    }
    if (rc < 0) {
        grammar_free(grammar);
        return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
    }
    *ret = grammar;
    return 0;
}

int grammar_from_writer(grammar_write_fn *write, void *ctx, unsigned flags, const char *where, struct grammar **ret,
                        struct err *err)
{
    struct grammar *grammar;
    struct arena arena;
    uint32_t start = NFA_FAILED;
    int rc = grammar_new(&grammar);
    if (rc < 0) {
        return err_set(err, rc, "out of memory");
    }
    arena_init(&arena, ARENA_BYTES_MAX);
    rc = write(ctx, &grammar->nfa, &arena, &start, err);
    arena_deinit(&arena);
    return finish(grammar, rc, start, flags, where, ret, err);
}

// ---- the kinds -----------------------------------------------------------------------------------------------------

struct source {
    struct str text;
    unsigned flags;
    const char *where;
};

static int check_length(const struct source *source, struct err *err)
{
    return source->text.len <= GRAMMAR_SOURCE_BYTES_MAX
               ? 0
               : err_set_param(err, -E2BIG, source->where, "%s is longer than %zu bytes", source->where,
                               GRAMMAR_SOURCE_BYTES_MAX);
}

static int write_schema(void *ctx, struct nfa *nfa, struct arena *arena, uint32_t *ret_start, struct err *err)
{
    const struct source *source = ctx;
    const struct json *root;
    int rc = check_length(source, err);
    rc = rc == 0 ? name_field(err, source->where, json_parse(arena, source->text, &root, err)) : rc;
    return rc == 0 ? schema_add(nfa, arena, root, source->flags, source->where, ret_start, err) : rc;
}

int grammar_from_schema(struct str schema, unsigned flags, const char *where, struct grammar **ret, struct err *err)
{
    struct source source = { schema, flags, where };
    return grammar_from_writer(write_schema, &source, flags, where, ret, err);
}

int grammar_from_any_object(unsigned flags, struct grammar **ret, struct err *err)
{
    return grammar_from_schema(STR("{\"type\":\"object\"}"), flags & ~(unsigned)GRAMMAR_STRICT, "json_object", ret,
                               err);
}

static int write_regex(void *ctx, struct nfa *nfa, struct arena *arena, uint32_t *ret_start, struct err *err)
{
    const struct source *source = ctx;
    int rc = check_length(source, err);
    (void)arena;
    rc = rc == 0 ? pattern_add(nfa, source->text, 0, NFA_ENDED, ret_start, err) : rc;
    if (rc < 0 && err) {
        snprintf(err->param, sizeof err->param, "%s", source->where);
    }
    return rc;
}

int grammar_from_regex(struct str pattern, unsigned flags, const char *where, struct grammar **ret, struct err *err)
{
    struct source source = { pattern, flags, where };
    return grammar_from_writer(write_regex, &source, flags, where, ret, err);
}

static int write_choices(void *ctx, struct nfa *nfa, struct arena *arena, uint32_t *ret_start, struct err *err)
{
    const struct source *source = ctx;
    const struct json *list;
    int rc = json_parse(arena, source->text, &list, err);
    if (rc < 0) {
        return rc;
    }
    if (list->type != JSON_ARRAY || list->n_children == 0) {
        return err_set_param(err, -EINVAL, source->where, "%s must be an array with members", source->where);
    }
    const struct json *item = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, item = json_next(item)) {
        char path[sizeof(err->param)];
        snprintf(path, sizeof path, "%s[%zu]", source->where, i);
        if (item->type != JSON_STRING || item->text.len == 0) {
            return err_set_param(err, -EINVAL, path, "%s: a choice must be a string with characters", path);
        }
        *ret_start = nfa_either(nfa, nfa_literal(nfa, item->text, NFA_ENDED), *ret_start);
    }
    return 0;
}

int grammar_from_choices(struct str list, unsigned flags, const char *where, struct grammar **ret, struct err *err)
{
    struct source source = { list, flags, where };
    return grammar_from_writer(write_choices, &source, flags, where, ret, err);
}
