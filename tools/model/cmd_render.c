// tokfs-model render: a chat template applied to contexts, so that anyone can compare it with another implementation.
//
// JSON lines in, one context object each; JSON lines out: {"ok":true,"output":...} or {"ok":false,"error":...}. A
// template that does not compile answers every line with its error, and is a failure of the command itself: it is told
// on standard error too, and the exit status is 1.
#include "engine/base/gguf.h"
#include "engine/base/json.h"
#include "engine/model/file.h"
#include "engine/text/chat_template.h"
#include "tools/model/command.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define TEMPLATE_BYTES_MAX (64u << 20) // a tokenizer_config.json may be large

struct render {
    struct chat_template *tmpl; // NULL: compile_err tells why
    struct err compile_err;
    time_t now;
    bool has_now;
    struct strbuf rendered, answer; // of the line in hand
};

// "chat_template" of a tokenizer_config.json: text, or a list of named ones of which "default" is taken.
static int template_of_config(struct arena *arena, struct str text, const char *path, struct str *ret, struct err *err)
{
    const struct json *config, *source, *item;
    int rc = json_parse(arena, text, &config, err);
    if (rc < 0) {
        return err_prefix(err, "%s", path);
    }
    source = json_get(config, STR("chat_template"));
    if (source && source->type == JSON_ARRAY) {
        item = json_first(source);
        for (size_t i = 0; i < source->n_children; i++, item = json_next(item)) {
            const struct json *name = json_get(item, STR("name"));
            if (name && str_eq(name->text, STR("default"))) {
                source = json_get(item, STR("template"));
                break;
            }
        }
    }
    if (!source || source->type != JSON_STRING) {
        return err_set(err, -EINVAL, "%s: \"chat_template\" is not a text", path);
    }
    *ret = source->text;
    return 0;
}

static int load_gguf_template(struct render *render, const char *path, struct err *err)
{
    struct gguf *g = NULL;
    struct str source = { NULL, 0 };
    int rc = gguf_open(path, &g, err);
    rc = rc ? rc : gguf_get_str(g, "tokenizer.chat_template", &source, err);
    if (rc == 0 && !source.ptr) {
        rc = err_set(err, -EINVAL, "%s: tokenizer.chat_template is missing", path);
    } else if (rc == 0) {
        chat_template_compile(source, &render->tmpl, &render->compile_err);
    }
    gguf_free(g);
    return rc;
}

static int load_template(struct render *render, struct arena *arena, const char *operand, struct err *err)
{
    char path[4096];
    struct stat st;
    struct strbuf text;
    struct str source;
    int rc;
    if (str_ends_with(str_from(operand), STR(".gguf"))) {
        return load_gguf_template(render, operand, err);
    }
    strbuf_init(&text, 0);
    snprintf(path, sizeof(path), "%s", operand);
    bool is_config = false;
    if (stat(operand, &st) == 0 && S_ISDIR(st.st_mode)) {
        snprintf(path, sizeof(path), "%s/chat_template.jinja", operand);
        if (stat(path, &st) < 0) {
            snprintf(path, sizeof(path), "%s/tokenizer_config.json", operand);
            is_config = true;
        }
    }
    rc = file_read_path(path, TEMPLATE_BYTES_MAX, &text, err);
    source = strbuf_str(&text);
    if (rc == 0 && is_config) {
        rc = template_of_config(arena, source, path, &source, err);
    }
    if (rc == 0) {
        chat_template_compile(source, &render->tmpl, &render->compile_err);
    }
    strbuf_deinit(&text);
    return rc;
}

static int answer_line(void *ctx, struct arena *arena, struct str line, struct err *unused)
{
    struct render *render = ctx;
    const struct json *context;
    struct err err = render->compile_err;
    struct json_writer w;
    (void)unused;
    strbuf_reset(&render->rendered);
    strbuf_reset(&render->answer);
    int rc = render->tmpl ? json_parse(arena, line, &context, &err) : err.code;
    if (rc < 0 && render->tmpl) {
        err_prefix(&err, "the context");
    } else if (rc == 0) {
        time_t now = render->has_now ? render->now : time(NULL);
        rc = chat_template_render_context(render->tmpl, context, now, &render->rendered, &err);
    }
    json_writer_init(&w, &render->answer);
    json_write_object_begin(&w);
    json_write_key(&w, "ok");
    json_write_bool(&w, rc == 0);
    json_write_key(&w, rc == 0 ? "output" : "error");
    json_write_str(&w, rc == 0 ? strbuf_str(&render->rendered) : str_from(err.msg));
    json_write_object_end(&w);
    strbuf_append_byte(&render->answer, '\n');
    fwrite(render->answer.ptr, 1, render->answer.len, stdout);
    fflush(stdout);
    return 0;
}

static int answer_lines(const struct command *command, struct render *render)
{
    strbuf_init(&render->rendered, 0);
    strbuf_init(&render->answer, 0);
    int status = command_each_line(command, answer_line, render, NULL);
    strbuf_deinit(&render->rendered);
    strbuf_deinit(&render->answer);
    return status;
}

// Seconds since 1970, or "2025-07-10 12:34:56" in local time.
static int parse_now(const char *text, struct render *render, struct err *err)
{
    struct tm tm = { .tm_isdst = -1 };
    int64_t seconds;
    const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    render->has_now = true;
    if (end && *end == '\0') {
        render->now = mktime(&tm);
        return 0;
    }
    if (str_parse_i64(str_from(text), &seconds) < 0) {
        return err_set(err, -EINVAL, "--now %s: seconds since 1970 or \"YYYY-MM-DD HH:MM:SS\" is needed",
                       option_shown(text));
    }
    render->now = (time_t)seconds;
    return 0;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "now", required_argument, NULL, 'n' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct render render = { 0 };
    struct arena arena;
    struct err err = { 0 };
    int option, status = 0, rc = 0;
    while (rc == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
        switch (option) {
        case 'n': rc = parse_now(optarg, &render, &err); break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    if (rc < 0) {
        return command_misuse(command, &err);
    }
    if (optind + 1 != argc) {
        return command_usage(command);
    }
    arena_init(&arena, 0);
    if (load_template(&render, &arena, argv[optind], &err) < 0) {
        status = command_fail(command, "%s", err.msg);
    }
    arena_deinit(&arena);
    if (status == 0 && !render.tmpl) {
        status = command_fail(command, "%s: %s", argv[optind], render.compile_err.msg);
    }
    if (render.tmpl || render.compile_err.code) {
        int answered = answer_lines(command, &render);
        status = status ? status : answered;
    }
    chat_template_free(render.tmpl);
    return status != 0 ? status : command_finish(command);
}

const struct command command_render = {
    .name = "render",
    .synopsis = "[--now TIME] DIR|TEMPLATE.jinja|FILE.gguf",
    .summary = "applies a chat template to contexts: JSON lines on stdin, answers on stdout",
    .options = "  --now TIME   clock of strftime_now: seconds since 1970, or \"YYYY-MM-DD HH:MM:SS\" in local time\n",
    .run = run,
};
