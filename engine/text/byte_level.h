// The byte-level alphabet of GPT-2: each byte has a printable character, so that any bytes can be written as text.
//
// Printable Latin-1 bytes (0x21-0x7e, 0xa1-0xac, 0xae-0xff) stand for themselves, the other 68 for U+0100.. in byte
// order.
#ifndef TOKFS_TEXT_BYTE_LEVEL_H
#define TOKFS_TEXT_BYTE_LEVEL_H

#include "engine/base/str.h"

uint32_t byte_level_codepoint(uint8_t byte);
int byte_level_byte(uint32_t codepoint); // -1 when the character is not of the alphabet
// Appends the written form of bytes.
int byte_level_append_written(struct strbuf *out, struct str bytes);
// Bytes that a written token stands for: fills out (at least written.len bytes) and returns their number, or -1 when a
// character of it is not of the alphabet.
ptrdiff_t byte_level_read(struct str written, char *out);

#endif
