// The command line of tokfs-bridge, and its paths.
#include "tools/bridge/options.h"

#include "tests/parse_options.h"
#include "tests/unit.h"
#include "tools/bridge/route.h"
#include <errno.h>
#include <string.h>

static void test_options_all_given_are_taken(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(
        parse("--listen :80 --api-keys k --tls-cert c --tls-key d --cors * --access-log - --user u a --max-body 1K "
              "--max-connections 7 --max-per-address 3 --no-page --score --model x --model y=/d --index-bytes 4M "
              "--route random --no-page --peer http://h:1 --share-index redis://h/3 --use-index unix:///s "
              "--share-schema llm-d "
              "--index-timeout 7 b",
              &o, &err),
        0);
    assert_string_equal(o.listen, ":80");
    assert_string_equal(o.api_keys, "k");
    assert_string_equal(o.tls_cert, "c");
    assert_string_equal(o.tls_key, "d");
    assert_string_equal(o.cors, "*");
    assert_string_equal(o.access_log, "-");
    assert_string_equal(o.user, "u");
    assert_int_equal(o.body_bytes_max, 1024);
    assert_int_equal(o.max_connections, 7);
    assert_int_equal(o.max_per_address, 3);
    assert_true(o.no_page);
    assert_true(o.score && o.has_route);
    assert_int_equal(o.route, ROUTE_POLICY_RANDOM);
    assert_int_equal(o.n_peers, 1);
    assert_int_equal(o.n_models, 2);
    assert_string_equal(o.models[1], "y=/d");
    assert_int_equal(o.index_bytes, 4 << 20);
    assert_string_equal(o.share_index, "redis://h/3");
    assert_string_equal(o.use_index, "unix:///s");
    assert_int_equal(o.share_schema, SHARE_LLMD);
    assert_int_equal(o.index_timeout_ms, 7);
    assert_int_equal(o.redis_entries, 10000);
    assert_int_equal(o.redis_bytes, 4 << 20);
    assert_int_equal(o.zmq_hwm, 100000);
    assert_int_equal(o.n_mounts, 2);
    assert_string_equal(o.mounts[1], "b");
}

static void test_options_of_publishing_are_taken(void **state)
{
    struct options o;
    struct err err;
    (void)state;
    assert_int_equal(parse("--listen :80 --node n --address 10.0.0.1:80 --redis redis://:p@h/2 --redis-entries 5 "
                           "--redis-buffer 64K --zmq tcp://*:1 --zmq-replay tcp://*:2 --zmq-map-events --zmq-hwm 3 "
                           "--no-event-tokens m",
                           &o, &err),
                     0);
    assert_string_equal(o.node, "n");
    assert_string_equal(o.address, "10.0.0.1:80");
    assert_string_equal(o.redis, "redis://:p@h/2");
    assert_string_equal(o.zmq, "tcp://*:1");
    assert_string_equal(o.zmq_replay, "tcp://*:2");
    assert_true(o.redis_entries == 5 && o.redis_bytes == 65536 && o.zmq_hwm == 3);
    assert_true(o.zmq_map_events && o.no_event_tokens);
}

static void test_options_bad_one_is_named(void **state)
{
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        { "m", "--listen" },
        { "--listen :80", "MOUNT" },
        { "--listen :80 --tls-cert c m", "--tls-key" },
        { "--listen :80 --max-body 0 m", "--max-body 0: a size" },
        { "--listen :80 --max-connections 100001 m", "1 to 100000" },
        { "--listen= m", "--listen: the value is empty" },
        { "--listen :80 --listen :81 m", "--listen is given twice" },
        { "--listen :80 --max-body 1K --max-body 1K m", "--max-body is given twice" },
        { "--listen :80 --route random --route random --peer http://h:1", "--route is given twice" },
        { "--listen :80 --cors a\033b m", "--cors: the value has a control" },
        { "--listen :80 --cors= m", "--cors: the value is empty" },
        { "--listen :80 --max-connections many m", "--max-connections many" },
        { "--listen :80 --nope m", "--nope" },
        { "--listen :80 --redis redis://h m", "--node" },
        { "--listen :80 --share-index redis://h", "--follow" },
        { "--listen :80 --share-index nothing m", "--share-index" },
        { "--listen :80 --use-index redis://h --share-schema llmd", "llmd" },
        { "--listen :80 --share-schema llm-d m", "--use-index" },
        { "--listen :80 --use-index redis://h --index-timeout 0", "--index-timeout" },
        { "--listen :80 --zmq tcp://*:1 m", "--node" },
        { "--listen :80 --node n --redis redis://h --zmq-replay tcp://*:1 m", "--zmq-replay needs --zmq" },
        { "--listen :80 --node a@b m", "--node a@b" },
        { "--listen :80 --node n --redis http://h m", "--redis" },
        { "--listen :80 --node n --redis redis://h:0 m", "port" },
        { "--listen :80 --node n --zmq-hwm 0 m", "--zmq-hwm 0" },
        { "-hx", "unknown option -x; tokfs-bridge" },
        { "--listen :80 --route best m", "--route best" },
        { "--listen :80 --peer http://h:1 m", "--peer needs --route" },
        { "--listen :80 --route random --peer http://h m", "--peer http://h: a URL like http://HOST:PORT" },
        { "--listen :80 --route random --peer http://h:0 m", "--peer http://h:0" },
        { "--listen :80 --route random --peer http://h:1/x m", "--peer http://h:1/x" },
        { "--listen :80 --route random --peer= m", "--peer ''" },
        { "--listen 80 m", "--listen 80: HOST:PORT" },
        { "--listen h:65536 m", "--listen h:65536" },
        { "--listen unix: m", "--listen unix:: a path" },
        { "--listen :80 --model d m", "--model needs --score, --follow, --route" },
        { "--listen :80 --index-bytes 4M m", "--index-bytes needs --score, --follow, --route" },
        { "--listen :80 --node n m", "--node needs --redis or --zmq" },
        { "--listen :80 --address a:1 m",
          "--address needs --score, --follow, --route, --share-index, --use-index, --redis or --zmq" },
        { "--listen :80 --node n --zmq tcp://*:1 --redis-entries 5 m", "--redis-entries needs --redis" },
        { "--listen :80 --no-event-tokens m", "--no-event-tokens needs --redis or --zmq" },
        { "--listen :80 --tls-key k m", "--tls-key needs --tls-cert" },
        { "--listen :80 --follow nothing", "--follow nothing: \"nothing\" is no endpoint" },
        { "--listen :80 --follow tcp://h", "--follow tcp://h: \"tcp://h\" is no endpoint" },
        { "--listen :80 --follow tcp://h:1,replay=h:2", "\"h:2\" is no endpoint" },
        { "--listen :80 --follow tcp://h:1,x=1", "x=1" },
        { "--listen :80 --follow redis://:secret@h:0", "--follow: the URL of a Redis: the port" },
        { "--listen :80 --node n --zmq nowhere m", "--zmq nowhere: tcp://ADDRESS:PORT" },
        { "--listen :80 --node n --zmq tcp://*:1 --zmq-replay tcp://x m", "--zmq-replay tcp://x" },
        { "--listen :80 m /n/ m//", "the mount m// is named twice" },
        { "--listen :80 --follow= m", "--follow: the value is empty" },
        { "--listen :80 --index-bytes 1M m", "--index-bytes 1M: at least 4M" },
        { "m --listen", "--listen" },
    };
    struct options o;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].line, &o, &err), -EINVAL);
        if (!strstr(err.msg, cases[i].wanted)) {
            fail_msg("%s: %s", cases[i].line, err.msg);
        }
    }
}

static void test_options_tell_the_address_for_others(void **state)
{
    static const struct {
        const char *line, *wanted;
    } cases[] = {
        { "--listen 10.0.0.1:80 --node n --redis redis://h m", "10.0.0.1:80" },
        { "--listen :80 --node n --redis redis://h m", "n:80" },
        { "--listen [::]:80 --node n --redis redis://h m", "n:80" },
        { "--listen unix:/s --node n --redis redis://h m", "n" },
        { "--listen :80 --node n --redis redis://h --address a:1 m", "a:1" },
        { "--listen :80 m", ":80" },
    };
    struct options o;
    struct err err;
    char address[OPTION_ADDRESS_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].line, &o, &err), 0);
        options_address(&o, address);
        assert_string_equal(address, cases[i].wanted);
    }
}

static void test_routes_are_found_by_their_whole_path(void **state)
{
    (void)state;
    assert_int_equal(route_find("/v1/chat/completions")->kind, ROUTE_TRANSACTION);
    assert_int_equal(route_find("/v1/models/a/b")->kind, ROUTE_MODEL);
    assert_int_equal(route_find("/v1/models")->kind, ROUTE_MODELS);
    assert_null(route_find("/v1/models/"));
    assert_null(route_find("/v1/chat/completions/"));
    assert_null(route_find("/sessions/new"));
    assert_null(route_find("/../etc/passwd"));
    assert_true(route_takes(route_find("/health"), "HEAD"));
    assert_false(route_takes(route_find("/health"), "POST"));
    assert_false(route_takes(route_find("/tokenize"), "GET"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_all_given_are_taken),
        cmocka_unit_test(test_options_of_publishing_are_taken),
        cmocka_unit_test(test_options_bad_one_is_named),
        cmocka_unit_test(test_options_tell_the_address_for_others),
        cmocka_unit_test(test_routes_are_found_by_their_whole_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
