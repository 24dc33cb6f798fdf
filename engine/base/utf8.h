// UTF-8 as RFC 3629 defines it: no surrogates, no overlong forms, nothing above U+10FFFF.
#ifndef TOKFS_BASE_UTF8_H
#define TOKFS_BASE_UTF8_H

#include "engine/base/str.h"

// Offset of the first byte that does not belong to a well-formed character, or s.len when all of s is well formed.
size_t utf8_valid_len(struct str s);
// Decodes the character at s.ptr[0]: its length in bytes (1-4) and *ret_codepoint; 0 when s is empty or ill formed
// there.
size_t utf8_decode(struct str s, uint32_t *ret_codepoint);
// Writes 1-4 bytes, returns how many; 0 for a surrogate or a value above U+10FFFF.
size_t utf8_encode(uint32_t codepoint, char out[4]);
// Bytes at the end of s that begin a well-formed character but do not finish it (0-3): what a stream must hold back.
size_t utf8_incomplete_tail(struct str s);
// Replaces each maximal ill-formed part by U+FFFD (as Python's decode(errors="replace") does).
int utf8_append_lossy(struct strbuf *out, struct str s);
// Overwrites each byte of a control character (C0, DEL, C1) or of ill-formed text by '?': what may stand on a
// terminal's line.
void utf8_make_printable(char *text, size_t len);

#endif
