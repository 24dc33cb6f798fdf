// Copies in, a body and an input out. Nothing here is touched by two threads at once: see the header.
#include "fs/composition.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct composition {
    atomic_uint refs;
    struct conversation base; // until the body is made
    struct strbuf given;      // likewise
    bool is_json;
    bool keeps_body;
    size_t body_bytes_max;
    uint64_t n_bytes; // the loop thread's
    struct conversation_input input;
    struct strbuf body; // kept
};

static int copy_conversation(struct conversation *to, const struct conversation *from)
{
    int r = strbuf_append(&to->messages, strbuf_str(&from->messages));
    r = r == 0 ? strbuf_append(&to->system, strbuf_str(&from->system)) : r;
    r = r == 0 ? strbuf_append(&to->params, strbuf_str(&from->params)) : r;
    r = r == 0 ? strbuf_append(&to->tools, strbuf_str(&from->tools)) : r;
    to->n_messages = from->n_messages;
    return r;
}

static struct composition *allocate(void)
{
    struct composition *composition = calloc(1, sizeof(*composition));
    if (composition) {
        atomic_init(&composition->refs, 1);
        conversation_init(&composition->base, 0);
        conversation_input_init(&composition->input);
        strbuf_init(&composition->given, 0);
        strbuf_init(&composition->body, 0);
    }
    return composition;
}

int composition_new(const struct conversation *base, struct str given, bool is_json, size_t body_bytes_max,
                    bool keeps_body, struct composition **ret)
{
    struct composition *composition = allocate();
    if (!composition) {
        return -ENOMEM;
    }
    composition->is_json = is_json;
    composition->keeps_body = keeps_body;
    composition->body_bytes_max = body_bytes_max;
    int r = copy_conversation(&composition->base, base);
    r = r == 0 ? strbuf_append(&composition->given, given) : r;
    if (r < 0) {
        composition_unref(composition);
        return r;
    }
    composition->n_bytes =
        sizeof(*composition) + given.len + base->messages.len + base->system.len + base->params.len + base->tools.len;
    *ret = composition;
    return 0;
}

int composition_restore(struct composition_made *made, struct composition **ret)
{
    struct composition *composition = allocate();
    if (!composition) {
        conversation_input_deinit(&made->input);
        strbuf_deinit(&made->body);
        return -ENOMEM;
    }
    composition->input = made->input;
    composition->body = made->body;
    *ret = composition;
    return 0;
}

static void drop_sources(struct composition *composition)
{
    conversation_deinit(&composition->base);
    conversation_init(&composition->base, 0);
    strbuf_deinit(&composition->given);
    strbuf_init(&composition->given, 0);
}

void composition_unref(struct composition *composition)
{
    if (composition && atomic_fetch_sub(&composition->refs, 1) == 1) {
        drop_sources(composition);
        conversation_input_deinit(&composition->input);
        strbuf_deinit(&composition->body);
        free(composition);
    }
}

// ---- on a text thread ----------------------------------------------------------------------------------------------

static int take_given(struct composition *composition, struct tokfs_error *reason)
{
    struct str given = strbuf_str(&composition->given);
    int r = composition->is_json ? conversation_input_set_json(&composition->input, given, reason)
                                 : conversation_input_set_text(&composition->input, given);
    return r < 0 && !reason->code ? reason_set(reason, r, NULL, "out of memory") : r;
}

static int make(void *ctx, char **ret_json, size_t *ret_len, struct tokfs_error *reason)
{
    struct composition *composition = ctx;
    struct strbuf body;
    strbuf_init(&body, composition->body_bytes_max); // what is kept is bounded by what can be asked
    int r = take_given(composition, reason);
    if (r == 0) {
        r = conversation_build(&composition->base, &composition->input, &body);
        if (r == -EFBIG) {
            reason_set(reason, r, NULL, "the conversation is longer than the limit of %zu bytes", body.len_max);
        } else if (r < 0) {
            reason_set(reason, r, NULL, "out of memory");
        }
    }
    drop_sources(composition);
    if (r == 0 && composition->keeps_body && strbuf_append(&composition->body, strbuf_str(&body)) < 0) {
        r = reason_set(reason, -ENOMEM, NULL, "out of memory");
    }
    if (r == 0) {
        *ret_len = body.len;
        *ret_json = strbuf_steal(&body);
    }
    strbuf_deinit(&body);
    return r;
}

int composition_make(struct composition *composition, struct tokfs_error *reason)
{
    char *json = NULL;
    size_t len;
    int r = make(composition, &json, &len, reason);
    free(json);
    return r;
}

static void release(void *ctx)
{
    composition_unref(ctx);
}

// ---- on the loop thread --------------------------------------------------------------------------------------------

struct tokfs_chat_source composition_source(struct composition *composition)
{
    atomic_fetch_add(&composition->refs, 1);
    return (struct tokfs_chat_source){
        .make = make, .release = release, .ctx = composition, .n_bytes = composition->n_bytes
    };
}

uint64_t composition_bytes(const struct composition *composition)
{
    return composition->n_bytes;
}

void composition_settle(struct composition *composition)
{
    const struct conversation_input *input = &composition->input;
    composition->n_bytes = sizeof(*composition) + input->messages.cap + input->fields.cap + input->tools.cap;
}

const struct conversation_input *composition_input(const struct composition *composition)
{
    return &composition->input;
}

struct str composition_body(const struct composition *composition)
{
    return strbuf_str(&composition->body);
}
