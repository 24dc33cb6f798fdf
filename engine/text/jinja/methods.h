// Attributes of built-in types: methods, and the names that the sandbox hides.
#ifndef TOKFS_TEXT_JINJA_METHODS_H
#define TOKFS_TEXT_JINJA_METHODS_H

#include "engine/text/jinja/call.h"

enum method_type {
    METHOD_STR,
    METHOD_LIST,
    METHOD_TUPLE,
    METHOD_DICT,
    METHOD_INT,
    METHOD_FLOAT,
    METHOD_RANGE,
    METHOD_NONE
};

struct builtin_method {
    const char *name;
    builtin_fn fn; // NULL: hidden by the sandbox (changes its object), or not implemented
    struct signature sig;
    bool is_unsafe;
};

const struct builtin_method *method_find(enum method_type type, struct str name);
enum method_type method_type_of(struct value v);

extern const struct builtin_method str_methods[], list_methods[], tuple_methods[], dict_methods[], int_methods[],
    float_methods[], range_methods[]; // end with a NULL name

#endif
