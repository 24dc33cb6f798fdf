// Opening and closing an engine: everything is allocated here, and everything is accounted for at the end.
//
// Order of open: what is cheap to refuse first (options, tokenizer, chat format), then the weights, then K and V, then
// the threads. Close is the reverse; a half-opened engine is closed the same way.
#include "engine/serve/engine.h"

#include "engine/base/loop.h"
#include "engine/base/option.h"
#include "engine/model/host_memory.h"
#include "engine/model/model_text.h"
#include "engine/model/weights_packed.h"
#include "engine/serve/error.h"
#include "engine/serve/slice.h"
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define RING_EVENTS_PER_SLOT 16 // the ring holds this many steps of all sequences
#define RING_EVENTS_MIN      1024
#define ANSWER_TOKENS_MIN    16 // beside a prompt of one word

// ---- open ---------------------------------------------------------------------------------------------------------

static char *name_of(const struct tokfs_engine_options *options)
{
    if (options->served_name && options->served_name[0]) {
        return str_dup(str_from(options->served_name));
    }
    struct str dir = str_from(options->model);
    while (dir.len > 1 && dir.ptr[dir.len - 1] == '/') {
        dir.len--;
    }
    const char *slash = memrchr(dir.ptr, '/', dir.len);
    struct str name = slash && dir.len > 1 ? str_skip(dir, (size_t)(slash + 1 - dir.ptr)) : dir;
    bool is_file = str_ends_with(name, STR(".gguf")) && name.len > STR(".gguf").len;
    return str_dup(str_take(name, name.len - (is_file ? STR(".gguf").len : 0)));
}

// config.json says what the directory is: what is wrong with it is told before anything about the other files.
static int check_config(const struct tokfs_engine_options *options, uint32_t *ret_n_vocab, struct err *err)
{
    struct model_config config;
    int rc = model_config_read(options->model, &config, err);
    *ret_n_vocab = rc < 0 ? 0 : config.n_vocab;
    // Whose memory K and V take is not known yet.
    return rc < 0 ? rc : sizes_check_options(options, config.n_ctx_max, UINT64_MAX, err);
}

// A tokenizer may have fewer ids than the model (embeddings are padded), but not more: it is another model's.
static int open_text(struct tokfs_engine *e, const struct tokfs_engine_options *options, uint32_t n_vocab,
                     struct err *err)
{
    int rc = tokenizer_open(options->model, &e->tok, err);
    e->grammars.tok = e->tok;
    if (rc == 0 && tokenizer_n_vocab(e->tok) > n_vocab) {
        return err_set(err, -EINVAL, "%s: the tokenizer has ids up to %zu, the model a vocab_size of %u",
                       options->model, tokenizer_n_vocab(e->tok) - 1, n_vocab);
    }
    rc = rc == 0 ? model_text_hash_tokenizer(options->model, &e->tokenizer_hash, err) : rc;
    rc = rc == 0 ? chat_format_load(options->model, &e->format, err) : rc;
    rc = rc == 0 ? chat_format_find_marks(&e->format, e->tok, err) : rc;
    return rc == 0 ? model_files_load(&e->files, options->model, &e->format, err) : rc;
}

// The backend's workers inherit the calling thread's signal mask and slice: none of the program's signals, long slices.
static int open_backend(struct tokfs_engine *e, const struct tokfs_engine_options *options, char note[256],
                        struct err *err)
{
    const struct backend_options backend_options = { .n_threads = options->n_threads,
                                                     .isa = options->isa,
                                                     .deterministic = options->deterministic,
                                                     .no_graphs = options->no_graphs };
    struct err why = { 0 };
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    uint64_t slice_ns = slice_set(SLICE_COMPUTE_NS);
    int rc = backend_open(options->device ? options->device : "auto", &backend_options, &e->backend, &why);
    slice_set(slice_ns);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0) {
        *err = why;
    } else if (note) {
        snprintf(note, sizeof(e->device_note), "%s", why.msg);
    }
    return rc;
}

// Before the weights are read. What a device has of its own is checked together with them.
static int check_host_memory(const struct tokfs_engine *e, const struct tokfs_engine_options *options, struct err *err)
{
    const struct backend_ops *ops = e->backend->ops;
    uint64_t host_free = host_memory_available();
    int rc = sizes_check_options(options, UINT32_MAX, ops->memory_free ? UINT64_MAX : host_free, err);
    return rc < 0 ? rc : sizes_check_host_tier(options, ops->host_alloc != NULL, host_free, err);
}

int engine_open_model(struct tokfs_engine *e, const struct tokfs_engine_options *options, char note[256],
                      struct err *err)
{
    int rc = open_backend(e, options, note, err);
    rc = rc == 0 ? check_host_memory(e, options, err) : rc;
    if (rc < 0) {
        return rc;
    }
    unsigned weights = WEIGHTS_AS_STORED;
    if (options->weights && (rc = option_choice("weights", options->weights, option_weights, &weights, err)) < 0) {
        return rc;
    }
    if (options->kv_dtype && (rc = option_choice("kv-dtype", options->kv_dtype, option_kv_dtypes, NULL, err)) < 0) {
        return rc;
    }
    const struct model_options model_options = {
        .dir = options->model,
        .weights = (enum weight_form)weights,
        .pack_cache = options->pack_cache,
        .kv_dtype = options->kv_dtype,
        .backend = e->backend,
        .batch_rows_max = e->sizes.batch_tokens,
        .logit_rows_max = e->sizes.n_slots + DRAFT_ROWS_MAX,
        .n_ctx = (uint32_t)options->n_ctx,
        .kv_bytes = options->kv_bytes,
        .page_tokens = e->sizes.page_tokens,
        .progress = options->progress,
        .progress_ctx = options->progress_ctx,
    };
    return model_open(&model_options, &e->model, err);
}

// Of the kind that was taken: a GPU that is gone is not to become a CPU.
static int keep_options(struct tokfs_engine *e, const struct tokfs_engine_options *options, struct err *err)
{
    const char *const from[] = { options->model,   e->backend->ops->name, options->isa,
                                 options->weights, options->pack_cache,   options->kv_dtype };
    e->reopening = *options;
    e->reopening.progress = NULL;
    const char **to[] = { &e->reopening.model,   &e->reopening.device,     &e->reopening.isa,
                          &e->reopening.weights, &e->reopening.pack_cache, &e->reopening.kv_dtype };
    bool is_kept = true;
    for (size_t i = 0; i < sizeof(to) / sizeof(*to); i++) {
        *to[i] = from[i] ? str_dup(str_from(from[i])) : NULL;
        is_kept &= !from[i] || *to[i];
    }
    e->reopening.served_name = NULL;
    return is_kept ? 0 : err_set(err, -ENOMEM, "out of memory for the options");
}

static void free_options(struct tokfs_engine_options *options)
{
    free((char *)options->model);
    free((char *)options->device);
    free((char *)options->isa);
    free((char *)options->weights);
    free((char *)options->pack_cache);
    free((char *)options->kv_dtype);
}

static void add_end_id(struct tokfs_engine *e, int32_t id)
{
    for (size_t i = 0; i < e->n_end_ids; i++) {
        if (e->end_ids[i] == id) {
            return;
        }
    }
    assert(e->n_end_ids < END_IDS_MAX);
    e->end_ids[e->n_end_ids++] = id;
}

// What config.json and generation_config.json name, and the tokenizer's end-of-text token: a chat model's configuration
// often names only the one that ends a document, its tokenizer the one that ends a turn.
static void find_end_ids(struct tokfs_engine *e)
{
    const struct model_config *config = model_get_config(e->model);
    for (uint32_t i = 0; i < config->n_eos; i++) {
        add_end_id(e, config->eos_ids[i]);
    }
    int32_t id = e->format.eos_token ? tokenizer_find(e->tok, str_from(e->format.eos_token)) : -1;
    if (id >= 0) {
        add_end_id(e, id);
    }
}

// FNV-1a of what an answer depends on, as far as it is at hand.
static void make_fingerprint(struct tokfs_engine *e, const struct tokfs_engine_options *options)
{
    const struct model_config *config = model_get_config(e->model);
    uint32_t hash = 2166136261u;
    char text[512];
    snprintf(text, sizeof(text), "%s|%s|%s|%s|%s|%s|%zu|%llu|%llu|%llx", TOKFS_VERSION, e->served_name,
             config->architecture, options->device ? options->device : "auto",
             options->kv_dtype ? options->kv_dtype : "auto", options->weights ? options->weights : "stored",
             (size_t)config->n_vocab, (unsigned long long)model_config_n_params(config),
             (unsigned long long)model_weight_bytes(e->model), (unsigned long long)model_weights_hash(e->model));
    for (const char *c = text; *c; c++) {
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    }
    snprintf(e->fingerprint, sizeof(e->fingerprint), "fp_%08x", hash);
}

static struct logits run_model(void *ctx, const struct step *step)
{
    return model_step(ctx, step);
}

static struct logits run_model_head(void *ctx, const uint32_t *rows, size_t n_rows)
{
    return model_logits(ctx, rows, n_rows);
}

static struct sample_results run_model_drawn(void *ctx, unsigned turn)
{
    return model_drawn(ctx, turn);
}

static void run_model_draw(void *ctx, const struct sample_row *rows, size_t n_rows, unsigned turn)
{
    model_draw(ctx, rows, n_rows, turn);
}

static int run_model_failure(void *ctx, struct err *err)
{
    return model_failure(ctx, err);
}

static uint64_t machine_clock(void *ctx)
{
    (void)ctx;
    return clock_monotonic_ns();
}

static int open_runner(struct tokfs_engine *e, const struct tokfs_engine_options *options, struct err *err)
{
    const struct model_config *config = model_get_config(e->model);
    const struct backend_ops *ops = e->backend->ops;
    e->sizes.is_device_memory = ops->memory_free != NULL;
    uint64_t memory_free = ops->memory_free ? ops->memory_free(e->backend) : host_memory_available();
    int rc = sizes_fit_pages(&e->sizes, options, config->n_ctx_max, model_get_kv_layout(e->model)->page_bytes,
                             memory_free, err);
    if (rc < 0) {
        return rc;
    }
    uint32_t n_events = RING_EVENTS_PER_SLOT * e->sizes.n_slots;
    if (event_ring_init(&e->ring, n_events > RING_EVENTS_MIN ? n_events : RING_EVENTS_MIN) < 0) {
        return err_set(err, -ENOMEM, "out of memory for %u events", n_events);
    }
    const struct runner_options runner_options = {
        .backend = e->backend,
        .drive = { .step = run_model,
                   .logits = run_model_head,
                   .failure = run_model_failure,
                   .drawn = model_can_draw(e->model) ? run_model_drawn : NULL,
                   .draw = model_can_draw(e->model) ? run_model_draw : NULL,
                   .now_ns = machine_clock,
                   .ctx = e->model,
                   .n_vocab = config->n_vocab,
                   .page_bytes = model_get_kv_layout(e->model)->page_bytes },
        .tok = e->tok,
        .end_ids = e->end_ids,
        .n_end_ids = e->n_end_ids,
        .ring = &e->ring,
        .n_slots = e->sizes.n_slots,
        .n_ctx = e->sizes.n_ctx,
        .n_pages = e->sizes.n_pages,
        .n_host_pages = e->sizes.n_host_pages,
        .page_tokens = e->sizes.page_tokens,
        .batch_tokens = e->sizes.batch_tokens,
        .no_prefix_cache = options->no_prefix_cache,
        .no_speculation = options->no_speculation,
        .no_jump_forward = options->no_jump_forward,
        .no_ahead = options->no_ahead,
    };
    rc = runner_init(&e->runner, &runner_options, err);
    e->has_runner = rc == 0;
    if (rc == 0 && !options->no_prefix_cache) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        kv_log_init(&e->kv_log, e->sizes.page_tokens, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
        e->runner.radix.log = &e->kv_log;
    }
    return rc;
}

// A context that the template fills would refuse every chat. A template that refuses this message judges the others
// itself.
static int check_room(struct tokfs_engine *e, const struct tokfs_engine_options *options, struct err *err)
{
    static const char body[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}";
    struct tokfs_completion *probe = calloc(1, sizeof(*probe));
    if (!probe || !(probe->body = str_dup(str_from(body)))) {
        free(probe);
        return err_set(err, -ENOMEM, "out of memory for a request");
    }
    probe->body_len = sizeof(body) - 1;
    probe->submitted_ns = clock_monotonic_ns();
    intake_prepare(&e->intake, probe);
    int rc = 0;
    if (probe->refusal.code == -ENOMEM) {
        rc = err_set(err, -ENOMEM, "%s", probe->refusal.msg);
    } else if (probe->n_prompt + ANSWER_TOKENS_MIN > e->sizes.n_ctx) {
        rc = err_set_param(err, -EINVAL, options->n_ctx > 0 ? "n_ctx" : "kv_bytes",
                           "a message of one word takes %u tokens of the context's %u: no room for an answer",
                           probe->n_prompt, e->sizes.n_ctx);
    }
    completion_free(probe);
    return rc;
}

// What is told of it does not change, whatever happens to the device.
static void fill_info(struct tokfs_engine *e)
{
    const struct model_config *config = model_get_config(e->model);
    const struct page_pool *pool = &e->runner.pool;
    const struct packed_note *packed = model_packed_note(e->model);
    snprintf(e->backend_description, sizeof(e->backend_description), "%s", e->backend->ops->describe(e->backend));
    snprintf(e->architecture, sizeof(e->architecture), "%s", config->architecture);
    snprintf(e->pack_note, sizeof(e->pack_note), "%s", packed->msg);
    e->info = (struct tokfs_engine_info){
        .model = e->served_name,
        .architecture = e->architecture,
        .backend = e->backend_description,
        .device_note = e->device_note,
        .pack_note = e->pack_note,
        .pack_failed = packed->is_bad,
        .dtype = dtype_name(config->dtype),
        .fingerprint = e->fingerprint,
        .n_ctx = e->sizes.n_ctx,
        .n_ctx_model = config->n_ctx_max,
        .n_vocab = config->n_vocab,
        .n_params = model_config_n_params(config),
        .weight_bytes = model_weight_bytes(e->model),
        .weights_hash = model_weights_hash(e->model),
        .tokenizer_hash = e->tokenizer_hash,
        .kv_bytes = (uint64_t)pool->page_bytes * e->sizes.n_pages,
        .host_kv_bytes = (uint64_t)pool->page_bytes * e->sizes.n_host_pages,
        .kv_tier = e->sizes.is_device_memory ? "gpu" : "cpu",
        .max_sequences = e->sizes.n_slots,
        .max_queued = e->sizes.max_queued,
        .n_pages = e->sizes.n_pages,
        .page_tokens = e->sizes.page_tokens,
        .created = e->created,
        .has_chat_template = e->format.tmpl != NULL,
    };
}

static int open_parts(struct tokfs_engine *e, const struct tokfs_engine_options *options, struct err *err)
{
    e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e->served_name = name_of(options);
    if (e->event_fd < 0 || !e->served_name) {
        return err_set(err, e->event_fd < 0 ? -errno : -ENOMEM, "no descriptor or memory for the engine's events");
    }
    int rc = sizes_from_options(options, &e->sizes, err);
    uint32_t n_vocab = 0;
    rc = rc == 0 ? check_config(options, &n_vocab, err) : rc;
    rc = rc == 0 ? open_text(e, options, n_vocab, err) : rc;
    rc = rc == 0 ? engine_open_model(e, options, e->device_note, err) : rc;
    rc = rc == 0 ? keep_options(e, options, err) : rc;
    if (rc < 0) {
        return rc;
    }
    find_end_ids(e);
    make_fingerprint(e, options);
    rc = open_runner(e, options, err);
    if (rc < 0) {
        return rc;
    }
    e->intake = (struct intake){ e->tok,           &e->format,     e->served_name,
                                 &e->grammars,     e->sizes.n_ctx, model_get_config(e->model)->n_vocab,
                                 options->timeout, &e->score_bytes };
    fill_info(e);
    e->stats.n_pages = e->stats.n_pages_free = e->sizes.n_pages;
    rc = e->format.tmpl ? check_room(e, options, err) : 0;
    return rc < 0 ? rc : engine_start_threads(e, err);
}

int tokfs_engine_open(const struct tokfs_engine_options *options, struct tokfs_engine **ret, struct tokfs_error *err)
{
    struct err why = { 0 };
    if (!options->model || !options->model[0]) {
        err_set(&why, -EINVAL, "no model directory was given");
        return error_export(err, &why);
    }
    struct tokfs_engine *e = calloc(1, sizeof(*e));
    if (!e) {
        err_set(&why, -ENOMEM, "out of memory for an engine");
        return error_export(err, &why);
    }
    e->created = time(NULL);
    e->tenant.may_hurry = true;
    completion_queue_init(&e->work, LINK_WORK);
    completion_queue_init(&e->admission, LINK_WORK);
    completion_queue_init(&e->verdicts, LINK_VERDICT);
    grammar_store_init(&e->grammars, GRAMMAR_STORE_BYTES_MAX);
    wake_init(&e->wake);
    handoff_init(&e->handoff, options->n_threads);
    pthread_mutex_init(&e->stats_lock, NULL);
    int rc = open_parts(e, options, &why);
    if (rc < 0) {
        tokfs_engine_close(e);
        why.code = rc;
        return error_export(err, &why);
    }
    *ret = e;
    return 0;
}

// ---- close --------------------------------------------------------------------------------------------------------

// Polls until no completion is left: all are freed, hence cancelled, and none is told of any more.
static void drain(struct tokfs_engine *e)
{
    while (e->n_live > 0) {
        struct tokfs_event event;
        int n = tokfs_poll(e, &event);
        assert(n == 0); // a completion was not freed before its engine
        struct pollfd pfd = { .fd = e->event_fd, .events = POLLIN };
        if (e->n_live > 0) {
            poll(&pfd, 1, -1);
        }
    }
}

// What was charged has been given back, and every request has been answered once, well or ill.
static void expect_nothing_left(struct tokfs_engine *e)
{
    const struct tokfs_engine_stats *s = &e->runner.stats;
    assert(e->n_live == 0 && e->n_waiting == 0 && e->waiting_bytes == 0 && atomic_load(&e->score_bytes) == 0);
    assert(e->n_submitted == s->n_finished + s->n_cancelled + s->n_failed + e->n_refused + e->n_texts);
}

void tokfs_engine_close(struct tokfs_engine *engine)
{
    if (!engine) {
        return;
    }
    engine_stop_text_threads(engine);
    drain(engine);
    engine_stop_engine_thread(engine);
    expect_nothing_left(engine);
    if (engine->has_runner) {
        engine->runner.radix.log = NULL; // nobody listens any more
        runner_deinit(&engine->runner);
        kv_log_deinit(&engine->kv_log);
    }
    event_ring_deinit(&engine->ring);
    model_free(engine->model);
    if (engine->backend) {
        engine->backend->ops->close(engine->backend);
    }
    grammar_store_deinit(&engine->grammars);
    model_files_deinit(&engine->files);
    chat_format_deinit(&engine->format);
    tokenizer_free(engine->tok);
    completion_queue_deinit(&engine->work);
    completion_queue_deinit(&engine->admission);
    completion_queue_deinit(&engine->verdicts);
    wake_deinit(&engine->wake);
    handoff_deinit(&engine->handoff);
    pthread_mutex_destroy(&engine->stats_lock);
    if (engine->event_fd >= 0) {
        close(engine->event_fd);
    }
    free_options(&engine->reopening);
    free(engine->served_name);
    free(engine);
}
