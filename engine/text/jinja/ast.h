// The compiled form of a template: a tree whose names are resolved to slots, in the template's arena.
//
//   frame of the template   slots of every scope in it (loops and blocks have their own slots, not their own frames)
//     frame of a macro      its parameters and scopes; `outer` leads to the frame in which it was defined
//
// Immutable once compiled; any number of threads may evaluate it.
#ifndef TOKFS_TEXT_JINJA_AST_H
#define TOKFS_TEXT_JINJA_AST_H

#include "engine/text/jinja/lex.h"
#include "engine/text/jinja/value.h"

#define AST_DEPTH_MAX 200 // nesting of the tree

enum node_kind {
    // expressions
    N_CONST,
    N_CONST_INFINITE, // has an infinity or NaN in it: known to what folds, an error when it is reached
    N_NAME,
    N_LIST,
    N_TUPLE,
    N_DICT, // items: key, value, key, value...
    N_ADD,  // n-ary, left to right
    N_BINARY,
    N_CONCAT,
    N_NOT,
    N_NEG,
    N_POS,
    N_AND,
    N_OR,
    N_COMPARE,
    N_COND,
    N_GETATTR,
    N_GETITEM,
    N_GETITEM_STR, // with a constant string: an attribute whose item comes first
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    N_NSREF, // ns.attr as the target of an assignment
    // statements
    N_TEXT,
    N_OUTPUT,
    N_IF,
    N_FOR,
    N_SET,
    N_SET_BLOCK,
    N_MACRO,
    N_CALL_BLOCK,
    N_FILTER_BLOCK,
    N_SCOPE, // with, autoescape, generation, block
    N_BREAK,
    N_CONTINUE,
    N_FAIL, // a construct that Jinja only refuses when it runs
};

struct node;

struct node_list {
    struct node **items;
    uint32_t n;
};

// Where a scope's slots get their first values, as often as the scope is entered.
enum load_kind { LOAD_PARAM, LOAD_UNDEFINED, LOAD_ALIAS, LOAD_GLOBAL };

struct slot_ref {
    uint32_t slot;
    uint16_t hops; // frames outwards
};

struct scope_load {
    enum load_kind kind;
    uint32_t slot;
    struct slot_ref alias;
    uint32_t global; // index of the template's global
};

struct scope_entry {
    struct scope_load *loads; // without LOAD_PARAM
    uint32_t n_loads;
};

struct keyword {
    struct str name;
    struct node *value;
};

struct call_args {
    struct node_list args;
    struct keyword *keywords;
    uint32_t n_keywords;
    struct node *dyn_args, *dyn_keywords; // *x, **y; or NULL
};

struct name_use {
    struct str name;
    struct slot_ref ref;
    struct undefined undefined; // what it is when it is not set
    bool is_store;
};

enum compare_op { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE, CMP_IN, CMP_NOT_IN };

struct compare_item {
    enum compare_op op;
    struct node *expr;
};

struct compare {
    struct node *first;
    struct compare_item *items;
    uint32_t n;
};

struct builtin_method;
struct filter;
struct test;

#define N_METHOD_TYPES 8 // enum method_type of methods.h
struct attribute {
    struct node *object;
    struct str name;
    const struct builtin_method *methods[N_METHOD_TYPES]; // by kind of object, NULL: no such attribute
};

struct call {
    struct node *callee;
    struct call_args args;
};

struct filter_use {
    struct node *input; // NULL: the body of a filter block or set block
    struct str name;
    const struct filter *filter; // NULL: unknown, fails when it is reached
    struct call_args args;
};

struct test_use {
    struct node *input;
    struct str name;
    const struct test *test;
    struct call_args args;
};

struct function_info { // of a macro's or the template's frames
    uint32_t n_slots;
};

struct macro_def {
    struct str name;      // empty: the body of a call block
    struct node **params; // N_NAME
    uint32_t n_params;
    struct node **defaults; // of the last n_defaults parameters
    uint32_t n_defaults;
    struct node_list body;
    struct slot_ref target; // where the macro is stored
    struct str target_name;
    struct scope_entry entry;
    struct function_info function;
    struct slot_ref *param_slots;
    struct slot_ref caller_slot, kwargs_slot, varargs_slot;
    bool has_explicit_caller, uses_caller, uses_kwargs, uses_varargs;
    uint32_t depth; // of its tree
};

struct for_stmt {
    struct node *target;
    struct node *iter;
    struct node *test;        // or NULL
    struct node *test_target; // the target in the test's scope
    struct node_list body, else_body;
    bool is_recursive, uses_loop, has_else;
    struct slot_ref loop_slot;
    struct scope_entry entry, else_entry, test_entry;
    struct macro_def *recursion; // is_recursive: the loop as a function of its iterable
};

struct if_branch {
    struct node *test; // NULL: else
    struct node_list body;
};

struct if_stmt {
    struct if_branch *branches;
    uint32_t n;
};

struct set_stmt {
    struct node *target;
    struct node *value;        // N_SET
    struct filter_use *filter; // N_SET_BLOCK: or NULL
    struct node *filter_chain; // N_SET_BLOCK: outermost filter, or NULL
    struct node_list body;
    struct scope_entry entry;
};

struct scope_stmt {
    struct node **targets, **values; // `with`
    uint32_t n_targets;
    struct node *filter_chain; // filter block
    struct node_list body;
    struct scope_entry entry;
    bool is_generation, is_block;
};

struct call_block {
    struct node *call;
    struct macro_def *body;
};

#define CONCAT_PRINT 1 // the items of {% print a, b %}

struct node {
    uint8_t kind; // enum node_kind
    uint8_t op;   // N_BINARY: enum token_type; N_CONCAT: CONCAT_PRINT or 0
    uint16_t depth;
    uint32_t pos;
    union {
        struct value constant; // N_CONST, N_CONST_INFINITE
        struct str text;       // N_TEXT; N_FAIL: the message
        struct node_list list; // N_LIST, N_TUPLE, N_DICT, N_ADD, N_CONCAT, N_OUTPUT
        struct {
            struct node *a, *b,
                *c; // unary: a; binary: a, b; cond: test a, then b, else c (or NULL); getitem: a[b]; slice a:b:c
        };
        struct name_use *name;
        struct compare *compare;
        struct attribute *attr;
        struct call *call;
        struct filter_use *filter;
        struct test_use *test;
        struct for_stmt *loop;
        struct if_stmt *branch;
        struct set_stmt *set;
        struct scope_stmt *scope;
        struct macro_def *macro;
        struct call_block *call_block;
        struct {
            struct name_use *ns;
            struct str ns_attr;
        };
    };
};

// A name that the template takes from outside: a variable of the context, or a global function.
struct global_name {
    struct str name;
    const struct function *function; // NULL: none of that name
};

struct jinja_template {
    struct arena arena;
    struct str source;
    struct node_list body;
    struct scope_entry entry;
    struct function_info function;
    struct global_name *globals;
    uint32_t n_globals;
    bool has_generation;
};

// ast.c: the direct children of an expression, in the order in which they are evaluated.
typedef void (*ast_visit_fn)(void *ctx, struct node *node);
void ast_visit(struct node *node, ast_visit_fn fn, void *ctx); // node may be NULL
void ast_visit_list(const struct node_list *list, ast_visit_fn fn, void *ctx);
void ast_visit_children(struct node *node, ast_visit_fn fn, void *ctx);

// parse.c
int jinja_parse(struct arena *arena, struct str source, const struct token_list *tokens, struct node_list *ret,
                struct err *err);
// scope.c
int jinja_resolve(struct jinja_template *tmpl, struct err *err);

#endif
