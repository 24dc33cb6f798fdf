// Constant folding as jinja2's optimizer does it, because it shows:
//
//   {{ (3)[1:] }}            a subscript of constants is Jinja's (what cannot be sliced is undefined), one of
//                            variables is Python's (an error)
//   {{ true or x | nosuch }} an unknown filter in a part that folds away is no error
//   {% if false %}{{ {[]: 1}.x }}{% endif %}   a dict that cannot exist is one, though it is never reached
//   {{ (-2) ** n }}          jinja2 writes its constants into Python source without brackets: -(2 ** n)
//   {% set x = 1e400 %}      ... and an infinite one as a name that does not exist
//
// An operator, subscript, filter or test whose operands are constants becomes its value when that can be written as a
// literal. Evaluation that fails leaves the node for the time when it is reached. Displays ([...], (...), {...}) fold
// only inside such a node; an output folds whatever its value is, since only its text is kept.
#include "engine/text/jinja/fold.h"

#include "engine/text/jinja/eval.h"
#include "engine/text/jinja/ops.h"

#include <math.h>
#include <string.h>

#define FOLD_STEPS_MAX (1u << 20) // what takes longer is evaluated when it is reached

static void fold(struct folder *folder, struct node *node);

void folder_init(struct folder *folder, struct jinja_template *tmpl)
{
    static const struct { // all names have slot 0 as yet, and are missing
        struct frame frame;
        struct value slot;
    } no_names;

    *folder = (struct folder){ 0 };
    strbuf_init(&folder->out, 0);
    folder->rt = (struct rt){
        .tmpl = tmpl,
        .out = &folder->out,
        .frame = (struct frame *)&no_names.frame,
        .arena = &tmpl->arena,
        .heap_ptr = (char *)&folder->no_room,
        .heap_end = (char *)&folder->no_room,
        .text_ptr = (char *)&folder->no_room,
        .text_end = (char *)&folder->no_room,
        .steps_left = FOLD_STEPS_MAX,
        .err = &folder->err,
        .is_folding = true,
    };
}

void folder_deinit(struct folder *folder)
{
    strbuf_deinit(&folder->out);
}

// ---- values that can be written as literals -------------------------------------------------------------------------

static bool all_of(struct value v, bool (*test)(struct value))
{
    if (v.type == V_DICT) {
        for (uint32_t i = 0; i < v.dict->n; i++) {
            if (!test(v.dict->entries[i].key) || !test(v.dict->entries[i].value)) {
                return false;
            }
        }
        return true;
    }
    for (uint32_t i = 0; i < v.len; i++) {
        if (!test(v.items[i])) {
            return false;
        }
    }
    return true;
}

static bool is_literal(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_NONE:
    case V_BOOL:
    case V_INT:
    case V_BIGINT:
    case V_FLOAT:
    case V_STR:
    case V_RANGE: return true;
    case V_TUPLE: return v.flags != TUPLE_GROUP && all_of(v, is_literal);
    case V_LIST:
    case V_DICT: return all_of(v, is_literal);
    default: return false;
    }
}

static bool is_finite(struct value v)
{
    switch ((enum value_type)v.type) {
    case V_FLOAT: return isfinite(v.f);
    case V_LIST:
    case V_TUPLE:
    case V_DICT: return all_of(v, is_finite);
    default: return true;
    }
}

// Constants are shared by renderings on any thread: what a dict would build at its first look-up is built now.
static void freeze(struct rt *rt, struct value v)
{
    if (v.type == V_DICT) {
        dict_get_str(rt, v.dict, STR(""));
        for (uint32_t i = 0; i < v.dict->n; i++) {
            freeze(rt, v.dict->entries[i].value);
        }
    } else if (v.type == V_LIST || v.type == V_TUPLE) {
        for (uint32_t i = 0; i < v.len; i++) {
            freeze(rt, v.items[i]);
        }
    }
}

// ---- evaluation -----------------------------------------------------------------------------------------------------

// False when the node is no constant: it needs a name or a call, or its evaluation fails.
static bool try_eval(struct folder *folder, const struct node *node, struct value *ret)
{
    struct rt *rt = &folder->rt;

    if (setjmp(rt->on_error) != 0) {
        rt->depth = 0;
        strbuf_reset(&folder->out);
        return false;
    }
    *ret = eval(rt, node);
    freeze(rt, *ret);
    return true;
}

static bool try_text(struct folder *folder, const struct node *node, struct str *ret)
{
    struct rt *rt = &folder->rt;

    if (setjmp(rt->on_error) != 0) {
        rt->depth = 0;
        strbuf_reset(&folder->out);
        return false;
    }
    *ret = value_str(to_str(rt, eval(rt, node)));
    return true;
}

static bool try_fold(struct folder *folder, struct node *node)
{
    struct value v;

    if (!try_eval(folder, node, &v) || !is_literal(v)) {
        return false;
    }
    node->kind = is_finite(v) ? N_CONST : N_CONST_INFINITE;
    node->constant = v;
    return true;
}

// Python builds the dict pair by pair: a key that cannot be one counts only when all before it are constants.
static void check_dict(struct folder *folder, const struct node *node)
{
    struct value key, value;

    for (uint32_t i = 0; i + 1 < node->list.n; i += 2) {
        if (!try_eval(folder, node->list.items[i], &key) || !try_eval(folder, node->list.items[i + 1], &value)) {
            return;
        }
        if (!value_is_hashable(&folder->rt, key)) {
            folder->unhashable = node;
            return;
        }
    }
}

// a + b + x is (a + b) + x: its first terms fold by themselves.
static void fold_first_terms(struct folder *folder, struct node *node)
{
    uint32_t n = node->list.n;

    for (uint32_t k = 2; k < n && node->list.items[0]->kind == N_CONST && node->list.items[1]->kind == N_CONST; k++) {
        struct node sum = { .kind = N_ADD, .pos = node->pos, .list = { node->list.items, 2 } };

        if (!try_fold(folder, &sum)) {
            return;
        }
        node->list.items[1]->kind = sum.kind;
        node->list.items[1]->constant = sum.constant;
        node->list.items++;
        node->list.n--;
    }
}

static bool is_negative(const struct node *node)
{
    return node->kind == N_CONST && ((node->constant.type == V_INT && node->constant.i < 0) ||
                                     (node->constant.type == V_FLOAT && signbit(node->constant.f)));
}

// (-2) ** n is written as -2 ** n, which Python reads as -(2 ** n).
static void unbracket_base(struct folder *folder, struct node *node)
{
    struct node *power;

    if (!is_negative(node->a)) {
        return;
    }
    power = arena_alloc(folder->rt.arena, sizeof(*power));
    if (power == NULL) {
        return; // the template is about to fail for want of memory
    }
    *power = *node;
    if (node->a->constant.type == V_INT && node->a->constant.i != INT64_MIN) {
        node->a->constant.i = -node->a->constant.i;
    } else if (node->a->constant.type == V_FLOAT) {
        node->a->constant.f = -node->a->constant.f;
    }
    node->kind = N_NEG;
    node->a = power;
    node->b = NULL;
}

static void fold_visit(void *ctx, struct node *node)
{
    fold(ctx, node);
}

static void fold(struct folder *folder, struct node *node)
{
    ast_visit_children(node, fold_visit, folder);
    if (folder->unhashable != NULL) {
        return;
    }
    switch ((enum node_kind)node->kind) {
    case N_CONST:
    case N_CONST_INFINITE:
    case N_NAME:
    case N_NSREF:
    case N_SLICE:
    case N_CALL: return;
    case N_DICT: check_dict(folder, node); break;
    case N_ADD: fold_first_terms(folder, node); break;
    default: break;
    }
    if (folder->unhashable == NULL && !try_fold(folder, node) && node->kind == N_BINARY && node->op == TOK_POW) {
        unbracket_base(folder, node);
    }
}

static void fold_expr_visit(void *ctx, struct node *node)
{
    fold_expr(ctx, node);
}

void fold_expr(struct folder *folder, struct node *node)
{
    if (folder->unhashable != NULL) {
        return;
    }
    if (node->kind == N_LIST || node->kind == N_TUPLE || node->kind == N_DICT || node->kind == N_SLICE) {
        ast_visit_children(node, fold_expr_visit, folder);
    } else {
        fold(folder, node);
    }
}

void fold_output(struct folder *folder, struct node *output)
{
    struct str text;

    if (try_text(folder, output->a, &text)) {
        output->kind = N_TEXT;
        output->text = text;
        return;
    }
    if (output->a->kind == N_CONCAT && output->a->op == CONCAT_PRINT) { // {% print a, b %}: each by itself
        for (uint32_t i = 0; i < output->a->list.n; i++) {
            struct node *item = output->a->list.items[i];

            if (try_text(folder, item, &text)) {
                item->kind = N_CONST;
                item->constant = value_from_str(text);
            } else {
                fold_expr(folder, item);
            }
        }
        return;
    }
    fold_expr(folder, output->a);
}
