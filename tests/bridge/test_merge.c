// What several mounts say, as one.
#include "tests/unit.h"
#include "tools/bridge/merge.h"
#include <errno.h>
#include <string.h>

static void expect_model(const char *body, const char *wanted)
{
    char model[32] = "";
    bool is_found = body_find_model(str_from(body), model, sizeof(model));
    if (is_found != (wanted != NULL) || (wanted && strcmp(model, wanted) != 0)) {
        fail_msg("%s: got %s, wanted %s", body, is_found ? model : "none", wanted ? wanted : "none");
    }
}

static void test_body_model_is_found_at_the_top_level(void **state)
{
    (void)state;
    expect_model("{\"model\":\"a\"}", "a");
    expect_model(" { \"x\" : [ { \"model\" : \"no\" } ] , \"model\" : \"a/b\" } ", "a/b");
    expect_model("{\"messages\":[{\"content\":\"\\\"model\\\":\\\"no\\\"\"}]}", NULL);
    expect_model("{\"x\":\"model\",\"y\":1}", NULL);
    expect_model("{\"model\":null}", NULL);
    expect_model("{\"model\":7}", NULL);
    expect_model("{}", NULL);
    expect_model("", NULL);
}

static void test_body_model_last_and_escaped_counts(void **state)
{
    (void)state;
    expect_model("{\"model\":\"a\",\"model\":\"b\"}", "b");
    expect_model("{\"mod\\u0065l\":\"\\u0061\\n\"}", "a\n");
    expect_model("{\"model\":\"a", NULL); // what is ill formed is the mount's to refuse
    expect_model("{\"model\":\"\\", NULL);
    expect_model("{\"model\"", NULL);
    expect_model("{\"model\":", NULL);
}

static void test_models_of_two_lists_are_one_list(void **state)
{
    (void)state;
    struct str lists[] = { STR("{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"n\":1},{\"id\":\"b\"}]}"),
                           STR("{\"object\":\"list\",\"data\":[{\"id\":\"b\",\"n\":2},{\"id\":\"ab\"}]}") };
    struct strbuf out;
    strbuf_init(&out, 0);
    assert_int_equal(models_merge(lists, 2, &out), 0);
    assert_string_equal(out.ptr,
                        "{\"object\":\"list\",\"data\":[{\"id\":\"a\",\"n\":1},{\"id\":\"b\"},{\"id\":\"ab\"}]}\n");
    strbuf_reset(&out);
    lists[1] = STR("[]");
    assert_int_equal(models_merge(lists, 2, &out), -EINVAL);
    strbuf_deinit(&out);
}

static void test_metrics_of_one_name_stand_together(void **state)
{
    (void)state;
    struct str texts[] = {
        STR("# HELP a Help.\n# TYPE a counter\na 1\n# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 3\n"),
        STR("# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 4\n# HELP b B.\n# TYPE b gauge\nb{} 5\n# HELP a "
            "Help.\n# TYPE a counter\na 6\n"),
    };
    const char *labels[] = { "x", "y" };
    struct strbuf out;
    strbuf_init(&out, 0);
    assert_int_equal(metrics_merge(texts, labels, 2, &out), 0);
    assert_string_equal(out.ptr,
                        "# HELP a Help.\n# TYPE a counter\na{mount=\"x\"} 1\na{mount=\"y\"} 6\n"
                        "# HELP h H.\n# TYPE h histogram\nh_bucket{mount=\"x\",le=\"1\"} 2\nh_sum{mount=\"x\"} 3\n"
                        "h_bucket{mount=\"y\",le=\"1\"} 4\n"
                        "# HELP b B.\n# TYPE b gauge\nb{mount=\"y\"} 5\n");
    strbuf_deinit(&out);
}

static void test_metrics_of_one_mount_stay_as_they_are(void **state)
{
    (void)state;
    struct str text = STR("# HELP a Help.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 1\nbare 3\nother 4\n");
    const char *label = NULL;
    struct strbuf out;
    strbuf_init(&out, 0);
    assert_int_equal(metrics_merge(&text, &label, 1, &out), 0);
    assert_string_equal(out.ptr, text.ptr);
    strbuf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_model_is_found_at_the_top_level),
        cmocka_unit_test(test_body_model_last_and_escaped_counts),
        cmocka_unit_test(test_models_of_two_lists_are_one_list),
        cmocka_unit_test(test_metrics_of_one_name_stand_together),
        cmocka_unit_test(test_metrics_of_one_mount_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
