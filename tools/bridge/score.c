#include "tools/bridge/score.h"
#include "tools/bridge/scoring.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/openai.h>

struct score_asked {
    struct score_job job;
    struct share_match match; // in the shared index, where there is one
    struct request *request;  // NULL: it has gone
    struct arena arena;
    const struct json *messages; // of a chat, as they were given
    char *body;
    double load_cost;
    bool is_chat;
};

static void asked_free(struct score_asked *asked)
{
    share_match_deinit(&asked->match);
    score_job_deinit(&asked->job);
    arena_deinit(&asked->arena);
    free(asked->body);
    free(asked);
}

void score_cancel(struct score_asked *asked)
{
    if (asked) {
        asked->request = NULL;
    }
}

// ---- answers -------------------------------------------------------------------------------------------------------

static void write_rows(struct json_writer *w, const struct scorer *scorer, const struct score_row *rows, size_t n)
{
    json_write_object_begin(w);
    for (size_t i = 0; i < n; i++) {
        json_write_key(w, scorer_peer_name(scorer, rows[i].peer));
        json_write_double(w, rows[i].score);
    }
    json_write_object_end(w);
}

// A text, or a list of them where there were several conversations.
static void write_rendered(struct json_writer *w, const struct tokfs_prompts *prompts)
{
    if (prompts->n > 1) {
        json_write_array_begin(w);
    }
    for (size_t i = 0; i < prompts->n; i++) {
        json_write_str(w, (struct str){ prompts->items[i].rendered, prompts->items[i].rendered_len });
    }
    if (prompts->n > 1) {
        json_write_array_end(w);
    }
}

static void write_answer(const struct score_asked *asked, const struct scorer *scorer, const struct score_row *rows,
                         size_t n, struct strbuf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    if (!asked->is_chat) {
        write_rows(&w, scorer, rows, n);
    } else {
        json_write_object_begin(&w);
        json_write_key(&w, "pod_scores");
        write_rows(&w, scorer, rows, n);
        json_write_member_cstr(&w, "model", tokfs_text_model(asked->job.text));
        json_write_key(&w, "rendered_template");
        write_rendered(&w, &asked->job.prompts);
        json_write_key(&w, "original_messages");
        json_write_raw(&w, asked->messages->text);
        json_write_object_end(&w);
    }
    strbuf_append_byte(out, '\n');
}

// What a request at a peer costs it, in blocks.
static int read_load_cost(struct request *request, double *ret, struct err *err)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "load_cost");
    if (value && (str_parse_double(str_from(value), ret) < 0 || *ret < 0)) {
        return err_set_param(err, -EINVAL, "load_cost", "load_cost is %.80s, not a number from 0 up", value);
    }
    return 0;
}

static void respond_scores(struct score_asked *asked)
{
    struct request *request = asked->request;
    struct scorer *scorer = scoring_scorer(request->bridge->scoring);
    const struct score_options options = { .load_cost = asked->load_cost,
                                           .found = asked->match.found,
                                           .n_found = asked->match.n_found };
    const struct score_row *rows;
    struct strbuf out;
    strbuf_init(&out, 0);
    size_t n = scorer_rank(scorer, str_from(tokfs_text_model(asked->job.text)), &asked->job.keys, &options, &rows);
    write_answer(asked, scorer, rows, n, &out);
    size_t len = out.len;
    char *text = strbuf_steal(&out);
    request->is_without_index = asked->match.result < 0;
    if (text) {
        respond(request, 200, "application/json", text, len);
    } else {
        respond_error(request, 503, "out_of_memory", "out of memory for the scores");
    }
}

static void respond_refusal(struct request *request, const struct tokfs_error *error)
{
    struct tokfs_buffer buffer;
    if (tokfs_write_error(error, &buffer) < 0) {
        respond_error(request, 503, "out_of_memory", "out of memory");
        return;
    }
    respond(request, (unsigned)tokfs_error_http_status(error->code), "application/json", buffer.ptr, buffer.len);
}

static void tell(struct score_asked *asked)
{
    struct request *request = asked->request;
    if (request) {
        request->scored = NULL;
        if (asked->job.result == 0) {
            respond_scores(asked);
        } else if (asked->job.result == -ECANCELED) {
            respond_error(request, 503, "shutting_down", "the bridge ends");
        } else {
            respond_refusal(request, &asked->job.error);
        }
        request_resume(request);
    }
    asked_free(asked);
}

static void matched(struct share_match *match)
{
    tell((struct score_asked *)((char *)match - offsetof(struct score_asked, match)));
}

static void done(struct crew_job *job)
{
    struct score_asked *asked = (struct score_asked *)job;
    struct scoring *scoring = asked->request ? asked->request->bridge->scoring : NULL;
    if (!scoring || asked->job.result < 0 || !scoring_match(scoring, &asked->job, &asked->match, matched)) {
        tell(asked);
    }
}

// ---- requests ------------------------------------------------------------------------------------------------------

// What the path says that it is, or the body's members (NULL: it has none).
static enum tokfs_prompt_kind kind_of(const char *path, const struct json *body)
{
    bool is_chat = strcmp(path, "/score_chat_completions") == 0 ||
                   (strcmp(path, "/score") == 0 && body && json_get(body, STR("messages")));
    if (strcmp(path, "/score_completions") != 0 && body && json_get(body, STR("conversations"))) {
        return TOKFS_PROMPT_TEMPLATE;
    }
    return is_chat ? TOKFS_PROMPT_CHAT : TOKFS_PROMPT_COMPLETION;
}

// What is wrong with a body, but for its model, is the engine's to say: any model's text will do.
static int read_body(struct score_asked *asked, const struct request *request, size_t len,
                     const struct tokfs_text **ret_text, struct err *err)
{
    const struct scorer *scorer = scoring_scorer(request->bridge->scoring);
    const struct json *body = NULL;
    int r = json_parse(&asked->arena, (struct str){ asked->body, len }, &body, err);
    if (r == 0 && body->type != JSON_OBJECT) {
        r = err_set(err, -EINVAL, "a JSON object is expected, not %s", json_type_name(body->type));
    }
    asked->job.kind = kind_of(request->route->path, r < 0 ? NULL : body);
    asked->is_chat = asked->job.kind != TOKFS_PROMPT_COMPLETION;
    if (r < 0) {
        return scorer_find_text(scorer, (struct str){ 0 }, ret_text, NULL) < 0 ? r : 0;
    }
    asked->messages = json_get(body, asked->job.kind == TOKFS_PROMPT_CHAT ? STR("messages") : STR("conversations"));
    const struct json *model = json_get(body, STR("model"));
    bool is_name = model && model->type == JSON_STRING;
    return scorer_find_text(scorer, is_name ? model->text : (struct str){ 0 }, ret_text, err);
}

enum MHD_Result score_start(struct request *request)
{
    struct bridge *bridge = request->bridge;
    struct score_asked *asked = bridge->scoring ? calloc(1, sizeof(*asked)) : NULL;
    const struct tokfs_text *text;
    struct err err = { 0 };
    size_t len = request->body.len;
    if (!asked) {
        return respond_error(request, bridge->scoring ? 503 : 501, "no_scores",
                             "this bridge was not started with --score");
    }
    arena_init(&asked->arena, 0);
    bridge->counts.body_bytes -= len; // it is the job's from here on
    asked->body = strbuf_steal(&request->body);
    int r = read_load_cost(request, &asked->load_cost, &err);
    r = r < 0 ? r : read_body(asked, request, len, &text, &err);
    if (r < 0) {
        struct tokfs_error error = { .code = r };
        memcpy(error.param, err.param, sizeof(error.param));
        memcpy(error.msg, err.msg, sizeof(error.msg));
        asked_free(asked);
        respond_refusal(request, &error);
        return MHD_YES;
    }
    asked->request = request;
    scoring_job_init(bridge->scoring, &asked->job, text, asked->job.kind, (struct str){ asked->body, len }, done);
    scoring_add_user(&asked->job, bridge->access, &request->user);
    if (crew_submit(scoring_crew(bridge->scoring), &asked->job.job) < 0) {
        asked_free(asked);
        return respond_error(request, 503, "busy", "too many requests are being scored");
    }
    request->scored = asked;
    request_suspend(request);
    return MHD_YES;
}
