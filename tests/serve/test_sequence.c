// What an answer's text is: stop strings across token borders, end tokens, min_tokens, held-back text, long texts.
// Driven through the engine, whose random model says the same for the same seed.
#include "tests/serve/engine_test.h"

static struct tokfs_engine *engine;

static struct answer *ask(const char *fields)
{
    char body[4096];
    struct answer *a = answers_new(1);
    struct tokfs_error error;
    int len = snprintf(body, sizeof(body), "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]%s}", fields);
    assert_int_equal(tokfs_submit_chat(engine, body, (size_t)len, a, &a->completion, &error), 0);
    engine_test_finish(engine, a, 1);
    if (a->is_failed) {
        fail_msg("%s: %s", a->error.param, a->error.msg);
    }
    return a;
}

static void append_json_string(char *out, const char *text, size_t len)
{
    char *at = out + strlen(out);
    *at++ = '"';
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            at += sprintf(at, "\\u%04x", c);
        } else {
            *at++ = (char)c;
        }
    }
    strcpy(at, "\"");
}

static bool is_border(const char *text, size_t at)
{
    return ((unsigned char)text[at] & 0xC0) != 0x80;
}

#define WHOLE "\"temperature\":0.8,\"seed\":7,\"max_tokens\":60,\"ignore_eos\":true"

// Every piece of the answer, taken as a stop string, ends it right before that piece first occurs.
static void test_sequence_stop_string_ends_the_text_before_it(void **state)
{
    (void)state;
    struct answer *whole = ask("," WHOLE);
    assert_string_equal(whole->reason, "length");
    assert_int_equal(whole->n_ids, 60);
    assert_true(whole->text_len > 60);
    size_t n_tried = 0;
    for (size_t begin = 3; begin + 12 < whole->text_len; begin += 7) {
        for (size_t len = 1; len <= 9; len += 4) {
            if (!is_border(whole->text, begin) || !is_border(whole->text, begin + len)) {
                continue;
            }
            char fields[512] = "," WHOLE ",\"stop\":[\"never in it at all\",";
            append_json_string(fields, whole->text + begin, len);
            strcat(fields, "]");
            struct answer *a = ask(fields);
            const char *first = memmem(whole->text, whole->text_len, whole->text + begin, len);
            assert_string_equal(a->reason, "stop");
            assert_int_equal(a->text_len, first - whole->text);
            assert_memory_equal(a->text, whole->text, a->text_len);
            assert_memory_equal(a->ids, whole->ids, a->n_ids * sizeof(*a->ids));
            n_tried++;
            free(a);
        }
    }
    assert_true(n_tried > 10);
    free(whole);
}

// A stop string that only begins to show at the end is part of the answer after all.
static void test_sequence_held_back_text_comes_with_the_end(void **state)
{
    (void)state;
    struct answer *whole = ask("," WHOLE);
    size_t begin = whole->text_len - 1;
    while (!is_border(whole->text, begin)) {
        begin--;
    }
    char fields[512] = "," WHOLE ",\"stop\":";
    char stop[64];
    memcpy(stop, whole->text + begin, whole->text_len - begin);
    strcpy(stop + whole->text_len - begin, "\x01\x02");
    append_json_string(fields, stop, strlen(stop));
    struct answer *a = ask(fields);
    answers_equal(a, whole);
    free(a);
    free(whole);
}

static void test_sequence_min_tokens_forbids_the_end(void **state)
{
    (void)state;
    // Find a seed whose answer ends by itself, early.
    for (int seed = 0; seed < 400; seed++) {
        char fields[256];
        snprintf(fields, sizeof(fields), ",\"temperature\":1.5,\"seed\":%d,\"max_tokens\":200", seed);
        struct answer *a = ask(fields);
        bool is_stop = strcmp(a->reason, "stop") == 0;
        if (is_stop && a->n_ids < 100) {
            // The end token is counted, and is not text.
            assert_true(a->ids[a->n_ids - 1] == 999 || a->ids[a->n_ids - 1] == 997);
            assert_int_equal(a->usage.completion_tokens, a->n_ids);
            assert_null(strstr(a->text, "<|im_end|>"));
            char longer[300];
            snprintf(longer, sizeof(longer), "%s,\"min_tokens\":%zu", fields, a->n_ids + 5);
            struct answer *b = ask(longer);
            assert_true(b->n_ids > a->n_ids + 5 || strcmp(b->reason, "length") == 0);
            for (size_t i = 0; i < a->n_ids + 5; i++) {
                assert_true(b->ids[i] != 999 && b->ids[i] != 997);
            }
            free(a);
            free(b);
            return;
        }
        free(a);
    }
    fail_msg("no answer ended by itself");
}

static void test_sequence_accepted_says_what_the_body_asks(void **state)
{
    (void)state;
    struct answer *a = ask(",\"max_tokens\":1,\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    assert_true(a->stream && a->include_usage);
    struct answer *b = ask(",\"max_tokens\":1");
    assert_false(b->stream || b->include_usage);
    free(a);
    free(b);
}

// A seed that is not given differs from request to request.
static void test_sequence_no_seed_draws_one(void **state)
{
    (void)state;
    struct answer *a = ask(",\"max_tokens\":30,\"temperature\":1.5,\"ignore_eos\":true");
    struct answer *b = ask(",\"max_tokens\":30,\"temperature\":1.5,\"ignore_eos\":true");
    assert_true(memcmp(a->ids, b->ids, 30 * sizeof(*a->ids)) != 0);
    free(a);
    free(b);
}

int main(int argc, char **argv)
{
    assert(argc == 2);
    engine = engine_test_open((struct tokfs_engine_options){ .model = engine_test_model(argv[1]), .n_threads = 1 });
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sequence_stop_string_ends_the_text_before_it),
        cmocka_unit_test(test_sequence_held_back_text_comes_with_the_end),
        cmocka_unit_test(test_sequence_min_tokens_forbids_the_end),
        cmocka_unit_test(test_sequence_accepted_says_what_the_body_asks),
        cmocka_unit_test(test_sequence_no_seed_draws_one),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    tokfs_engine_close(engine);
    return rc;
}
