// Python's view of text: white space, characters, case. Pure functions on UTF-8.
#ifndef TOKFS_TEXT_JINJA_TEXT_H
#define TOKFS_TEXT_JINJA_TEXT_H

#include "engine/base/str.h"

bool char_is_space(uint32_t c);     // str.isspace
bool char_is_line_end(uint32_t c);  // what str.splitlines splits at
bool char_is_word(uint32_t c);      // may stand in an identifier
bool char_is_printable(uint32_t c); // str.isprintable: repr shows it as it is
bool char_is_cased(uint32_t c);
bool char_is_upper(uint32_t c);
bool char_is_lower(uint32_t c);
bool char_is_alpha(uint32_t c);
bool char_is_decimal(uint32_t c);
bool char_is_digit(uint32_t c);
bool char_is_numeric(uint32_t c);

// Decodes one character of well-formed text; never 0 for a non-empty s.
size_t char_decode(struct str s, uint32_t *ret);
size_t char_before(struct str s, uint32_t *ret); // the last one

size_t text_n_chars(struct str s);
bool text_is_ascii(struct str s);
size_t text_offset(struct str s, size_t n_chars);           // byte offset of the n-th character, s.len past the end
struct str text_strip(struct str s, bool left, bool right); // white space

enum text_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_FOLD };
// The mapping of one character: up to 3 characters, returns how many.
size_t char_map_case(uint32_t c, enum text_case to, uint32_t out[3]);

#endif
