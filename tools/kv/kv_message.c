// What carries a batch (an entry of the Redis stream, a topic of ZMQ), and what the decoders share.
#include "tools/kv/kv_message.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

static int take_number(const char *name, struct str text, uint64_t *ret, struct err *err)
{
    uint64_t value = 0;
    bool is_good = text.len > 0 && text.len < 20; // no step has a number that is longer
    for (size_t i = 0; is_good && i < text.len; i++) {
        is_good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    if (!is_good) {
        return err_set(err, -EINVAL, "%s \"%.*s\": a whole number is needed", name,
                       (int)(text.len < 40 ? text.len : 40), text.ptr);
    }
    *ret = value;
    return 0;
}

static int find_field(const struct str *fields, size_t n_fields, const char *name, struct str *ret, struct err *err)
{
    for (size_t i = 0; i + 1 < n_fields; i += 2) {
        if (str_eq(fields[i], str_from(name))) {
            *ret = fields[i + 1];
            return 0;
        }
    }
    return err_set(err, -EINVAL, "an entry without a field %s", name);
}

int kv_entry_decode(struct arena *arena, const struct str *fields, size_t n_fields, struct kv_entry *ret,
                    struct err *err)
{
    struct str epoch = { 0 }, seq = { 0 }, payload = { 0 };
    struct kv_entry entry = { 0 };
    int r = find_field(fields, n_fields, "epoch", &epoch, err);
    r = r < 0 ? r : find_field(fields, n_fields, "seq", &seq, err);
    r = r < 0 ? r : find_field(fields, n_fields, "payload", &payload, err);
    r = r < 0 ? r : take_number("epoch", epoch, &entry.epoch, err);
    r = r < 0 ? r : take_number("seq", seq, &entry.seq, err);
    r = r < 0 ? r : kv_batch_decode(arena, payload, &entry.batch, err);
    if (r == 0) {
        *ret = entry;
    }
    return r;
}

int kv_topic_parse(struct str topic, struct str *ret_address, struct str *ret_model, struct err *err)
{
    struct str head, address, model = str_cut(str_cut(topic, '@', &head), '@', &address);
    if (!str_eq(head, STR("kv")) || address.len == 0 || model.len == 0 || memchr(model.ptr, '@', model.len)) {
        return err_set(err, -EINVAL, "topic \"%.*s\" is not kv@ADDRESS@MODEL", (int)(topic.len < 100 ? topic.len : 100),
                       topic.ptr ? topic.ptr : "");
    }
    *ret_address = address;
    *ret_model = model;
    return 0;
}

struct str kv_medium_copy(struct arena *arena, struct str name)
{
    char *copy = arena_alloc(arena, name.len);
    for (size_t i = 0; copy && i < name.len; i++) {
        copy[i] = (char)tolower((unsigned char)name.ptr[i]);
    }
    return (struct str){ copy, copy ? name.len : 0 };
}
