// tokfs-model generate: requests in, answers out, one JSON line each, without a mount.
//
// Lines are read as they come and run together; answers are printed in the order of the lines, each as soon as it and
// all before it are complete, so that a program can hold a dialogue through a pipe. A line is a chat-completions body,
// answered by a chat.completion object, or {"input_ids": [...], "sampling_params": {...}}, answered by {"output_ids":
// [...], "text": ..., "meta_info": ...} (the names of SGLang's native endpoint). A line that fails is answered by an
// error object.
#include "engine/base/json.h"
#include "engine/text/chat_request.h"
#include "tools/model/command.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tokfs/engine.h>
#include <tokfs/openai.h>
#include <unistd.h>

#define LINE_BYTES_MAX (64u << 20)
#define RUNNING_MAX    1024 // lines whose answers are not printed yet

struct item_piece {
    enum tokfs_part part;
    unsigned call_idx;
    size_t offset, len; // of its text
    unsigned index;     // of its choice
    bool is_end;        // of the choice: its text is the finish reason
    size_t first_prob, n_probs;
};

// One line, from its reading to the printing of its answer.
struct item {
    struct tokfs_completion *completion; // NULL: it could not be submitted
    struct strbuf text;                  // of all pieces; a call's name and id end in NUL
    struct strbuf pieces;                // array of struct item_piece
    struct strbuf probs;                 // array of struct tokfs_logprob
    struct token_ids ids;
    bool is_chat, is_done, is_failed;
    char finish_reason[16];
    struct tokfs_usage usage;
    struct tokfs_error error;
};

struct generation {
    const struct command *command;
    struct tokfs_engine *engine;
    struct tokfs_engine_info info;
    struct item items[RUNNING_MAX]; // a ring: line n is items[n % RUNNING_MAX]
    uint64_t n_read, n_printed;
    struct strbuf input; // read and not yet a whole line
    bool is_at_end;
    bool is_queue_full; // the engine refused the next line: it waits, and so does the input
    bool has_failed;
};

// ---- requests -----------------------------------------------------------------------------------------------------

static int take_ids(const struct json *list, struct token_ids *ids, struct err *err)
{
    if (list->type != JSON_ARRAY) {
        return err_set_param(err, -EINVAL, "input_ids", "input_ids is %s, not an array", json_type_name(list->type));
    }
    const struct json *v = json_first(list);
    for (uint32_t i = 0; i < list->n_children; i++, v = json_next(v)) {
        int64_t id;
        if (v->type != JSON_NUMBER || json_get_i64(v, &id) < 0 || id < INT32_MIN || id > INT32_MAX) {
            return err_set_param(err, -EINVAL, "input_ids", "element %" PRIu32 " (%.*s) is not a token id", i,
                                 STR_ARG(str_take(v->text, 40)));
        }
        if (token_ids_append(ids, (int32_t)id) < 0) {
            return err_set(err, -ENOMEM, "out of memory for %" PRIu32 " token ids", list->n_children);
        }
    }
    return 0;
}

static int take_number(struct str name, const struct json *v, struct tokfs_sampling *s, struct err *err)
{
    const struct {
        const char *name;
        double *real;
        int64_t *whole;
    } fields[] = {
        { "temperature", &s->temperature, NULL },
        { "top_p", &s->top_p, NULL },
        { "min_p", &s->min_p, NULL },
        { "typical_p", &s->typical_p, NULL },
        { "repetition_penalty", &s->repetition_penalty, NULL },
        { "frequency_penalty", &s->frequency_penalty, NULL },
        { "presence_penalty", &s->presence_penalty, NULL },
        { "top_k", NULL, &s->top_k },
        { "seed", NULL, (int64_t *)&s->seed },
        { "max_new_tokens", NULL, &s->max_tokens },
        { "min_new_tokens", NULL, &s->min_tokens },
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (!str_eq(name, str_from(fields[i].name))) {
            continue;
        }
        if (v->type != JSON_NUMBER || (fields[i].whole && json_get_i64(v, fields[i].whole) < 0)) {
            return err_set_param(err, -EINVAL, fields[i].name, "%s is %.*s, not a %s", fields[i].name,
                                 STR_ARG(str_take(v->text, 40)), fields[i].whole ? "whole number" : "number");
        }
        if (fields[i].real) {
            *fields[i].real = json_get_double(v);
        }
        return 0;
    }
    return err_set(err, -EOPNOTSUPP, "sampling_params.%.*s is not known", STR_ARG(str_take(name, 64)));
}

static int take_sampling(const struct json *object, struct tokfs_sampling *ret, struct err *err)
{
    if (object->type != JSON_OBJECT) {
        return err_set_param(err, -EINVAL, "sampling_params", "sampling_params is %s, not an object",
                             json_type_name(object->type));
    }
    const struct json *key = json_first(object);
    for (uint32_t i = 0; i < object->n_children; i++) {
        const struct json *value = json_next(key);
        int rc = 0;
        if (str_eq(key->text, STR("ignore_eos")) && value->type == JSON_BOOL) {
            ret->ignore_eos = value->boolean;
        } else {
            rc = take_number(key->text, value, ret, err);
        }
        if (rc < 0) {
            return rc;
        }
        key = json_next(value);
    }
    return 0;
}

static void set_error(struct item *item, const struct err *err)
{
    item->error.code = err->code;
    memcpy(item->error.param, err->param, sizeof(err->param));
    memcpy(item->error.msg, err->msg, sizeof(err->msg));
    item->is_done = item->is_failed = true;
}

static void take_submitted(struct generation *g, struct item *item, int rc)
{
    g->is_queue_full = rc == -EAGAIN;
    item->is_done = item->is_failed = rc < 0;
}

// {"input_ids": [...], "sampling_params": {...}}
static int submit_ids(struct generation *g, struct item *item, const struct json *body, struct err *err)
{
    struct tokfs_sampling sampling = { .temperature = 1, .top_p = 1, .max_tokens = -1 };
    struct token_ids ids = { 0 };
    const struct json *key = json_first(body);
    int rc = 0;
    for (uint32_t i = 0; i < body->n_children && rc == 0; i++) {
        const struct json *value = json_next(key);
        if (str_eq(key->text, STR("input_ids"))) {
            rc = take_ids(value, &ids, err);
        } else if (str_eq(key->text, STR("sampling_params"))) {
            rc = take_sampling(value, &sampling, err);
        } else {
            rc = err_set(err, -EOPNOTSUPP, "%.*s is not known beside input_ids", STR_ARG(str_take(key->text, 64)));
        }
        key = json_next(value);
    }
    if (rc == 0) {
        take_submitted(
            g, item,
            tokfs_submit_tokens(g->engine, ids.ids, ids.len, &sampling, item, &item->completion, &item->error));
    }
    token_ids_deinit(&ids);
    return rc;
}

// False: the engine's queue is full, the line is to be submitted again later.
static bool submit_line(struct generation *g, struct str line)
{
    struct item *item = &g->items[g->n_read % RUNNING_MAX];
    g->is_queue_full = false;
    *item = (struct item){ .is_chat = true };
    strbuf_init(&item->text, 0);
    strbuf_init(&item->pieces, 0);
    strbuf_init(&item->probs, 0);
    struct arena arena;
    struct err err = { 0 };
    const struct json *body;
    arena_init(&arena, 0);
    // A body that is not even JSON goes on to the engine, whose words then say so.
    if (json_parse(&arena, line, &body, &err) == 0 && json_get(body, STR("input_ids"))) {
        item->is_chat = false;
        if (submit_ids(g, item, body, &err) < 0) {
            set_error(item, &err);
        }
    } else {
        take_submitted(g, item,
                       tokfs_submit_chat(g->engine, line.ptr, line.len, item, &item->completion, &item->error));
    }
    arena_deinit(&arena);
    g->n_read += !g->is_queue_full;
    return !g->is_queue_full;
}

// ---- input --------------------------------------------------------------------------------------------------------

static bool has_place(const struct generation *g)
{
    return g->n_read - g->n_printed < RUNNING_MAX;
}

// Submits the whole lines that were read, as far as there is place.
static void submit_lines(struct generation *g)
{
    struct str rest = strbuf_str(&g->input);
    while (has_place(g) && rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        if (!end && !g->is_at_end) {
            break;
        }
        struct str line = str_take(rest, end ? (size_t)(end - rest.ptr) : rest.len);
        if (str_trim(line).len > 0 && !submit_line(g, str_trim(line))) {
            break;
        }
        rest = str_skip(rest, line.len + (end ? 1 : 0));
    }
    if (rest.len < g->input.len) {
        memmove(g->input.ptr, rest.ptr, rest.len);
        g->input.len = rest.len;
    }
}

// 0, or the exit status.
static int read_input(struct generation *g)
{
    if (strbuf_reserve(&g->input, 65536) < 0) {
        return command_fail(g->command, "a line is longer than %u bytes", LINE_BYTES_MAX);
    }
    ssize_t n = read(STDIN_FILENO, g->input.ptr + g->input.len, 65536);
    if (n < 0 && errno != EINTR) {
        return command_fail(g->command, "standard input: %s", strerror(errno));
    }
    g->input.len += n > 0 ? (size_t)n : 0;
    g->is_at_end = n == 0;
    return 0;
}

// ---- answers ------------------------------------------------------------------------------------------------------

static void add_piece(struct item *item, const struct tokfs_event *event)
{
    const struct item_piece piece = {
        .part = event->part,
        .call_idx = event->call_idx,
        .offset = item->text.len,
        .len = event->text_len,
        .index = event->index,
        .first_prob = item->probs.len / sizeof(*event->probs),
        .n_probs = event->n_probs,
    };
    if (event->text_len == 0 && event->n_probs == 0) {
        return;
    }
    if (strbuf_append(&item->probs,
                      (struct str){ (const char *)event->probs, event->n_probs * sizeof(*event->probs) }) < 0) {
        item->text.error = -ENOMEM;
    }
    strbuf_append(&item->text, (struct str){ event->text, event->text_len });
    if (event->part == TOKFS_PART_CALL && event->call_id) {
        strbuf_append_byte(&item->text, '\0');
        strbuf_append(&item->text, str_from(event->call_id));
        strbuf_append_byte(&item->text, '\0');
    }
    if (strbuf_append(&item->pieces, (struct str){ (const char *)&piece, sizeof(piece) }) < 0) {
        item->text.error = -ENOMEM;
    }
}

static void add_end(struct item *item, const struct tokfs_event *event)
{
    const struct item_piece piece = { .offset = item->text.len, .index = event->index, .is_end = true };
    strbuf_append(&item->text, str_from(event->finish_reason));
    strbuf_append_byte(&item->text, '\0');
    if (strbuf_append(&item->pieces, (struct str){ (const char *)&piece, sizeof(piece) }) < 0) {
        item->text.error = -ENOMEM;
    }
}

static void take_event(struct generation *g)
{
    struct tokfs_event event;
    while (tokfs_poll(g->engine, &event)) {
        struct item *item = event.user;
        if (event.kind == TOKFS_EVENT_TOKEN || event.kind == TOKFS_EVENT_FINISHED) {
            add_piece(item, &event);
        }
        if (event.kind == TOKFS_EVENT_TOKEN && event.token_id >= 0 &&
            token_ids_append(&item->ids, event.token_id) < 0) {
            item->text.error = -ENOMEM;
        }
        if (event.kind == TOKFS_EVENT_CHOICE_FINISHED || (event.kind == TOKFS_EVENT_FINISHED && item->is_chat)) {
            add_end(item, &event);
        }
        if (event.kind == TOKFS_EVENT_FINISHED) {
            snprintf(item->finish_reason, sizeof(item->finish_reason), "%s", event.finish_reason);
            item->usage = event.usage;
            item->is_done = true;
        }
        if (event.kind == TOKFS_EVENT_FAILED) {
            item->error = *event.error;
            item->is_done = item->is_failed = true;
        }
    }
}

static void write_token_answer(const struct item *item, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_write_object_begin(&w);
    json_write_key(&w, "output_ids");
    json_write_array_begin(&w);
    for (size_t i = 0; i < item->ids.len; i++) {
        json_write_i64(&w, item->ids.ids[i]);
    }
    json_write_array_end(&w);
    json_write_key(&w, "text");
    json_write_str(&w, strbuf_str(&item->text));
    json_write_key(&w, "meta_info");
    json_write_object_begin(&w);
    json_write_key(&w, "finish_reason");
    json_write_object_begin(&w);
    json_write_key(&w, "type");
    json_write_cstr(&w, item->finish_reason);
    json_write_object_end(&w);
    json_write_key(&w, "prompt_tokens");
    json_write_u64(&w, item->usage.prompt_tokens);
    json_write_key(&w, "cached_tokens");
    json_write_u64(&w, item->usage.cached_tokens);
    json_write_key(&w, "completion_tokens");
    json_write_u64(&w, item->usage.completion_tokens);
    json_write_object_end(&w);
    json_write_object_end(&w);
}

static int write_chat_answer(const struct item *item, const struct tokfs_answer_head *head, struct tokfs_buffer *ret)
{
    size_t n = item->pieces.len / sizeof(struct item_piece);
    struct tokfs_piece *pieces = calloc(n + 1, sizeof(*pieces));
    const struct tokfs_logprob *probs = (const struct tokfs_logprob *)(const void *)item->probs.ptr;
    for (size_t i = 0; pieces && i < n; i++) {
        struct item_piece from;
        memcpy(&from, item->pieces.ptr + i * sizeof(from), sizeof(from));
        const char *text = item->text.ptr + from.offset;
        const char *id = from.part == TOKFS_PART_CALL ? text + from.len + 1 : NULL;
        pieces[i] = (struct tokfs_piece){
            .part = from.part,
            .call_idx = from.call_idx,
            .call_id = id,
            .text = text,
            .text_len = from.len,
            .index = from.index,
            .finish_reason = from.is_end ? text : NULL,
            .probs = from.n_probs > 0 ? &probs[from.first_prob] : NULL,
            .n_probs = from.n_probs,
        };
    }
    int rc = pieces ? tokfs_write_answer(head, pieces, n, item->finish_reason, &item->usage, ret) : -ENOMEM;
    free(pieces);
    return rc;
}

// The answer's line. 0 or -ENOMEM.
static int write_item(const struct generation *g, const struct item *item, struct strbuf *out)
{
    struct tokfs_buffer buffer = { 0 };
    int rc = item->text.error;
    if (rc == 0 && item->is_failed) {
        rc = tokfs_write_error(&item->error, &buffer);
    } else if (rc == 0 && item->is_chat) {
        char id[48];
        snprintf(id, sizeof(id), "chatcmpl-%" PRIu64, g->n_printed + 1);
        const struct tokfs_answer_head head = {
            .id = id, .created = time(NULL), .model = g->info.model, .system_fingerprint = g->info.fingerprint
        };
        rc = write_chat_answer(item, &head, &buffer);
    } else if (rc == 0) {
        write_token_answer(item, out);
    }
    if (rc == 0) {
        strbuf_append(out, (struct str){ buffer.ptr, buffer.len });
    }
    free(buffer.ptr);
    strbuf_append_byte(out, '\n');
    return rc < 0 ? rc : out->error;
}

static void forget_item(struct item *item)
{
    tokfs_completion_free(item->completion);
    strbuf_deinit(&item->text);
    strbuf_deinit(&item->pieces);
    strbuf_deinit(&item->probs);
    token_ids_deinit(&item->ids);
    item->completion = NULL;
}

// Prints the answers that are next in order. 0, or the exit status.
static int print_answers(struct generation *g)
{
    int status = 0;
    struct strbuf out;
    strbuf_init(&out, 0);
    while (status == 0 && g->n_printed < g->n_read && g->items[g->n_printed % RUNNING_MAX].is_done) {
        struct item *item = &g->items[g->n_printed % RUNNING_MAX];
        if (write_item(g, item, &out) < 0) {
            status = command_fail(g->command, "out of memory for an answer");
        } else {
            fwrite(out.ptr, 1, out.len, stdout);
            strbuf_reset(&out);
            g->has_failed = g->has_failed || item->is_failed;
            forget_item(item);
            g->n_printed++;
        }
    }
    strbuf_deinit(&out);
    return status ? status : command_finish(g->command);
}

static int generate(struct generation *g)
{
    int status = 0;
    while (status == 0 && !(g->is_at_end && g->input.len == 0 && g->n_printed == g->n_read)) {
        bool wants_input = !g->is_at_end && has_place(g) && !g->is_queue_full;
        struct pollfd fds[] = { { .fd = tokfs_engine_fd(g->engine), .events = POLLIN },
                                { .fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN } };
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return command_fail(g->command, "poll: %s", strerror(errno));
        }
        status = wants_input && fds[1].revents ? read_input(g) : 0;
        submit_lines(g);
        take_event(g);
        status = status ? status : print_answers(g);
        submit_lines(g); // into the places that printing made free
    }
    return status;
}

// ---- command ------------------------------------------------------------------------------------------------------

// The engine's words name no option.
static const char *option_of(const struct tokfs_error *error)
{
    static const char *const options[][2] = { { "n_ctx", "--ctx: " },
                                              { "kv_bytes", "--kv-mem: " },
                                              { "max_sequences", "--max-sequences: " } };
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
        if (strcmp(error->param, options[i][0]) == 0) {
            return options[i][1];
        }
    }
    return "";
}

static int run_engine(const struct command *command, const struct tokfs_engine_options *options)
{
    struct tokfs_error error;
    struct generation *g = calloc(1, sizeof(*g));
    if (!g) {
        return command_fail(command, "out of memory");
    }
    g->command = command;
    strbuf_init(&g->input, LINE_BYTES_MAX);
    int status = 0;
    if (tokfs_engine_open(options, &g->engine, &error) < 0) {
        status = command_fail(command, "%s%s", option_of(&error), error.msg);
    } else {
        tokfs_engine_get_info(g->engine, &g->info);
        status = generate(g);
    }
    for (; g->n_printed < g->n_read; g->n_printed++) { // only after a failure
        forget_item(&g->items[g->n_printed % RUNNING_MAX]);
    }
    status = status == 0 && g->has_failed ? 1 : status;
    tokfs_engine_close(g->engine);
    strbuf_deinit(&g->input);
    free(g);
    return status;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = {
        { "device", required_argument, NULL, 'd' },  { "isa", required_argument, NULL, 'i' },
        { "threads", required_argument, NULL, 't' }, { "ctx", required_argument, NULL, 'x' },
        { "kv-mem", required_argument, NULL, 'k' },  { "max-sequences", required_argument, NULL, 'm' },
        { "weights", required_argument, NULL, 'w' }, { "kv-dtype", required_argument, NULL, 'y' },
        { "deterministic", no_argument, NULL, 'e' }, { "no-graphs", no_argument, NULL, 'g' },
        { "help", no_argument, NULL, 'h' },          { 0 }
    };
    struct tokfs_engine_options engine = { .max_queued = RUNNING_MAX };
    int64_t n_threads = 0, n_ctx = 0, n_sequences = 0;
    struct err err = { 0 };
    int rc = 0;
    for (int opt; rc == 0 && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 'd':
            rc = option_choice("device", optarg, option_devices, NULL, &err);
            engine.device = optarg;
            break;
        case 'i':
            rc = option_choice("isa", optarg, option_isas, NULL, &err);
            engine.isa = optarg;
            break;
        case 'w':
            rc = option_choice("weights", optarg, option_weights, NULL, &err);
            engine.weights = optarg;
            break;
        case 'y':
            rc = option_choice("kv-dtype", optarg, option_kv_dtypes, NULL, &err);
            engine.kv_dtype = optarg;
            break;
        case 't': rc = option_whole("threads", optarg, 1, 4096, &n_threads, &err); break;
        case 'x': rc = option_whole("ctx", optarg, 2, INT32_MAX, &n_ctx, &err); break;
        case 'm': rc = option_whole("max-sequences", optarg, 1, 4096, &n_sequences, &err); break;
        case 'k': rc = option_bytes("kv-mem", optarg, &engine.kv_bytes, &err); break;
        case 'e': engine.deterministic = true; break;
        case 'g': engine.no_graphs = true; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (argc - optind != 1) {
        return command_usage(command);
    }
    engine.model = argv[optind];
    engine.n_threads = (unsigned)n_threads;
    engine.n_ctx = (size_t)n_ctx;
    engine.max_sequences = (unsigned)n_sequences;
    return run_engine(command, &engine);
}

const struct command command_generate = {
    .name = "generate",
    .synopsis = "[--threads N] [--device NAME] [--isa NAME] [--ctx N] [--kv-mem BYTES] [--max-sequences N] "
                "[--weights FORM] [--kv-dtype TYPE] [--deterministic] [--no-graphs] MODEL",
    .summary = "reads requests, one JSON line each; prints an answer a line, in the same order",
    .options =
        "  --threads N        of the CPU backend (default: one per processor)\n"
        "  --device NAME      auto (default), cpu or cuda\n"
        "  --isa NAME         of the CPU backend: scalar, avx2, avx2vnni, avx512, avx512vnni, avx512bf16, amx "
        "(default:\n"
        "                     the best there is)\n"
        "  --ctx N            longest prompt and answer (default: the model's context, as far as memory goes)\n"
        "  --kv-mem BYTES     memory for K and V, as in 512M (default: a quarter of what is free)\n"
        "  --max-sequences N  that run together (default 64)\n"
        "  --weights FORM     stored (default), q8 or q4: quantized while they load\n"
        "  --kv-dtype TYPE    of K and V: auto (default), f32, f16, bf16, q8\n"
        "  --deterministic    on a GPU, too, answers do not depend on what runs beside them\n"
        "  --no-graphs        on a GPU, kernels are launched one by one\n\n"
        "A line is a chat-completions body, or {\"input_ids\": [1, 2], \"sampling_params\": {\"temperature\": 0,\n"
        "\"top_p\": 1, \"top_k\": 0, \"min_p\": 0, \"seed\": 0, \"max_new_tokens\": 16, \"ignore_eos\": false}}.\n"
        "Exit status 1: some line was answered by an error object.\n",
    .run = run,
};
