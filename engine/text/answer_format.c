// Two tables and a search. Pure.
#include "engine/text/answer_format.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define NEEDLES_MAX 3

struct call_row {
    struct str needles[NEEDLES_MAX]; // all of them are in the source
    struct call_syntax syntax;
};

static const struct call_row call_rows[] = {
    { { STR("<|channel|>"), STR("<|message|>"), STR("<|call|>") },
      { .body = CALL_CHANNELS, .begin = STR("<|start|>"), .name_end = STR("<|message|>"), .end = STR("<|call|>") } },
    { { STR("DSML"), STR("tool_calls>") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<｜DSML｜tool_calls>"),
        .section_end = STR("</｜DSML｜tool_calls>"),
        .begin = STR("<｜DSML｜invoke name=\""),
        .name_end = STR("\">"),
        .end = STR("</｜DSML｜invoke>"),
        .value_begin = STR("<｜DSML｜parameter name=\""),
        .key_end = STR(">"),
        .value_end = STR("</｜DSML｜parameter>") } },
    { { STR("DSML"), STR("function_calls>") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<｜DSML｜function_calls>"),
        .section_end = STR("</｜DSML｜function_calls>"),
        .begin = STR("<｜DSML｜invoke name=\""),
        .name_end = STR("\">"),
        .end = STR("</｜DSML｜invoke>"),
        .value_begin = STR("<｜DSML｜parameter name=\""),
        .key_end = STR(">"),
        .value_end = STR("</｜DSML｜parameter>") } },
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
    { { STR("[TOOL_CALLS]") },
      { .body = CALL_NAMED, .id_form = CALL_ID_SHORT, .begin = STR("[TOOL_CALLS]"), .name_end = STR("[ARGS]") } },
    { { STR("<minimax:tool_call>") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<minimax:tool_call>"),
        .section_end = STR("</minimax:tool_call>"),
        .begin = STR("<invoke name=\""),
        .name_end = STR("\">"),
        .end = STR("</invoke>"),
        .value_begin = STR("<parameter name=\""),
        .key_end = STR("\">"),
        .value_end = STR("</parameter>") } },
    { { STR("<function="), STR("<parameter="), STR("<seed:tool_call>") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<seed:tool_call>"),
        .section_end = STR("</seed:tool_call>"),
        .begin = STR("<function="),
        .name_end = STR(">"),
        .end = STR("</function>"),
        .value_begin = STR("<parameter="),
        .key_end = STR(">"),
        .value_end = STR("</parameter>") } },
    { { STR("<function="), STR("<parameter=") },
      { .body = CALL_TAGGED,
        .section_begin = STR("<tool_call>"),
        .section_end = STR("</tool_call>"),
        .begin = STR("<function="),
        .name_end = STR(">"),
        .end = STR("</function>"),
        .value_begin = STR("<parameter="),
        .key_end = STR(">"),
        .value_end = STR("</parameter>") } },
    { { STR("<function=") },
      { .body = CALL_NAMED, .begin = STR("<function="), .name_end = STR(">"), .end = STR("</function>") } },
    { { STR(">>>all") }, { .body = CALL_NAMED, .begin = STR(">>>"), .name_end = STR("\n"), .begins_there = true } },
    { { STR("<arg_key>") },
      { .body = CALL_TAGGED,
        .begin = STR("<tool_call>"),
        .end = STR("</tool_call>"),
        .value_begin = STR("<arg_key>"),
        .key_end = STR("<arg_value>"),
        .value_end = STR("</arg_value>") } },
    { { STR("<TOOLCALL>") }, { .begin = STR("<TOOLCALL>"), .end = STR("</TOOLCALL>") } },
    { { STR("<tool_calls>") }, { .begin = STR("<tool_calls>"), .end = STR("</tool_calls>") } },
    { { STR("<|tool_call|>") }, { .begin = STR("<|tool_call|>") } },
    { { STR("<function_call>") }, { .begin = STR("<function_call>") } },
    { { STR("<tool_call>") }, { .begin = STR("<tool_call>"), .end = STR("</tool_call>") } },
    { { STR("<|python_tag|>") }, { .begin = STR("<|python_tag|>"), .is_bare = true } },
    { { STR("ipython"), STR("\"parameters\":") }, { .begin = STR("<|python_tag|>"), .is_bare = true } },
};

// The end is what tells: templates cut it out of earlier turns even where they never write the beginning.
static const struct reasoning_syntax reasoning_syntaxes[] = {
    { STR("<think>"), STR("</think>") },
    { STR("[THINK]"), STR("[/THINK]") },
    { STR("<seed:think>"), STR("</seed:think>") },
    { STR("<|channel>thought"), STR("<channel|>") },                        // Gemma 4
    { STR("Here are my reasoning steps:"), STR("[BEGIN FINAL RESPONSE]") }, // Apriel
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
    for (size_t i = 0; i < COUNT(reasoning_syntaxes) && !format.reasoning; i++) {
        if (is_in(template_source, reasoning_syntaxes[i].end)) {
            format.reasoning = &reasoning_syntaxes[i];
        }
    }
    return format;
}

bool call_syntax_mark(const struct call_syntax *syntax, size_t idx, struct str *ret)
{
    static const struct str of_channels[] = { STR("<|channel|>"), STR("<|constrain|>"), STR("<|end|>"),
                                              STR("<|return|>") };
    const struct str marks[] = { syntax->section_begin, syntax->section_end, syntax->begin,
                                 syntax->name_end,      syntax->end,         syntax->value_begin,
                                 syntax->key_end,       syntax->value_end,   STR("[CALL_ID]") };
    size_t n_more = syntax->body == CALL_CHANNELS ? COUNT(of_channels) : 0;
    if (idx >= COUNT(marks) + n_more) {
        return false;
    }
    *ret = idx < COUNT(marks) ? marks[idx] : of_channels[idx - COUNT(marks)];
    return true;
}
