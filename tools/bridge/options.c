// Parsing only: nothing is opened or looked up here.
#include "tools/bridge/options.h"
#include "engine/base/option.h"
#include "tools/bridge/address.h"
#include "tools/bridge/feed.h"
#include "tools/bridge/listen.h"
#include "tools/kv/redis_url.h"
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX       100000
#define INDEX_BYTES_MIN (4u << 20) // as of tools/kv/index.h
#define KEPT_MAX        10000000
#define NODE_NAME_MAX   200

const char options_help[] =
    "usage: tokfs-bridge [options] --listen ADDRESS MOUNT...\n"
    "\n"
    "Serves the OpenAI API of tokfs mounts over HTTP. Several mounts are told apart by their models' names.\n"
    "\n"
    "  --listen ADDRESS         HOST:PORT, [IPV6]:PORT, :PORT (every address) or unix:PATH\n"
    "  --api-keys FILE          let in those who have a key; lines of HASH USER (read again on SIGHUP)\n"
    "  --hash-key               read a key from standard input, print its HASH, exit\n"
    "  --tls-cert FILE          certificate chain (PEM): serve HTTPS\n"
    "  --tls-key FILE           its private key (PEM)\n"
    "  --cors ORIGIN            let pages of ORIGIN (or * for all) use the API\n"
    "  --access-log FILE        a line for each request; - is standard output\n"
    "  --max-body SIZE          longest request body (default 8M)\n"
    "  --max-connections N      connections at the same time (default 4096)\n"
    "  --max-per-address N      of them from one address (default: no limit)\n"
    "  --user NAME              become this user after start\n"
    "  --score                  tell which peer holds how much of a prompt: /score\n"
    "  --model [NAME=]DIR       score requests for this model too: a directory, of which no weights are needed\n"
    "  --follow URL             hear what other nodes hold, from redis://... or tcp://HOST:PORT (ZeroMQ); implies "
    "--score\n"
    "  --route POLICY           send requests to the best peer: prefix, round-robin or random; implies --score\n"
    "  --peer URL               one of them, beside those that --follow hears of\n"
    "  --index-bytes SIZE       memory for who holds which block (default 1G)\n"
    "  --share-index URL        keep what is known of all in a Redis too, for routers that keep nothing; implies "
    "--score\n"
    "  --use-index URL          look prompts up in such a Redis; implies --score\n"
    "  --share-schema NAME      how it lies there: tokfs (default) or llm-d\n"
    "  --list-index URL         print such an index, a line for each block at a peer, and exit\n"
    "  --index-timeout MS       without an answer of --use-index for so long, score without it (default 50)\n"
    "  --no-page                no chat page at /\n"
    "\n"
    "What the mounts' prefix caches hold, for routers:\n"
    "  --node NAME              name of this node; several mounts are NAME.0, NAME.1 ...\n"
    "  --address HOST:PORT      under which others reach it (default: that of --listen)\n"
    "  --redis URL              publish to redis://[[USER]:PASSWORD@]HOST[:PORT][/DB] or unix:///PATH\n"
    "  --redis-entries N        keep so many entries of the stream (default 10000)\n"
    "  --redis-buffer SIZE      drop events when Redis has not answered so much (default 4M)\n"
    "  --zmq ENDPOINT           publish as vLLM does, e.g. on tcp://*:5557\n"
    "  --zmq-replay ENDPOINT    repeat what was published of late, to those who ask\n"
    "  --zmq-map-events         events as maps, not as arrays\n"
    "  --zmq-hwm N              messages kept for a subscriber that is slow (default 100000)\n"
    "  --no-event-tokens        do not publish token ids\n"
    "\n"
    "  -h, --help               show this and exit\n"
    "  -V, --version            show the version and exit\n"
    "\n"
    "It stays in the foreground; SIGTERM ends it. The manual: tokfs-bridge(1).\n";

enum {
    OPT_LISTEN = 256,
    OPT_API_KEYS,
    OPT_HASH_KEY,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_CORS,
    OPT_ACCESS_LOG,
    OPT_MAX_BODY,
    OPT_MAX_CONNECTIONS,
    OPT_MAX_PER_ADDRESS,
    OPT_USER,
    OPT_NO_PAGE,
    OPT_SCORE,
    OPT_MODEL,
    OPT_FOLLOW,
    OPT_ROUTE,
    OPT_PEER,
    OPT_INDEX_BYTES,
    OPT_SHARE_INDEX,
    OPT_USE_INDEX,
    OPT_LIST_INDEX,
    OPT_SHARE_SCHEMA,
    OPT_INDEX_TIMEOUT,
    OPT_NODE,
    OPT_ADDRESS,
    OPT_REDIS,
    OPT_REDIS_ENTRIES,
    OPT_REDIS_BUFFER,
    OPT_ZMQ,
    OPT_ZMQ_REPLAY,
    OPT_ZMQ_MAP_EVENTS,
    OPT_ZMQ_HWM,
    OPT_NO_EVENT_TOKENS
};

static const struct option long_options[] = {
    { "listen", required_argument, NULL, OPT_LISTEN },
    { "api-keys", required_argument, NULL, OPT_API_KEYS },
    { "hash-key", no_argument, NULL, OPT_HASH_KEY },
    { "tls-cert", required_argument, NULL, OPT_TLS_CERT },
    { "tls-key", required_argument, NULL, OPT_TLS_KEY },
    { "cors", required_argument, NULL, OPT_CORS },
    { "access-log", required_argument, NULL, OPT_ACCESS_LOG },
    { "max-body", required_argument, NULL, OPT_MAX_BODY },
    { "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
    { "max-per-address", required_argument, NULL, OPT_MAX_PER_ADDRESS },
    { "user", required_argument, NULL, OPT_USER },
    { "no-page", no_argument, NULL, OPT_NO_PAGE },
    { "score", no_argument, NULL, OPT_SCORE },
    { "model", required_argument, NULL, OPT_MODEL },
    { "follow", required_argument, NULL, OPT_FOLLOW },
    { "route", required_argument, NULL, OPT_ROUTE },
    { "peer", required_argument, NULL, OPT_PEER },
    { "index-bytes", required_argument, NULL, OPT_INDEX_BYTES },
    { "share-index", required_argument, NULL, OPT_SHARE_INDEX },
    { "use-index", required_argument, NULL, OPT_USE_INDEX },
    { "list-index", required_argument, NULL, OPT_LIST_INDEX },
    { "share-schema", required_argument, NULL, OPT_SHARE_SCHEMA },
    { "index-timeout", required_argument, NULL, OPT_INDEX_TIMEOUT },
    { "node", required_argument, NULL, OPT_NODE },
    { "address", required_argument, NULL, OPT_ADDRESS },
    { "redis", required_argument, NULL, OPT_REDIS },
    { "redis-entries", required_argument, NULL, OPT_REDIS_ENTRIES },
    { "redis-buffer", required_argument, NULL, OPT_REDIS_BUFFER },
    { "zmq", required_argument, NULL, OPT_ZMQ },
    { "zmq-replay", required_argument, NULL, OPT_ZMQ_REPLAY },
    { "zmq-map-events", no_argument, NULL, OPT_ZMQ_MAP_EVENTS },
    { "zmq-hwm", required_argument, NULL, OPT_ZMQ_HWM },
    { "no-event-tokens", no_argument, NULL, OPT_NO_EVENT_TOKENS },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { 0 },
};

#define N_OPTIONS  (OPT_NO_EVENT_TOKENS - OPT_LISTEN + 1)
#define BIT(opt)   (1ull << (OPT_##opt - OPT_LISTEN))
#define SCORING    (BIT(SCORE) | BIT(FOLLOW) | BIT(ROUTE) | BIT(SHARE_INDEX) | BIT(USE_INDEX))
#define PUBLISHING (BIT(REDIS) | BIT(ZMQ))
#define LISTS      (BIT(MODEL) | BIT(FOLLOW) | BIT(PEER)) // may be given several times

// What has no meaning without one of others.
static const struct {
    int opt;
    uint64_t wanted;
} needs[] = {
    { OPT_TLS_CERT, BIT(TLS_KEY) },
    { OPT_TLS_KEY, BIT(TLS_CERT) },
    { OPT_PEER, BIT(ROUTE) },
    { OPT_MODEL, SCORING },
    { OPT_INDEX_BYTES, SCORING },
    { OPT_SHARE_SCHEMA, BIT(SHARE_INDEX) | BIT(USE_INDEX) | BIT(LIST_INDEX) },
    { OPT_INDEX_TIMEOUT, BIT(USE_INDEX) },
    { OPT_REDIS, BIT(NODE) },
    { OPT_ZMQ, BIT(NODE) },
    { OPT_NODE, PUBLISHING },
    { OPT_ADDRESS, SCORING | PUBLISHING },
    { OPT_REDIS_ENTRIES, BIT(REDIS) },
    { OPT_REDIS_BUFFER, BIT(REDIS) | BIT(SHARE_INDEX) },
    { OPT_ZMQ_REPLAY, BIT(ZMQ) },
    { OPT_ZMQ_MAP_EVENTS, BIT(ZMQ) },
    { OPT_ZMQ_HWM, BIT(ZMQ) },
    { OPT_NO_EVENT_TOKENS, PUBLISHING },
};

static int take_text(const char **ret, int opt, const char *value, struct err *err)
{
    *ret = value;
    return value[0] ? 0 : err_set(err, -EINVAL, "--%s: the value is empty", long_options[opt - OPT_LISTEN].name);
}

// It is a header's value.
static int take_cors(struct options *options, const char *value, struct err *err)
{
    for (const char *c = value; *c; c++) {
        if (iscntrl((unsigned char)*c)) {
            return err_set(err, -EINVAL, "--cors: the value has a control character");
        }
    }
    return take_text(&options->cors, OPT_CORS, value, err);
}

static int take_count(unsigned *ret, int opt, const char *value, int64_t max, struct err *err)
{
    int64_t n = 0;
    int r = option_whole(long_options[opt - OPT_LISTEN].name, value, 1, max, &n, err);
    *ret = (unsigned)n;
    return r;
}

static int take_model(struct options *options, const char *value, struct err *err)
{
    if (options->n_models == OPTION_MODELS_MAX) {
        return err_set(err, -EINVAL, "more than %d models", OPTION_MODELS_MAX);
    }
    return take_text(&options->models[options->n_models++], OPT_MODEL, value, err);
}

static int take_listen(struct options *options, const char *value, struct err *err)
{
    int r = take_text(&options->listen, OPT_LISTEN, value, err);
    return r < 0 ? r : listen_check(value, err);
}

static int take_zmq(const char **ret, int opt, const char *value, struct err *err)
{
    *ret = value;
    return address_is_zmq(str_from(value))
               ? 0
               : err_set(err, -EINVAL, "--%s %s: tcp://ADDRESS:PORT, ipc://PATH or inproc://NAME is needed",
                         long_options[opt - OPT_LISTEN].name, option_shown(value));
}

static int take_followed(struct options *options, const char *value, struct err *err)
{
    if (options->n_followed == FOLLOWED_MAX) {
        return err_set(err, -EINVAL, "more than %d times --follow", FOLLOWED_MAX);
    }
    options->score = true;
    int r = take_text(&options->followed[options->n_followed++], OPT_FOLLOW, value, err);
    return r < 0 ? r : feed_check(value, err);
}

static int take_route(struct options *options, const char *value, struct err *err)
{
    unsigned idx = 0;
    int r = option_choice("route", value, route_policies, &idx, err);
    options->route = (enum route_policy)idx;
    options->has_route = options->score = true;
    return r;
}

static int take_peer(struct options *options, const char *value, struct err *err)
{
    if (options->n_peers == OPTION_PEERS_MAX) {
        return err_set(err, -EINVAL, "more than %d peers", OPTION_PEERS_MAX);
    }
    options->peers[options->n_peers++] = value;
    return address_is_peer(str_from(value))
               ? 0
               : err_set(err, -EINVAL, "--peer %s: a URL like http://HOST:PORT is needed", option_shown(value));
}

static int take_index_bytes(uint64_t *ret, const char *value, struct err *err)
{
    int r = option_bytes("index-bytes", value, ret, err);
    return r == 0 && *ret < INDEX_BYTES_MIN
               ? err_set(err, -EINVAL, "--index-bytes %s: at least 4M are needed", option_shown(value))
               : r;
}

// Of a node: part of keys and of topics, whose parts an @ divides.
static int take_name(const char **ret, int opt, const char *value, struct err *err)
{
    int r = take_text(ret, opt, value, err);
    for (const char *c = value; r == 0 && *c; c++) {
        if (*c == '@' || !isgraph((unsigned char)*c) || c - value >= NODE_NAME_MAX) {
            r = err_set(err, -EINVAL, "--%s %s: at most %d characters without @ and spaces are needed",
                        long_options[opt - OPT_LISTEN].name, value, NODE_NAME_MAX);
        }
    }
    return r;
}

static int take_redis(const char **ret, const char *option, const char *value, struct err *err)
{
    struct redis_url url;
    *ret = value;
    int r = redis_url_parse(value, &url, err);
    return r < 0 ? err_prefix(err, option) : r;
}

static int take_schema(struct options *options, const char *value, struct err *err)
{
    unsigned idx = 0;
    int r = option_choice("share-schema", value, share_kinds, &idx, err);
    options->share_schema = (enum share_kind)idx;
    return r;
}

static int take_option(struct options *options, int opt, const char *value, struct err *err)
{
    switch (opt) {
    case OPT_LISTEN: return take_listen(options, value, err);
    case OPT_API_KEYS: return take_text(&options->api_keys, opt, value, err);
    case OPT_TLS_CERT: return take_text(&options->tls_cert, opt, value, err);
    case OPT_TLS_KEY: return take_text(&options->tls_key, opt, value, err);
    case OPT_CORS: return take_cors(options, value, err);
    case OPT_ACCESS_LOG: return take_text(&options->access_log, opt, value, err);
    case OPT_USER: return take_text(&options->user, opt, value, err);
    case OPT_MAX_BODY: return option_bytes("max-body", value, &options->body_bytes_max, err);
    case OPT_MAX_CONNECTIONS: return take_count(&options->max_connections, opt, value, COUNT_MAX, err);
    case OPT_MAX_PER_ADDRESS: return take_count(&options->max_per_address, opt, value, COUNT_MAX, err);
    case OPT_HASH_KEY: options->hash_key = true; return 0;
    case OPT_NO_PAGE: options->no_page = true; return 0;
    case OPT_SCORE: options->score = true; return 0;
    case OPT_MODEL: return take_model(options, value, err);
    case OPT_FOLLOW: return take_followed(options, value, err);
    case OPT_ROUTE: return take_route(options, value, err);
    case OPT_PEER: return take_peer(options, value, err);
    case OPT_INDEX_BYTES: return take_index_bytes(&options->index_bytes, value, err);
    case OPT_SHARE_INDEX: options->score = true; return take_redis(&options->share_index, "--share-index", value, err);
    case OPT_USE_INDEX: options->score = true; return take_redis(&options->use_index, "--use-index", value, err);
    case OPT_LIST_INDEX: return take_redis(&options->list_index, "--list-index", value, err);
    case OPT_SHARE_SCHEMA: return take_schema(options, value, err);
    case OPT_INDEX_TIMEOUT: return take_count(&options->index_timeout_ms, opt, value, 60000, err);
    case OPT_NODE: return take_name(&options->node, opt, value, err);
    case OPT_ADDRESS: return take_name(&options->address, opt, value, err);
    case OPT_REDIS: return take_redis(&options->redis, "--redis", value, err);
    case OPT_REDIS_ENTRIES: return take_count(&options->redis_entries, opt, value, KEPT_MAX, err);
    case OPT_REDIS_BUFFER: return option_bytes("redis-buffer", value, &options->redis_bytes, err);
    case OPT_ZMQ: return take_zmq(&options->zmq, opt, value, err);
    case OPT_ZMQ_REPLAY: return take_zmq(&options->zmq_replay, opt, value, err);
    case OPT_ZMQ_MAP_EVENTS: options->zmq_map_events = true; return 0;
    case OPT_ZMQ_HWM: return take_count(&options->zmq_hwm, opt, value, KEPT_MAX, err);
    case OPT_NO_EVENT_TOKENS: options->no_event_tokens = true; return 0;
    case 'h': options->show_help = true; return 0;
    case 'V': options->show_version = true; return 0;
    default: return -EINVAL;
    }
}

// A value that a later one replaces would be lost without a word.
static int check_once(int opt, uint64_t *given, struct err *err)
{
    uint64_t bit = opt >= OPT_LISTEN ? 1ull << (opt - OPT_LISTEN) : 0;
    bool is_again = *given & bit & ~LISTS && long_options[opt - OPT_LISTEN].has_arg != no_argument;
    *given |= bit;
    return is_again ? err_set(err, -EINVAL, "--%s is given twice", long_options[opt - OPT_LISTEN].name) : 0;
}

// "--a, --b or --c"
static int refuse_alone(int opt, uint64_t wanted, struct err *err)
{
    char list[200];
    size_t n = 0;
    for (int i = 0; i < N_OPTIONS; i++) {
        if (wanted >> i & 1) {
            const char *joint = n == 0 ? "" : wanted >> i == 1 ? " or " : ", ";
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s--%s", joint, long_options[i].name);
        }
    }
    return err_set(err, -EINVAL, "--%s needs %s", long_options[opt - OPT_LISTEN].name, list);
}

static int check_needs(uint64_t given, struct err *err)
{
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (given >> (needs[i].opt - OPT_LISTEN) & 1 && !(given & needs[i].wanted)) {
            return refuse_alone(needs[i].opt, needs[i].wanted, err);
        }
    }
    return 0;
}

static int check(const struct options *options, uint64_t given, struct err *err)
{
    if (options->hash_key || options->list_index || options->show_help || options->show_version) {
        return 0;
    }
    if (!options->listen) {
        return err_set(err, -EINVAL, "--listen ADDRESS is needed; tokfs-bridge --help explains");
    }
    if (options->share_index && options->n_mounts == 0 && options->n_followed == 0) {
        return err_set(err, -EINVAL, "--share-index needs something to share: MOUNT or --follow URL");
    }
    if (options->n_mounts == 0 && options->n_followed == 0 && options->n_peers == 0 && !options->use_index) {
        return err_set(err, -EINVAL, "MOUNT is missing; tokfs-bridge --help explains");
    }
    return check_needs(given, err);
}

static struct str without_slashes(const char *path)
{
    struct str name = str_from(path);
    while (name.len > 1 && name.ptr[name.len - 1] == '/') {
        name.len--;
    }
    return name;
}

static int take_mount(struct options *options, const char *path, struct err *err)
{
    if (options->n_mounts == MOUNTS_MAX) {
        return err_set(err, -EINVAL, "more than %d mounts", MOUNTS_MAX);
    }
    if (!path[0]) {
        return err_set(err, -EINVAL, "MOUNT is empty");
    }
    for (unsigned i = 0; i < options->n_mounts; i++) {
        if (str_eq(without_slashes(options->mounts[i]), without_slashes(path))) {
            return err_set(err, -EINVAL, "the mount %s is named twice", path);
        }
    }
    options->mounts[options->n_mounts++] = path;
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    *ret = (struct options){ .body_bytes_max = 8u << 20,
                             .max_connections = 4096,
                             .index_bytes = 1u << 30,
                             .index_timeout_ms = 50,
                             .redis_entries = 10000,
                             .redis_bytes = 4u << 20,
                             .zmq_hwm = 100000 };
    opterr = 0;
    optind = 0; // GNU: start over
    uint64_t given = 0;
    int opt, r = 0;
    while (r == 0 && (opt = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
        r = option_refused("tokfs-bridge", opt, argv, err);
        r = r < 0 ? r : check_once(opt, &given, err);
        r = r < 0 ? r : take_option(ret, opt, optarg, err);
    }
    for (; r == 0 && optind < argc; optind++) {
        r = take_mount(ret, argv[optind], err);
    }
    return r < 0 ? r : check(ret, given, err);
}

void options_address(const struct options *o, char ret[OPTION_ADDRESS_MAX])
{
    const char *colon = strrchr(o->listen, ':');
    bool is_unix = strncmp(o->listen, "unix:", 5) == 0;
    bool is_anywhere = !is_unix && (colon == o->listen || strncmp(o->listen, "0.0.0.0:", 8) == 0 ||
                                    strncmp(o->listen, "[::]:", 5) == 0);
    if (o->address || !o->node) {
        snprintf(ret, OPTION_ADDRESS_MAX, "%s", o->address ? o->address : o->listen);
    } else if (is_unix || is_anywhere) {
        snprintf(ret, OPTION_ADDRESS_MAX, "%s%s", o->node, is_unix ? "" : colon);
    } else {
        snprintf(ret, OPTION_ADDRESS_MAX, "%s", o->listen);
    }
}
