// The rows of a session's directory that speak: input, output, reasoning, text, events, response.json, wait, ctl and
// the one-line states. Its settings (system, params, tools) are in settings_files.c.
#include "fs/session_files.h"
#include "fs/body.h"
#include "fs/mount.h"
#include "fs/session.h"
#include "fs/session_table.h"
#include "fs/settings_files.h"
#include "fs/view.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

// ---- input: a user turn --------------------------------------------------------------------------------------------

struct input {
    struct body body;
    bool has_begun; // something else than white space was written
};

static int input_open(struct file *file)
{
    struct input *input = calloc(1, sizeof(*input));
    if (!input) {
        return -ENOMEM;
    }
    body_init(&input->body, file->user, file->mount->limits.body_bytes, BODY_TAKES_TEXT);
    file->state = input;
    return 0;
}

static int input_refuse_busy(struct file *file, struct body *body)
{
    body_refuse(body, -EBUSY);
    return session_fail(file->session, -EBUSY, "a turn is running or being written: read its answer, or cancel it");
}

static int input_write(struct file *file, struct str bytes)
{
    struct session *session = file->session;
    struct input *input = file->state;
    struct body *body = &input->body;
    struct tokfs_error reason = { 0 };
    int r = body_feed(body, bytes, &reason);
    if (r == BODY_MORE && body->kind == BODY_EMPTY) {
        return 0;
    }
    input->has_begun = true;
    if (session_is_busy(session) || (session->writer && session->writer != file)) {
        return input_refuse_busy(file, body);
    }
    if (r < 0) {
        if (reason.code) {
            session->error = reason;
        }
        session->writer = NULL;
        return r;
    }
    if (body->kind == BODY_TEXT) {
        session->writer = file;
        return 0;
    }
    if (r == BODY_COMPLETE) {
        r = session_submit_json(session, strbuf_str(&body->bytes), false);
        if (r < 0) {
            body_settle(body, r);
        }
        return r < 0 ? r : FILE_WAIT;
    }
    return 0;
}

static int input_write_done(struct file *file)
{
    struct input *input = file->state;
    int r = session_submit_result(file->session);
    if (r != FILE_WAIT) {
        body_settle(&input->body, r);
    }
    return r;
}

static void input_write_abort(struct file *file)
{
    struct input *input = file->state;
    session_abandon_candidate(file->session);
    body_settle(&input->body, -EINTR);
}

// Text would have been a turn: its readers are told.
static void input_give_up(struct file *file)
{
    struct session *session = file->session;
    struct input *input = file->state;
    bool is_text = input->body.kind == BODY_TEXT;
    struct tokfs_error reason = { 0 };
    if (body_give_up(&input->body, &reason) == 0) {
        return;
    }
    if (session->writer == file) {
        session->writer = NULL;
    }
    if (is_text) {
        session_refuse(session, &reason);
    } else {
        session->error = reason;
    }
}

// Not the end of the input (a shell's redirection closes copies of the descriptor all the time), but the only place
// where a writer that checks close(2) can be told that its JSON, or a character, has no end.
static int input_flush(struct file *file)
{
    const struct input *input = file->state;
    struct tokfs_error reason = { 0 };
    return input->body.failed ? 0 : body_check_end(&input->body, &reason);
}

static bool input_put_draft(const struct file *file, struct strbuf *out)
{
    const struct input *input = file->state;
    if (!input || input->body.failed || input->body.kind == BODY_JSON) {
        return false;
    }
    if (out) {
        strbuf_append(out, strbuf_str(&input->body.bytes));
    }
    return true;
}

static void input_submit(struct session *session, const struct input *input)
{
    const struct body *body = &input->body;
    struct tokfs_error reason = { 0 };
    if (body->failed) {
        return; // its writer was told
    }
    if (body->kind == BODY_EMPTY) {
        if (input->has_begun || !body->is_blank) {
            return;
        }
        reason_set(&reason, -EINVAL, NULL, "input: nothing but white space was written");
    }
    if (reason.code || body_check_end(body, &reason) < 0) {
        session_refuse(session, &reason);
    } else if (body->kind == BODY_TEXT) { // JSON that is whole has had its answer
        session_submit_text(session, body_text(body));
    }
}

static void input_close(struct file *file)
{
    struct session *session = file->session;
    struct input *input = file->state;
    if (session->writer == file) {
        session->writer = NULL;
    }
    if (!input) {
        return;
    }
    if (!session->is_removed) {
        input_submit(session, input);
    }
    body_deinit(&input->body);
    free(input);
}

// ---- output, events, reasoning: the answers as they grow -----------------------------------------------------------

static int open_view(struct file *file, enum view_kind kind)
{
    struct view *view = malloc(sizeof(*view));
    if (!view) {
        return -ENOMEM;
    }
    view_init(view, file->session->last, kind);
    file->state = view;
    return 0;
}

static int output_open(struct file *file)
{
    return open_view(file, VIEW_TEXT);
}

static int events_open(struct file *file)
{
    return open_view(file, VIEW_CHUNKS);
}

static int reasoning_open(struct file *file)
{
    return open_view(file, VIEW_REASONING);
}

static int output_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    struct view *view = file->state;
    int r = view_read(view, size, offset, ret_bytes);
    holding_set(&file->holding, view->out.cap);
    return r;
}

static bool output_is_readable(struct file *file)
{
    return view_is_readable(file->state);
}

static uint64_t output_size(struct session *session, struct file *file)
{
    if (file && file->state) {
        return view_size(file->state);
    }
    return turn_is_ended(session->last) ? session->last->text.len : 0;
}

static uint64_t reasoning_size(struct session *session, struct file *file)
{
    if (file && file->state) {
        return view_size(file->state);
    }
    return turn_is_ended(session->last) ? turn_reasoning_len(session->last) : 0;
}

static void output_close(struct file *file)
{
    if (file->state) {
        view_deinit(file->state);
        free(file->state);
    }
}

// ---- text, response.json, wait: the answer when it is there --------------------------------------------------------

static int complete_open(struct file *file)
{
    return session_is_busy(file->session) ? FILE_WAIT : turn_end_code(file->session->last);
}

static int text_render(struct file *file, struct strbuf *out)
{
    return strbuf_append(out, strbuf_str(&file->session->last->text));
}

static uint64_t text_size(struct session *session, struct file *file)
{
    return file && file->is_opened             ? file->snapshot.len
           : session->last->state == TURN_DONE ? session->last->text.len
                                               : 0;
}

static int response_render(struct file *file, struct strbuf *out)
{
    return file->session->last->state == TURN_DONE ? turn_write_response(file->session->last, out) : 0;
}

static uint64_t response_size(struct session *session, struct file *file)
{
    if (file && file->is_opened) {
        return file->snapshot.len;
    }
    struct strbuf text;
    strbuf_init(&text, 0);
    if (session->last->state == TURN_DONE) {
        turn_write_response(session->last, &text);
    }
    uint64_t len = text.len;
    strbuf_deinit(&text);
    return len;
}

static int wait_read(struct file *file, size_t size, uint64_t offset, struct str *ret_bytes)
{
    if (file->snapshot.len == 0) {
        if (session_is_busy(file->session)) {
            return FILE_WAIT;
        }
        turn_write_status(file->session->last, &file->snapshot);
    }
    return file_slice(strbuf_str(&file->snapshot), size, offset, ret_bytes);
}

static bool wait_is_readable(struct file *file)
{
    return file->snapshot.len > 0 || !session_is_busy(file->session);
}

// ---- states --------------------------------------------------------------------------------------------------------

static int messages_render(struct file *file, struct strbuf *out)
{
    conversation_write_messages(&file->session->conversation, out);
    return out->error;
}

static int status_render(struct file *file, struct strbuf *out)
{
    const struct session *session = file->session;
    turn_write_status(session->candidate ? session->candidate : session->last, out);
    return out->error;
}

static int usage_render(struct file *file, struct strbuf *out)
{
    turn_write_usage(file->session->last, out);
    return out->error;
}

static int error_render(struct file *file, struct strbuf *out)
{
    reason_write(out, &file->session->error);
    return out->error;
}

// ---- ctl -----------------------------------------------------------------------------------------------------------

static int ctl_command(struct session *session, struct str line)
{
    struct str verb;
    struct str rest = str_trim(str_cut(line, ' ', &verb));
    if (str_eq(verb, STR("priority"))) {
        int64_t value;
        if (str_parse_i64(rest, &value) < 0) {
            return session_fail(session, -EINVAL, "ctl: priority \"%.*s\" is not a whole number", STR_ARG(rest));
        }
        return session_set_priority(session, value);
    }
    if (rest.len > 0) {
        return session_fail(session, -EINVAL, "ctl: \"%.*s\" takes no argument", STR_ARG(verb));
    }
    if (str_eq(verb, STR("cancel"))) {
        session_cancel(session);
    } else if (str_eq(verb, STR("reset"))) {
        session_reset(session);
    } else if (str_eq(verb, STR("close"))) {
        session_table_remove(session->mount->sessions, session);
    } else {
        return session_fail(session, -EINVAL, "ctl: unknown command \"%.*s\" (cancel, reset, priority N, close)",
                            STR_ARG(verb));
    }
    return 0;
}

static int ctl_write(struct file *file, struct str bytes)
{
    int r = 0;
    while (bytes.len > 0 && r == 0 && !file->session->is_removed) {
        struct str line;
        bytes = str_cut(bytes, '\n', &line);
        line = str_trim(line);
        r = line.len > 0 ? ctl_command(file->session, line) : 0;
    }
    return r;
}

// ---- the table -----------------------------------------------------------------------------------------------------

const struct node_type session_nodes[] = {
    { .name = "input",
      .mode = S_IFREG | 0200,
      .open = input_open,
      .close = input_close,
      .write = input_write,
      .write_done = input_write_done,
      .write_abort = input_write_abort,
      .give_up = input_give_up,
      .flush = input_flush,
      .put_draft = input_put_draft },
    { .name = "system",
      .mode = S_IFREG | 0600,
      .flags = NODE_SIZED,
      .open = system_open,
      .close = setting_close,
      .render = system_render,
      .write = setting_write,
      .give_up = setting_give_up,
      .flush = setting_flush,
      .put_draft = setting_put_draft,
      .truncate = system_truncate },
    { .name = "params",
      .mode = S_IFREG | 0600,
      .flags = NODE_SIZED,
      .open = params_open,
      .close = setting_close,
      .render = params_render,
      .write = setting_write,
      .give_up = setting_give_up,
      .flush = setting_flush,
      .put_draft = setting_put_draft,
      .truncate = params_truncate },
    { .name = "tools",
      .mode = S_IFREG | 0600,
      .flags = NODE_SIZED,
      .open = tools_open,
      .close = setting_close,
      .render = tools_render,
      .write = setting_write,
      .give_up = setting_give_up,
      .flush = setting_flush,
      .put_draft = setting_put_draft,
      .truncate = tools_truncate },
    { .name = "output",
      .mode = S_IFREG | 0400,
      .flags = NODE_FRESH,
      .open = output_open,
      .close = output_close,
      .read = output_read,
      .is_readable = output_is_readable,
      .size = output_size },
    { .name = "text",
      .mode = S_IFREG | 0400,
      .flags = NODE_CACHED | NODE_FRESH,
      .open = complete_open,
      .render = text_render,
      .size = text_size },
    { .name = "events",
      .mode = S_IFREG | 0400,
      .open = events_open,
      .close = output_close,
      .read = output_read,
      .is_readable = output_is_readable },
    { .name = "response.json",
      .mode = S_IFREG | 0400,
      .flags = NODE_CACHED | NODE_FRESH,
      .open = complete_open,
      .render = response_render,
      .size = response_size },
    { .name = "messages", .mode = S_IFREG | 0400, .flags = NODE_SIZED, .render = messages_render },
    { .name = "status", .mode = S_IFREG | 0400, .flags = NODE_SIZED, .render = status_render },
    { .name = "usage", .mode = S_IFREG | 0400, .flags = NODE_SIZED, .render = usage_render },
    { .name = "error", .mode = S_IFREG | 0400, .flags = NODE_SIZED, .render = error_render },
    { .name = "wait", .mode = S_IFREG | 0400, .read = wait_read, .is_readable = wait_is_readable },
    { .name = "ctl", .mode = S_IFREG | 0200, .write = ctl_write },
    { .name = "reasoning", // the journal knows files by their place in this table: new ones come at its end
      .mode = S_IFREG | 0400,
      .flags = NODE_FRESH,
      .open = reasoning_open,
      .close = output_close,
      .read = output_read,
      .is_readable = output_is_readable,
      .size = reasoning_size },
    { 0 },
};
_Static_assert(sizeof(session_nodes) / sizeof(session_nodes[0]) == SESSION_N_FILES + 1, "one row per file");

const struct node_type session_dir_type = {
    .name = "session", .mode = S_IFDIR | 0700, .flags = NODE_SESSION, .children = session_nodes
};
