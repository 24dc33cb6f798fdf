// Evaluation of the tree.
#ifndef TOKFS_TEXT_JINJA_EVAL_H
#define TOKFS_TEXT_JINJA_EVAL_H

#include "engine/text/jinja/call.h"

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct value eval_node(struct rt *rt, const struct node *node); // expr.c
void assign(struct rt *rt, const struct node *target, struct value v);
struct value eval_filters(struct rt *rt, const struct node *chain, struct value body); // a chain whose input is a body
struct value eval_call_with_caller(struct rt *rt, const struct node *call, struct value caller);
enum flow exec_body(struct rt *rt, const struct node_list *body); // exec.c
void enter_scope(struct rt *rt, const struct scope_entry *entry);

static inline struct value *slot_at(struct rt *rt, struct slot_ref ref)
{
    struct frame *frame = rt->frame;

    for (uint16_t i = 0; i < ref.hops; i++) {
        frame = frame->outer;
    }
    return &frame->slots[ref.slot];
}

// Half of all expressions are constants and variables of the frame: they take no call.
static inline struct value eval(struct rt *rt, const struct node *node)
{
    if (node->kind == N_CONST) {
        return node->constant;
    }
    if (node->kind == N_NAME && node->name->ref.hops == 0) {
        struct value v = rt->frame->slots[node->name->ref.slot];

        if (v.type != V_MISSING) {
            return v;
        }
    }
    return eval_node(rt, node);
}

struct value rt_global(struct rt *rt, uint32_t idx); // V_MISSING when there is none
struct value loop_attr(struct rt *rt, struct loop_state *loop, struct str name, bool *ret_is_found);
bool loop_next(struct rt *rt, struct loop_state *loop, struct value *ret);

#endif
