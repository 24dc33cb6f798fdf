// Any JSON object as the context of a template that uses much of the language: text or a reason, and the same twice.
#include "engine/base/utf8.h"
#include "engine/text/chat_template.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>

const struct str fuzz_seeds[] = {
    STR("{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
        "\"assistant\",\"content\":\"\","
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,null,true]}}}]},{\"role\":\"tool\","
        "\"content\":\"{}\"}]}"),
    STR("{\"messages\":[],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1}}}],"
        "\"v\":\"\\ud83d\\ude00\"}"),
    STR("{\"v\":[3,1,2],\"w\":{\"b\":1,\"A\":2},\"messages\":[{\"role\":1,\"content\":[{\"type\":\"text\",\"text\":"
        "\"t\"}]}]}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("\"messages\":"), STR("\"role\":"),   STR("\"content\":"), STR("\"tools\":"), STR("\"v\":"),
    STR("\"w\":"),        STR("null"),        STR("[[1,\"a\"]]"),  STR("1e400"),      STR("-0"),
    STR("{\"a\":1}"),     STR("\"\\u0000\""), STR("\"%s\""),       { NULL, 0 },
};

static const struct str sources[] = {
    STR("{% for m in messages %}{% if m.content is string %}{{ m.role ~ m.content | trim }}{% else %}{{ m.content | "
        "tojson }}"
        "{% endif %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson(indent=1) }}{% endfor %}{{ "
        "loop.nextitem }}{% endfor %}"),
    STR("{{ v }}{{ v | string | upper | title }}{{ w | tojson(sort_keys=true) }}{% for k, x in (w | items) %}{{ k }}{{ "
        "x }}{% endfor %}"),
    STR("{{ v | list | unique | list }}{{ v | sort }}{{ v | map('string') | join(',') }}{{ v == w }}{{ v in [w] }}"),
    STR("{{ v[1:] }}{{ v | int }}{{ v | float }}{{ v | reverse | list }}{{ '%s %r' % (v, w) }}{{ v | e }}{{ v | string "
        "| wordcount }}"),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct json *context;
    struct arena arena;
    struct err err;
    arena_init(&arena, 256 << 20);
    int rc = json_parse(&arena, (struct str){ (const char *)data, size }, &context, &err);
    for (size_t i = 0; rc == 0 && i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct chat_template *tmpl;
        struct strbuf out, again;
        strbuf_init(&out, 0);
        strbuf_init(&again, 0);
        assert(chat_template_compile(sources[i], &tmpl, &err) == 0);
        int first = chat_template_render_context(tmpl, context, 0, &out, &err);
        int second = chat_template_render_context(tmpl, context, 0, &again, &err);
        assert(first == second && str_eq(strbuf_str(&out), strbuf_str(&again)));
        assert(utf8_valid_len(strbuf_str(&out)) == out.len);
        chat_template_free(tmpl);
        strbuf_deinit(&out);
        strbuf_deinit(&again);
    }
    arena_deinit(&arena);
    return 0;
}
