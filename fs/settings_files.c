// What an open file was given is its draft. system is text, as it comes. params are lines "name value" or a JSON
// object, tools a JSON array or one tool: pieces of them that are complete are checked and gathered, and the whole
// setting is made and measured, so that the write itself fails when it would be too much.
//
//   GATHERING --close--> in force          GATHERING --a piece is refused--> REFUSED --close--> nothing changes
//
// A draft adds to what is in force when it is closed, not to what was when it was opened: of two programs that add at
// the same time neither is lost.
#include "fs/settings_files.h"
#include "fs/body.h"
#include "fs/journal.h"
#include "fs/mount.h"
#include "fs/session.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <tokfs/openai.h>

// What differs between the three.
struct setting {
    enum journal_setting which;
    unsigned takes; // of struct body
    struct strbuf *(*in)(struct conversation *c);
    int (*gather)(struct file *file, struct tokfs_error *reason); // the body as far as it is
    int (*add)(struct conversation *c, struct str given);         // to what c holds
};

struct draft {
    const struct setting *setting;
    struct body body;          // system: everything; params and tools: what is not complete yet
    struct conversation given; // params and tools: what was complete
    bool replaces;             // rather than adds
};

// ---- drafts --------------------------------------------------------------------------------------------------------

static int draft_open(struct file *file, const struct setting *setting)
{
    if ((file->flags & O_ACCMODE) == O_RDONLY) {
        return 0;
    }
    struct draft *draft = malloc(sizeof(*draft));
    if (!draft) {
        return -ENOMEM;
    }
    *draft = (struct draft){ .setting = setting, .replaces = file->flags & O_TRUNC };
    body_init(&draft->body, file->user, file->mount->limits.setting_bytes, setting->takes);
    conversation_init(&draft->given, file->mount->limits.setting_bytes);
    file->state = draft;
    return 0;
}

static struct str draft_given(struct draft *draft)
{
    bool is_text = draft->setting->takes & BODY_IS_TEXT;
    return strbuf_str(is_text ? &draft->body.bytes : draft->setting->in(&draft->given));
}

static int too_long(struct tokfs_error *reason, int code, size_t bytes_max)
{
    return code == -EFBIG ? reason_set(reason, code, NULL, "longer than the limit of %zu bytes", bytes_max)
                          : reason_set(reason, code, NULL, "out of memory");
}

// The setting as it will be when the draft is in force.
static int draft_settle(struct file *file, struct strbuf *ret, struct tokfs_error *reason)
{
    struct draft *draft = file->state;
    const struct setting *setting = draft->setting;
    struct conversation whole;
    conversation_init(&whole, file->mount->limits.setting_bytes);
    struct strbuf *value = setting->in(&whole);
    int r = draft->replaces ? 0 : strbuf_append(value, strbuf_str(setting->in(&file->session->conversation)));
    if (r == 0 && draft_given(draft).len > 0) {
        r = setting->add(&whole, draft_given(draft));
    }
    if (r < 0) {
        too_long(reason, r, value->len_max);
    } else {
        struct strbuf none = *ret;
        *ret = *value;
        *value = none;
    }
    conversation_deinit(&whole);
    return r;
}

static int draft_check(struct file *file, struct tokfs_error *reason)
{
    struct strbuf whole;
    strbuf_init(&whole, 0);
    int r = draft_settle(file, &whole, reason);
    strbuf_deinit(&whole);
    return r;
}

static void tell(struct file *file, struct tokfs_error *reason)
{
    if (reason->code && !reason->param[0]) {
        snprintf(reason->param, sizeof(reason->param), "%s", file->type->name);
    }
    if (reason->code) {
        file->session->error = *reason;
    }
}

int setting_write(struct file *file, struct str bytes)
{
    struct draft *draft = file->state;
    struct body *body = &draft->body;
    struct tokfs_error reason = { 0 };
    int r = body_feed(body, bytes, &reason);
    if (r >= 0 && body->kind != BODY_EMPTY && (body->kind == BODY_TEXT || r == BODY_COMPLETE)) {
        r = draft->setting->gather(file, &reason);
    }
    holding_set(&file->holding, file->snapshot.cap + draft->given.params.cap + draft->given.tools.cap);
    if (r < 0) {
        body->failed = r;
        tell(file, &reason);
    }
    return r < 0 ? r : 0;
}

void setting_give_up(struct file *file)
{
    struct draft *draft = file->state;
    struct tokfs_error reason = { 0 };
    body_give_up(&draft->body, &reason);
    tell(file, &reason);
}

int setting_flush(struct file *file)
{
    const struct draft *draft = file->state;
    struct tokfs_error reason = { 0 };
    return draft && !draft->body.failed ? body_check_end(&draft->body, &reason) : 0;
}

bool setting_put_draft(const struct file *file, struct strbuf *out)
{
    struct draft *draft = file->state;
    if (!draft || draft->body.failed) {
        return false;
    }
    if (out && !(draft->setting->takes & BODY_IS_TEXT)) {
        strbuf_append(out, draft_given(draft));
    }
    if (out) {
        strbuf_append(out, strbuf_str(&draft->body.bytes));
    }
    return true;
}

static void put_in_force(struct file *file)
{
    struct draft *draft = file->state;
    struct tokfs_error reason = { 0 };
    if (draft->body.failed || (!draft->replaces && draft->body.kind == BODY_EMPTY && draft_given(draft).len == 0)) {
        return; // what was refused has been told
    }
    if (body_check_end(&draft->body, &reason) == 0) {
        int r = draft_settle(file, draft->setting->in(&file->session->conversation), &reason);
        if (r == 0) {
            journal_setting_set(file->session, draft->setting->which);
        }
        session_weigh(file->session);
    }
    tell(file, &reason);
}

void setting_close(struct file *file)
{
    struct draft *draft = file->state;
    if (!draft) {
        return;
    }
    if (file->is_opened && !file->session->is_removed) {
        put_in_force(file);
    }
    body_deinit(&draft->body);
    conversation_deinit(&draft->given);
    free(draft);
}

// Emptying is all that has a meaning. By name it is done at once; on an open file it is part of the draft.
static int setting_truncate(const struct setting *setting, struct session *session, struct file *file, uint64_t size)
{
    struct draft *draft = file ? file->state : NULL;
    if (size > 0) {
        return -EINVAL;
    }
    if (!draft) {
        int r = journal_check(session->mount);
        if (r == 0) {
            strbuf_reset(setting->in(&session->conversation));
            journal_setting_set(session, setting->which);
        }
        return r;
    }
    journal_draft_changed(file, STR(""), -EINVAL); // what was written so far is forgotten
    file->flags |= O_TRUNC;
    body_reset(&draft->body);
    strbuf_reset(setting->in(&draft->given));
    draft->replaces = true;
    return 0;
}

// ---- system --------------------------------------------------------------------------------------------------------

static struct strbuf *system_in(struct conversation *c)
{
    return &c->system;
}

static int system_add(struct conversation *c, struct str given)
{
    return strbuf_append(&c->system, given);
}

// As draft_check, without making what would be many copies of a long text that comes in small pieces.
static int system_gather(struct file *file, struct tokfs_error *reason)
{
    struct draft *draft = file->state;
    const struct strbuf *old = &file->session->conversation.system;
    size_t old_len = draft->replaces ? 0 : old->len;
    return draft->body.bytes.len > old->len_max - old_len ? too_long(reason, -EFBIG, old->len_max) : 0;
}

static const struct setting system_setting = { JOURNAL_SYSTEM, BODY_IS_TEXT, system_in, system_gather, system_add };

int system_open(struct file *file)
{
    return draft_open(file, &system_setting);
}

int system_render(struct file *file, struct strbuf *out)
{
    return strbuf_append(out, strbuf_str(&file->session->conversation.system));
}

int system_truncate(struct session *session, struct file *file, uint64_t size)
{
    return setting_truncate(&system_setting, session, file, size);
}

// ---- params --------------------------------------------------------------------------------------------------------

static struct strbuf *params_in(struct conversation *c)
{
    return &c->params;
}

static int params_gather(struct file *file, struct tokfs_error *reason)
{
    struct draft *draft = file->state;
    struct str text = strbuf_str(&draft->body.bytes);
    struct tokfs_buffer object = { 0 };
    int r = tokfs_params_check(text.ptr, text.len, &object, reason);
    if (r == 0) {
        r = conversation_merge_params(&draft->given, (struct str){ object.ptr, object.len });
        free(object.ptr);
        r = r < 0 ? too_long(reason, r, draft->given.params.len_max) : draft_check(file, reason);
    }
    // A line that has no end yet may go on in the next write.
    if (r == 0 && (draft->body.kind == BODY_JSON || text.ptr[text.len - 1] == '\n')) {
        body_reset(&draft->body);
    }
    return r;
}

static const struct setting params_setting = { JOURNAL_PARAMS, BODY_TAKES_TEXT, params_in, params_gather,
                                               conversation_merge_params };

int params_open(struct file *file)
{
    return draft_open(file, &params_setting);
}

int params_render(struct file *file, struct strbuf *out)
{
    const struct strbuf *params = &file->session->conversation.params;
    strbuf_append(out, params->len > 0 ? strbuf_str(params) : STR("{}"));
    return strbuf_append_byte(out, '\n');
}

int params_truncate(struct session *session, struct file *file, uint64_t size)
{
    return setting_truncate(&params_setting, session, file, size);
}

// ---- tools ---------------------------------------------------------------------------------------------------------

static struct strbuf *tools_in(struct conversation *c)
{
    return &c->tools;
}

static int check_tools(struct str text, struct tokfs_buffer *ret, struct tokfs_error *reason)
{
    return tokfs_tools_check(text.ptr, text.len, ret, reason);
}

// Each piece is well formed; together they may be too many.
static int check_all_tools(struct file *file, struct tokfs_error *reason)
{
    struct tokfs_buffer array = { 0 };
    struct strbuf whole;
    strbuf_init(&whole, 0);
    int r = draft_settle(file, &whole, reason);
    if (r == 0) {
        r = check_tools(strbuf_str(&whole), &array, reason);
        free(array.ptr);
    }
    strbuf_deinit(&whole);
    return r;
}

static int tools_gather(struct file *file, struct tokfs_error *reason)
{
    struct draft *draft = file->state;
    struct tokfs_buffer array = { 0 };
    int r = check_tools(strbuf_str(&draft->body.bytes), &array, reason);
    if (r == 0) {
        r = conversation_add_tools(&draft->given, (struct str){ array.ptr, array.len });
        free(array.ptr);
        r = r < 0 ? too_long(reason, r, draft->given.tools.len_max) : check_all_tools(file, reason);
    }
    if (r == 0) {
        body_reset(&draft->body);
    }
    return r;
}

static const struct setting tools_setting = { JOURNAL_TOOLS, BODY_TAKES_ARRAY, tools_in, tools_gather,
                                              conversation_add_tools };

int tools_open(struct file *file)
{
    return draft_open(file, &tools_setting);
}

int tools_render(struct file *file, struct strbuf *out)
{
    const struct strbuf *tools = &file->session->conversation.tools;
    strbuf_append(out, tools->len > 0 ? strbuf_str(tools) : STR("[]"));
    return strbuf_append_byte(out, '\n');
}

int tools_truncate(struct session *session, struct file *file, uint64_t size)
{
    return setting_truncate(&tools_setting, session, file, size);
}
