#include "tools/bridge/route.h"
#include <string.h>

static const struct route routes[] = {
    { "/v1/chat/completions", ROUTE_TRANSACTION },
    { "/v1/completions", ROUTE_TRANSACTION },
    { "/v1/embeddings", ROUTE_TRANSACTION },
    { "/tokenize", ROUTE_TRANSACTION },
    { "/detokenize", ROUTE_TRANSACTION },
    { "/apply-template", ROUTE_TRANSACTION },
    { "/generate", ROUTE_TRANSACTION },
    { "/retrieve_from_text", ROUTE_TRANSACTION },
    { "/score", ROUTE_SCORE },
    { "/score_completions", ROUTE_SCORE },
    { "/score_chat_completions", ROUTE_SCORE },
    { "/v1/models", ROUTE_MODELS },
    { "/v1/models/", ROUTE_MODEL, .is_prefix = true },
    { "/kv/stats", ROUTE_FILE },
    { "/kv/tree", ROUTE_TREE },
    { "/kv/index", ROUTE_INDEX },
    { "/health", ROUTE_HEALTH, .is_open = true },
    { "/metrics", ROUTE_METRICS, .is_open = true },
    { "/", ROUTE_PAGE, .is_open = true },
};

const struct route *route_find(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *route = &routes[i];
        size_t n = strlen(route->path);
        if (route->is_prefix ? strncmp(path, route->path, n) == 0 && path[n] : strcmp(path, route->path) == 0) {
            return route;
        }
    }
    return NULL;
}

bool route_has_body(const struct route *route)
{
    return route->kind == ROUTE_TRANSACTION || route->kind == ROUTE_SCORE;
}

const char *route_methods(const struct route *route)
{
    return route_has_body(route) ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

bool route_takes(const struct route *route, const char *method)
{
    bool is_reading = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return route_has_body(route) ? strcmp(method, "POST") == 0 : is_reading;
}
