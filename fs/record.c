#include "fs/record.h"
#include <endian.h>
#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SUM_OFFSET 16
#define SEQ_BITS   48

static const char magic[3] = { 't', 'k', 'r' };

static uint64_t sum_of(const char *head, struct str body)
{
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, head, SUM_OFFSET);
    if (body.len > 0) {
        XXH3_64bits_update(&state, body.ptr, body.len);
    }
    return XXH3_64bits_digest(&state);
}

static uint64_t load_u64(const char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return le64toh(value);
}

static uint32_t load_u32(const char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return le32toh(value);
}

int record_append(struct strbuf *out, const struct record *record)
{
    char head[RECORD_HEAD_BYTES];
    uint32_t len = htole32((uint32_t)record->body.len);
    uint64_t place = htole64((uint64_t)record->epoch << SEQ_BITS | record->seq);
    if (record->body.len > RECORD_BODY_MAX) {
        out->error = out->error ? out->error : -EFBIG;
        return out->error;
    }
    memcpy(head, &len, sizeof(len));
    head[4] = (char)record->type;
    memcpy(head + 5, magic, sizeof(magic));
    memcpy(head + 8, &place, sizeof(place));
    uint64_t sum = htole64(sum_of(head, record->body));
    memcpy(head + SUM_OFFSET, &sum, sizeof(sum));
    if (strbuf_reserve(out, sizeof(head) + record->body.len) == 0) { // all of it or nothing
        strbuf_append(out, (struct str){ head, sizeof(head) });
        strbuf_append(out, record->body);
    }
    return out->error;
}

int64_t record_length(struct str bytes)
{
    if (bytes.len < RECORD_HEAD_BYTES) {
        return 0;
    }
    uint32_t len = load_u32(bytes.ptr);
    uint8_t type = (uint8_t)bytes.ptr[4];
    bool is_head = len <= RECORD_BODY_MAX && type > 0 && type < RECORD_TYPES_END &&
                   memcmp(bytes.ptr + 5, magic, sizeof(magic)) == 0;
    return is_head ? (int64_t)len + RECORD_HEAD_BYTES : -EBADMSG;
}

int64_t record_parse(struct str bytes, struct record *ret)
{
    int64_t len = record_length(bytes);
    if (len <= 0 || (uint64_t)len > bytes.len) {
        return len < 0 ? len : 0;
    }
    struct str body = str_skip(str_take(bytes, (size_t)len), RECORD_HEAD_BYTES);
    if (load_u64(bytes.ptr + SUM_OFFSET) != sum_of(bytes.ptr, body)) {
        return -EBADMSG;
    }
    uint64_t place = load_u64(bytes.ptr + 8);
    *ret = (struct record){
        .type = (enum record_type)bytes.ptr[4],
        .epoch = (uint16_t)(place >> SEQ_BITS),
        .seq = place & ((1ull << SEQ_BITS) - 1),
        .body = body,
    };
    return len;
}

// ---- bodies --------------------------------------------------------------------------------------------------------

void record_put_u8(struct strbuf *out, uint8_t value)
{
    strbuf_append_byte(out, (char)value);
}

void record_put_u32(struct strbuf *out, uint32_t value)
{
    uint32_t le = htole32(value);
    strbuf_append(out, (struct str){ (const char *)&le, sizeof(le) });
}

void record_put_u64(struct strbuf *out, uint64_t value)
{
    uint64_t le = htole64(value);
    strbuf_append(out, (struct str){ (const char *)&le, sizeof(le) });
}

void record_put_str(struct strbuf *out, struct str text)
{
    if (text.len > RECORD_BODY_MAX) {
        out->error = out->error ? out->error : -EFBIG;
        return;
    }
    record_put_u32(out, (uint32_t)text.len);
    strbuf_append(out, text);
}

// NULL: there are not as many.
static const char *take(struct record_reader *reader, size_t n)
{
    const char *bytes = reader->rest.ptr;
    if (reader->is_bad || reader->rest.len < n) {
        reader->is_bad = true;
        return NULL;
    }
    reader->rest = str_skip(reader->rest, n);
    return bytes;
}

uint8_t record_get_u8(struct record_reader *reader)
{
    const char *bytes = take(reader, 1);
    return bytes ? (uint8_t)*bytes : 0;
}

uint32_t record_get_u32(struct record_reader *reader)
{
    const char *bytes = take(reader, 4);
    return bytes ? load_u32(bytes) : 0;
}

uint64_t record_get_u64(struct record_reader *reader)
{
    const char *bytes = take(reader, 8);
    return bytes ? load_u64(bytes) : 0;
}

struct str record_get_str(struct record_reader *reader)
{
    uint32_t len = record_get_u32(reader);
    const char *bytes = take(reader, len);
    return bytes ? (struct str){ bytes, len } : STR("");
}

uint32_t record_get_count(struct record_reader *reader, size_t n_bytes_each)
{
    uint32_t n = record_get_u32(reader);
    if (reader->is_bad || n > reader->rest.len / n_bytes_each) {
        reader->is_bad = true;
        return 0;
    }
    return n;
}
