// Parsing only: nothing is opened or looked up here.
#include "tools/bridge/options.h"
#include "engine/base/str.h"
#include <errno.h>
#include <getopt.h>

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
    "  --no-page                no chat page at /\n"
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
    OPT_NO_PAGE
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
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { 0 },
};

// An empty value would leave a hole in the message.
static const char *shown(const char *value)
{
    return value[0] ? value : "''";
}

static int parse_count(const char *name, const char *value, int64_t max, unsigned *ret, struct err *err)
{
    int64_t n;
    if (str_parse_i64(str_from(value), &n) < 0 || n < 1 || n > max) {
        return err_set(err, -EINVAL, "--%s %s: a whole number from 1 to %lld is needed", name, shown(value),
                       (long long)max);
    }
    *ret = (unsigned)n;
    return 0;
}

static int take_option(struct options *options, int opt, const char *value, struct err *err)
{
    const char **text = NULL;
    switch (opt) {
    case OPT_LISTEN: text = &options->listen; break;
    case OPT_API_KEYS: text = &options->api_keys; break;
    case OPT_TLS_CERT: text = &options->tls_cert; break;
    case OPT_TLS_KEY: text = &options->tls_key; break;
    case OPT_CORS: text = &options->cors; break;
    case OPT_ACCESS_LOG: text = &options->access_log; break;
    case OPT_USER: text = &options->user; break;
    case OPT_MAX_CONNECTIONS: return parse_count("max-connections", value, 100000, &options->max_connections, err);
    case OPT_MAX_PER_ADDRESS: return parse_count("max-per-address", value, 100000, &options->max_per_address, err);
    case OPT_MAX_BODY:
        return str_parse_bytes(str_from(value), &options->body_bytes_max) == 0 && options->body_bytes_max > 0
                   ? 0
                   : err_set(err, -EINVAL, "--max-body %s: a size like 512K or 8M is needed", shown(value));
    case OPT_HASH_KEY: options->hash_key = true; return 0;
    case OPT_NO_PAGE: options->no_page = true; return 0;
    case 'h': options->show_help = true; return 0;
    default: options->show_version = true; return 0;
    }
    if (value[0] == 0) {
        return err_set(err, -EINVAL, "option %s has an empty value", long_options[opt - OPT_LISTEN].name);
    }
    *text = value;
    return 0;
}

static int check(const struct options *options, struct err *err)
{
    if (options->hash_key || options->show_help || options->show_version) {
        return 0;
    }
    if (!options->listen) {
        return err_set(err, -EINVAL, "--listen ADDRESS is needed; tokfs-bridge --help explains");
    }
    if (options->n_mounts == 0) {
        return err_set(err, -EINVAL, "MOUNT is missing; tokfs-bridge --help explains");
    }
    if (!options->tls_cert != !options->tls_key) {
        return err_set(err, -EINVAL, "--tls-cert and --tls-key are needed together");
    }
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    *ret = (struct options){ .body_bytes_max = 8u << 20, .max_connections = 4096 };
    opterr = 0;
    optind = 0; // GNU: start over
    int opt, r = 0;
    while (r == 0 && (opt = getopt_long(argc, argv, ":hV", long_options, NULL)) != -1) {
        if (opt == '?' && optopt > 0 && optopt < 256) { // in a cluster of short ones
            r = err_set(err, -EINVAL, "unknown option -%c; tokfs-bridge --help lists them", optopt);
        } else if (opt == '?') {
            r = err_set(err, -EINVAL, "unknown option %s; tokfs-bridge --help lists them", argv[optind - 1]);
        } else if (opt == ':') {
            r = err_set(err, -EINVAL, "option %s needs a value", argv[optind - 1]);
        } else {
            r = take_option(ret, opt, optarg, err);
        }
    }
    for (; r == 0 && optind < argc; optind++) {
        if (ret->n_mounts == MOUNTS_MAX) {
            return err_set(err, -EINVAL, "more than %d mounts", MOUNTS_MAX);
        }
        ret->mounts[ret->n_mounts++] = argv[optind];
    }
    return r < 0 ? r : check(ret, err);
}
