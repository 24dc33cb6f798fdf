// Decomposing, ordering and composing characters: what the Unicode normalization forms are made of.
#ifndef TOKFS_TEXT_UNICODE_FORM_H
#define TOKFS_TEXT_UNICODE_FORM_H

#include "engine/base/str.h"

#include <utf8proc.h>

// Appends well-formed `text` in the form that the options name: UTF8PROC_STABLE with COMPOSE or DECOMPOSE, and COMPAT.
// Linear in the length of the text, also where one base carries a million marks. 0, -ENOMEM, -EFBIG.
int unicode_form_append(struct str text, utf8proc_option_t options, struct strbuf *out);

#endif
