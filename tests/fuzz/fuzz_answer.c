// Any text as an answer in any of the formats: whole, byte by byte and cut at random places it gives the same parts; an
// answer that has no calls and no reasoning is itself.
//
// The first byte chooses the template, the second what the request says, the third how the text is cut.
#include "engine/base/arena.h"
#include "tests/fuzz/fuzz.h"
#include "tests/text/answer_dump.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":\"b\"}}</tool_call>"

static const char *const templates[] = {
    "",
    "<tool_call></think>",
    "<|python_tag|>",
    "[TOOL_CALLS][/THINK]",
    "<tool_call><function=<parameter=</think>",
    "<｜tool▁call▁begin｜></think>",
    "<｜tool▁call▁begin｜>```json",
    "<|tool_call_begin|>",
    "<minimax:tool_call>",
    "<function=",
    ">>>all",
    "<tool_call><arg_key></think>",
    "DSML function_calls></think>",
    "<|channel|><|message|><|call|>",
    "<TOOLCALL>",
    "<|tool_call|>",
    "[func_name1(",
    "<|tool_call_start|></think>",
    "<|tool_call>call:<channel|>",
    "<|tools_prefix|><|inner_suffix|>",
    "<|START_ACTION|><|END_THINKING|>",
    "Action:```json tool_name",
    "<use_mcp_tool></think>",
    "<atem:function_calls><|message|>",
    "<|open|><|close|>'argument'close_tag('think')",
    "\"tool_call_name\"",
};
#define N_TEMPLATES (sizeof(templates) / sizeof(templates[0]))

const struct str fuzz_seeds[] = {
    STR("\x01\x00\x05" CALL "\n" CALL),
    STR("\x01\x01\x07<think>\nhm\n</think>\n\nHi " CALL " x"),
    STR("\x02\x00\x03{\"name\":\"f\",\"parameters\":{}};<|python_tag|>{\"name\":\"g\",\"parameters\":{}}"),
    STR("\x03\x00\x03[THINK]a[/THINK][TOOL_CALLS][{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\"}]"),
    STR("\x03\x00\x03"
        "a[TOOL_CALLS]f[ARGS]{\"x\":1}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{}"),
    STR("\x04\x00\x03<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>"),
    STR("\x05\x00\x03<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{}<｜tool▁call▁end｜><"
        "｜tool▁calls▁end｜>"),
    STR("\x06\x00\x03<｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜>"),
    STR("\x07\x00\x03<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"a\":1}<|tool_call_end|>"),
    STR("\x08\x00\x03<minimax:tool_call><invoke name=\"f\"><parameter "
        "name=\"a\">x</parameter></invoke></minimax:tool_call>"),
    STR("\x09\x00\x03<function=f>{\"a\":1}</function>"),
    STR("\x0a\x00\x03"
        "all\nHi>>>f\n{\"a\":1}>>>g\n{}"),
    STR("\x0b\x00\x03<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>"),
    STR("\x0c\x00\x03<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"f\">\n<｜DSML｜parameter name=\"a\" "
        "string=\"true\">1</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"),
    STR("\x0d\x00\x03<|channel|>analysis<|message|>a<|end|><|start|>assistant to=functions.f<|channel|>commentary "
        "json<|message|>{}<|call|>"),
    STR("\x0e\x00\x03<TOOLCALL>[{\"name\":\"f\",\"arguments\":{}}]</TOOLCALL>"),
    STR("\x10\x00\x03[f(a='x\\n', b=[1, {'c': (True,)}]), g(\"y\", z)]"),
    STR("\x11\x01\x03Hm <|tool_call_start|>```python\nf(a=1)\ng()\n```<|tool_call_end|>"),
    STR("\x12\x00\x03<|tool_call>call:f{a:<|\"|>x<|\"|>,b:{c:[1,true]}}<tool_call|>"),
    STR("\x13\x00\x03<|inner_prefix|>a<|inner_suffix|><|tools_prefix|>[{\"f\":{\"a\":1}},{\"g\":{}}]<|tools_suffix|>"),
    STR("\x14\x00\x03<|START_ACTION|>[{\"tool_name\":\"f\",\"parameters\":{}}]<|END_ACTION|><|START_RESPONSE|>a"),
    STR("\x15\x00\x03"
        "Action:\n```json\n[{\"tool_name\":\"f\",\"parameters\":{}}]\n```"),
    STR("\x16\x00\x03<use_mcp_tool><server_name>s</server_name>\n<tool_name>f</tool_name>\n<arguments>\n{}\n"
        "</arguments></use_mcp_tool>"),
    STR("\x17\x00\x03 to=self<|message|>a<|eom|><|start|>assistant to=f<|message|><atem:function_calls><atem:invoke "
        "name=\"f\"><atem:parameter name=\"a\">1</atem:parameter></atem:invoke></atem:function_calls><|eom|>"),
    STR("\x18\x00\x03<|open|>response<|sep|>a<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool=\"f\" "
        "index=\"1\"<|sep|><|open|>argument key=\"a\" "
        "type=\"string\"<|sep|>1<|close|>argument<|sep|><|close|>call<|sep|>"),
    STR("\x19\x00\x03[{\"name\":\"f\",\"arguments\":{}}]"),
    { NULL, 0 },
};

const struct str fuzz_words[] = {
    STR("<tool_call>"),
    STR("</tool_call>"),
    STR("<think>"),
    STR("</think>"),
    STR("<|python_tag|>"),
    STR("[TOOL_CALLS]"),
    STR("[ARGS]"),
    STR("[CALL_ID]"),
    STR("[THINK]"),
    STR("[/THINK]"),
    STR("<function="),
    STR("</function>"),
    STR("<parameter="),
    STR("</parameter>"),
    STR(">>>"),
    STR("{\"name\":\"f\""),
    STR("\"arguments\":{"),
    STR("\"arguments\":\"{}\""),
    STR("\"parameters\":{}}"),
    STR("}}"),
    STR("<|message|>"),
    STR("<|call|>"),
    STR("<|end|>"),
    STR(" to=functions.f"),
    STR("\n\n  "),
    STR("<tool_ca"),
    STR("\"name\":\"f\"}"),
    STR(";"),
    STR(",{"),
    STR("]"),
    STR("f("),
    STR("a="),
    STR("{'"),
    STR("```\n"),
    STR("<|\"|>"),
    STR("f{a:"),
    STR("<|tool_call_start|>"),
    STR("<tool_call|>"),
    STR("<|eom|>"),
    STR("\\u00e9\\ud83d\\ude00\\x41\\101"),
    { NULL, 0 },
};

static const char tools_json[] =
    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"}}}}},"
    "{\"function\":{\"name\":\"g\"}}]";

struct cuts {
    uint64_t random; // 0: one byte each; UINT64_MAX: whole
};

static size_t next_len(void *ctx)
{
    struct cuts *cuts = ctx;
    if (cuts->random == 0 || cuts->random == UINT64_MAX) {
        return cuts->random == 0 ? 1 : SIZE_MAX;
    }
    cuts->random = cuts->random * 6364136223846793005u + 1442695040888963407u;
    return 1 + (cuts->random >> 33) % 9;
}

static void run(struct answer_parser *parser, const struct answer_request *request, struct str text, uint64_t random,
                struct strbuf *out)
{
    struct cuts cuts = { random };
    strbuf_reset(out);
    int r = answer_dump_pieces(parser, request, text, next_len, &cuts, out);
    assert(r == 0);
}

static void expect_same(struct str text, const struct strbuf *whole, const struct strbuf *cut)
{
    if (!str_eq(strbuf_str(whole), strbuf_str(cut))) {
        fprintf(stderr, "answer: %.*s\nwhole:  %s\ncut:    %s\n", STR_ARG(text), whole->ptr, cut->ptr);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct answer_parser parser;
    struct strbuf whole, cut;
    if (size < 3) {
        return 0;
    }
    struct str text = { (const char *)data + 3, size - 3 };
    struct answer_request request = { .format = answer_format_detect(str_from(templates[data[0] % N_TEMPLATES])),
                                      .begins_in_reasoning =
                                          data[1] & 1 && strstr(templates[data[0] % N_TEMPLATES], "hin"),
                                      .n_calls_max = data[1] & 2 ? 1 : ANSWER_CALLS_MAX };
    arena_init(&arena, 0);
    strbuf_init(&whole, 0);
    strbuf_init(&cut, 0);
    int r = answer_parser_init(&parser, 0);
    assert(r == 0);
    r = json_parse(&arena, str_from(tools_json), &request.tools, NULL);
    assert(r == 0);
    run(&parser, &request, text, UINT64_MAX, &whole);
    run(&parser, &request, text, 0, &cut);
    expect_same(text, &whole, &cut);
    run(&parser, &request, text, 1 + data[2], &cut);
    expect_same(text, &whole, &cut);
    run(&parser, NULL, text, 1 + data[2], &cut);
    assert(text.len == 0 || (cut.len == text.len + 3 && memcmp(cut.ptr + 2, text.ptr, text.len) == 0));
    answer_parser_deinit(&parser);
    strbuf_deinit(&whole);
    strbuf_deinit(&cut);
    arena_deinit(&arena);
    return 0;
}
