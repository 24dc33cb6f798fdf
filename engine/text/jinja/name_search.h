// Whether a part of a template uses a name that it does not declare itself, as Jinja asks it of `loop`, `caller`,
// `kwargs` and `varargs`.
#ifndef TOKFS_TEXT_JINJA_NAME_SEARCH_H
#define TOKFS_TEXT_JINJA_NAME_SEARCH_H

#include "engine/text/jinja/ast.h"

bool name_is_used(const struct node_list *body, struct str name); // before it is declared
bool name_is_stored(struct node *node, struct str name);

#endif
