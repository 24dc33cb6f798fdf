// What tokfs-top makes of the texts of a mount's files.
#include "tests/unit.h"
#include "tools/top/view.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char metrics[] =
    "# HELP tokfs_requests_running Sequences running.\n# TYPE tokfs_requests_running gauge\ntokfs_requests_running 2\n"
    "tokfs_requests_queued 1\ntokfs_prompt_tokens_total 100\ntokfs_cached_tokens_total 25\n"
    "vllm:prompt_tokens_total{model_name=\"x\"} 7\ntokfs_completion_tokens_total 50\ntokfs_kv_pages "
    "10\ntokfs_kv_pages_free 6\n"
    "tokfs_kv_pages_cached 5\ntokfs_kv_pages_evicted_total 3\ntokfs_preemptions_total 4\ntokfs_sessions 2\n"
    "tokfs_open_files 1\ntokfs_parked_requests 8\ntokfs_step_seconds_total 1.5\ntokfs_held_bytes 2048\n";

static void test_top_metrics_are_found_by_name(void **state)
{
    uint64_t figures[N_FIGURES] = { 0 };
    (void)state;
    assert_int_equal(sample_read_metrics(str_from(metrics), figures), 0);
    assert_int_equal(figures[FIGURE_RUNNING], 2);
    assert_int_equal(figures[FIGURE_PROMPT_TOKENS], 100);
    assert_int_equal(figures[FIGURE_HELD_BYTES], 2048);
    assert_int_equal(sample_read_metrics(str_take(str_from(metrics), 300), figures), -EINVAL); // some are not there
    assert_int_equal(sample_read_metrics(STR(""), figures), -EINVAL);
}

static void test_top_status_line_is_read(void **state)
{
    struct top_session s = { 0 };
    (void)state;
    assert_int_equal(
        sample_read_status(STR("done prompt_tokens=3 cached_tokens=2 completion_tokens=9 finish_reason=stop\n"), &s),
        0);
    assert_string_equal(s.state, "done");
    assert_int_equal(s.n_prompt, 3);
    assert_int_equal(s.n_cached, 2);
    assert_int_equal(s.n_completion, 9);
    assert_int_equal(sample_read_status(STR(""), &s), -EINVAL);
    assert_int_equal(sample_read_status(STR("done\n"), &s), -EINVAL);
    assert_int_equal(sample_read_status(STR("averylongwordthatisnostate prompt_tokens=1"), &s), -EINVAL);
    assert_int_equal(sample_read_status(STR("done prompt_tokens=x cached_tokens=2 completion_tokens=9"), &s), -EINVAL);
}

static struct sample make_sample(uint64_t at_ns, uint64_t n_said)
{
    struct sample sample = { .at_ns = at_ns, .health = "ok", .model = "m", .n_sessions = 3 };
    sample.sessions = calloc(3, sizeof(*sample.sessions));
    assert_non_null(sample.sessions);
    sample_read_metrics(str_from(metrics), sample.figures);
    sample.figures[FIGURE_COMPLETION_TOKENS] += n_said;
    sample.sessions[0] = (struct top_session){ "idle", "idle", 0, 0, 0, 0 };
    sample.sessions[1] = (struct top_session){ "waits", "queued", 0, 7, 0, 0 };
    sample.sessions[2] = (struct top_session){ "runs\xff", "decode", 4000000001u, 7, 6, n_said };
    return sample;
}

static void test_top_page_has_rates_and_the_running_first(void **state)
{
    struct sample before = make_sample(1000000000u, 10), now = make_sample(3000000000u, 30);
    struct strbuf out;
    (void)state;
    strbuf_init(&out, 0);
    assert_int_equal(view_write(&before, &now, "/mnt", &out), 0);
    assert_non_null(strstr(out.ptr, "m at /mnt: ok; 2 sessions, 2 run, 1 wait\n"));
    assert_non_null(strstr(out.ptr, "     10.0 said"));
    assert_non_null(strstr(out.ptr, "25.0 % of it cached"));
    assert_non_null(strstr(out.ptr, "40.0 % held, 50.0 % cached; 3 evicted, 4 times given back"));
    assert_non_null(strstr(out.ptr, "2.0 KiB held"));
    const char *runs = strstr(out.ptr, "\nruns? "), *waits = strstr(out.ptr, "\nwaits "),
               *idle = strstr(out.ptr, "\nidle ");
    assert_true(runs && waits && idle && runs < waits && waits < idle);
    assert_non_null(strstr(runs, "4000000001 decode"));
    strbuf_reset(&out);
    now.figures[FIGURE_COMPLETION_TOKENS] = 1; // another daemon
    assert_int_equal(view_write(&before, &now, "/mnt", &out), 0);
    assert_non_null(strstr(out.ptr, "      0.0 said"));
    strbuf_reset(&out);
    assert_int_equal(view_write(NULL, &now, "/mnt", &out), 0);
    assert_non_null(strstr(out.ptr, "      0.0 said"));
    strbuf_deinit(&out);
    sample_deinit(&before);
    sample_deinit(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_metrics_are_found_by_name),
        cmocka_unit_test(test_top_status_line_is_read),
        cmocka_unit_test(test_top_page_has_rates_and_the_running_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
