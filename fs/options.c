// Parsing only: nothing is opened or looked up here.
#include "fs/options.h"
#include "engine/base/option.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SERVED_NAME_BYTES_MAX 255
#define TIMEOUT_S_MAX         1e9
#define MAX_BYTES_MIN         (1u << 20) // a user's part of it holds small requests
#define USER_BYTES_MIN        (64u << 10)

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
    "  --max-bytes SIZE    memory for all conversations and requests (default: a quarter of the machine's)\n"
    "  --user-sessions N, --user-turns N, --user-files N, --user-bytes SIZE, --user-tokens N\n"
    "                      the most that each user but the mount's owner may have: conversations, turns at the same\n"
    "                      time, open files, memory, tokens in a minute\n"
    "  --write-timeout N   seconds after which a writer that stalls in the middle is given up (default 3600)\n"
    "  --share-prefix-cache  with -o allow_other, take what users' prompts share from one cache\n"
    "  --timeout SECONDS   a request that takes longer fails; it may ask for less (default: none)\n"
    "  --state DIR         keep conversations in DIR, from where they come back after a crash\n"
    "  --sync WHEN         with --state: always, batch (every 100 ms; default) or off\n"
    "  --on-journal-error DO  fail (turns fail visibly; default) or continue without it\n"
    "  --journal-slack SIZE   growth beyond twice its live size before it is rewritten (default 64M)\n"
    "  --journal-timeout N    seconds that a write to it may take before it counts as failed (default 10)\n"
    "  --no-prefix-cache   compute every prompt anew\n"
    "  --no-speculation    do not guess tokens from what was said before\n"
    "  --served-name NAME  the model's name in requests and answers (default: the directory's name)\n"
    "  --device NAME       auto, cpu or cuda (default auto)\n"
    "  --deterministic     on a GPU, too, answers do not depend on what runs beside them (the CPU's never do)\n"
    "  --weights FORM      stored (as they are; default), or quantized while they load: q8 or q4\n"
    "  --pack-cache FILE   keep the weights as they are computed with in FILE, or beside the model (auto), from where\n"
    "                      the next start takes them\n"
    "  --kv-dtype TYPE     of the K and V cache: auto (as the weights; default), f32, f16, bf16 or q8\n"
    "  -o OPTION[,...]     mount options: allow_other, nonempty, fsname=NAME, noexec, nosuid, nodev, sync, dirsync\n"
    "                      ... or those above without their dashes: -o ctx=4096,no-speculation, as fstab(5) needs it\n"
    "  --log-level LEVEL   error, warning, info or debug (default: info in the log, warning on a terminal)\n"
    "  -f                  stay in the foreground\n"
    "  -h, --help          show this and exit\n"
    "  -V, --version       show the version and exit\n"
    "\n"
    "Unmount with `fusermount3 -u MOUNTPOINT`. The manual: tokfs(1), tokfs(5).\n";

enum {
    OPT_CTX = 256,
    OPT_KV_MEM,
    OPT_THREADS,
    OPT_MAX_SEQUENCES,
    OPT_MAX_SESSIONS,
    OPT_SERVED_NAME,
    OPT_DEVICE,
    OPT_DETERMINISTIC,
    OPT_WEIGHTS,
    OPT_PACK_CACHE,
    OPT_KV_DTYPE,
    OPT_TIMEOUT,
    OPT_NO_PREFIX_CACHE,
    OPT_NO_SPECULATION,
    OPT_SHARE_PREFIX_CACHE,
    OPT_USER_SESSIONS,
    OPT_USER_TURNS,
    OPT_USER_FILES,
    OPT_USER_TOKENS,
    OPT_USER_BYTES,
    OPT_MAX_BYTES,
    OPT_WRITE_TIMEOUT,
    OPT_LOG_LEVEL,
    OPT_STATE,
    OPT_SYNC,
    OPT_ON_JOURNAL_ERROR,
    OPT_JOURNAL_SLACK,
    OPT_JOURNAL_TIMEOUT
};

static const struct option long_options[] = {
    { "ctx", required_argument, NULL, OPT_CTX },
    { "kv-mem", required_argument, NULL, OPT_KV_MEM },
    { "threads", required_argument, NULL, OPT_THREADS },
    { "max-sequences", required_argument, NULL, OPT_MAX_SEQUENCES },
    { "max-sessions", required_argument, NULL, OPT_MAX_SESSIONS },
    { "served-name", required_argument, NULL, OPT_SERVED_NAME },
    { "device", required_argument, NULL, OPT_DEVICE },
    { "deterministic", no_argument, NULL, OPT_DETERMINISTIC },
    { "weights", required_argument, NULL, OPT_WEIGHTS },
    { "pack-cache", required_argument, NULL, OPT_PACK_CACHE },
    { "kv-dtype", required_argument, NULL, OPT_KV_DTYPE },
    { "timeout", required_argument, NULL, OPT_TIMEOUT },
    { "no-prefix-cache", no_argument, NULL, OPT_NO_PREFIX_CACHE },
    { "no-speculation", no_argument, NULL, OPT_NO_SPECULATION },
    { "share-prefix-cache", no_argument, NULL, OPT_SHARE_PREFIX_CACHE },
    { "user-sessions", required_argument, NULL, OPT_USER_SESSIONS },
    { "user-turns", required_argument, NULL, OPT_USER_TURNS },
    { "user-files", required_argument, NULL, OPT_USER_FILES },
    { "user-tokens", required_argument, NULL, OPT_USER_TOKENS },
    { "user-bytes", required_argument, NULL, OPT_USER_BYTES },
    { "max-bytes", required_argument, NULL, OPT_MAX_BYTES },
    { "write-timeout", required_argument, NULL, OPT_WRITE_TIMEOUT },
    { "log-level", required_argument, NULL, OPT_LOG_LEVEL },
    { "state", required_argument, NULL, OPT_STATE },
    { "sync", required_argument, NULL, OPT_SYNC },
    { "on-journal-error", required_argument, NULL, OPT_ON_JOURNAL_ERROR },
    { "journal-slack", required_argument, NULL, OPT_JOURNAL_SLACK },
    { "journal-timeout", required_argument, NULL, OPT_JOURNAL_TIMEOUT },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { 0 },
};

// It is a line of `v1/models`, of status files and of answers.
static int parse_served_name(struct options *options, const char *value, struct err *err)
{
    struct str name = str_from(value);
    if (name.len == 0) {
        return err_set(err, -EINVAL, "--served-name: the name is empty");
    }
    if (name.len > SERVED_NAME_BYTES_MAX) {
        return err_set(err, -EINVAL, "--served-name: the name has %zu bytes; at most %d are taken", name.len,
                       SERVED_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f) {
            return err_set(err, -EINVAL, "--served-name: byte %zu of the name is a control character", i);
        }
    }
    if (utf8_valid_len(name) < name.len) {
        return err_set(err, -EINVAL, "--served-name: the name is not UTF-8");
    }
    options->engine.served_name = value;
    return 0;
}

static int parse_log_level(struct options *options, const char *value, struct err *err)
{
    static const char *const names[] = { [LOG_LEVEL_ERROR] = "error",
                                         [LOG_LEVEL_WARN] = "warning",
                                         [LOG_LEVEL_INFO] = "info",
                                         [LOG_LEVEL_DEBUG] = "debug" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            options->log_level = (enum log_level)i;
            options->has_log_level = true;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "--log-level %s: error, warning, info or debug is needed", option_shown(value));
}

static int take_option(struct options *options, int opt, const char *value, struct err *err);

// What mount(8) and the programs around it understand, and pass on.
static bool is_for_others(struct str option)
{
    static const char *const names[] = { "rw",    "defaults", "auto",       "noauto",      "user",      "nouser",
                                         "users", "group",    "owner",      "nofail",      "_netdev",   "sync",
                                         "async", "relatime", "norelatime", "strictatime", "nodiratime" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(option, str_from(names[i]))) {
            return true;
        }
    }
    return str_starts_with(option, STR("x-")) || str_starts_with(option, STR("X-")) ||
           str_starts_with(option, STR("comment="));
}

// A copy that lives as long as the options, without the backslashes that keep its commas.
static char *keep_value(struct options *options, struct str value)
{
    char *copy = options->n_values < OPTIONS_VALUES_MAX ? str_dup(value) : NULL;
    size_t len = 0;
    for (size_t i = 0; copy && i < value.len; i++) {
        i += value.ptr[i] == '\\' && i + 1 < value.len;
        copy[len++] = value.ptr[i];
    }
    if (copy) {
        copy[len] = '\0';
        options->values[options->n_values++] = copy;
    }
    return copy;
}

// One of the program's own that came with -o, as all options must in fstab(5): 1, 0 if it is another, or -errno.
static int take_own_option(struct options *options, struct str option, struct err *err)
{
    struct str name;
    struct str value = str_cut(option, '=', &name);
    for (const struct option *own = long_options; own->name && own->val != 'h'; own++) {
        if (!str_eq(name, str_from(own->name))) {
            continue;
        }
        if ((own->has_arg == required_argument) != (name.len < option.len)) {
            return err_set(err, -EINVAL, "-o %s: it %s value", own->name, own->has_arg ? "needs a" : "takes no");
        }
        const char *copy = keep_value(options, value);
        int r = copy ? take_option(options, own->val, copy, err) : err_set(err, -ENOMEM, "out of memory");
        return r < 0 ? r : 1;
    }
    return 0;
}

static int parse_state(struct options *options, const char *value, struct err *err)
{
    options->state = value;
    return value[0] ? 0 : err_set(err, -EINVAL, "--state: the name of the directory is empty");
}

static int parse_pack_cache(struct options *options, const char *value, struct err *err)
{
    options->engine.pack_cache = value;
    return value[0] ? 0 : err_set(err, -EINVAL, "--pack-cache: the name of the file is empty");
}

// Its places in the list are the numbers of enum journal_sync.
static int parse_sync(struct options *options, const char *value, struct err *err)
{
    static const char *const whens[] = { "batch", "always", "off", NULL };
    unsigned idx = 0;
    int r = option_choice("sync", value, whens, &idx, err);
    options->journal.sync = (enum journal_sync)idx;
    return r;
}

static int parse_on_journal_error(struct options *options, const char *value, struct err *err)
{
    static const char *const whats[] = { "fail", "continue", NULL };
    unsigned idx = 0;
    int r = option_choice("on-journal-error", value, whats, &idx, err);
    options->journal.continues = idx == 1;
    return r;
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
    if (option.len == 0 || is_for_others(option)) {
        return 0;
    }
    int r = take_own_option(options, option, err);
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    options->lets_others_in |= str_eq(option, STR("allow_other"));
    if (option.ptr[option.len - 1] == '=' || option.ptr[0] == '=') {
        return err_set(err, -EINVAL, "-o %.*s: a name and a value are needed", STR_ARG(str_take(option, 80)));
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

// What each user may have: 1, 0 when it is another option, or -EINVAL.
static int take_limit(struct options *options, int opt, const char *value, struct err *err)
{
    const struct {
        int opt;
        const char *name;
        int64_t max;
        uint32_t *n; // or
        uint64_t *n_long;
    } limits[] = {
        { OPT_USER_SESSIONS, "user-sessions", 10000000, &options->user_sessions, NULL },
        { OPT_USER_TURNS, "user-turns", 1000000, &options->user_turns, NULL },
        { OPT_USER_FILES, "user-files", 10000000, &options->user_files, NULL },
        { OPT_WRITE_TIMEOUT, "write-timeout", 1000000, &options->write_timeout_s, NULL },
        { OPT_USER_TOKENS, "user-tokens", INT64_C(1000000000000), NULL, &options->user_tokens },
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int64_t n;
        if (limits[i].opt == opt) {
            int r = option_whole(limits[i].name, value, 1, limits[i].max, &n, err);
            if (r == 0 && limits[i].n) {
                *limits[i].n = (uint32_t)n;
            } else if (r == 0) {
                *limits[i].n_long = (uint64_t)n;
            }
            return r < 0 ? r : 1;
        }
    }
    return 0;
}

// What memory may be filled, from `min` bytes on.
static int parse_bytes_limit(const char *name, const char *value, uint32_t min, uint64_t *ret, struct err *err)
{
    int r = option_bytes(name, value, ret, err);
    if (r == 0 && *ret < min) {
        return err_set(err, -EINVAL, "--%s %s: at least %u KiB are needed to hold requests", name, option_shown(value),
                       min >> 10);
    }
    return r;
}

// What tells how the journal is kept: 1, 0 when it is another option, or -EINVAL.
static int take_journal_option(struct options *options, int opt, const char *value, struct err *err)
{
    int64_t n = 0;
    int r;
    switch (opt) {
    case OPT_SYNC:
        options->needs_state = "sync";
        r = parse_sync(options, value, err);
        break;
    case OPT_ON_JOURNAL_ERROR:
        options->needs_state = "on-journal-error";
        r = parse_on_journal_error(options, value, err);
        break;
    case OPT_JOURNAL_SLACK:
        options->needs_state = "journal-slack";
        r = option_bytes("journal-slack", value, &options->journal.slack, err);
        break;
    case OPT_JOURNAL_TIMEOUT:
        options->needs_state = "journal-timeout";
        r = option_whole("journal-timeout", value, 1, 1000000, &n, err);
        options->journal.timeout_ms = (unsigned)n * 1000u;
        break;
    default: return 0;
    }
    return r < 0 ? r : 1;
}

static int take_option(struct options *options, int opt, const char *value, struct err *err)
{
    int64_t n = 0;
    int r = take_limit(options, opt, value, err);
    r = r == 0 ? take_journal_option(options, opt, value, err) : r;
    if (r != 0) {
        return r < 0 ? r : 0;
    }
    switch (opt) {
    case OPT_USER_BYTES: r = parse_bytes_limit("user-bytes", value, USER_BYTES_MIN, &options->user_bytes, err); break;
    case OPT_MAX_BYTES: r = parse_bytes_limit("max-bytes", value, MAX_BYTES_MIN, &options->max_bytes, err); break;
    case OPT_LOG_LEVEL: r = parse_log_level(options, value, err); break;
    case OPT_SHARE_PREFIX_CACHE: options->shares_prefix_cache = true; break;
    case OPT_CTX:
        r = option_whole("ctx", value, 1, 1 << 24, &n, err);
        options->engine.n_ctx = (size_t)n;
        break;
    case OPT_KV_MEM: r = option_bytes("kv-mem", value, &options->engine.kv_bytes, err); break;
    case OPT_THREADS:
        r = option_whole("threads", value, 1, 256, &n, err);
        options->engine.n_threads = (unsigned)n;
        break;
    case OPT_MAX_SEQUENCES:
        r = option_whole("max-sequences", value, 1, 4096, &n, err);
        options->engine.max_sequences = (unsigned)n;
        break;
    case OPT_MAX_SESSIONS:
        r = option_whole("max-sessions", value, 1, 10000000, &n, err);
        options->max_sessions = (uint32_t)n;
        break;
    case OPT_SERVED_NAME: r = parse_served_name(options, value, err); break;
    case OPT_DEVICE:
        r = option_choice("device", value, option_devices, NULL, err);
        options->engine.device = value;
        break;
    case OPT_WEIGHTS:
        r = option_choice("weights", value, option_weights, NULL, err);
        options->engine.weights = value;
        break;
    case OPT_PACK_CACHE: r = parse_pack_cache(options, value, err); break;
    case OPT_KV_DTYPE:
        r = option_choice("kv-dtype", value, option_kv_dtypes, NULL, err);
        options->engine.kv_dtype = value;
        break;
    case OPT_TIMEOUT: r = option_real("timeout", value, false, TIMEOUT_S_MAX, &options->engine.timeout, err); break;
    case OPT_STATE: r = parse_state(options, value, err); break;
    case OPT_NO_PREFIX_CACHE: options->engine.no_prefix_cache = true; break;
    case OPT_DETERMINISTIC: options->engine.deterministic = true; break;
    case OPT_NO_SPECULATION: options->engine.no_speculation = true; break;
    case 'o': r = parse_mount_options(options, value, err); break;
    case 'f': options->foreground = true; break;
    case 'h': options->show_help = true; break;
    case 'V': options->show_version = true; break;
    default: r = -EINVAL; break;
    }
    return r;
}

// mount(8) calls the program that is named after the type of file system with options of its own: see "EXTERNAL
// HELPERS" there.
static bool is_called_by_mount(const char *program)
{
    const char *slash = program ? strrchr(program, '/') : NULL;
    return program && str_starts_with(str_from(slash ? slash + 1 : program), STR("mount."));
}

static int take_helper_option(struct options *options, int opt, const char *value, struct err *err)
{
    options->is_fake |= opt == 'f';
    return opt == 'o' ? parse_mount_options(options, value, err) : 0; // s, n, v, t, N: nothing to be done
}

static int take_all_options(struct options *ret, int argc, char **argv, struct err *err)
{
    const char *letters = ret->is_helper ? ":o:fsnvt:N:" : ":o:fhV";
    int opt, r = 0;
    opterr = 0;
    optind = 0; // GNU: start over
    while (r == 0 && (opt = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        r = option_refused("tokfs", opt, argv, err);
        if (r == 0) {
            r = ret->is_helper && opt < 256 ? take_helper_option(ret, opt, optarg, err)
                                            : take_option(ret, opt, optarg, err);
        }
    }
    return r == 0 && ret->fuse.error ? err_set(err, -ENOMEM, "out of memory") : r;
}

static int take_places(struct options *ret, int argc, char **argv, struct err *err)
{
    if (argc - optind < 2) {
        return err_set(err, -EINVAL, "MODEL and MOUNTPOINT are needed; tokfs --help tells more");
    }
    if (argc - optind > 2) {
        return err_set(err, -EINVAL, "nothing may follow MODEL and MOUNTPOINT: %s is too much",
                       option_shown(argv[optind + 2]));
    }
    if (!argv[optind][0] || !argv[optind + 1][0]) {
        return err_set(err, -EINVAL, "%s is empty", argv[optind][0] ? "MOUNTPOINT" : "MODEL");
    }
    ret->model = argv[optind];
    ret->mountpoint = argv[optind + 1];
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    *ret = (struct options){ .is_helper = is_called_by_mount(argv[0]) };
    strbuf_init(&ret->fuse, 0);
    int r = take_all_options(ret, argc, argv, err);
    if (r == 0 && !ret->show_help && !ret->show_version) {
        r = take_places(ret, argc, argv, err);
    }
    if (r == 0 && ret->needs_state && !ret->state) {
        r = err_set(err, -EINVAL, "--%s: there is no journal without --state", ret->needs_state);
    }
    if (r < 0) {
        options_deinit(ret);
    }
    return r;
}

const char *options_blame(const struct options *options, const char *param)
{
    static const char *const names[][2] = {
        { "max_sequences", "--max-sequences: " },
        { "device", "--device: " },
    };
    bool has_ctx = options->engine.n_ctx > 0, has_kv_mem = options->engine.kv_bytes > 0;
    if (strcmp(param, "n_ctx") == 0 || strcmp(param, "kv_bytes") == 0) { // each limits the other
        return has_ctx && has_kv_mem && param[0] == 'k' ? "--kv-mem with --ctx: "
               : has_ctx && param[0] == 'k'             ? "--ctx without --kv-mem: "
               : has_ctx                                ? "--ctx: "
               : has_kv_mem                             ? "--kv-mem: "
                                                        : "";
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(param, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return "";
}

void options_deinit(struct options *options)
{
    while (options->n_values > 0) {
        free(options->values[--options->n_values]);
    }
    strbuf_deinit(&options->fuse);
}
