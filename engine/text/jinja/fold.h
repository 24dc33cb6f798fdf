// Constant folding while a template is compiled.
#ifndef TOKFS_TEXT_JINJA_FOLD_H
#define TOKFS_TEXT_JINJA_FOLD_H

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/rt.h"

struct folder {
    struct rt rt; // evaluates without names: constants go into the template's arena
    struct strbuf out;
    uint64_t no_room;              // no bytes of it are used: the first allocation takes a chunk
    struct err err;                // of the last expression that was no constant: not shown
    const struct node *unhashable; // a dict of constants whose key cannot be one: the template does not compile
};

void folder_init(struct folder *folder, struct jinja_template *tmpl);
void folder_deinit(struct folder *folder);

// Both take a tree whose names have no slots yet, and fold it in place.
void fold_expr(struct folder *folder, struct node *node);
void fold_output(struct folder *folder, struct node *output); // N_OUTPUT; may become N_TEXT

#endif
