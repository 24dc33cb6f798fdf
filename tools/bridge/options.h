// The command line of tokfs-bridge.
#ifndef TOKFS_BRIDGE_OPTIONS_H
#define TOKFS_BRIDGE_OPTIONS_H

#include "engine/base/err.h"
#include "tools/kv/route_policy.h"
#include "tools/kv/share_schema.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOUNTS_MAX         64
#define OPTION_MODELS_MAX  16
#define OPTION_PEERS_MAX   1024
#define FOLLOWED_MAX       64
#define OPTION_ADDRESS_MAX 256

struct options {
    const char *listen; // HOST:PORT, [HOST]:PORT, :PORT or unix:PATH
    const char *mounts[MOUNTS_MAX];
    unsigned n_mounts;
    const char *api_keys, *tls_cert, *tls_key; // files; NULL: none
    const char *cors;                          // Access-Control-Allow-Origin; NULL: none
    const char *access_log;                    // file; "-": standard output; NULL: none
    const char *user;                          // to become; NULL: stay
    const char *node;                          // name of this node, for what is published; NULL: nothing is
    const char *address;                       // under which others reach it; NULL: made of listen
    const char *redis;                         // URL; NULL: none
    const char *zmq, *zmq_replay;              // endpoints; NULL: none
    uint64_t body_bytes_max, redis_bytes;
    unsigned redis_entries, zmq_hwm;
    bool zmq_map_events, no_event_tokens;
    unsigned max_connections, max_per_address;
    bool score;                            // answer /score and its like
    const char *models[OPTION_MODELS_MAX]; // DIR or NAME=DIR: whose requests are scored beside those of the mounts
    unsigned n_models;
    const char *followed[FOLLOWED_MAX]; // what tells of other nodes' prefix caches
    unsigned n_followed;
    const char *peers[OPTION_PEERS_MAX]; // URLs
    unsigned n_peers;
    bool has_route;
    enum route_policy route;
    uint64_t index_bytes;
    const char *share_index, *use_index, *list_index; // URLs of a Redis; NULL: none
    enum share_kind share_schema;
    unsigned index_timeout_ms;
    bool no_page, hash_key, show_help, show_version;
};

// Borrows from argv. -EINVAL with the option and value named.
int options_parse(int argc, char **argv, struct options *ret, struct err *err);
// Under which others reach the bridge: --address; or else HOST:PORT of --listen where that is an address; of one that
// is everywhere the node's name and the port, of a Unix socket the name. Without a name: --listen as it is.
void options_address(const struct options *options, char ret[OPTION_ADDRESS_MAX]);
extern const char options_help[];

#endif
