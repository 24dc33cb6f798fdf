#include "tools/kv/share_schema.h"

const char *const share_kinds[] = { "tokfs", "llm-d", NULL };

// The reply that share_writer.c knows a lost lease by begins with LEASE.
#define CHECK_LEASE                                                                                                    \
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('LEASE another bridge writes this node') " \
    "end\n"
#define CLAIM_LEASE                                                                                                    \
    "local owner = redis.call('GET', KEYS[1])\n"                                                                       \
    "if owner and owner ~= ARGV[1] then return {-1} end\n"                                                             \
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"

// Takes the bit of a slot out of a block; a block without bits goes.
#define TOKFS_DROP                                                                                                     \
    "local function drop(key, slot)\n"                                                                                 \
    "  redis.call('SETBIT', key, slot, 0)\n"                                                                           \
    "  if redis.call('BITPOS', key, 1) == -1 then redis.call('DEL', key) end\n"                                        \
    "end\n"

// As Go writes struct PodEntry. An engine's name goes with the last block that it leads to.
#define LLMD_DROP                                                                                                      \
    "local function field(pod, tier)\n"                                                                                \
    "  return '{\"PodIdentifier\":\"' .. pod .. '\",\"DeviceTier\":\"' .. tier ..\n"                                   \
    "    '\",\"Speculative\":false,\"HasGroup\":false,\"GroupIdx\":0}'\n"                                              \
    "end\n"                                                                                                            \
    "local function drop(member, pod)\n"                                                                               \
    "  local tier, engine, request = member:match('^(%a+):(%d+):(%d+)$')\n"                                            \
    "  redis.call('HDEL', request, field(pod, tier))\n"                                                                \
    "  for _, r in ipairs(redis.call('ZRANGE', 'engine:' .. engine, 0, -1)) do\n"                                      \
    "    if redis.call('EXISTS', r) == 1 then return end\n"                                                            \
    "  end\n"                                                                                                          \
    "  redis.call('DEL', 'engine:' .. engine)\n"                                                                       \
    "end\n"

const struct share_schema share_schemas[] = {
    [SHARE_TOKFS] = {
        .prefix = STR("tokfs:index:"),
        .claim = STR(CLAIM_LEASE
            "local slot = redis.call('SPOP', KEYS[4])\n"
            "if not slot then\n"
            "  if tonumber(redis.call('GET', KEYS[5]) or 0) >= 65536 then\n"
            "    return redis.error_reply('FULL 65536 holders are there')\n"
            "  end\n"
            "  slot = redis.call('INCR', KEYS[5]) - 1\n"
            "end\n"
            "redis.call('HSET', KEYS[3], slot, ARGV[3])\n"
            "redis.call('HSET', KEYS[2], 'slot', slot)\n"
            "redis.call('PEXPIRE', KEYS[2], ARGV[2])\n"
            "local answer = {tonumber(slot)}\n"
            "for i = 5, #ARGV do\n"
            "  redis.call('HSETNX', KEYS[6], ARGV[i], redis.call('HLEN', KEYS[6]))\n"
            "  answer[#answer + 1] = tonumber(redis.call('HGET', KEYS[6], ARGV[i]))\n"
            "end\n"
            "return answer\n"),
        .store = STR(CHECK_LEASE
            "for i = 4, #ARGV do redis.call('SETBIT', ARGV[3] .. ARGV[i], ARGV[2], 1) end\n"
            "return redis.call('SADD', KEYS[2], unpack(ARGV, 4))\n"),
        .take = STR(CHECK_LEASE TOKFS_DROP
            "for i = 4, #ARGV do drop(ARGV[3] .. ARGV[i], ARGV[2]) end\n"
            "return redis.call('SREM', KEYS[2], unpack(ARGV, 4))\n"),
        .collect = STR(TOKFS_DROP
            "redis.call('ZREMRANGEBYSCORE', ARGV[1] .. 'nodes', '-inf', ARGV[2] - 3600000)\n"
            "local slots = redis.call('HGETALL', KEYS[1])\n"
            "for i = 1, #slots, 2 do\n"
            "  if redis.call('HGET', ARGV[1] .. 'node:' .. slots[i + 1], 'slot') ~= slots[i] then\n"
            "    local held = redis.call('SPOP', ARGV[1] .. 'held:' .. slots[i], 1024)\n"
            "    for _, member in ipairs(held) do drop(ARGV[1] .. 'b:' .. member, slots[i]) end\n"
            "    if #held < 1024 then\n"
            "      redis.call('HDEL', KEYS[1], slots[i])\n"
            "      redis.call('SADD', KEYS[2], slots[i])\n"
            "    end\n"
            "    return 1\n"
            "  end\n"
            "end\n"
            "return 0\n"),
    },
    // llm-d looks through every key of its database but for those that begin with engine:, and takes them for hashes.
    [SHARE_LLMD] = {
        .prefix = STR("engine:tokfs:"),
        .claim = STR(CLAIM_LEASE
            "redis.call('HSET', KEYS[6], ARGV[3], ARGV[4])\n"
            "redis.call('HSET', KEYS[2], 'slot', 0)\n"
            "redis.call('PEXPIRE', KEYS[2], ARGV[2])\n"
            "return {0}\n"),
        .store = STR(CHECK_LEASE LLMD_DROP
            "for i = 4, #ARGV do\n"
            "  local tier, engine, request = ARGV[i]:match('^(%a+):(%d+):(%d+)$')\n"
            "  redis.call('ZADD', 'engine:' .. engine, 0, request)\n"
            "  redis.call('HSET', request, field(ARGV[2], tier), '')\n"
            "end\n"
            "return redis.call('SADD', KEYS[2], unpack(ARGV, 4))\n"),
        .take = STR(CHECK_LEASE LLMD_DROP
            "for i = 4, #ARGV do drop(ARGV[i], ARGV[2]) end\n"
            "return redis.call('SREM', KEYS[2], unpack(ARGV, 4))\n"),
        .sweep = STR(CHECK_LEASE LLMD_DROP
            "local held = redis.call('SPOP', KEYS[2], 256)\n"
            "for _, member in ipairs(held) do drop(member, ARGV[2]) end\n"
            "return #held\n"),
        .collect = STR(LLMD_DROP
            "for _, name in ipairs(redis.call('HKEYS', KEYS[2])) do\n"
            "  if redis.call('EXISTS', ARGV[1] .. 'node:' .. name) == 0 then\n"
            "    local pod = redis.call('HGET', KEYS[2], name)\n"
            "    local held = redis.call('SPOP', ARGV[1] .. 'held:' .. name, 256)\n"
            "    for _, member in ipairs(held) do drop(member, pod) end\n"
            "    if #held < 256 then\n"
            "      redis.call('HDEL', KEYS[2], name)\n"
            "      redis.call('ZREM', KEYS[1], name)\n"
            "    end\n"
            "    return 1\n"
            "  end\n"
            "end\n"
            "return 0\n"),
    },
};

const struct str share_beat = STR("if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
                                  "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                                  "redis.call('HSET', KEYS[2], unpack(ARGV, 5))\n"
                                  "redis.call('PEXPIRE', KEYS[2], ARGV[2])\n"
                                  "redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])\n"
                                  "return 1\n");

const struct str share_release =
    STR("if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1], KEYS[2]) end\n"
        "return 0\n");

const struct str share_nodes =
    STR("local all = {}\n"
        "for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do\n"
        "  local node = redis.call('HMGET', ARGV[1] .. 'node:' .. name, 'address', 'model', 'block_size', 'slot',\n"
        "    'requests_running', 'requests_waiting', 'cache_scope')\n"
        "  if node[1] and node[4] then\n"
        "    table.insert(node, 1, name)\n"
        "    all[#all + 1] = node\n"
        "  else\n"
        "    all[#all + 1] = {name}\n"
        "  end\n"
        "end\n"
        "return all\n");
