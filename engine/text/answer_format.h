// How a model writes tool calls and reasoning, told by its chat template: a template shows the calls of earlier turns
// in the form in which the model is to write new ones, so the marks that occur in its source name the form. The first
// row of the table in answer_format.c that fits counts. By the rows' bodies:
//
//     JSON       <tool_call>{"name":NAME,"arguments":{...}}</tool_call>       Hermes, Qwen
//                <TOOLCALL>[...]</TOOLCALL>, <tool_calls>, <|tool_call|>[...]  a list: Nemotron, Apriel, Granite, Phi 4
//                {"name":NAME,"parameters":{...}}, <|python_tag|>{...}         the whole answer: Llama 3; [...]: xLAM
//                functools[...], <|action_start|><|plugin|>{...}               Firefunction, InternLM 2
//                function call<|role_sep|>{...}                                GigaChat 3
//                <|START_ACTION|>[{"tool_name":NAME,"parameters":{...}}]       Command R7B; R+: Action:, ```json, ```
//                <|tools_prefix|>[{NAME:{...}}]<|tools_suffix|>                Apertus
//     NAMED      [TOOL_CALLS]NAME[ARGS]{...}, or [TOOL_CALLS] and JSON         Mistral
//                <｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{...}            DeepSeek 3.1; R1, 3: ```json, ```
//                <|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{...}   Kimi K2
//                <function=NAME>{...}</function>; >>>NAME, a line's end, {...} functionary 3.1, 3.2
//                <server_name>..<tool_name>NAME</tool_name><arguments>{...}    MiroThinker
//     TAGGED     <function=NAME><parameter=KEY>VALUE</parameter></function>    Qwen3-Coder, Seed, Nemotron 3
//                <invoke name="NAME"><parameter name="KEY">VALUE...            MiniMax; with ｜DSML｜: DeepSeek 3.2, 4
//                NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>        GLM, Laguna
//                <|open|>call tool="NAME"<|sep|><|open|>argument key="KEY"...  Kimi K3
//                to=NAME<|message|><atem:invoke name="NAME">...                Glimmer: messages with headers
//     LITERALS   [NAME(KEY=VALUE, ...), ...]                                   the whole answer: Llama 3.2, 4, ToolACE
//                between <|tool_call_start|>, <function_calls>                 LFM 2, MiniCPM 3; OLMo 3
//                <|tool_call>call:NAME{KEY:VALUE,...}<tool_call|>              Gemma 4
//     CHANNELS   to=functions.NAME<|channel|>commentary json<|message|>{...}   gpt-oss
//
// Reasoning stands between <think> and </think>, [THINK] and [/THINK], or what else the table of reasoning names, at
// the beginning of an answer. A template with none of the marks leaves an answer as it is: all of it is content.
#ifndef TOKFS_TEXT_ANSWER_FORMAT_H
#define TOKFS_TEXT_ANSWER_FORMAT_H

#include "engine/base/str.h"

enum call_body {
    CALL_JSON,     // one object or an array of objects with name and arguments
    CALL_NAMED,    // the name, then the arguments as an object; or as CALL_JSON when it begins with a bracket
    CALL_TAGGED,   // the name, then each argument between marks of its own
    CALL_LITERALS, // the name, then arguments as Python writes them, or in Gemma's likeness of JSON
    CALL_CHANNELS, // gpt-oss: the answer is a list of messages, each with a header
};

enum call_id_form {
    CALL_ID_LONG,  // "call_" and 24 letters and digits, as OpenAI's
    CALL_ID_SHORT, // 9 letters and digits: Mistral's templates refuse others
    CALL_ID_NAME,  // what the model wrote for the name ("functions.f:0"), which the template wants back
};

// How a call is written that the model has to make. The exact form matters: it is what the model was trained on.
enum call_writing {
    CALL_WRITING_UNKNOWN,
    CALL_WRITES_OBJECT, // begin, a line's end, {"name": NAME, "arguments": {...}}, a line's end, end
    CALL_WRITES_LIST,   // begin, [{"name": NAME, "arguments": {...}}, ...], end
    CALL_WRITES_NAMED,  // begin, NAME, name_end, {...}, end
};

struct call_syntax {
    enum call_body body;
    enum call_writing writing;
    enum call_id_form id_form;
    struct str section_begin, section_end;      // around several calls, may be left out; empty: never there
    struct str begin;                           // of each call
    struct str name_begin;                      // NAMED: what comes between begin and it is dropped; empty: nothing
    struct str name_end;                        // not JSON; empty: the name ends at a line's end or at '<'
    struct str end;                             // of each call; empty: nothing
    struct str value_begin, key_end, value_end; // TAGGED: value_begin KEY key_end VALUE value_end
    struct str quote;                           // LITERALS: of strings without escapes, besides ' and "
    struct str header_end, message_end;         // an answer is several messages with headers; empty: it is one without
    bool is_bare;                               // JSON, LITERALS: calls may also be the whole answer, without `begin`
    bool is_keyed;                              // JSON: {"NAME": {...}} in place of {"name": NAME, "arguments": {...}}
    bool is_fenced;    // JSON, LITERALS: lines of ``` may stand around what is between the marks
    bool begins_there; // the prompt ends with `begin`: an answer starts with a name
};

#define ANSWER_DROPPED_MAX 3

struct reasoning_syntax {
    struct str begin, end;
    struct str dropped[ANSWER_DROPPED_MAX]; // marks around content; empty: none
};

struct answer_format {
    const struct call_syntax *calls;          // NULL: none
    const struct reasoning_syntax *reasoning; // NULL: none
};

struct answer_format answer_format_detect(struct str template_source);
// Call syntaxes by number, for texts that name one.
size_t call_syntax_number(const struct call_syntax *syntax);
const struct call_syntax *call_syntax_by_number(size_t number);

// The marks one after another, for finding those that are special tokens: false at the end.
bool call_syntax_mark(const struct call_syntax *syntax, size_t idx, struct str *ret);
bool reasoning_syntax_mark(const struct reasoning_syntax *syntax, size_t idx, struct str *ret);

#endif
