// The shape of a prefix cache.
#include "tools/bridge/tree.h"

#include "tests/unit.h"
#include <errno.h>
#include <string.h>

#define HEAD   "{\"seq\":1,\"epoch\":2,\"type\":\"snapshot\",\"tier\":\"cpu\",\"block_size\":2}\n"
#define STORED "{\"seq\":1,\"epoch\":2,\"type\":\"stored\",\"tier\":\"cpu\",\"block_size\":2,\"blocks\":["
#define END    "{\"seq\":1,\"epoch\":2,\"type\":\"end\",\"blocks\":3}\n"

static void expect(const char *snapshot, const char *wanted)
{
    struct strbuf out;
    struct err err = { 0 };
    strbuf_init(&out, 0);
    if (tree_write(str_from(snapshot), &out, &err) < 0) {
        fail_msg("%s: %s", snapshot, err.msg);
    }
    assert_string_equal(out.ptr, wanted);
    strbuf_deinit(&out);
}

static void test_tree_has_parents_and_no_tokens(void **state)
{
    (void)state;
    expect(HEAD END, "{\"parents\":[],\"block_size\":2,\"is_whole\":true}\n");
    expect(HEAD STORED "{\"hash\":\"00000000000000a1\",\"parent\":null,\"tokens\":[7,8]},"
                       "{\"hash\":\"00000000000000a2\",\"parent\":\"00000000000000a1\",\"tokens\":[9,1]},"
                       "{\"hash\":\"00000000000000a3\",\"parent\":\"00000000000000a1\",\"tokens\":[9,2]},"
                       "{\"hash\":\"00000000000000b1\",\"parent\":null,\"tokens\":[1,1]}]}\n" STORED
                       "{\"hash\":\"00000000000000a4\",\"parent\":\"00000000000000a3\",\"tokens\":[5,5]}]}\n" END,
           "{\"parents\":[-1,0,0,-1,2],\"block_size\":2,\"is_whole\":true}\n");
}

static void test_tree_told_twice_or_without_its_beginning(void **state)
{
    (void)state;
    expect(HEAD STORED "{\"hash\":\"00000000000000a1\",\"parent\":\"00000000000000a0\",\"tokens\":[7,8]},"
                       "{\"hash\":\"00000000000000a1\",\"parent\":\"00000000000000a0\",\"tokens\":[7,8]}]}\n" END,
           "{\"parents\":[-1],\"block_size\":2,\"is_whole\":true}\n");
}

static void test_tree_of_many_blocks_is_cut(void **state)
{
    struct strbuf snapshot, out;
    struct err err = { 0 };
    (void)state;
    strbuf_init(&snapshot, 0);
    strbuf_init(&out, 0);
    for (unsigned i = 0; i <= TREE_BLOCKS_MAX; i++) {
        strbuf_printf(&snapshot, STORED "{\"hash\":\"%016x\",\"parent\":null,\"tokens\":[7,8]}]}\n", i);
    }
    assert_int_equal(tree_write(strbuf_str(&snapshot), &out, &err), 0);
    assert_true(str_ends_with(strbuf_str(&out), STR("\"is_whole\":false}\n")));
    strbuf_deinit(&snapshot);
    strbuf_deinit(&out);
}

static void test_tree_of_nonsense_is_refused(void **state)
{
    struct strbuf out;
    struct err err = { 0 };
    (void)state;
    strbuf_init(&out, 0);
    assert_int_equal(tree_write(STR("hello\n"), &out, &err), -EINVAL);
    assert_true(err.msg[0]);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree_has_parents_and_no_tokens),
        cmocka_unit_test(test_tree_told_twice_or_without_its_beginning),
        cmocka_unit_test(test_tree_of_many_blocks_is_cut),
        cmocka_unit_test(test_tree_of_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
