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

static int finish(struct grammar *grammar, int rc, uint32_t start, const char *where, struct grammar **ret,
                  struct err *err)
{
    if (rc == 0) {
        rc = nfa_finish(&grammar->nfa, start, err);
        if (rc < 0 && rc != -ENOMEM && err) {
            err_prefix(err, "%s", where);
            snprintf(err->param, sizeof err->param, "%s", where);
        }
    }
    if (rc < 0) {
        grammar_free(grammar);
        return rc == -ENOMEM ? err_set(err, rc, "out of memory") : rc;
    }
    *ret = grammar;
    return 0;
}

int grammar_from_schema(struct str schema, unsigned flags, const char *where, struct grammar **ret, struct err *err)
{
    struct grammar *grammar;
    struct arena arena;
    const struct json *root;
    uint32_t start = NFA_FAILED;
    if (schema.len > GRAMMAR_SOURCE_BYTES_MAX) {
        return err_set_param(err, -E2BIG, where, "%s: the schema is longer than %zu bytes", where,
                             GRAMMAR_SOURCE_BYTES_MAX);
    }
    int rc = grammar_new(&grammar);
    if (rc < 0) {
        return err_set(err, rc, "out of memory");
    }
    arena_init(&arena, ARENA_BYTES_MAX);
    rc = json_parse(&arena, schema, &root, err);
    if (rc == 0) {
        rc = schema_add(&grammar->nfa, &arena, root, flags, where, &start, err);
    }
    arena_deinit(&arena);
    return finish(grammar, rc, start, where, ret, err);
}

int grammar_from_any_object(unsigned flags, struct grammar **ret, struct err *err)
{
    return grammar_from_schema(STR("{\"type\":\"object\"}"), flags & GRAMMAR_COMPACT, "json_object", ret, err);
}

int grammar_from_regex(struct str pattern, const char *where, struct grammar **ret, struct err *err)
{
    struct grammar *grammar;
    uint32_t start = NFA_FAILED;
    if (pattern.len > GRAMMAR_SOURCE_BYTES_MAX) {
        return err_set_param(err, -E2BIG, where, "%s: the pattern is longer than %zu bytes", where,
                             GRAMMAR_SOURCE_BYTES_MAX);
    }
    int rc = grammar_new(&grammar);
    if (rc < 0) {
        return err_set(err, rc, "out of memory");
    }
    rc = pattern_add(&grammar->nfa, pattern, 0, NFA_ENDED, &start, err);
    if (rc < 0 && err) {
        snprintf(err->param, sizeof err->param, "%s", where);
    }
    return finish(grammar, rc, start, where, ret, err);
}

static int add_choices(struct nfa *nfa, const struct json *list, const char *where, uint32_t *ret, struct err *err)
{
    const struct json *item = json_first(list);
    for (size_t i = 0; i < list->n_children; i++, item = json_next(item)) {
        char path[sizeof(err->param)];
        snprintf(path, sizeof path, "%s[%zu]", where, i);
        if (item->type != JSON_STRING || item->text.len == 0) {
            return err_set_param(err, -EINVAL, path, "%s: a choice must be a string with characters", path);
        }
        *ret = nfa_either(nfa, nfa_literal(nfa, item->text, NFA_ENDED), *ret);
    }
    return 0;
}

int grammar_from_choices(struct str list, const char *where, struct grammar **ret, struct err *err)
{
    struct grammar *grammar;
    struct arena arena;
    const struct json *root;
    uint32_t start = NFA_FAILED;
    int rc = grammar_new(&grammar);
    if (rc < 0) {
        return err_set(err, rc, "out of memory");
    }
    arena_init(&arena, ARENA_BYTES_MAX);
    rc = json_parse(&arena, list, &root, err);
    if (rc == 0 && (root->type != JSON_ARRAY || root->n_children == 0)) {
        rc = err_set_param(err, -EINVAL, where, "%s must be an array with members", where);
    }
    rc = rc == 0 ? add_choices(&grammar->nfa, root, where, &start, err) : rc;
    arena_deinit(&arena);
    return finish(grammar, rc, start, where, ret, err);
}
