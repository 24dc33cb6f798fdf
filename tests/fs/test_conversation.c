// Requests put together from what users wrote.
#include "fs/conversation.h"
#include "tests/unit.h"
#include <errno.h>
#include <string.h>

struct fixture {
    struct conversation c;
    struct conversation_input input;
    struct strbuf out;
};

static void set_up(struct fixture *f)
{
    conversation_init(&f->c, 1000);
    conversation_input_init(&f->input);
    strbuf_init(&f->out, 0);
}

static void tear_down(struct fixture *f)
{
    conversation_deinit(&f->c);
    conversation_input_deinit(&f->input);
    strbuf_deinit(&f->out);
}

static void test_conversation_of_text_turns_alternates(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f);
    strbuf_append(&f.c.system, STR("Be \"terse\"\n"));
    assert_int_equal(conversation_input_set_text(&f.input, STR("hi\n")), 0);
    assert_int_equal(conversation_build(&f.c, &f.input, &f.out), 0);
    assert_string_equal(f.out.ptr, "{\"messages\":[{\"role\":\"system\",\"content\":\"Be \\\"terse\\\"\"},"
                                   "{\"role\":\"user\",\"content\":\"hi\\n\"}]}");
    assert_int_equal(conversation_extend(&f.c, &f.input, STR("{\"role\":\"assistant\",\"content\":\"hello\"}")), 0);
    strbuf_reset(&f.out);
    conversation_write_messages(&f.c, &f.out);
    assert_string_equal(
        f.out.ptr, "[{\"role\":\"system\",\"content\":\"Be \\\"terse\\\"\"},{\"role\":\"user\",\"content\":\"hi\\n\"},"
                   "{\"role\":\"assistant\",\"content\":\"hello\"}]\n");
    assert_int_equal(f.c.n_messages, 2);
    tear_down(&f);
}

static void test_conversation_fields_of_a_turn_override_params(void **state)
{
    struct tokfs_error reason = { 0 };
    struct fixture f;
    (void)state;
    set_up(&f);
    assert_int_equal(conversation_merge_params(&f.c, STR("{\"temperature\":0.20,\"top_p\":0.5}")), 0);
    assert_int_equal(conversation_merge_params(&f.c, STR("{\"top_p\":0.9}")), 0);
    assert_string_equal(f.c.params.ptr, "{\"temperature\":0.20,\"top_p\":0.9}");
    assert_int_equal(
        conversation_input_set_json(
            &f.input, STR("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"temperature\":1,\"stream\":true}"),
            &reason),
        0);
    assert_int_equal(conversation_build(&f.c, &f.input, &f.out), 0);
    assert_string_equal(f.out.ptr,
                        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"top_p\":0.9,\"temperature\":1}");
    tear_down(&f);
}

static void test_conversation_adopts_settings_but_not_the_model(void **state)
{
    struct tokfs_error reason = { 0 };
    struct fixture f;
    (void)state;
    set_up(&f);
    assert_int_equal(conversation_input_set_json(
                         &f.input,
                         STR("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"seed\":3}"),
                         &reason),
                     0);
    assert_int_equal(conversation_adopt_settings(&f.c, &f.input), 0);
    assert_string_equal(f.c.params.ptr, "{\"seed\":3}");
    tear_down(&f);
}

static void test_conversation_takes_a_message_alone(void **state)
{
    struct tokfs_error reason = { 0 };
    struct fixture f;
    (void)state;
    set_up(&f);
    assert_int_equal(conversation_input_set_json(&f.input, STR("{\"role\":\"user\",\"content\":\"a\"}"), &reason), 0);
    assert_int_equal(f.input.n_messages, 1);
    tear_down(&f);
}

static void test_conversation_refuses_with_the_users_own_path(void **state)
{
    struct tokfs_error reason = { 0 };
    struct fixture f;
    (void)state;
    set_up(&f);
    assert_int_equal(
        conversation_input_set_json(&f.input, STR("{\"messages\":[{\"role\":\"king\",\"content\":\"a\"}]}"), &reason),
        -EINVAL);
    assert_string_equal(reason.param, "messages[0].role");
    assert_int_equal(f.input.n_messages, 0);
    assert_int_equal(conversation_input_set_json(&f.input, STR("{\"role\":\"user\"}"), &reason), -EINVAL);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversation_of_text_turns_alternates),
        cmocka_unit_test(test_conversation_fields_of_a_turn_override_params),
        cmocka_unit_test(test_conversation_adopts_settings_but_not_the_model),
        cmocka_unit_test(test_conversation_takes_a_message_alone),
        cmocka_unit_test(test_conversation_refuses_with_the_users_own_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
