// Parsing only: nothing is opened or looked up here.
#include "fs/options.h"
#include "engine/base/option_table.h"
#include "engine/base/utf8.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define SERVED_NAME_BYTES_MAX 255
#define MAX_BYTES_MIN         (1u << 20) // a user's part of it holds small requests
#define USER_BYTES_MIN        (64u << 10)

const char options_help[] =
    "usage: tokfs [options] MODEL MOUNTPOINT\n"
    "\n"
    "Mounts the model MODEL (a Hugging Face directory, or `demo`) at the directory MOUNTPOINT.\n"
    "\n"
    "  --ctx N             longest conversation in tokens (default: the model's, as far as memory goes)\n"
    "  --kv-mem SIZE       memory for the conversations' keys and values, e.g. 512M or 4G\n"
    "  --host-kv-mem SIZE  on a GPU: memory of the host for what has to leave the device's, e.g. 64G (default: none)\n"
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
    "  --no-graphs         on a GPU: kernels are launched one by one, not as recorded steps (for debugging)\n"
    "  --no-ahead          on a GPU: a step waits for the tokens of the one before (for debugging)\n"
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

// It is a line of `v1/models`, of status files and of answers.
static int take_served_name(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct options *options = ctx;
    (void)row;
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

static int take_log_level(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct options *options = ctx;
    (void)row;
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

static int take_state(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    (void)row;
    ((struct options *)ctx)->state = value;
    return value[0] ? 0 : err_set(err, -EINVAL, "--state: the name of the directory is empty");
}

static int take_pack_cache(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    (void)row;
    ((struct options *)ctx)->engine.pack_cache = value;
    return value[0] ? 0 : err_set(err, -EINVAL, "--pack-cache: the name of the file is empty");
}

static int take_on_journal_error(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    static const char *const whats[] = { "fail", "continue", NULL };
    unsigned idx = 0;
    int r = option_choice(row->name, value, whats, &idx, err);
    ((struct options *)ctx)->journal.continues = idx == 1;
    return r;
}

static int take_journal_timeout(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    int64_t n = 0;
    int r = option_whole(row->name, value, row->min, row->max, &n, err);
    ((struct options *)ctx)->journal.timeout_ms = (unsigned)n * 1000u;
    return r;
}

// What memory may be filled, from `min` bytes on.
static int take_bytes_limit(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    uint64_t *place = option_place(row, ctx);
    int r = option_bytes(row->name, value, place, err);
    if (r == 0 && *place < (uint64_t)row->min) {
        return err_set(err, -EINVAL, "--%s %s: at least %lld KiB are needed to hold requests", row->name,
                       option_shown(value), (long long)row->min >> 10);
    }
    return r;
}

static int take_mount_options(const struct option_row *row, void *ctx, const char *value, struct err *err);

// In the order of enum journal_sync.
static const char *const sync_whens[] = { "batch", "always", "off", NULL };

#define AT(member) offsetof(struct options, member)

static const struct option_row option_rows[] = {
    { "ctx", OPTION_U64, AT(engine.n_ctx), 1, 1 << 24 },
    { "kv-mem", OPTION_BYTES, AT(engine.kv_bytes) },
    { "host-kv-mem", OPTION_BYTES, AT(engine.host_kv_bytes) },
    { "threads", OPTION_U32, AT(engine.n_threads), 1, 256 },
    { "max-sequences", OPTION_U32, AT(engine.max_sequences), 1, 4096 },
    { "max-sessions", OPTION_U32, AT(max_sessions), 1, 10000000 },
    { "served-name", OPTION_TAKE, .take = take_served_name },
    { "device", OPTION_CHOICE, AT(engine.device), .choices = option_devices },
    { "deterministic", OPTION_SET, AT(engine.deterministic) },
    { "no-graphs", OPTION_SET, AT(engine.no_graphs) },
    { "no-ahead", OPTION_SET, AT(engine.no_ahead) },
    { "weights", OPTION_CHOICE, AT(engine.weights), .choices = option_weights },
    { "pack-cache", OPTION_TAKE, .take = take_pack_cache },
    { "kv-dtype", OPTION_CHOICE, AT(engine.kv_dtype), .choices = option_kv_dtypes },
    { "timeout", OPTION_REAL, AT(engine.timeout), .max = 1000000000 },
    { "no-prefix-cache", OPTION_SET, AT(engine.no_prefix_cache) },
    { "no-speculation", OPTION_SET, AT(engine.no_speculation) },
    // what users may have
    { "share-prefix-cache", OPTION_SET, AT(shares_prefix_cache) },
    { "user-sessions", OPTION_U32, AT(user_sessions), 1, 10000000 },
    { "user-turns", OPTION_U32, AT(user_turns), 1, 1000000 },
    { "user-files", OPTION_U32, AT(user_files), 1, 10000000 },
    { "user-tokens", OPTION_U64, AT(user_tokens), 1, INT64_C(1000000000000) },
    { "user-bytes", OPTION_TAKE, AT(user_bytes), USER_BYTES_MIN, .take = take_bytes_limit },
    { "max-bytes", OPTION_TAKE, AT(max_bytes), MAX_BYTES_MIN, .take = take_bytes_limit },
    { "write-timeout", OPTION_U32, AT(write_timeout_s), 1, 1000000 },
    // the journal
    { "state", OPTION_TAKE, .take = take_state },
    { "sync", OPTION_INDEX, AT(journal.sync), .choices = sync_whens, .needs = "state" },
    { "on-journal-error", OPTION_TAKE, .take = take_on_journal_error, .needs = "state" },
    { "journal-slack", OPTION_BYTES, AT(journal.slack), .needs = "state" },
    { "journal-timeout", OPTION_TAKE, 0, 1, 1000000, .take = take_journal_timeout, .needs = "state" },
    // the program
    { "log-level", OPTION_TAKE, .take = take_log_level },
    { "help", OPTION_SET, AT(show_help), .letter = 'h' },
    { "version", OPTION_SET, AT(show_version), .letter = 'V' },
    { NULL, OPTION_SET, AT(foreground), .letter = 'f' },
    { NULL, OPTION_TAKE, .take = take_mount_options, .letter = 'o' },
};

static const struct option_table option_table = { .rows = option_rows,
                                                  .n_rows = sizeof(option_rows) / sizeof(option_rows[0]) };

// ---- -o ------------------------------------------------------------------------------------------------------------

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
    const struct option_row *own = option_find(&option_table, name);
    if (!own || own->letter) {
        return 0;
    }
    if (option_has_value(own) != (name.len < option.len)) {
        return err_set(err, -EINVAL, "-o %s: it %s value", own->name, option_has_value(own) ? "needs a" : "takes no");
    }
    const char *copy = keep_value(options, value);
    int r = copy ? option_take(&option_table, own, copy, options, &options->given, err)
                 : err_set(err, -ENOMEM, "out of memory");
    return r < 0 ? r : 1;
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

static int take_mount_options(const struct option_row *row, void *ctx, const char *value, struct err *err)
{
    struct str rest = str_from(value);
    int r = 0;
    (void)row;
    while (rest.len > 0 && r == 0) {
        size_t end = 0;
        while (end < rest.len && rest.ptr[end] != ',') {
            end += rest.ptr[end] == '\\' && end + 1 < rest.len ? 2 : 1; // "\," is a comma of the value
        }
        r = add_mount_option(ctx, str_take(rest, end), err);
        rest = str_skip(rest, end + 1);
    }
    return r;
}

// ---- the command line ----------------------------------------------------------------------------------------------

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
    return opt == 'o' ? take_mount_options(NULL, options, value, err) : 0; // s, n, v, t, N: nothing to be done
}

static int take_all_options(struct options *ret, int argc, char **argv, struct err *err)
{
    const char *letters = ret->is_helper ? ":o:fsnvt:N:" : ":o:fhV";
    struct option longs[OPTION_ROWS_MAX + 1];
    int opt, r = 0;
    option_longs(&option_table, longs);
    opterr = 0;
    optind = 0; // GNU: start over
    while (r == 0 && (opt = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        r = option_refused("tokfs", opt, argv, err);
        if (r == 0 && ret->is_helper && opt < 256) {
            r = take_helper_option(ret, opt, optarg, err);
        } else if (r == 0) {
            r = option_take(&option_table, option_row_of(&option_table, opt), optarg, ret, &ret->given, err);
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
    const struct option_row *alone = r == 0 ? option_alone(&option_table, ret->given) : NULL;
    if (alone) {
        r = err_set(err, -EINVAL, "--%s: there is no journal without --state", alone->name);
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
        { "host_kv_bytes", "--host-kv-mem: " },
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
