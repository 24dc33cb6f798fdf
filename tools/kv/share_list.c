#include "tools/kv/share_list.h"
#include "engine/base/json.h"
#include "tools/kv/redis_reply.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define TIMEOUT_S 30

struct lister {
    redisContext *redis;
    const struct share_schema *schema;
    enum share_kind kind;
    redisReply *groups; // tokfs: "SIZE TIER MODEL", number ...
    FILE *out;
    struct strbuf line;
    struct err *err;
};

// NULL: it failed, as the error says.
static redisReply *checked(struct lister *l, void *answer)
{
    redisReply *reply = answer;
    if (reply && reply->type != REDIS_REPLY_ERROR) {
        return reply;
    }
    err_set(l->err, -EIO, "Redis: %s", reply ? reply->str : l->redis->errstr);
    freeReplyObject(reply);
    return NULL;
}

// ---- lines ---------------------------------------------------------------------------------------------------------

static int write_line(struct lister *l, uint64_t hash, struct str peer, struct str model, struct str size,
                      struct str tier)
{
    struct json_writer w;
    strbuf_reset(&l->line);
    strbuf_printf(&l->line, "{\"hash\":\"%016" PRIx64 "\",\"peer\":", hash);
    json_writer_init(&w, &l->line);
    json_write_str(&w, peer);
    strbuf_append(&l->line, STR(",\"model\":"));
    json_writer_init(&w, &l->line);
    json_write_str(&w, model);
    strbuf_printf(&l->line, ",\"block_size\":%.*s,\"tiers\":[\"%.*s\"]}\n", STR_ARG(size), STR_ARG(tier));
    if (l->line.error || fwrite(l->line.ptr, 1, l->line.len, l->out) != l->line.len) {
        return err_set(l->err, -EIO, "the output failed");
    }
    return 0;
}

// "GROUP:HASH"
static int write_member(struct lister *l, struct str member, const redisReply *node)
{
    struct str group, hash = str_cut(member, ':', &group), size, tier;
    for (size_t i = 0; i + 1 < l->groups->elements; i += 2) {
        if (str_eq(redis_reply_str(l->groups->element[i + 1]), group)) {
            struct str model = str_cut(str_cut(redis_reply_str(l->groups->element[i]), ' ', &size), ' ', &tier);
            return write_line(l, strtoull(hash.ptr, NULL, 16), redis_reply_str(node->element[1]), model, size, tier);
        }
    }
    return 0; // of a group that is newer than the list of groups
}

// "TIER:ENGINE:REQUEST"
static int write_llmd_member(struct lister *l, struct str member, const redisReply *node)
{
    struct str tier, engine, request = str_cut(str_cut(member, ':', &tier), ':', &engine);
    return write_line(l, strtoull(request.ptr, NULL, 10), redis_reply_str(node->element[1]),
                      redis_reply_str(node->element[2]), redis_reply_str(node->element[3]), tier);
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static int list_node(struct lister *l, const redisReply *node)
{
    struct str of = redis_reply_str(node->element[l->kind == SHARE_LLMD ? 0 : 4]);
    char cursor[32] = "0";
    int r = 0;
    do {
        redisReply *reply = checked(
            l, redisCommand(l->redis, "SSCAN %sheld:%b %s COUNT 1000", l->schema->prefix.ptr, of.ptr, of.len, cursor));
        if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
            freeReplyObject(reply);
            return l->err->code < 0 ? l->err->code : err_set(l->err, -EIO, "Redis: no answer to SSCAN");
        }
        snprintf(cursor, sizeof(cursor), "%.*s", STR_ARG(redis_reply_str(reply->element[0])));
        for (size_t i = 0; i < reply->element[1]->elements && r == 0; i++) {
            struct str member = redis_reply_str(reply->element[1]->element[i]);
            r = l->kind == SHARE_LLMD ? write_llmd_member(l, member, node) : write_member(l, member, node);
        }
        freeReplyObject(reply);
    } while (r == 0 && strcmp(cursor, "0") != 0);
    return r;
}

static int list_nodes(struct lister *l)
{
    const char *prefix = l->schema->prefix.ptr;
    int r = 0;
    redisReply *nodes = checked(l, redisCommand(l->redis, "EVAL %s 1 %snodes %s", share_nodes.ptr, prefix, prefix));
    l->groups = nodes ? checked(l, redisCommand(l->redis, "HGETALL %sgroups", prefix)) : NULL;
    r = l->groups ? 0 : l->err->code;
    for (size_t i = 0; r == 0 && i < nodes->elements; i++) {
        const redisReply *node = nodes->element[i];
        r = node->type == REDIS_REPLY_ARRAY && node->elements == 8 ? list_node(l, node) : 0;
    }
    freeReplyObject(nodes);
    freeReplyObject(l->groups);
    return r;
}

// ---- the connection ------------------------------------------------------------------------------------------------

static int greet(struct lister *l, const struct redis_url *url)
{
    redisReply *reply = NULL;
    if (url->password[0]) {
        reply = checked(l, url->user[0] ? redisCommand(l->redis, "AUTH %s %s", url->user, url->password)
                                        : redisCommand(l->redis, "AUTH %s", url->password));
        if (!reply) {
            return l->err->code;
        }
        freeReplyObject(reply);
    }
    reply = checked(l, redisCommand(l->redis, "SELECT %u", url->db));
    freeReplyObject(reply);
    return reply ? 0 : l->err->code;
}

int share_list(const struct redis_url *url, enum share_kind kind, FILE *out, struct err *err)
{
    const struct timeval timeout = { TIMEOUT_S, 0 };
    struct lister l = { .schema = &share_schemas[kind], .kind = kind, .out = out, .err = err };
    *err = (struct err){ 0 };
    l.redis = url->host[0] ? redisConnectWithTimeout(url->host, url->port, timeout)
                           : redisConnectUnixWithTimeout(url->path, timeout);
    strbuf_init(&l.line, 0);
    int r = !l.redis       ? err_set(err, -ENOMEM, "out of memory")
            : l.redis->err ? err_set(err, -EIO, "Redis: %s", l.redis->errstr)
                           : 0;
    if (r == 0) {
        redisSetTimeout(l.redis, timeout);
        r = greet(&l, url);
    }
    r = r < 0 ? r : list_nodes(&l);
    if (l.redis) {
        redisFree(l.redis);
    }
    strbuf_deinit(&l.line);
    return r;
}
