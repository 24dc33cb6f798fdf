// A stream of server-sent events tells the same however it is cut.
#include "tests/unit.h"
#include "tools/bench/sse.h"
#include <string.h>

struct seen {
    char text[256]; // a letter for each event
    size_t n;
};

static void note(void *ctx, enum sse_event event, struct str data)
{
    static const char letters[] = { [SSE_TOKENS] = 't', [SSE_OTHER] = 'o', [SSE_ERROR] = 'e', [SSE_DONE] = 'd' };
    struct seen *seen = ctx;
    (void)data;
    assert_true(seen->n < sizeof(seen->text) - 1);
    seen->text[seen->n++] = letters[event];
}

static void expect(const char *stream, const char *wanted)
{
    struct sse sse;
    for (size_t piece = 1; piece <= strlen(stream); piece++) {
        struct seen seen = { 0 };
        sse_init(&sse);
        for (struct str rest = str_from(stream); rest.len > 0; rest = str_skip(rest, piece)) {
            sse_feed(&sse, str_take(rest, piece), &(struct sse_sink){ note, &seen });
        }
        assert_string_equal(seen.text, wanted);
    }
}

static void test_events_have_kinds_however_cut(void **state)
{
    (void)state;
    expect("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
           ": a comment\n\nevent: x\n"
           "data:{\"choices\": [{\"delta\": {\"content\": \"b\"}}]}\r\n\r\n"
           "data: {\"choices\":[{\"text\":\"c\"}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}]}\n\n"
           "data: {\"choices\":[{\"delta\":{\"content\":null}}],\"usage\":{}}\n\n"
           "data: [DONE]\n\n",
           "otttt"
           "od");
}

static void test_errors_are_seen(void **state)
{
    (void)state;
    expect("data: {\"error\":{\"message\":\"x\"}}\n\n", "e");
    expect("data: { \"error\": {}}\n", "e");
    expect("data: {\"choices\":[]}", ""); // without its end
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_have_kinds_however_cut),
        cmocka_unit_test(test_errors_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
