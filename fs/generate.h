// A turn in the form of SGLang's native endpoint: text, token ids and what is told about them.
//
// An answer is an object, or a list of objects where the request had a list of prompts or several choices. Each chunk
// of a stream tells the whole answer so far, as SGLang's do; those of a list have the index of their choice.
#ifndef TOKFS_FS_GENERATE_H
#define TOKFS_FS_GENERATE_H

#include "fs/turn.h"

int generate_write_response(struct turn *turn, struct strbuf *out); // as struct turn_kind has it
int generate_write_run(const struct turn *turn, size_t first, size_t n, struct strbuf *out);

#endif
