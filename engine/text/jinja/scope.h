// Scopes while a template is compiled: which names each has, how they are loaded on entry, and in which slots. Used by
// resolve.c, which walks the template.
#ifndef TOKFS_TEXT_JINJA_SCOPE_H
#define TOKFS_TEXT_JINJA_SCOPE_H

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/fold.h"

#include <setjmp.h>

struct func {
    struct func *outer;
    struct function_info *info;
};

struct symbol {
    struct str name;
    enum load_kind load;
    uint32_t slot;
    bool is_stored, is_stored_in_branch;
};

struct scope {
    struct scope *outer;
    struct func *func;
    struct symbol *symbols;
    uint32_t n, cap;
};

struct resolver {
    struct jinja_template *tmpl;
    struct err *err;
    int error_code;
    struct folder folder;
    bool is_soft; // inside an if: an unknown filter only fails when it is reached
    uint32_t globals_cap;
    jmp_buf on_error;
};

// Leaves by longjmp to jinja_resolve: everything lives in the template's arena.
_Noreturn void resolve_fail(struct resolver *rs, int code, uint32_t pos, const char *what, struct str name);
void *resolve_alloc(struct resolver *rs, size_t n, size_t size);

// Symbols that statements and expressions bring into the scope in which they stand; scopes inside are not looked into.
void scope_analyze_body(struct resolver *rs, struct scope *scope, const struct node_list *body);
void scope_analyze_expr(struct resolver *rs, struct scope *scope, struct node *node);
// Names that whoever enters the scope sets; of a target: all in it.
void scope_note_param(struct resolver *rs, struct scope *scope, struct str name);
void scope_note_targets(struct resolver *rs, struct scope *scope, const struct node *target);
// The scope is completely analysed: gives out slots and says how they are loaded.
void scope_finish(struct resolver *rs, struct scope *scope, struct scope_entry *ret);
// Where the name is found from there. -EINVAL leaves: nowhere.
struct slot_ref scope_ref(struct resolver *rs, const struct scope *from, struct str name, uint32_t pos);

#endif
