// Lines of kv/events and kv/snapshot (tokfs(5)). The blocks of a line come in any order; those that follow each other
// become one message.
#include "engine/base/json.h"
#include "tools/kv/kv_message.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

struct reader {
    struct arena *arena;
    const struct json *line;
    struct err *err;
};

static int take_u64(const struct reader *r, const char *name, uint64_t *ret)
{
    const struct json *value = json_get(r->line, str_from(name));
    int64_t number;
    if (!value || value->type != JSON_NUMBER || json_get_i64(value, &number) < 0 || number < 0) {
        return err_set_param(r->err, -EINVAL, name, "%s: a whole number is needed", name);
    }
    *ret = (uint64_t)number;
    return 0;
}

// 16 hexadecimal digits.
static bool parse_hash(const struct json *value, uint64_t *ret)
{
    uint64_t hash = 0;
    if (!value || value->type != JSON_STRING || value->text.len != 16) {
        return false;
    }
    for (size_t i = 0; i < 16; i++) {
        unsigned char c = (unsigned char)value->text.ptr[i];
        if (!isxdigit(c)) {
            return false;
        }
        hash = hash << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *ret = hash;
    return true;
}

// ---- blocks --------------------------------------------------------------------------------------------------------

struct block {
    uint64_t hash, parent, salt;
    bool has_parent, has_salt;
};

static int take_tokens(const struct reader *r, const struct json *tokens, uint32_t block_size, uint32_t *ret)
{
    if (!tokens || tokens->type != JSON_ARRAY || tokens->n_children != block_size) {
        return err_set(r->err, -EINVAL, "tokens: an array of %u ids is needed", block_size);
    }
    const struct json *id = json_first(tokens);
    for (uint32_t i = 0; i < block_size; i++, id = json_next(id)) {
        int64_t value;
        if (id->type != JSON_NUMBER || json_get_i64(id, &value) < 0 || value < 0 || value > UINT32_MAX) {
            return err_set(r->err, -EINVAL, "tokens[%u]: a token id is needed", i);
        }
        ret[i] = (uint32_t)value;
    }
    return 0;
}

static int take_block(const struct reader *r, const struct json *object, struct block *ret)
{
    const struct json *parent = json_get(object, STR("parent")), *salt = json_get(object, STR("salt"));
    *ret = (struct block){ .has_parent = parent && parent->type != JSON_NULL, .has_salt = salt != NULL };
    if (!parse_hash(json_get(object, STR("hash")), &ret->hash) ||
        (ret->has_parent && !parse_hash(parent, &ret->parent)) || (ret->has_salt && !parse_hash(salt, &ret->salt))) {
        return err_set(r->err, -EINVAL, "blocks: hash, parent and salt are 16 hexadecimal digits each");
    }
    return 0;
}

// The memory for the blocks of a line, which its messages share.
struct blocks {
    uint64_t *hashes, *extras;
    uint32_t *tokens;
    struct kv_message *messages;
    size_t n_messages;
};

static bool follows(const struct blocks *to, size_t at, const struct block *block)
{
    return at > 0 && block->has_parent && block->parent == to->hashes[at - 1];
}

static void add_block(struct blocks *to, size_t at, uint32_t block_size, struct str tier, const struct block *block)
{
    if (!follows(to, at, block)) {
        to->messages[to->n_messages++] = (struct kv_message){ .kind = KV_MESSAGE_STORED,
                                                              .hashes = to->hashes + at,
                                                              .has_parent = block->has_parent,
                                                              .parent = block->parent,
                                                              .block_size = block_size,
                                                              .tokens = to->tokens + at * block_size,
                                                              .medium = tier };
    }
    struct kv_message *message = &to->messages[to->n_messages - 1];
    to->hashes[at] = block->hash;
    message->n_blocks++;
    if (block->has_salt) {
        to->extras[at] = block->salt ? block->salt : 1;
        message->extras = message->hashes - to->hashes + to->extras;
    }
}

static int take_stored(const struct reader *r, const struct json *array, struct str tier, struct kv_line *ret)
{
    size_t n = array->n_children, size = ret->block_size;
    struct blocks to = { .hashes = arena_alloc_array(r->arena, n, sizeof(*to.hashes)),
                         .extras = arena_alloc_array(r->arena, n, sizeof(*to.extras)),
                         .tokens = arena_alloc_array(r->arena, n * size, sizeof(*to.tokens)),
                         .messages = arena_alloc_array(r->arena, n, sizeof(*to.messages)) };
    if (!to.hashes || !to.extras || !to.tokens || !to.messages) {
        return err_set(r->err, -ENOMEM, "no memory for a line of %zu blocks", n);
    }
    const struct json *object = json_first(array);
    for (size_t i = 0; i < n; i++, object = json_next(object)) {
        struct block block;
        int rc = take_block(r, object, &block);
        rc = rc < 0 ? rc : take_tokens(r, json_get(object, STR("tokens")), ret->block_size, to.tokens + i * size);
        if (rc < 0) {
            return rc;
        }
        add_block(&to, i, ret->block_size, tier, &block);
    }
    ret->messages = to.messages;
    ret->n_messages = to.n_messages;
    return 0;
}

static int take_removed(const struct reader *r, const struct json *array, struct str tier, struct kv_line *ret)
{
    uint64_t *hashes = arena_alloc_array(r->arena, array->n_children, sizeof(*hashes));
    struct kv_message *message = arena_alloc(r->arena, sizeof(*message));
    if (!hashes || !message) {
        return err_set(r->err, -ENOMEM, "no memory for a line of %u blocks", array->n_children);
    }
    const struct json *hash = json_first(array);
    for (uint32_t i = 0; i < array->n_children; i++, hash = json_next(hash)) {
        if (!parse_hash(hash, &hashes[i])) {
            return err_set(r->err, -EINVAL, "blocks[%u]: 16 hexadecimal digits are needed", i);
        }
    }
    *message = (struct kv_message){
        .kind = KV_MESSAGE_REMOVED, .n_blocks = array->n_children, .hashes = hashes, .medium = tier
    };
    ret->messages = message;
    ret->n_messages = 1;
    return 0;
}

// ---- lines ---------------------------------------------------------------------------------------------------------

static int take_block_size(const struct reader *r, struct kv_line *ret)
{
    uint64_t size = 0;
    int rc = take_u64(r, "block_size", &size);
    if (rc == 0 && (size < 1 || size > KV_BLOCK_TOKENS_MAX)) {
        return err_set_param(r->err, -EINVAL, "block_size", "block_size: from 1 to %d is needed", KV_BLOCK_TOKENS_MAX);
    }
    ret->block_size = rc == 0 ? (uint32_t)size : 0;
    return rc;
}

static int take_blocks(const struct reader *r, struct kv_line *ret)
{
    const struct json *array = json_get(r->line, STR("blocks")), *tier = json_get(r->line, STR("tier"));
    struct str medium = kv_medium_copy(r->arena, tier && tier->type == JSON_STRING ? tier->text : STR(""));
    if (!array || array->type != JSON_ARRAY) {
        return err_set_param(r->err, -EINVAL, "blocks", "blocks: an array is needed");
    }
    if (!medium.ptr) {
        return err_set(r->err, -ENOMEM, "no memory for a line of %u blocks", array->n_children);
    }
    return ret->kind == KV_LINE_STORED ? take_stored(r, array, medium, ret) : take_removed(r, array, medium, ret);
}

static int take_kind(const struct reader *r, struct kv_line *ret)
{
    static const char *const names[] = { [KV_LINE_STORED] = "stored",
                                         [KV_LINE_REMOVED] = "removed",
                                         [KV_LINE_LOST] = "lost",
                                         [KV_LINE_SNAPSHOT] = "snapshot",
                                         [KV_LINE_END] = "end" };
    const struct json *type = json_get(r->line, STR("type"));
    struct str name = type && type->type == JSON_STRING ? type->text : STR("");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq(name, str_from(names[i]))) {
            ret->kind = (enum kv_line_kind)i;
            return 0;
        }
    }
    return err_set_param(r->err, -EINVAL, "type", "type \"%.*s\" is none that is known",
                         (int)(name.len < 40 ? name.len : 40), name.ptr);
}

int kv_line_decode(struct arena *arena, struct str text, struct kv_line *ret, struct err *err)
{
    struct kv_line line = { 0 };
    struct reader r = { .arena = arena, .err = err };
    int rc = json_parse(arena, text, &r.line, err);
    if (rc == 0 && r.line->type != JSON_OBJECT) {
        rc = err_set(err, -EINVAL, "a line is an object, not %s", json_type_name(r.line->type));
    }
    rc = rc < 0 ? rc : take_kind(&r, &line);
    rc = rc < 0 ? rc : take_u64(&r, "epoch", &line.epoch);
    rc = rc < 0 ? rc : take_u64(&r, "seq", &line.seq);
    if (rc == 0 && (line.kind == KV_LINE_STORED || line.kind == KV_LINE_SNAPSHOT)) {
        rc = take_block_size(&r, &line);
    }
    if (rc == 0 && line.kind <= KV_LINE_REMOVED) {
        rc = take_blocks(&r, &line);
    } else if (rc == 0 && line.kind == KV_LINE_END) {
        rc = take_u64(&r, "blocks", &line.n_blocks);
    }
    if (rc == 0) {
        *ret = line;
    }
    return rc;
}
