// The queue of an answer's parts: their bytes in one buffer, their headers in another. Owns both; they keep their
// memory, so that a queue that is emptied as fast as it is filled soon allocates no more.
#include "engine/text/answer_parts.h"

#include <assert.h>
#include <string.h>

struct answer_entry {
    uint32_t call_idx;
    uint32_t id_len; // CALL: the id's bytes come before the name's
    size_t len;
    enum answer_part_kind kind;
};

void answer_parts_init(struct answer_parts *parts)
{
    strbuf_init(&parts->text, 0);
    strbuf_init(&parts->entries, 0);
}

void answer_parts_deinit(struct answer_parts *parts)
{
    strbuf_deinit(&parts->text);
    strbuf_deinit(&parts->entries);
}

int answer_parts_reserve(struct answer_parts *parts, size_t n_bytes, size_t n_entries)
{
    int r = strbuf_reserve(&parts->text, n_bytes);
    return r < 0 ? r : strbuf_reserve(&parts->entries, n_entries * sizeof(struct answer_entry));
}

void answer_parts_reset(struct answer_parts *parts)
{
    strbuf_reset(&parts->text);
    strbuf_reset(&parts->entries);
}

static struct answer_entry entry_at(const struct answer_parts *parts, size_t offset)
{
    struct answer_entry entry;
    memcpy(&entry, parts->entries.ptr + offset, sizeof(entry));
    return entry;
}

static void put_entry(struct answer_parts *parts, size_t offset, const struct answer_entry *entry)
{
    memcpy(parts->entries.ptr + offset, entry, sizeof(*entry));
}

// Whether the text went to the last entry.
static bool join_last(struct answer_parts *parts, const struct answer_part *part)
{
    if (parts->entries.len == 0 || part->kind == ANSWER_CALL) {
        return false;
    }
    size_t last = parts->entries.len - sizeof(struct answer_entry);
    struct answer_entry entry = entry_at(parts, last);
    if (entry.kind != part->kind || entry.call_idx != part->call_idx) {
        return false;
    }
    entry.len += part->text.len;
    put_entry(parts, last, &entry);
    return true;
}

int answer_parts_add(struct answer_parts *parts, const struct answer_part *part)
{
    assert(part->kind == ANSWER_CALL || part->id.len == 0);
    if (part->text.len == 0) {
        return 0;
    }
    int r = strbuf_reserve(&parts->entries, sizeof(struct answer_entry));
    if (r == 0) {
        r = strbuf_reserve(&parts->text, part->id.len + part->text.len);
    }
    if (r < 0) {
        return r;
    }
    if (!join_last(parts, part)) {
        struct answer_entry entry = { .kind = part->kind,
                                      .call_idx = part->call_idx,
                                      .id_len = (uint32_t)part->id.len,
                                      .len = part->id.len + part->text.len };
        strbuf_append(&parts->entries, (struct str){ (const char *)&entry, sizeof(entry) });
    }
    strbuf_append(&parts->text, part->id);
    return strbuf_append(&parts->text, part->text);
}

bool answer_parts_is_empty(const struct answer_parts *parts)
{
    return parts->entries.len == 0;
}

bool answer_parts_first(const struct answer_parts *parts, struct answer_part *ret)
{
    if (parts->entries.len == 0) {
        return false;
    }
    struct answer_entry entry = entry_at(parts, 0);
    struct str bytes = str_take(strbuf_str(&parts->text), entry.len);
    *ret = (struct answer_part){ .kind = entry.kind,
                                 .call_idx = entry.call_idx,
                                 .id = str_take(bytes, entry.id_len),
                                 .text = str_skip(bytes, entry.id_len) };
    return true;
}

static void drop_front(struct strbuf *buf, size_t n)
{
    memmove(buf->ptr, buf->ptr + n, buf->len - n + 1); // with the NUL
    buf->len -= n;
}

void answer_parts_take(struct answer_parts *parts, size_t n_bytes)
{
    assert(parts->entries.len > 0);
    struct answer_entry entry = entry_at(parts, 0);
    size_t n = entry.kind == ANSWER_CALL ? entry.len : n_bytes;
    assert(n <= entry.len);
    entry.len -= n;
    if (entry.len == 0) {
        drop_front(&parts->entries, sizeof(entry));
    } else {
        put_entry(parts, 0, &entry);
    }
    drop_front(&parts->text, n);
}
