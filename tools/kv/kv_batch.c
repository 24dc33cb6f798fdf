// vLLM's event batches, decoded. An event is an array (its tag first) or a map (its tag under "type"); a table says
// where each field is in either, so that all that follows does not care.
#include "tools/kv/kv_message.h"
#include "tools/kv/msgpack_check.h"
#include <errno.h>
#include <math.h>
#include <msgpack.h>
#include <string.h>
#include <xxhash.h>

enum field {
    FIELD_HASHES,
    FIELD_PARENT,
    FIELD_TOKENS,
    FIELD_BLOCK_SIZE,
    FIELD_MEDIUM,
    FIELD_LORA_NAME,
    FIELD_EXTRA_KEYS,
    N_FIELDS
};

// Where the fields of an event are: 0 in an array where it has none.
static const struct event_type {
    const char *tag;
    enum kv_message_kind kind;
    uint8_t at[N_FIELDS];
} event_types[] = {
    { "BlockStored", KV_MESSAGE_STORED, { 1, 2, 3, 4, 6, 7, 8 } },
    { "BlockRemoved", KV_MESSAGE_REMOVED, { [FIELD_HASHES] = 1, [FIELD_MEDIUM] = 2 } },
    { "AllBlocksCleared", KV_MESSAGE_CLEARED, { 0 } },
};

static const char *const field_names[N_FIELDS] = { "block_hashes", "parent_block_hash", "token_ids", "block_size",
                                                   "medium",       "lora_name",         "extra_keys" };

struct decoder {
    struct arena *arena;
    const msgpack_object *event;
    const struct event_type *type;
    size_t event_idx;
    struct err *err;
};

static struct str text_of(const msgpack_object *value)
{
    return value && value->type == MSGPACK_OBJECT_STR ? (struct str){ value->via.str.ptr, value->via.str.size }
                                                      : (struct str){ NULL, 0 };
}

// The last of that name.
static const msgpack_object *map_get(const msgpack_object *map, const char *name)
{
    for (uint32_t i = map->via.map.size; i-- > 0;) {
        if (str_eq(text_of(&map->via.map.ptr[i].key), str_from(name))) {
            return &map->via.map.ptr[i].val;
        }
    }
    return NULL;
}

// A member of a struct that is an array or a map; NULL where it is absent or nil.
static const msgpack_object *member(const msgpack_object *object, size_t at, const char *name)
{
    const msgpack_object *value = NULL;
    if (object->type == MSGPACK_OBJECT_MAP) {
        value = map_get(object, name);
    } else if (at < object->via.array.size) {
        value = &object->via.array.ptr[at];
    }
    return value && value->type != MSGPACK_OBJECT_NIL ? value : NULL;
}

static const msgpack_object *field(const struct decoder *d, enum field which)
{
    uint8_t at = d->type->at[which];
    return at > 0 ? member(d->event, at, field_names[which]) : NULL;
}

static int refuse(const struct decoder *d, enum field which, const char *what)
{
    return err_set(d->err, -EINVAL, "events[%zu].%s: %s", d->event_idx, field_names[which], what);
}

// NULL when it is none.
static const msgpack_object_array *take_array(const struct decoder *d, enum field which)
{
    static const msgpack_object_array none;
    const msgpack_object *value = field(d, which);
    if (value && value->type != MSGPACK_OBJECT_ARRAY) {
        refuse(d, which, "an array is needed");
        return NULL;
    }
    return value ? &value->via.array : &none;
}

// ---- hashes --------------------------------------------------------------------------------------------------------

static int take_hash(const struct decoder *d, enum field which, const msgpack_object *value, uint64_t *ret)
{
    if (value->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        *ret = value->via.u64;
    } else if (value->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
        *ret = (uint64_t)value->via.i64;
    } else if (value->type == MSGPACK_OBJECT_BIN && value->via.bin.size > 0) {
        *ret = 0;
        for (uint32_t i = value->via.bin.size > 8 ? value->via.bin.size - 8 : 0; i < value->via.bin.size; i++) {
            *ret = *ret << 8 | (uint8_t)value->via.bin.ptr[i];
        }
    } else {
        return refuse(d, which, "a hash is a whole number or bytes");
    }
    return 0;
}

static int take_hashes(const struct decoder *d, struct kv_message *ret)
{
    const msgpack_object_array *array = take_array(d, FIELD_HASHES);
    uint64_t *hashes = array ? arena_alloc_array(d->arena, array->size, sizeof(*hashes)) : NULL;
    int r = 0;
    if (!hashes) {
        return array ? -ENOMEM : -EINVAL;
    }
    for (uint32_t i = 0; r == 0 && i < array->size; i++) {
        r = take_hash(d, FIELD_HASHES, &array->ptr[i], &hashes[i]);
    }
    ret->hashes = hashes;
    ret->n_blocks = array->size;
    return r;
}

// ---- the rest of a stored block ------------------------------------------------------------------------------------

static int take_tokens(const struct decoder *d, struct kv_message *ret)
{
    const msgpack_object_array *array = take_array(d, FIELD_TOKENS);
    if (!array || array->size == 0) {
        return array ? 0 : -EINVAL;
    }
    if (array->size != (uint64_t)ret->n_blocks * ret->block_size) {
        return err_set(d->err, -EINVAL, "events[%zu].token_ids: %u ids for %zu blocks of %u", d->event_idx, array->size,
                       ret->n_blocks, ret->block_size);
    }
    uint32_t *tokens = arena_alloc_array(d->arena, array->size, sizeof(*tokens));
    if (!tokens) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < array->size; i++) {
        const msgpack_object *id = &array->ptr[i];
        if (id->type != MSGPACK_OBJECT_POSITIVE_INTEGER || id->via.u64 > UINT32_MAX) {
            return refuse(d, FIELD_TOKENS, "an id is a whole number below 2^32");
        }
        tokens[i] = (uint32_t)id->via.u64;
    }
    ret->tokens = tokens;
    return 0;
}

// The only key of a block, where it is a text; otherwise empty.
static struct str only_text(const msgpack_object *keys)
{
    return keys->type == MSGPACK_OBJECT_ARRAY && keys->via.array.size == 1 ? text_of(keys->via.array.ptr)
                                                                           : (struct str){ NULL, 0 };
}

// 16 hexadecimal digits, as tokfs tells the hash of a salt.
static bool is_hash(struct str text, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digits = "0123456789abcdef", *digit = memchr(digits, text.ptr[i], 16);
        if (!digit) {
            return false;
        }
        value = value << 4 | (uint64_t)(digit - digits);
    }
    *ret = value;
    return text.len == 16;
}

static int hash_keys(const msgpack_object *keys, uint64_t *ret)
{
    msgpack_sbuffer bytes;
    msgpack_packer packer;
    struct str text = only_text(keys);
    int r = 0;
    if (text.len > 0) { // vLLM tells the cache_salt itself
        bool is_known = is_hash(text, ret);
        *ret = is_known ? *ret : XXH3_64bits(text.ptr, text.len);
        *ret = *ret ? *ret : 1;
        return 0;
    }
    msgpack_sbuffer_init(&bytes);
    msgpack_packer_init(&packer, &bytes, msgpack_sbuffer_write);
    if (msgpack_pack_object(&packer, *keys) == 0) {
        *ret = XXH3_64bits(bytes.data, bytes.size) | 1; // never 0
    } else {
        r = -ENOMEM;
    }
    msgpack_sbuffer_destroy(&bytes);
    return r;
}

static int take_extras(const struct decoder *d, struct kv_message *ret)
{
    const msgpack_object_array *array = take_array(d, FIELD_EXTRA_KEYS);
    if (!array || array->size == 0) {
        return array ? 0 : -EINVAL;
    }
    if (array->size != ret->n_blocks) {
        return refuse(d, FIELD_EXTRA_KEYS, "as many entries as blocks are needed");
    }
    uint64_t *extras = arena_alloc_array(d->arena, array->size, sizeof(*extras));
    int r = extras ? 0 : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < array->size; i++) {
        r = array->ptr[i].type == MSGPACK_OBJECT_NIL ? 0 : hash_keys(&array->ptr[i], &extras[i]);
    }
    ret->extras = extras;
    return r;
}

static int take_text(const struct decoder *d, enum field which, struct str (*copy)(struct arena *arena, struct str s),
                     struct str *ret)
{
    const msgpack_object *value = field(d, which);
    if (value && value->type != MSGPACK_OBJECT_STR) {
        return refuse(d, which, "a text is needed");
    }
    *ret = copy(d->arena, text_of(value));
    return ret->ptr ? 0 : -ENOMEM;
}

static int take_stored(const struct decoder *d, struct kv_message *ret)
{
    const msgpack_object *parent = field(d, FIELD_PARENT), *size = field(d, FIELD_BLOCK_SIZE);
    if (!size || size->type != MSGPACK_OBJECT_POSITIVE_INTEGER || size->via.u64 < 1 ||
        size->via.u64 > KV_BLOCK_TOKENS_MAX) {
        return refuse(d, FIELD_BLOCK_SIZE, "a whole number from 1 to 65536 is needed");
    }
    ret->block_size = (uint32_t)size->via.u64;
    int r = parent ? take_hash(d, FIELD_PARENT, parent, &ret->parent) : 0;
    ret->has_parent = ret->parent != 0;
    r = r < 0 ? r : take_tokens(d, ret);
    r = r < 0 ? r : take_extras(d, ret);
    return r < 0 ? r : take_text(d, FIELD_LORA_NAME, arena_copy, &ret->lora_name);
}

// ---- a batch -------------------------------------------------------------------------------------------------------

static const struct event_type *type_named(struct str tag)
{
    for (size_t i = 0; i < sizeof(event_types) / sizeof(event_types[0]); i++) {
        if (str_eq(tag, str_from(event_types[i].tag))) {
            return &event_types[i];
        }
    }
    return NULL;
}

static int take_event(struct decoder *d, struct kv_message *ret)
{
    bool is_map = d->event->type == MSGPACK_OBJECT_MAP;
    if (!is_map && d->event->type != MSGPACK_OBJECT_ARRAY) {
        return err_set(d->err, -EINVAL, "events[%zu]: an array or a map is needed", d->event_idx);
    }
    struct str tag = text_of(member(d->event, 0, "type"));
    d->type = type_named(tag);
    if (!d->type) {
        return err_set(d->err, -EINVAL, "events[%zu]: \"%.*s\" is no type of event that is known", d->event_idx,
                       (int)(tag.len < 40 ? tag.len : 40), tag.ptr ? tag.ptr : "");
    }
    *ret = (struct kv_message){ .kind = d->type->kind };
    int r = ret->kind == KV_MESSAGE_CLEARED ? 0 : take_hashes(d, ret);
    r = r < 0 || ret->kind != KV_MESSAGE_STORED ? r : take_stored(d, ret);
    return r < 0 || ret->kind == KV_MESSAGE_CLEARED ? r : take_text(d, FIELD_MEDIUM, kv_medium_copy, &ret->medium);
}

static int take_head(const msgpack_object *batch, struct kv_batch *ret, struct err *err)
{
    if (batch->type != MSGPACK_OBJECT_ARRAY && batch->type != MSGPACK_OBJECT_MAP) {
        return err_set(err, -EINVAL, "a batch of events is an array or a map");
    }
    const msgpack_object *time = member(batch, 0, "ts"), *rank = member(batch, 2, "data_parallel_rank");
    *ret = (struct kv_batch){ .rank = -1 };
    if (time && (time->type == MSGPACK_OBJECT_FLOAT64 || time->type == MSGPACK_OBJECT_FLOAT32)) {
        ret->time_s = time->via.f64;
    } else if (time && time->type == MSGPACK_OBJECT_POSITIVE_INTEGER) {
        ret->time_s = (double)time->via.u64;
    } else {
        return err_set(err, -EINVAL, "ts: a number is needed");
    }
    if (rank && (rank->type != MSGPACK_OBJECT_POSITIVE_INTEGER || rank->via.u64 > INT32_MAX)) {
        return err_set(err, -EINVAL, "data_parallel_rank: a whole number is needed");
    }
    ret->rank = rank ? (int64_t)rank->via.u64 : -1;
    return 0;
}

static int take_batch(struct arena *arena, const msgpack_object *batch, struct kv_batch *ret, struct err *err)
{
    int r = take_head(batch, ret, err);
    const msgpack_object *events = r == 0 ? member(batch, 1, "events") : NULL;
    if (r < 0 || !events || events->type != MSGPACK_OBJECT_ARRAY) {
        return r < 0 ? r : err_set(err, -EINVAL, "events: an array is needed");
    }
    ret->n_messages = events->via.array.size;
    ret->messages = arena_alloc_array(arena, ret->n_messages, sizeof(*ret->messages));
    if (!ret->messages) {
        return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < ret->n_messages; i++) {
        struct decoder d = { .arena = arena, .event = &events->via.array.ptr[i], .event_idx = i, .err = err };
        r = take_event(&d, &ret->messages[i]);
    }
    return r;
}

int kv_batch_decode(struct arena *arena, struct str payload, struct kv_batch *ret, struct err *err)
{
    msgpack_unpacked unpacked;
    struct kv_batch batch;
    int r = msgpack_check(payload, err);
    if (r < 0) {
        return r;
    }
    msgpack_unpacked_init(&unpacked);
    msgpack_unpack_return rc = msgpack_unpack_next(&unpacked, payload.ptr, payload.len, NULL);
    if (rc == MSGPACK_UNPACK_SUCCESS) {
        r = take_batch(arena, &unpacked.data, &batch, err);
    } else { // the check has seen a whole value; the library's stack is bounded
        r = err_set(err, -EINVAL, "a msgpack value that is nested too deeply");
    }
    msgpack_unpacked_destroy(&unpacked);
    if (r == -ENOMEM) {
        return err_set(err, -ENOMEM, "no memory for a batch of %zu bytes", payload.len);
    }
    if (r == 0) {
        *ret = batch;
    }
    return r;
}
