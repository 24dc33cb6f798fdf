// system is text, appended as it comes. params are lines "name value", checked write by write, or one JSON object;
// tools are JSON. Pieces of JSON gather in the open file (struct body) and count when complete.
#include "fs/settings_files.h"
#include "engine/base/utf8.h"
#include "fs/body.h"
#include "fs/mount.h"
#include "fs/session.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <tokfs/openai.h>

static bool truncates(const struct file *file)
{
    return file->flags & O_TRUNC && (file->flags & O_ACCMODE) != O_RDONLY;
}

static int open_body(struct file *file, struct strbuf *setting, unsigned takes)
{
    struct body *body = malloc(sizeof(*body));
    if (!body) {
        return -ENOMEM;
    }
    body_init(body, file->mount->limits.setting_bytes, takes);
    file->state = body;
    if (truncates(file)) {
        strbuf_reset(setting);
    }
    return 0;
}

int settings_flush(struct file *file)
{
    struct body *body = file->state;
    struct tokfs_error reason = { 0 };
    if (body->failed || body->kind != BODY_JSON) {
        return 0;
    }
    int r = body_check_end(body, &reason);
    if (r < 0) {
        file->session->error = reason;
    }
    return r;
}

void settings_close(struct file *file)
{
    if (file->state) {
        body_deinit(file->state);
        free(file->state);
    }
}

static int refuse(struct file *file, int code, const struct tokfs_error *reason)
{
    if (reason->code) {
        file->session->error = *reason;
    }
    return code;
}

// ---- system --------------------------------------------------------------------------------------------------------

int system_truncate(struct session *session)
{
    strbuf_reset(&session->conversation.system);
    return 0;
}

int system_open(struct file *file)
{
    return truncates(file) ? system_truncate(file->session) : 0;
}

int system_render(struct file *file, struct strbuf *out)
{
    return strbuf_append(out, strbuf_str(&file->session->conversation.system));
}

int system_write(struct file *file, struct str bytes)
{
    struct strbuf *system = &file->session->conversation.system;
    size_t old_len = system->len;
    size_t checked = old_len - utf8_incomplete_tail(strbuf_str(system));
    int r = strbuf_append(system, bytes);
    if (r < 0) {
        system->error = 0; // the text stays as it was
        return session_fail(file->session, r, "system: longer than the limit of %zu bytes", system->len_max);
    }
    struct str rest = str_skip(strbuf_str(system), checked);
    struct str bad = str_skip(rest, utf8_valid_len(rest));
    if (bad.len == utf8_incomplete_tail(bad)) {
        return 0;
    }
    size_t at = system->len - bad.len;
    system->len = old_len;
    return session_fail(file->session, -EINVAL, "system: text is not UTF-8 at byte %zu", at);
}

// ---- params --------------------------------------------------------------------------------------------------------

int params_truncate(struct session *session)
{
    strbuf_reset(&session->conversation.params);
    return 0;
}

int params_open(struct file *file)
{
    return open_body(file, &file->session->conversation.params, BODY_TAKES_TEXT);
}

int params_render(struct file *file, struct strbuf *out)
{
    const struct strbuf *params = &file->session->conversation.params;
    strbuf_append(out, params->len > 0 ? strbuf_str(params) : STR("{}"));
    return strbuf_append_byte(out, '\n');
}

int params_write(struct file *file, struct str bytes)
{
    struct body *body = file->state;
    struct tokfs_error reason = { 0 };
    struct tokfs_buffer object = { 0 };
    int r = body_feed(body, bytes, &reason);
    if (r < 0 || body->kind == BODY_EMPTY || (body->kind == BODY_JSON && r == BODY_MORE)) {
        return refuse(file, r, &reason);
    }
    r = tokfs_params_check(body->bytes.ptr, body->bytes.len, &object, &reason);
    if (r == 0) {
        r = conversation_merge_params(&file->session->conversation, (struct str){ object.ptr, object.len });
        free(object.ptr);
    }
    if (r < 0 && !reason.code) {
        reason_set(&reason, r, NULL, "params: longer than the limit of %zu bytes", body->bytes.len_max);
    }
    // A line that has no end yet may go on in the next write; everything else has been used up.
    if (r < 0 || body->kind == BODY_JSON || bytes.ptr[bytes.len - 1] == '\n') {
        body_reset(body);
    }
    return refuse(file, r, &reason);
}

// ---- tools ---------------------------------------------------------------------------------------------------------

int tools_truncate(struct session *session)
{
    strbuf_reset(&session->conversation.tools);
    return 0;
}

int tools_open(struct file *file)
{
    return open_body(file, &file->session->conversation.tools, BODY_TAKES_ARRAY);
}

int tools_render(struct file *file, struct strbuf *out)
{
    const struct strbuf *tools = &file->session->conversation.tools;
    strbuf_append(out, tools->len > 0 ? strbuf_str(tools) : STR("[]"));
    return strbuf_append_byte(out, '\n');
}

int tools_write(struct file *file, struct str bytes)
{
    struct strbuf *tools = &file->session->conversation.tools;
    struct body *body = file->state;
    struct tokfs_error reason = { 0 };
    struct tokfs_buffer array = { 0 };
    int r = body_feed(body, bytes, &reason);
    if (r != BODY_COMPLETE) {
        return refuse(file, r, &reason);
    }
    r = tokfs_tools_check(body->bytes.ptr, body->bytes.len, &array, &reason);
    if (r == 0) {
        strbuf_reset(tools);
        r = strbuf_append(tools, (struct str){ array.ptr, array.len });
        free(array.ptr);
    }
    body_reset(body);
    return refuse(file, r, &reason);
}
