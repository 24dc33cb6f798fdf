// The library takes a bare LF for the end of a line, joins a folded line to the name of the header before it, and ends
// a value at a NUL. Proxies that do otherwise would see other headers than we do, and the one that matters is the
// length.
//
// It leaves the head where it has read it, with a NUL in place of each separator, and gives out pointers into it:
//
//   method 0 uri 0 version 0 0   name 0 spaces value 0 0   name 0 spaces value 0 0   0 0
//   |                            |                                                     |
//   `- method                    `- key of the first header             method + header size
//
// So it is walked from pointer to pointer: where a line ended otherwise, or was moved, the next one is not where it
// would have to be. That is how one version of the library does it; later ones have an option of their own
// (MHD_OPTION_CLIENT_DISCIPLINE_LVL).
#include "tools/bridge/head.h"
#include <string.h>

#define LIBRARY_VERSION "0.9.75"

struct walk {
    const char *at, *end; // of what was not walked yet
    bool is_strict;
};

static bool skip_line_end(struct walk *walk)
{
    if (walk->end - walk->at < 2 || walk->at[0] || walk->at[1]) {
        return false;
    }
    walk->at += 2;
    return true;
}

static enum MHD_Result walk_header(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_len,
                                   const char *value, size_t value_len)
{
    struct walk *walk = cls;
    (void)kind;
    walk->is_strict = key == walk->at && value && value > key + key_len && value + value_len < walk->end;
    for (const char *c = key + key_len + 1; walk->is_strict && c < value; c++) {
        walk->is_strict = *c == ' ' || *c == '\t';
    }
    if (walk->is_strict) {
        walk->at = value + value_len;
        walk->is_strict = skip_line_end(walk);
    }
    return walk->is_strict ? MHD_YES : MHD_NO;
}

bool head_is_strict(struct MHD_Connection *connection, const char *uri, const char *url, const char *method,
                    const char *version)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!info || strcmp(MHD_get_version(), LIBRARY_VERSION) != 0) {
        return true;
    }
    struct walk walk = { version + strlen(version), method + info->header_size, true };
    if (strchr(uri, ' ') || url != method + strlen(method) + 1 || version != url + strlen(uri) + 1 ||
        !skip_line_end(&walk)) {
        return false;
    }
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, walk_header, &walk);
    return walk.is_strict && skip_line_end(&walk) && walk.at == walk.end;
}
