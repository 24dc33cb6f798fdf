// Parsing only: nothing is opened or looked up here.
#include "tools/bridge/options.h"
#include "engine/base/option_table.h"
#include "tools/bridge/address.h"
#include "tools/bridge/feed.h"
#include "tools/bridge/listen.h"
#include "tools/kv/redis_url.h"
#include <ctype.h>
#include <errno.h>
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

// What makes it score, and what makes it publish.
#define SCORING    "score follow route share-index use-index"
#define PUBLISHING "redis zmq"

// It is a header's value.
static int take_cors(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    for (const char *c = value; *c; c++) {
        if (iscntrl((unsigned char)*c)) {
            return err_set(err, -EINVAL, "--cors: the value has a control character");
        }
    }
    return option_text(row->name, value, &((struct options *)ctx)->cors, err);
}

static int take_model(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct options *options = ctx;
    if (options->n_models == OPTION_MODELS_MAX) {
        return err_set(err, -EINVAL, "more than %d models", OPTION_MODELS_MAX);
    }
    return option_text(row->name, value, &options->models[options->n_models++], err);
}

static int take_listen(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    int r = option_text(row->name, value, &((struct options *)ctx)->listen, err);
    return r < 0 ? r : listen_check(value, err);
}

static int take_zmq(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    *(const char **)option_place(row, ctx) = value;
    return address_is_zmq(str_from(value))
               ? 0
               : err_set(err, -EINVAL, "--%s %s: tcp://ADDRESS:PORT, ipc://PATH or inproc://NAME is needed", row->name,
                         option_shown(value));
}

static int take_followed(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct options *options = ctx;
    if (options->n_followed == FOLLOWED_MAX) {
        return err_set(err, -EINVAL, "more than %d times --follow", FOLLOWED_MAX);
    }
    int r = option_text(row->name, value, &options->followed[options->n_followed++], err);
    return r < 0 ? r : feed_check(value, err);
}

static int take_peer(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct options *options = ctx;
    (void)row;
    if (options->n_peers == OPTION_PEERS_MAX) {
        return err_set(err, -EINVAL, "more than %d peers", OPTION_PEERS_MAX);
    }
    options->peers[options->n_peers++] = value;
    return address_is_peer(str_from(value))
               ? 0
               : err_set(err, -EINVAL, "--peer %s: a URL like http://HOST:PORT is needed", option_shown(value));
}

static int take_index_bytes(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    uint64_t *place = option_place(row, ctx);
    int r = option_bytes(row->name, value, place, err);
    return r == 0 && *place < INDEX_BYTES_MIN
               ? err_set(err, -EINVAL, "--index-bytes %s: at least 4M are needed", option_shown(value))
               : r;
}

// Of a node: part of keys and of topics, whose parts an @ divides.
static int take_name(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    int r = option_text(row->name, value, option_place(row, ctx), err);
    for (const char *c = value; r == 0 && *c; c++) {
        if (*c == '@' || !isgraph((unsigned char)*c) || c - value >= NODE_NAME_MAX) {
            r = err_set(err, -EINVAL, "--%s %s: at most %d characters without @ and spaces are needed", row->name,
                        value, NODE_NAME_MAX);
        }
    }
    return r;
}

static int take_redis(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct redis_url url;
    *(const char **)option_place(row, ctx) = value;
    int r = redis_url_parse(value, &url, err);
    return r < 0 ? err_prefix(err, "--%s", row->name) : r;
}

#define AT(member) offsetof(struct options, member)

static const struct option_row option_rows[] = {
    { "listen", OPTION_TAKE, .take = take_listen },
    { "api-keys", OPTION_TEXT, AT(api_keys) },
    { "hash-key", OPTION_SET, AT(hash_key) },
    { "tls-cert", OPTION_TEXT, AT(tls_cert), .needs = "tls-key" },
    { "tls-key", OPTION_TEXT, AT(tls_key), .needs = "tls-cert" },
    { "cors", OPTION_TAKE, .take = take_cors },
    { "access-log", OPTION_TEXT, AT(access_log) },
    { "max-body", OPTION_BYTES, AT(body_bytes_max) },
    { "max-connections", OPTION_U32, AT(max_connections), 1, COUNT_MAX },
    { "max-per-address", OPTION_U32, AT(max_per_address), 1, COUNT_MAX },
    { "user", OPTION_TEXT, AT(user) },
    { "no-page", OPTION_SET, AT(no_page) },
    // scores and routes
    { "score", OPTION_SET, AT(score) },
    { "model", OPTION_TAKE, .take = take_model, .may_repeat = true, .needs = SCORING },
    { "follow", OPTION_TAKE, .take = take_followed, .may_repeat = true },
    { "route", OPTION_INDEX, AT(route), .choices = route_policies },
    { "peer", OPTION_TAKE, .take = take_peer, .may_repeat = true, .needs = "route" },
    { "index-bytes", OPTION_TAKE, AT(index_bytes), .take = take_index_bytes, .needs = SCORING },
    { "share-index", OPTION_TAKE, AT(share_index), .take = take_redis },
    { "use-index", OPTION_TAKE, AT(use_index), .take = take_redis },
    { "list-index", OPTION_TAKE, AT(list_index), .take = take_redis },
    { "share-schema", OPTION_INDEX, AT(share_schema), .choices = share_kinds,
      .needs = "share-index use-index list-index" },
    { "index-timeout", OPTION_U32, AT(index_timeout_ms), 1, 60000, .needs = "use-index" },
    // what is published
    { "node", OPTION_TAKE, AT(node), .take = take_name, .needs = PUBLISHING },
    { "address", OPTION_TAKE, AT(address), .take = take_name, .needs = SCORING " " PUBLISHING },
    { "redis", OPTION_TAKE, AT(redis), .take = take_redis, .needs = "node" },
    { "redis-entries", OPTION_U32, AT(redis_entries), 1, KEPT_MAX, .needs = "redis" },
    { "redis-buffer", OPTION_BYTES, AT(redis_bytes), .needs = "redis share-index" },
    { "zmq", OPTION_TAKE, AT(zmq), .take = take_zmq, .needs = "node" },
    { "zmq-replay", OPTION_TAKE, AT(zmq_replay), .take = take_zmq, .needs = "zmq" },
    { "zmq-map-events", OPTION_SET, AT(zmq_map_events), .needs = "zmq" },
    { "zmq-hwm", OPTION_U32, AT(zmq_hwm), 1, KEPT_MAX, .needs = "zmq" },
    { "no-event-tokens", OPTION_SET, AT(no_event_tokens), .needs = PUBLISHING },
    // the program
    { "help", OPTION_SET, AT(show_help), .letter = 'h' },
    { "version", OPTION_SET, AT(show_version), .letter = 'V' },
};

static const struct option_table option_table = { .rows = option_rows,
                                                  .n_rows = sizeof(option_rows) / sizeof(option_rows[0]),
                                                  .refuses_repeats = true };

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
    const struct option_row *alone = option_alone(&option_table, given);
    return alone ? option_refuse_alone(alone, err) : 0;
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
    struct option longs[OPTION_ROWS_MAX + 1];
    uint64_t given = 0;
    int opt, r = 0;
    option_longs(&option_table, longs);
    opterr = 0;
    optind = 0; // GNU: start over
    while (r == 0 && (opt = getopt_long(argc, argv, ":hV", longs, NULL)) != -1) {
        r = option_refused("tokfs-bridge", opt, argv, err);
        r = r < 0 ? r : option_take(&option_table, option_row_of(&option_table, opt), optarg, ret, &given, err);
    }
    ret->score = option_is_given(&option_table, given, SCORING);
    ret->has_route = option_is_given(&option_table, given, "route");
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
