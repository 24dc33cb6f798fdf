// Stop strings: where an answer's text ends, and how much of its end must be held back because it could still become
// one.
#ifndef TOKFS_SERVE_STOP_H
#define TOKFS_SERVE_STOP_H

#include "engine/base/str.h"

// Offset of the first stop string in `text` (the earliest beginning of any), or -1; *ret_stop is that string (of two
// with the same beginning the one named first).
ptrdiff_t stop_find(const struct str *stops, size_t n_stops, struct str text, struct str *ret_stop);
// Length of the longest end of `text` that is a proper beginning of a stop string: as long as only it is held back, no
// byte of a stop string is ever emitted. `text` holds no whole stop string.
size_t stop_held_len(const struct str *stops, size_t n_stops, struct str text);

#endif
