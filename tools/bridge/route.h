// The paths of the bridge: a table.
#ifndef TOKFS_BRIDGE_ROUTE_H
#define TOKFS_BRIDGE_ROUTE_H

#include "engine/base/str.h"
#include <stdbool.h>

enum route_kind {
    ROUTE_TRANSACTION, // the body is written to the mount's file of the same path, and the answer read
    ROUTE_FILE,        // the mount's file of the same path is read
    ROUTE_MODELS,      // lists of all mounts
    ROUTE_MODEL,       // one element of them
    ROUTE_METRICS,     // of all mounts, and the bridge's own
    ROUTE_HEALTH,
    ROUTE_PAGE,
    ROUTE_TREE,  // of kv/snapshot: the shape of the prefix cache
    ROUTE_INDEX, // who holds which block
    ROUTE_SCORE, // of a body that is taken, like a transaction's
};

struct route {
    const char *path;
    enum route_kind kind;
    bool is_prefix; // what follows the path is a name
    bool is_open;   // needs no key
};

const struct route *route_find(const char *path);     // NULL: there is nothing
const char *route_methods(const struct route *route); // "GET, HEAD, OPTIONS"
bool route_has_body(const struct route *route);
bool route_takes(const struct route *route, const char *method);

#endif
