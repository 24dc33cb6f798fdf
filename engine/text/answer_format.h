// How a model writes tool calls and reasoning, told by its chat template: a template shows the calls of earlier turns
// in the form in which the model is to write new ones, so the marks that occur in its source name the form. The first
// row that fits counts:
//
//     in the template's source           a call in the answer
//     <|channel|> <|message|> <|call|>   (gpt-oss) to=functions.NAME<|channel|>commentary json<|message|>{...}<|call|>
//     <｜DSML｜invoke                     <｜DSML｜invoke name="NAME"> <｜DSML｜parameter name="KEY"
//     string="true">VALUE... <｜tool▁call▁begin｜> ```json       <｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME, a
//     line "```json", {...}, "```" <｜tool▁call▁begin｜>
//     <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}<｜tool▁call▁end｜>
//     <|tool_call_begin|>                (Kimi) <|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{...}...
//     [TOOL_CALLS]                       [TOOL_CALLS][{"name":NAME,"arguments":{...}}] or [TOOL_CALLS]NAME[ARGS]{...}
//     <minimax:tool_call>                <invoke name="NAME"><parameter name="KEY">VALUE</parameter></invoke>
//     <function= <parameter=             (Qwen3-Coder, Seed) <function=NAME><parameter=KEY>VALUE</parameter></function>
//     <function=                         (functionary 3.1) <function=NAME>{...}</function>
//     >>>all                             (functionary 3.2) >>>NAME, a line's end, {...}
//     <arg_key>                          (GLM) <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>...
//     <TOOLCALL> <tool_calls>            <TOOLCALL>[{"name":NAME,"arguments":{...}}]</TOOLCALL>
//     <|tool_call|> <function_call>      <|tool_call|>[{"name":NAME,"arguments":{...}}]
//     <tool_call>                        (Hermes, Qwen) <tool_call>{"name":NAME,"arguments":{...}}</tool_call>
//     <|python_tag|>, or ipython and     (Llama 3) the whole answer: {"name":NAME,"parameters":{...}}, several with ';'
//     "parameters":                      between them, each with or without <|python_tag|> before it
//
// Reasoning stands between <think> and </think>, [THINK] and [/THINK], or what else reasoning_syntaxes names, at the
// beginning of an answer. A template with none of the marks leaves an answer as it is: all of it is content. So do
// Python-style calls ([f(x=1)]) and those of Gemma 4, which are not read.
#ifndef TOKFS_TEXT_ANSWER_FORMAT_H
#define TOKFS_TEXT_ANSWER_FORMAT_H

#include "engine/base/str.h"

enum call_body {
    CALL_JSON,     // one object or an array of objects with name and arguments
    CALL_NAMED,    // the name, then the arguments as an object; or as CALL_JSON when it begins with a bracket
    CALL_TAGGED,   // the name, then each argument between marks of its own
    CALL_CHANNELS, // gpt-oss: the answer is a list of messages, each with a header
};

enum call_id_form {
    CALL_ID_LONG,  // "call_" and 24 letters and digits, as OpenAI's
    CALL_ID_SHORT, // 9 letters and digits: Mistral's templates refuse others
    CALL_ID_NAME,  // what the model wrote for the name ("functions.f:0"), which the template wants back
};

struct call_syntax {
    enum call_body body;
    enum call_id_form id_form;
    struct str section_begin, section_end;      // around several calls, may be left out; empty: never there
    struct str begin;                           // of each call
    struct str name_end;                        // not JSON; empty: the name ends at a line's end or at '<'
    struct str end;                             // of each call; empty: nothing
    struct str value_begin, key_end, value_end; // TAGGED: value_begin KEY key_end VALUE value_end
    bool is_bare;                               // JSON: a call may also be the whole answer, without `begin`
    bool begins_there;                          // the prompt ends with `begin`: an answer starts with a name
};

struct reasoning_syntax {
    struct str begin, end;
};

struct answer_format {
    const struct call_syntax *calls;          // NULL: none
    const struct reasoning_syntax *reasoning; // NULL: none
};

struct answer_format answer_format_detect(struct str template_source);

// The marks of a format one after another, for finding those that are special tokens: false at the end.
bool call_syntax_mark(const struct call_syntax *syntax, size_t idx, struct str *ret);

#endif
