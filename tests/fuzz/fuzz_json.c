// Properties of the JSON modules on any bytes: the checker answers alike whatever the pieces; the reader takes what the
// checker takes, or runs out of memory; writing what was read gives a text that reads back and is written the same
// again.
#include "engine/base/json.h"
#include "engine/base/utf8.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>
#include <errno.h>
#include <math.h>

const struct str fuzz_seeds[] = {
    STR("{\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9llo "
        "\\ud83d\\ude00\\n\"}],\"temperature\":0.7,\"n\":1e0,\"stream\":true}"),
    STR("[0,-0,1.5,-1.25e-3,1E+22,123456789012345678901234567890,9223372036854775807,1e400,5e-324]"),
    STR("{\"a\":{\"a\":{\"a\":[[],{},[{}],\"\",null,false]}},\"a\":[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\"]}"),
    STR(" \"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\" "),
    STR("-12.50e-7\n"),
    STR("[[[[[[[[[[[[[[[[1],2],3],4],5],6],7],8]]]]]]]]"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("null"),   STR("true"), STR("false"),   STR("\"k\":"),  STR("{\"k\":"),          STR("[["),
    STR("]]"),     STR("}}"),   STR("\\ud83d"), STR("\\ude00"), STR("\\u0000"),          STR("\\\\"),
    STR("\"\""),   STR("1e9"),  STR(".5"),      STR("-0"),      STR("\xf0\x9f\x98\x80"), STR("\xed\xa0\x80"),
    STR(",\"\","), STR("[],"),  { NULL, 0 },
};

struct verdict {
    int feed, end;
};

static struct verdict scan_in_pieces(struct str text, size_t piece)
{
    struct json_scan scan;
    struct verdict v = { 0 };
    json_scan_init(&scan);
    while (text.len > 0 && v.feed >= 0) {
        v.feed = json_scan_feed(&scan, str_take(text, piece), NULL);
        text = str_skip(text, piece);
    }
    v.end = json_scan_end(&scan, NULL);
    assert(v.feed >= 0 || v.end < 0);
    return v;
}

static void check_number(const struct json *value)
{
    int64_t whole;
    double v = json_get_double(value);
    int rc = json_get_i64(value, &whole);
    assert(rc == 0 || rc == -EINVAL || rc == -ERANGE);
    assert(rc != 0 || v == (double)whole);
    if (isfinite(v)) {
        struct strbuf out;
        struct json_writer w;
        double back;
        strbuf_init(&out, 0);
        json_writer_init(&w, &out);
        json_write_double(&w, v);
        assert(str_parse_double(strbuf_str(&out), &back) == 0 && back == v && signbit(back) == signbit(v));
        strbuf_deinit(&out);
    }
}

// Every value of the subtree, reached as a caller would.
static void walk(const struct json *value)
{
    if (value->type == JSON_NUMBER) {
        check_number(value);
    }
    assert(value->type != JSON_STRING || utf8_valid_len(value->text) == value->text.len);
    const struct json *child = json_first(value);
    for (uint32_t i = 0; i < value->n_children; i++) {
        if (value->type == JSON_OBJECT) {
            assert(child->type == JSON_STRING && json_get(value, child->text));
            child = json_next(child);
        } else {
            assert(i > 0 || json_at(value, i) == child);
        }
        walk(child);
        child = json_next(child);
    }
    assert(value->n_children == 0 || child == json_next(value));
}

static void write_value(struct strbuf *out, const struct json *value)
{
    struct json_writer w;
    strbuf_init(out, 0);
    json_writer_init(&w, out);
    json_write_value(&w, value);
    assert(out->error == 0);
}

static void check_round_trip(const struct json *value)
{
    struct arena arena;
    struct strbuf first, second;
    const struct json *again;
    arena_init(&arena, 0);
    write_value(&first, value);
    int rc = json_parse(&arena, strbuf_str(&first), &again, NULL);
    assert(rc == 0);
    write_value(&second, again);
    assert(str_eq(strbuf_str(&first), strbuf_str(&second)));
    strbuf_deinit(&second);
    strbuf_deinit(&first);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size };
    struct verdict whole = scan_in_pieces(text, SIZE_MAX);
    for (size_t piece = 1; piece <= 7; piece += 3) {
        struct verdict cut = scan_in_pieces(text, piece);
        assert(cut.feed == whole.feed && cut.end == whole.end);
    }
    struct arena arena;
    struct err err = { 0 };
    const struct json *value = NULL;
    arena_init(&arena, 64 * size + 64); // sometimes too little
    int rc = json_parse(&arena, text, &value, &err);
    assert(rc == (whole.feed >= 0 && whole.end == 0 ? 0 : -EINVAL) || (rc == -ENOMEM && whole.end == 0));
    assert((rc == 0) == (value != NULL) && err.code == rc);
    if (rc == 0) {
        walk(value);
        check_round_trip(value);
    }
    arena_deinit(&arena);
    return 0;
}
