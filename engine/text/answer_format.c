// Two tables and a search. Pure.
#include "engine/text/answer_format.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define NEEDLES_MAX 3

// <PREFIXinvoke name="NAME"><PREFIXparameter name="KEY">VALUE</PREFIXparameter></PREFIXinvoke> inside of <SECTION>
#define INVOKE(prefix, section, key_end_mark)                                                                          \
    .body = CALL_TAGGED, .section_begin = STR("<" section ">"), .section_end = STR("</" section ">"),                  \
    .begin = STR("<" prefix "invoke name=\""), .name_end = STR("\">"), .end = STR("</" prefix "invoke>"),              \
    .value_begin = STR("<" prefix "parameter name=\""), .key_end = STR(key_end_mark),                                  \
    .value_end = STR("</" prefix "parameter>")

// <function=NAME><parameter=KEY>VALUE</parameter></function> inside of <SECTION>
#define FUNCTION(section)                                                                                              \
    .body = CALL_TAGGED, .section_begin = STR("<" section ">"), .section_end = STR("</" section ">"),                  \
    .begin = STR("<function="), .name_end = STR(">"), .end = STR("</function>"), .value_begin = STR("<parameter="),    \
    .key_end = STR(">"), .value_end = STR("</parameter>")

// Calls of Python, in brackets or a line each.
#define PYTHON(begin_mark, end_mark)                                                                                   \
    .body = CALL_LITERALS, .begin = STR(begin_mark), .name_end = STR("("), .end = STR(end_mark), .is_fenced = true

struct call_row {
    struct str needles[NEEDLES_MAX]; // all of them are in the source
    struct call_syntax syntax;
};

static const struct call_row call_rows[] = {
    { { STR("<atem:function_calls>"), STR("<|message|>") },
      { INVOKE("atem:", "atem:function_calls", "\">"), .header_end = STR("<|message|>"),
        .message_end = STR("<|eom|>") } },
    { { STR("<|channel|>"), STR("<|message|>"), STR("<|call|>") },
      { .body = CALL_CHANNELS, .begin = STR("<|start|>"), .name_end = STR("<|message|>"), .end = STR("<|call|>") } },
    { { STR("DSML"), STR("tool_calls>") }, { INVOKE("｜DSML｜", "｜DSML｜tool_calls", ">") } },
    { { STR("DSML"), STR("function_calls>") }, { INVOKE("｜DSML｜", "｜DSML｜function_calls", ">") } },
    { { STR("<｜tool▁call▁begin｜>"), STR("```json") },
      { .body = CALL_NAMED,
        .section_begin = STR("<｜tool▁calls▁begin｜>"),
        .section_end = STR("<｜tool▁calls▁end｜>"),
        .begin = STR("<｜tool▁call▁begin｜>function<｜tool▁sep｜>"),
        .name_end = STR("\n```json\n"),
        .end = STR("```<｜tool▁call▁end｜>") } },
    { { STR("<｜tool▁call▁begin｜>") },
      { .body = CALL_NAMED,
        .section_begin = STR("<｜tool▁calls▁begin｜>"),
        .section_end = STR("<｜tool▁calls▁end｜>"),
        .begin = STR("<｜tool▁call▁begin｜>"),
        .name_end = STR("<｜tool▁sep｜>"),
        .end = STR("<｜tool▁call▁end｜>") } },
    { { STR("<|tool_call_begin|>") },
      { .body = CALL_NAMED,
        .id_form = CALL_ID_NAME,
        .section_begin = STR("<|tool_calls_section_begin|>"),
        .section_end = STR("<|tool_calls_section_end|>"),
        .begin = STR("<|tool_call_begin|>"),
        .name_end = STR("<|tool_call_argument_begin|>"),
        .end = STR("<|tool_call_end|>") } },
    { { STR("<|open|>"), STR("<|close|>"), STR("'argument'") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<|open|>tools<|sep|>"),
        .section_end = STR("<|close|>tools<|sep|>"),
        .begin = STR("<|open|>call tool=\""),
        .name_end = STR("<|sep|>"),
        .end = STR("<|close|>call<|sep|>"),
        .value_begin = STR("<|open|>argument key=\""),
        .key_end = STR("<|sep|>"),
        .value_end = STR("<|close|>argument<|sep|>") } },
    { { STR("<|tool_call>call:") },
      { .body = CALL_LITERALS,
        .begin = STR("<|tool_call>call:"),
        .name_end = STR("{"),
        .end = STR("<tool_call|>"),
        .quote = STR("<|\"|>") } },
    { { STR("<use_mcp_tool>") },
      { .body = CALL_NAMED,
        .section_begin = STR("<use_mcp_tool>"),
        .section_end = STR("</use_mcp_tool>"),
        .begin = STR("<server_name>"),
        .name_begin = STR("<tool_name>"),
        .name_end = STR("</tool_name>\n<arguments>"),
        .end = STR("</arguments>") } },
    { { STR("<|tools_prefix|>") },
      { .begin = STR("<|tools_prefix|>"), .end = STR("<|tools_suffix|>"), .is_keyed = true } },
    { { STR("<|START_ACTION|>") }, { .begin = STR("<|START_ACTION|>"), .end = STR("<|END_ACTION|>") } },
    { { STR("Action:"), STR("```json"), STR("tool_name") },
      { .begin = STR("Action:"), .end = STR("```"), .is_fenced = true } },
    { { STR("<|action_start|>") }, { .begin = STR("<|action_start|><|plugin|>"), .end = STR("<|action_end|>") } },
    { { STR("function call"), STR("<|role_sep|>") }, { .begin = STR("function call<|role_sep|>") } },
    { { STR("<|tool_call_start|>") }, { PYTHON("<|tool_call_start|>", "<|tool_call_end|>") } },
    { { STR("<|tool_list_start|>") }, { PYTHON("<|tool_call_start|>", "<|tool_call_end|>") } },
    { { STR("\"List of tools: [\"") }, { PYTHON("<|tool_call_start|>", "<|tool_call_end|>") } },
    { { STR("<function_calls>\\n") }, { PYTHON("<function_calls>", "</function_calls>") } },
    { { STR("[func_name1(") }, { .body = CALL_LITERALS, .name_end = STR("("), .is_bare = true } },
    { { STR("[TOOL_CALLS]"), STR("[ARGS]") },
      { .body = CALL_NAMED,
        .writing = CALL_WRITES_NAMED,
        .id_form = CALL_ID_SHORT,
        .begin = STR("[TOOL_CALLS]"),
        .name_end = STR("[ARGS]") } },
    { { STR("[TOOL_CALLS]") },
      { .body = CALL_NAMED,
        .writing = CALL_WRITES_LIST,
        .id_form = CALL_ID_SHORT,
        .begin = STR("[TOOL_CALLS]"),
        .name_end = STR("[ARGS]") } },
    { { STR("<minimax:tool_call>") }, { INVOKE("", "minimax:tool_call", "\">") } },
    { { STR("<function="), STR("<parameter="), STR("<seed:tool_call>") }, { FUNCTION("seed:tool_call") } },
    { { STR("<function="), STR("<parameter=") }, { FUNCTION("tool_call") } },
    { { STR("<function=") },
      { .body = CALL_NAMED,
        .writing = CALL_WRITES_NAMED,
        .begin = STR("<function="),
        .name_end = STR(">"),
        .end = STR("</function>") } },
    { { STR(">>>all") }, { .body = CALL_NAMED, .begin = STR(">>>"), .name_end = STR("\n"), .begins_there = true } },
    { { STR("<arg_key>") },
      { .body = CALL_TAGGED,
        .begin = STR("<tool_call>"),
        .end = STR("</tool_call>"),
        .value_begin = STR("<arg_key>"),
        .key_end = STR("<arg_value>"),
        .value_end = STR("</arg_value>") } },
    { { STR("<TOOLCALL>") }, { .writing = CALL_WRITES_LIST, .begin = STR("<TOOLCALL>"), .end = STR("</TOOLCALL>") } },
    { { STR("<tool_calls>") },
      { .writing = CALL_WRITES_LIST, .begin = STR("<tool_calls>"), .end = STR("</tool_calls>") } },
    { { STR("<|tool_call|>") }, { .writing = CALL_WRITES_LIST, .begin = STR("<|tool_call|>") } },
    { { STR("functools") }, { .begin = STR("functools") } },
    { { STR("\"tool_call_name\"") }, { .is_bare = true } },
    { { STR("<function_call>") }, { .writing = CALL_WRITES_LIST, .begin = STR("<function_call>") } },
    { { STR("<tool_call>") },
      { .writing = CALL_WRITES_OBJECT, .begin = STR("<tool_call>"), .end = STR("</tool_call>") } },
    { { STR("<|python_tag|>") }, { .writing = CALL_WRITES_OBJECT, .begin = STR("<|python_tag|>"), .is_bare = true } },
    { { STR("ipython"), STR("\"parameters\":") },
      { .writing = CALL_WRITES_OBJECT, .begin = STR("<|python_tag|>"), .is_bare = true } },
};

struct reasoning_row {
    struct str
        needle; // empty: the end, since templates cut it out of earlier turns where they never write the beginning
    struct reasoning_syntax syntax;
};

static const struct reasoning_row reasoning_rows[] = {
    { STR(""), { .begin = STR("<think>"), .end = STR("</think>") } },
    { STR(""), { .begin = STR("[THINK]"), .end = STR("[/THINK]") } },
    { STR(""), { .begin = STR("<seed:think>"), .end = STR("</seed:think>") } },
    { STR(""), { .begin = STR("<|channel>thought"), .end = STR("<channel|>") } },                        // Gemma 4
    { STR(""), { .begin = STR("Here are my reasoning steps:"), .end = STR("[BEGIN FINAL RESPONSE]") } }, // Apriel
    { STR(""), { .begin = STR("<|inner_prefix|>"), .end = STR("<|inner_suffix|>") } },                   // Apertus
    { STR(""),                                                                                           // Command R
      { .begin = STR("<|START_THINKING|>"),
        .end = STR("<|END_THINKING|>"),
        .dropped = { STR("<|START_RESPONSE|>"), STR("<|END_RESPONSE|>") } } },
    { STR("close_tag('think')"), // Kimi K3
      { .begin = STR("<|open|>think<|sep|>"),
        .end = STR("<|close|>think<|sep|>"),
        .dropped = { STR("<|open|>response<|sep|>"), STR("<|close|>response<|sep|>"),
                     STR("<|close|>message<|sep|>") } } },
};

static bool is_in(struct str source, struct str needle)
{
    return needle.len == 0 || str_find(source, needle) >= 0;
}

struct answer_format answer_format_detect(struct str template_source)
{
    struct answer_format format = { 0 };
    for (size_t i = 0; i < COUNT(call_rows) && !format.calls; i++) {
        const struct call_row *row = &call_rows[i];
        bool fits = true;
        for (size_t k = 0; k < NEEDLES_MAX; k++) {
            fits = fits && is_in(template_source, row->needles[k]);
        }
        format.calls = fits ? &row->syntax : NULL;
    }
    for (size_t i = 0; i < COUNT(reasoning_rows) && !format.reasoning; i++) {
        const struct reasoning_row *row = &reasoning_rows[i];
        if (is_in(template_source, row->needle.len > 0 ? row->needle : row->syntax.end)) {
            format.reasoning = &row->syntax;
        }
    }
    return format;
}

size_t call_syntax_number(const struct call_syntax *syntax)
{
    size_t i = 0;
    while (i < COUNT(call_rows) && &call_rows[i].syntax != syntax) {
        i++;
    }
    return i;
}

const struct call_syntax *call_syntax_by_number(size_t number)
{
    return number < COUNT(call_rows) ? &call_rows[number].syntax : NULL;
}

bool call_syntax_mark(const struct call_syntax *syntax, size_t idx, struct str *ret)
{
    static const struct str of_channels[] = { STR("<|channel|>"), STR("<|constrain|>"), STR("<|end|>"),
                                              STR("<|return|>") };
    const struct str marks[] = { syntax->section_begin, syntax->section_end, syntax->begin,      syntax->name_begin,
                                 syntax->name_end,      syntax->end,         syntax->quote,      syntax->value_begin,
                                 syntax->key_end,       syntax->value_end,   syntax->header_end, syntax->message_end,
                                 STR("[CALL_ID]") };
    size_t n_more = syntax->body == CALL_CHANNELS ? COUNT(of_channels) : 0;
    if (idx >= COUNT(marks) + n_more) {
        return false;
    }
    *ret = idx < COUNT(marks) ? marks[idx] : of_channels[idx - COUNT(marks)];
    return true;
}

bool reasoning_syntax_mark(const struct reasoning_syntax *syntax, size_t idx, struct str *ret)
{
    if (idx >= 2 + ANSWER_DROPPED_MAX) {
        return false;
    }
    *ret = idx == 0 ? syntax->begin : idx == 1 ? syntax->end : syntax->dropped[idx - 2];
    return true;
}
