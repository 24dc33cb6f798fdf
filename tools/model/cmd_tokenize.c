// tokfs-model tokenize and detokenize: text to ids and back with a model's tokenizer, line by line, to be compared with
// another implementation's. A bad line ends the run: what was printed before it is complete. Every line is answered at
// once, so that a program may converse with it.
#include "engine/base/json.h"
#include "engine/text/tokenizer.h"
#include "tools/model/command.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct convert {
    const struct command *command;
    struct tokenizer *tok;
    unsigned flags;    // tokenize: enum tokenizer_flags
    bool skip_special; // detokenize
    // Appends the answer to one line's value.
    int (*line)(struct convert *c, const struct json *value, struct json_writer *out, struct err *err);
    struct token_ids ids;
    struct strbuf text;
    struct strbuf answer; // a line of output
};

static int tokenize_line(struct convert *c, const struct json *value, struct json_writer *out, struct err *err)
{
    if (value->type != JSON_STRING) {
        return err_set(err, -EINVAL, "a string expected, %s found", json_type_name(value->type));
    }
    c->ids.len = 0;
    int rc = tokenizer_encode(c->tok, value->text, c->flags, &c->ids, err);
    if (rc < 0) {
        return rc;
    }
    json_write_array_begin(out);
    for (size_t i = 0; i < c->ids.len; i++) {
        json_write_i64(out, c->ids.ids[i]);
    }
    json_write_array_end(out);
    return 0;
}

static int detokenize_line(struct convert *c, const struct json *value, struct json_writer *out, struct err *err)
{
    if (value->type != JSON_ARRAY) {
        return err_set(err, -EINVAL, "an array of token ids expected, %s found", json_type_name(value->type));
    }
    c->ids.len = 0;
    const struct json *item = json_first(value);
    for (uint32_t i = 0; i < value->n_children; i++, item = json_next(item)) {
        int64_t id;
        if (item->type != JSON_NUMBER || json_get_i64(item, &id) < 0 || id < 0 || id > INT32_MAX) {
            return err_set(err, -EINVAL, "element %" PRIu32 " (%.*s) is not a token id", i,
                           STR_ARG(str_take(item->text, 40)));
        }
        if (!tokenizer_token_text(c->tok, (int32_t)id).ptr) {
            return err_set(err, -EINVAL, "element %" PRIu32 ": the tokenizer has no token %" PRId64, i, id);
        }
        if (token_ids_append(&c->ids, (int32_t)id) < 0) {
            return err_set(err, -ENOMEM, "no memory for %" PRIu32 " ids", value->n_children);
        }
    }
    strbuf_reset(&c->text);
    int rc = tokenizer_decode(c->tok, c->ids.ids, c->ids.len, c->skip_special, &c->text);
    if (rc < 0) {
        return err_set(err, rc, "%s", strerror(-rc));
    }
    json_write_str(out, strbuf_str(&c->text));
    return 0;
}

static int convert_line(void *ctx, struct arena *arena, struct str line, struct err *err)
{
    struct convert *c = ctx;
    const struct json *value;
    struct json_writer writer;
    strbuf_reset(&c->answer);
    json_writer_init(&writer, &c->answer);
    int rc = json_parse(arena, line, &value, err);
    rc = rc < 0 ? rc : c->line(c, value, &writer, err);
    if (rc < 0) {
        return rc;
    }
    strbuf_append_byte(&c->answer, '\n');
    if (c->answer.error) {
        return err_set(err, c->answer.error, "%s", strerror(-c->answer.error));
    }
    fwrite(c->answer.ptr, 1, c->answer.len, stdout);
    fflush(stdout);
    return 0;
}

static int convert_run(struct convert *c, int argc, char **argv)
{
    if (argc - optind != 1) {
        return command_usage(c->command);
    }
    struct err err = { 0 };
    strbuf_init(&c->answer, 0);
    int status = tokenizer_open(argv[optind], &c->tok, &err) < 0 ? command_fail(c->command, "%s", err.msg)
                                                                 : command_each_line(c->command, convert_line, c, NULL);
    tokenizer_free(c->tok);
    token_ids_deinit(&c->ids);
    strbuf_deinit(&c->text);
    strbuf_deinit(&c->answer);
    return status ? status : command_finish(c->command);
}

static int run_tokenize(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "special", no_argument, NULL, 's' },
                                             { "plain", no_argument, NULL, 'p' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct convert c = { .command = command, .line = tokenize_line };
    for (int opt; (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 's': c.flags |= TOKENIZER_ADD_SPECIAL; break;
        case 'p': c.flags |= TOKENIZER_PLAIN_SPECIAL; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    return convert_run(&c, argc, argv);
}

static int run_detokenize(const struct command *command, int argc, char **argv)
{
    static const struct option options[] = { { "skip-special", no_argument, NULL, 's' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    struct convert c = { .command = command, .line = detokenize_line };
    for (int opt; (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (opt) {
        case 's': c.skip_special = true; break;
        case 'h': return command_help(command);
        default: return 2;
        }
    }
    return convert_run(&c, argc, argv);
}

const struct command command_tokenize = {
    .name = "tokenize",
    .synopsis = "[--special] [--plain] DIR|tokenizer.json|FILE.gguf",
    .summary = "reads JSON strings, one a line; prints the token ids of each",
    .options = "  --special  adds the ids that the model expects around a text (beginning of text and the like)\n"
               "  --plain    takes the text of special tokens as plain text\n",
    .run = run_tokenize,
};

const struct command command_detokenize = {
    .name = "detokenize",
    .synopsis = "[--skip-special] DIR|tokenizer.json|FILE.gguf",
    .summary = "reads JSON arrays of token ids, one a line; prints the text of each",
    .options = "  --skip-special  leaves special tokens out\n",
    .run = run_detokenize,
};
