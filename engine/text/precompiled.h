// SentencePiece's compiled normalisation map (the Precompiled normalizer): a double-array trie from byte strings to
// texts.
#ifndef TOKFS_TEXT_PRECOMPILED_H
#define TOKFS_TEXT_PRECOMPILED_H

#include "engine/base/err.h"
#include "engine/base/str.h"

struct precompiled;

// From the base64 text of precompiled_charsmap. -EINVAL (not base64, sizes that do not fit), -ENOMEM.
int precompiled_new(struct str base64, const char *where, struct precompiled **ret, struct err *err);
void precompiled_free(struct precompiled *map);
// Appends well-formed UTF-8, mapped: each grapheme cluster of less than six bytes as a whole, else each character.
int precompiled_append(const struct precompiled *map, struct str text, struct strbuf *out);

#endif
