// Any template source: it compiles or is refused with a reason, and its rendering ends in text or in a reason, within
// its bounds.
#include "engine/base/utf8.h"
#include "engine/text/chat_template.h"
#include "tests/fuzz/fuzz.h"
#include <assert.h>

const struct str fuzz_seeds[] = {
    STR("{% for m in messages %}{{ '<|' + m.role + '|>' + m.content | trim }}{% if not loop.last %}{{ sep }}{% endif "
        "%}{% endfor %}"),
    STR("{%- macro f(x, y=2) -%}{{ x ~ y }}{{ caller() if caller }}{%- endmacro %}{% call f(1) %}a{% endcall %}{{ "
        "f(x=[1, 'a']) }}"),
    STR("{% set ns = namespace(n=0) %}{% for k, v in d.items() if v %}{% set ns.n = ns.n + v %}{% else %}-{% endfor "
        "%}{{ ns.n }}"),
    STR("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list | tojson(indent=2) }}"),
    STR("{{ 'a %s %05.1f' % ('x', 1.5) }}{{ '{0:>5} {x!r}'.format(1, x='y') }}{{ s[1:-1:2] }}{{ "
        "s.split('l')[0].upper() }}"),
    STR("{% raw %}{{ x }}{% endraw %}{# c #}{% filter indent(2) %}a\nb{% endfilter %}{% set x %}y{% endset %}{% with a "
        "= 1 %}{{ a }}{% endwith %}"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("{{ "),
    STR(" }}"),
    STR("{% "),
    STR(" %}"),
    STR("{%- "),
    STR(" -%}"),
    STR("{% endif %}"),
    STR("{% endfor %}"),
    STR("{% if x %}"),
    STR("{% else %}"),
    STR("{% for a in s %}"),
    STR("{% break %}"),
    STR("| list"),
    STR("| tojson"),
    STR("| map('upper')"),
    STR("| sort"),
    STR("| unique"),
    STR("| batch(2)"),
    STR("is defined"),
    STR(".items()"),
    STR("[::-1]"),
    STR("loop."),
    STR("namespace("),
    STR("range(9)"),
    STR("not "),
    STR(" in "),
    STR("**"),
    STR("'%s' % "),
    STR(".format("),
    STR("{% macro "),
    STR("{% set "),
    STR("recursive"),
    STR("| safe"),
    STR("| e"),
    STR("| groupby("),
    STR("\xc3\x9f"),
    { NULL, 0 },
};

static const struct str context_text =
    STR("{\"messages\":[{\"role\":\"user\",\"content\":\" hi "
        "\"},{\"role\":\"assistant\",\"content\":null}],\"s\":\"Hello \xc3\xa4\","
        "\"d\":{\"a\":1,\"b\":2.5,\"items\":[]},\"x\":true,\"n\":-3,\"big\":123456789012345678901234567890}");

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chat_template *tmpl = NULL;
    const struct json *context;
    struct arena arena;
    struct strbuf out;
    struct err err = { 0 };
    arena_init(&arena, 0);
    strbuf_init(&out, 0);
    strbuf_append(&out, STR("before"));
    assert(json_parse(&arena, context_text, &context, &err) == 0);
    int rc = chat_template_compile((struct str){ (const char *)data, size }, &tmpl, &err);
    if (rc == 0) {
        rc = chat_template_render_context(tmpl, context, 0, &out, &err);
        assert(out.ptr[out.len] == 0 && str_starts_with(strbuf_str(&out), STR("before")));
        assert(utf8_valid_len(strbuf_str(&out)) == out.len);
        assert(rc == 0 || out.len == 6);
    }
    assert(rc <= 0 && (rc == 0) == (err.code == 0) && (rc == 0 || err.msg[0] != 0));
    chat_template_free(tmpl);
    strbuf_deinit(&out);
    arena_deinit(&arena);
    return 0;
}
