// Matching a handful of short strings at the end of a growing text. Pure functions over borrowed text.
//
// The text searched is what is held back plus one token's text, at most a few hundred bytes, so plain comparison is
// enough. A beginning of a stop string starts at a character border since stop strings are UTF-8: what is released
// stays whole.
#include "engine/serve/stop.h"

#include <string.h>

ptrdiff_t stop_find(const struct str *stops, size_t n_stops, struct str text, struct str *ret_stop)
{
    ptrdiff_t first = -1;
    for (size_t i = 0; i < n_stops; i++) {
        ptrdiff_t at = stops[i].len > 0 ? str_find(text, stops[i]) : -1;
        if (at >= 0 && (first < 0 || at < first)) {
            first = at;
            *ret_stop = stops[i];
        }
    }
    return first;
}

static size_t held_by(struct str stop, struct str text)
{
    size_t len = stop.len > 0 ? stop.len - 1 : 0;
    for (len = len < text.len ? len : text.len; len > 0; len--) {
        if (memcmp(text.ptr + text.len - len, stop.ptr, len) == 0) {
            return len;
        }
    }
    return 0;
}

size_t stop_held_len(const struct str *stops, size_t n_stops, struct str text)
{
    size_t held = 0;
    for (size_t i = 0; i < n_stops; i++) {
        size_t len = held_by(stops[i], text);
        held = len > held ? len : held;
    }
    return held;
}
