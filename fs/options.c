// Parsing only: nothing is opened or looked up here.
#include "fs/options.h"
#include <errno.h>
#include <getopt.h>

const char options_help[] =
    "usage: tokfs [options] MODEL MOUNTPOINT\n"
    "\n"
    "Mounts the model MODEL (a Hugging Face directory, or `demo`) at the directory MOUNTPOINT.\n"
    "\n"
    "  --ctx N             longest conversation in tokens (default: the model's, as far as memory goes)\n"
    "  --kv-mem SIZE       memory for the conversations' keys and values, e.g. 512M or 4G\n"
    "  --threads N         compute threads (default: one per processor)\n"
    "  --max-sequences N   answers computed at the same time (default 64)\n"
    "  --max-sessions N    conversations kept; the least recently used idle one gives way (default 10000)\n"
    "  --served-name NAME  the model's name in requests and answers (default: the directory's name)\n"
    "  --device NAME       auto, cpu or cuda (default auto)\n"
    "  -o OPTION[,...]     mount options: allow_other, nonempty, fsname=..., and those of mount(8) except ro\n"
    "  -f                  stay in the foreground\n"
    "  -h, --help          show this and exit\n"
    "  -V, --version       show the version and exit\n"
    "\n"
    "Unmount with `fusermount3 -u MOUNTPOINT`. The manual: tokfs(1), tokfs(5).\n";

enum { OPT_CTX = 256, OPT_KV_MEM, OPT_THREADS, OPT_MAX_SEQUENCES, OPT_MAX_SESSIONS, OPT_SERVED_NAME, OPT_DEVICE };

static const struct option long_options[] = {
    { "ctx", required_argument, NULL, OPT_CTX },
    { "kv-mem", required_argument, NULL, OPT_KV_MEM },
    { "threads", required_argument, NULL, OPT_THREADS },
    { "max-sequences", required_argument, NULL, OPT_MAX_SEQUENCES },
    { "max-sessions", required_argument, NULL, OPT_MAX_SESSIONS },
    { "served-name", required_argument, NULL, OPT_SERVED_NAME },
    { "device", required_argument, NULL, OPT_DEVICE },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { 0 },
};

static int parse_count(const char *name, const char *value, int64_t max, int64_t *ret, struct err *err)
{
    int64_t n;
    if (str_parse_i64(str_from(value), &n) < 0 || n < 1 || n > max) {
        return err_set(err, -EINVAL, "--%s %s: a whole number from 1 to %lld is needed", name, value, (long long)max);
    }
    *ret = n;
    return 0;
}

static int parse_kv_mem(struct options *options, const char *value, struct err *err)
{
    if (str_parse_bytes(str_from(value), &options->engine.kv_bytes) < 0 || options->engine.kv_bytes == 0) {
        return err_set(err, -EINVAL, "--kv-mem %s: a size like 512M or 4G is needed", value);
    }
    return 0;
}

static int parse_device(struct options *options, const char *value, struct err *err)
{
    struct str name = str_from(value);
    if (!str_eq(name, STR("auto")) && !str_eq(name, STR("cpu")) && !str_eq(name, STR("cuda"))) {
        return err_set(err, -EINVAL, "--device %s: auto, cpu or cuda is needed", value);
    }
    options->engine.device = value;
    return 0;
}

static int add_mount_option(struct options *options, struct str option, struct err *err)
{
    if (str_eq(option, STR("ro"))) {
        return err_set(err, -EINVAL, "-o ro: one cannot talk to a model without writing");
    }
    if (str_eq(option, STR("nonempty"))) {
        options->nonempty = true;
        return 0;
    }
    if (option.len == 0 || str_eq(option, STR("rw"))) {
        return 0;
    }
    if (options->fuse.len > 0) {
        strbuf_append_byte(&options->fuse, ',');
    }
    return strbuf_append(&options->fuse, option);
}

static int parse_mount_options(struct options *options, const char *value, struct err *err)
{
    struct str rest = str_from(value);
    int r = 0;
    while (rest.len > 0 && r == 0) {
        size_t end = 0;
        while (end < rest.len && rest.ptr[end] != ',') {
            end += rest.ptr[end] == '\\' && end + 1 < rest.len ? 2 : 1; // "\," is a comma of the value
        }
        r = add_mount_option(options, str_take(rest, end), err);
        rest = str_skip(rest, end + 1);
    }
    return r;
}

static int take_option(struct options *options, int opt, const char *value, struct err *err)
{
    int64_t n = 0;
    int r = 0;
    switch (opt) {
    case OPT_CTX:
        r = parse_count("ctx", value, 1 << 24, &n, err);
        options->engine.n_ctx = (size_t)n;
        break;
    case OPT_KV_MEM: r = parse_kv_mem(options, value, err); break;
    case OPT_THREADS:
        r = parse_count("threads", value, 1024, &n, err);
        options->engine.n_threads = (unsigned)n;
        break;
    case OPT_MAX_SEQUENCES:
        r = parse_count("max-sequences", value, 65536, &n, err);
        options->engine.max_sequences = (unsigned)n;
        break;
    case OPT_MAX_SESSIONS:
        r = parse_count("max-sessions", value, 10000000, &n, err);
        options->max_sessions = (uint32_t)n;
        break;
    case OPT_SERVED_NAME:
        options->engine.served_name = value;
        r = value[0] ? 0 : err_set(err, -EINVAL, "--served-name: the name is empty");
        break;
    case OPT_DEVICE: r = parse_device(options, value, err); break;
    case 'o': r = parse_mount_options(options, value, err); break;
    case 'f': options->foreground = true; break;
    case 'h': options->show_help = true; break;
    case 'V': options->show_version = true; break;
    default: r = -EINVAL; break;
    }
    return r;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    *ret = (struct options){ 0 };
    strbuf_init(&ret->fuse, 0);
    opterr = 0;
    optind = 0; // GNU: start over
    int opt, r = 0;
    while (r == 0 && (opt = getopt_long(argc, argv, ":o:fhV", long_options, NULL)) != -1) {
        if (opt == '?' && optopt > 0 && optopt < 256) { // in a cluster of short ones
            r = err_set(err, -EINVAL, "unknown option -%c; tokfs --help lists them", optopt);
        } else if (opt == '?') {
            r = err_set(err, -EINVAL, "unknown option %s; tokfs --help lists them", argv[optind - 1]);
        } else if (opt == ':') {
            r = err_set(err, -EINVAL, "option %s needs a value", argv[optind - 1]);
        } else {
            r = take_option(ret, opt, optarg, err);
        }
    }
    if (r == 0 && ret->fuse.error) {
        r = err_set(err, -ENOMEM, "out of memory");
    }
    if (r == 0 && !ret->show_help && !ret->show_version) {
        if (argc - optind != 2) {
            r = err_set(err, -EINVAL, "MODEL and MOUNTPOINT are needed; tokfs --help tells more");
        } else {
            ret->model = argv[optind];
            ret->mountpoint = argv[optind + 1];
        }
    }
    if (r < 0) {
        options_deinit(ret);
    }
    return r;
}

void options_deinit(struct options *options)
{
    strbuf_deinit(&options->fuse);
}
