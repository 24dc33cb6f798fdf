// Answers in every format that is read, good and bad, each cut at every place: the parts are always the same.
#include "engine/base/arena.h"
#include "tests/text/answer_dump.h"
#include "tests/unit.h"
#include <string.h>

static const char tools_json[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"get_w\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"city\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},\"on\":{\"type\":\"boolean\"},\"free\":{}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"now\"}}]";

struct answer_case {
    const char *template_source;
    const char *answer;
    const char *expected;
    bool in_reasoning, one_call;
};

#define HERMES    "<tool_call>"
#define LLAMA     "<|python_tag|>"
#define MISTRAL   "[TOOL_CALLS]"
#define QWEN_XML  "<tool_call><function=<parameter="
#define DEEPSEEK  "<｜tool▁call▁begin｜>"
#define KIMI      "<|tool_call_begin|>"
#define GLM       "<tool_call><arg_key>"
#define HARMONY   "<|channel|><|message|><|call|>"
#define THINK     "</think>"
#define PYTHON    "[func_name1("
#define LFM       "<|tool_list_start|>"
#define GEMMA     "<|tool_call>call:"
#define APERTUS   "<|tools_prefix|><|inner_suffix|>"
#define COMMAND   "<|START_ACTION|><|END_THINKING|>"
#define MCP       "<use_mcp_tool>"
#define GLIMMER   "<atem:function_calls><|message|>"
#define KIMI_K3   "<|open|><|close|>'argument'close_tag('think')"
#define CALL(...) "<tool_call>\n{\"name\": \"get_w\", \"arguments\": " __VA_ARGS__ "}\n</tool_call>"

static const struct answer_case cases[] = {
    // no marks in the template: text
    { "", "a " CALL("{}") " b", "C<a " CALL("{}") " b>" },
    { "", "<think>a</think>b", "C<<think>a</think>b>" },
    { HERMES, "", "" },
    { HERMES, "Hello <b>\n ", "C<Hello <b>\n >" },
    // Hermes
    { HERMES, CALL("{\"city\": \"Par}is\", \"n\": [1, {\"a\": \"\\\"\"}]}"),
      "T0<get_w>A0<{\"city\": \"Par}is\", \"n\": [1, {\"a\": \"\\\"\"}]}>" },
    { HERMES, "I look.\n\n" CALL("{}") "\n" CALL("{\"n\":1}") "\n", "C<I look.>T0<get_w>A0<{}>T1<get_w>A1<{\"n\":1}>" },
    { HERMES, CALL("{}") " and more\n" CALL("{}"), "T0<get_w>A0<{}>C<and more>T1<get_w>A1<{}>" },
    { HERMES, "<tool_call>{\"arguments\":{\"n\":1},\"id\":7,\"name\":\"get_w\"}</tool_call>",
      "T0<get_w>A0<{\"n\":1}>" },
    { HERMES, "<tool_call>{\"name\":\"now\"}</tool_call>", "T0<now>A0<{}>" },
    { HERMES, "<tool_call>{\"name\":\"now\",\"arguments\":null}</tool_call>", "T0<now>A0<{}>" },
    { HERMES, "<tool_call>{\"name\":\"now\",\"arguments\":\"{\\\"n\\\":2}\"}</tool_call>", "T0<now>A0<{\"n\":2}>" },
    { HERMES, "<tool_call>{\"name\":\"now\",\"arguments\":{},\"why\":\"x\"}\n{\"name\":\"get_w\",\"arguments\":{}}",
      "T0<now>A0<{}>T1<get_w>A1<{}>" },
    { HERMES, "<tool_call>[{\"name\":\"now\",\"arguments\":{}},{\"name\":\"get_w\",\"arguments\":{}}]</tool_call>",
      "T0<now>A0<{}>T1<get_w>A1<{}>" },
    { HERMES, CALL("{}") CALL("{}"), "T0<get_w>A0<{}>", .one_call = true },
    // Hermes gone wrong: nothing is lost
    { HERMES, "a\n<tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}\n</tool_call>",
      "C<a\n<tool_call>\n{\"name\": \"nobody\", \"arguments\": {}}\n</tool_call>>" },
    { HERMES, "a <tool_call> b", "C<a <tool_call> b>" },
    { HERMES, "a <tool_call", "C<a <tool_call>" },
    { HERMES, "a <tool_call>\n{\"name\": \"get_w\", \"argum", "C<a <tool_call>\n{\"name\": \"get_w\", \"argum>" },
    { HERMES, "<tool_call>{\"name\" \"get_w\", \"arguments\": {}}</tool_call>",
      "C<<tool_call>{\"name\" \"get_w\", \"arguments\": {}}</tool_call>>" },
    { HERMES, "<tool_call>{\"name\":\"get_w\",\"arguments\":[1]}</tool_call>",
      "C<<tool_call>{\"name\":\"get_w\",\"arguments\":[1]}</tool_call>>" },
    { HERMES, "<tool_call>{\"name\":\"x\"<tool_call>{\"name\":\"now\",\"arguments\":{}}</tool_call>",
      "C<<tool_call>{\"name\":\"x\">T0<now>A0<{}>" },
    { HERMES, "<tool_call>{\"name\":\"get_w\",\"arguments\":{\"city\": \"Par", "T0<get_w>A0<{\"city\": \"Par>" },
    { HERMES, CALL("{\"city\": oops}") " b", "T0<get_w>A0<{\"city\": oops}}\n>C<b>" },
    { HERMES, "<tool_call>{\"name\":\"now\",\"arguments\":{}}}\n</tool_call> b", "T0<now>A0<{}>C<}\n b>" },
    { HERMES, "<tool_call>{\"name\":\"now\",\"arguments\":{}!}</tool_call>", "T0<now>A0<{}>C<!}>" },
    // Llama 3
    { LLAMA, " {\"name\": \"get_w\", \"parameters\": {\"n\": 1}}", "T0<get_w>A0<{\"n\": 1}>" },
    { LLAMA, "{\"type\":\"function\",\"name\": \"now\", \"parameters\": {}}; {\"name\": \"get_w\", \"parameters\": {}}",
      "T0<now>A0<{}>T1<get_w>A1<{}>" },
    { LLAMA,
      "<|python_tag|>{\"name\": \"now\", \"parameters\": {}};<|python_tag|>{\"name\": \"now\", \"parameters\": {}}",
      "T0<now>A0<{}>T1<now>A1<{}>" },
    { LLAMA, "{\"name\": \"now\"}", "C<{\"name\": \"now\"}>" },
    { LLAMA, " {\"a\": 1} {\"name\": \"now\", \"parameters\": {}}",
      "C< {\"a\": 1} {\"name\": \"now\", \"parameters\": {}}>" },
    { LLAMA, "Say {\"name\": \"now\", \"parameters\": {}}", "C<Say {\"name\": \"now\", \"parameters\": {}}>" },
    { LLAMA, "<|python_tag|>print(1)", "C<<|python_tag|>print(1)>" },
    { LLAMA, "{", "C<{>" },
    { LLAMA, " \n", "C< \n>" },
    // Mistral
    { MISTRAL,
      "[TOOL_CALLS] [{\"name\": \"get_w\", \"arguments\": {\"n\": 0}, \"id\": \"abcdefghi\"}, {\"name\": "
      "\"now\", \"arguments\": {}}]",
      "T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { MISTRAL, "Hm. [TOOL_CALLS]get_w[ARGS]{\"n\": 0}[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}",
      "C<Hm.>T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { MISTRAL, "[TOOL_CALLS]now", "C<[TOOL_CALLS]now>" },
    { MISTRAL, "[TOOL_CALLS]now[ARGS]", "T0<now>A0<{}>" },
    { MISTRAL, "[TOOL_CALLS] [{\"name\": \"nobody\", \"arguments\": {}}]",
      "C<[TOOL_CALLS] [{\"name\": \"nobody\", \"arguments\": {}}]>" },
    { MISTRAL, "[TOOL_CALLS]now[ARGS]{\"a\": \"", "T0<now>A0<{\"a\": \">" },
    // names before arguments
    { DEEPSEEK,
      "a<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_w<｜tool▁sep｜>{\"n\": "
      "0}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁"
      "sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "C<a>T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { DEEPSEEK, "<｜tool▁calls▁begin｜> x", "C<<｜tool▁calls▁begin｜> x>" },
    { DEEPSEEK "```json",
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_w\n```json\n{\"n\": "
      "0}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><"
      "｜tool▁"
      "calls▁end｜>",
      "T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { KIMI,
      "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_w:0<|tool_call_argument_begin|>{\"n\": "
      "0}<|tool_call_end|><|tool_calls_section_end|>",
      "T0<get_w>A0<{\"n\": 0}>" },
    { "<function=", "<function=get_w>{\"n\": 0}</function><function=now>{}</function>",
      "T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { ">>>all", "all\nHi >>> x\n>>>now\n{}", "C<Hi >>> x>T0<now>A0<{}>" },
    { ">>>all", "get_w\n{\"n\": 0}>>>now\n{}", "T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { ">>>all", "nobody\nHi", "C<nobody\nHi>" },
    // arguments between marks
    { QWEN_XML,
      "Ok\n<tool_call>\n<function=get_w>\n<parameter=city>\nPar\"is\nx\n</parameter>\n<parameter=n>\n3\n</parameter>\n"
      "<parameter=on>True</parameter><parameter=free>[1]</parameter><parameter=free>a b</parameter>"
      "</function>\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
      "C<Ok>T0<get_w>A0<{\"city\": \"Par\\\"is\\nx\", \"n\": 3, \"on\": true, \"free\": [1], \"free\": \"a "
      "b\"}>T1<now>A1<{}>" },
    { QWEN_XML, "<function=get_w><parameter=city>12</parameter></function>", "T0<get_w>A0<{\"city\": \"12\"}>" },
    { QWEN_XML, "<tool_call><function=nobody></function></tool_call>",
      "C<<tool_call><function=nobody></function></tool_call>>" },
    { QWEN_XML, "<tool_call>\n<function=get_w>\n<parameter=city>\nPar", "T0<get_w>A0<{\"city\": \"Par>" },
    { QWEN_XML, "<function=now>what</function>", "T0<now>A0<{}>C<what>" },
    { "<function=<parameter=<seed:tool_call>",
      "<seed:tool_call>\n<function=get_w>\n<parameter=n>0</parameter>\n</function>\n</seed:tool_call>",
      "T0<get_w>A0<{\"n\": 0}>" },
    { "<minimax:tool_call>",
      "<minimax:tool_call>\n<invoke name=\"get_w\">\n<parameter name=\"city\">1</parameter>\n</invoke>\n<invoke "
      "name=\"now\">\n</invoke>\n</minimax:tool_call>",
      "T0<get_w>A0<{\"city\": \"1\"}>T1<now>A1<{}>" },
    { "DSML function_calls>",
      "<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_w\">\n<｜DSML｜parameter name=\"free\" "
      "string=\"true\">1</｜DSML｜parameter>\n<｜DSML｜parameter name=\"n\" "
      "string=\"false\">0</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
      "T0<get_w>A0<{\"free\": \"1\", \"n\": 0}>" },
    { GLM,
      "<tool_call>get_w\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call><tool_call>now</tool_call>",
      "T0<get_w>A0<{\"city\": \"Oslo\"}>T1<now>A1<{}>" },
    // lists between marks
    { "<TOOLCALL>", "<TOOLCALL>[{\"name\": \"get_w\", \"arguments\": {\"n\": 0}}]</TOOLCALL>",
      "T0<get_w>A0<{\"n\": 0}>" },
    { "<|tool_call|>", "<|tool_call|>[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"x\", \"arguments\": {}}]",
      "T0<now>A0<{}>C<, {\"name\": \"x\", \"arguments\": {}}]>" },
    { "\"tool_call_name\"",
      " [{\"name\": \"get_w\", \"arguments\": {\"n\": 0}}, {\"name\": \"now\", \"arguments\": {}}]",
      "T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { "\"tool_call_name\"", "[1, 2]", "C<[1, 2]>" },
    { "functools", " functools[{\"name\": \"now\", \"arguments\": {}}]", "T0<now>A0<{}>" },
    { "<|action_start|>", "Ok\n<|action_start|><|plugin|>\n{\"name\": \"now\", \"parameters\": {}}<|action_end|>\n",
      "C<Ok>T0<now>A0<{}>" },
    { "function call<|role_sep|>", "Ok\n\nfunction call<|role_sep|>\n{\"name\": \"now\", \"arguments\": {\"n\": 1}}",
      "C<Ok>T0<now>A0<{\"n\": 1}>" },
    { APERTUS,
      "<|inner_prefix|>Hm<|inner_suffix|><|tools_prefix|>[{\"get_w\": {\"n\": 0}}, {\"now\": {}}]<|tools_suffix|>",
      "R<Hm>T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { APERTUS, "<|tools_prefix|>[{\"nobody\": {}}]<|tools_suffix|>",
      "C<<|tools_prefix|>[{\"nobody\": {}}]<|tools_suffix|>>" },
    { COMMAND,
      "<|START_THINKING|>I look.<|END_THINKING|><|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": "
      "\"get_w\", "
      "\"parameters\": {\"n\": 0}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": "
      "{}}\n]<|END_ACTION|>",
      "R<I look.>T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    { COMMAND, "<|START_RESPONSE|>Hi <co>you</co: 0:[1]>.<|END_RESPONSE|>", "C<Hi <co>you</co: 0:[1]>.>" },
    { "Action:```json tool_name",
      "Action:\n```json\n[\n    {\n        \"tool_name\": \"get_w\",\n        \"parameters\": {\"n\": 0}\n    "
      "}\n]\n```",
      "T0<get_w>A0<{\"n\": 0}>" },
    { "Action:```json tool_name", "Action: none", "C<Action: none>" },
    { MCP,
      "I look.\n<use_mcp_tool>\n<server_name>s</server_name>\n<tool_name>get_w</tool_name>\n<arguments>\n{\"n\": "
      "0}\n</arguments>\n<server_name>s</server_name>\n<tool_name>now</tool_name>\n<arguments>\n{}\n</arguments>\n"
      "</use_mcp_tool>",
      "C<I look.>T0<get_w>A0<{\"n\": 0}>T1<now>A1<{}>" },
    // Python
    { PYTHON, "[get_w(city=\"Par'is\", n=3), now()]", "T0<get_w>A0<{\"city\": \"Par'is\", \"n\": 3}>T1<now>A1<{}>" },
    { PYTHON,
      "[get_w(free=[1, -2.5e3, (True, None), {'a': False, 'b': ['x,)']}], city='it\\'s "
      "\\x41\\u00e9\\n\\d\\ud83d\\ude00')]",
      "T0<get_w>A0<{\"free\": [1,-2.5e3,[true,null],{\"a\":false,\"b\":[\"x,)\"]}], \"city\": \"it's "
      "A\u00e9\\n\\\\d\U0001f600\"}>" },
    { PYTHON, "[get_w(city=Par\"is (old), free=a b, )]",
      "T0<get_w>A0<{\"city\": \"Par\\\"is (old)\", \"free\": \"a b\"}>" },
    { PYTHON, "[get_w('Rome', 3)]", "T0<get_w>A0<{\"city\": \"Rome\", \"n\": 3}>" },
    { PYTHON, "[get_w(city=''), now( )] and more", "T0<get_w>A0<{\"city\": \"\"}>T1<now>A1<{}>C<and more>" },
    { PYTHON, "[get_w(city=\"Par\"is\", n=\"3\", on='true', free=\"3\")]",
      "T0<get_w>A0<{\"city\": \"Par\\\"is\", \"n\": 3, \"on\": true, \"free\": \"3\"}>" },
    { PYTHON, "[get_w(city='it's', n='x', on='3')]", "T0<get_w>A0<{\"city\": \"it's\", \"n\": \"x\", \"on\": \"3\"}>" },
    { PYTHON, "[nobody(x=1)]", "C<[nobody(x=1)]>" },
    { PYTHON, "[now(), nobody()]", "T0<now>A0<{}>C<, nobody()]>" },
    { PYTHON, "[1, 2] now()", "C<[1, 2] now()>" },
    { PYTHON, "I call [now()].", "C<I call [now()].>" },
    { PYTHON, "[get_w(city=\"Par", "T0<get_w>A0<{\"city\": \"Par>" },
    { PYTHON, "[get_w(city=\"", "T0<get_w>A0<{\"city\": \">" },
    { PYTHON, "[get_w(n=1, ", "T0<get_w>A0<{\"n\": 1>" },
    { PYTHON, "[get_w(n=[1, ", "T0<get_w>A0<{\"n\": \"[1,>" },
    { PYTHON, "[get_w", "C<[get_w>" },
    { LFM, "Ok.<|tool_call_start|>[get_w(n=1), now()]<|tool_call_end|>Done.",
      "C<Ok.>T0<get_w>A0<{\"n\": 1}>T1<now>A1<{}>C<Done.>" },
    { LFM, "<|tool_call_start|>\n```python\nget_w(n=1)\nnow()\n```\n<|tool_call_end|>",
      "T0<get_w>A0<{\"n\": 1}>T1<now>A1<{}>" },
    { LFM, "<|tool_call_start|>```python\n```python\nnow()", "C<<|tool_call_start|>```python\n```python\nnow()>" },
    { "\\n<function_calls>\\n", "<function_calls>\nget_w(city='a', on=true)\nnow()\n</function_calls>",
      "T0<get_w>A0<{\"city\": \"a\", \"on\": true}>T1<now>A1<{}>" },
    { GEMMA,
      "Ok<|tool_call>call:get_w{city:<|\"|>Par\"is, \\n<|\"|>,free:{a:[1,<|\"|>}<|\"|>],b c:null},on:true}<tool_call|>"
      "<|tool_call>call:now{}<tool_call|>",
      "C<Ok>T0<get_w>A0<{\"city\": \"Par\\\"is, \\\\n\", \"free\": {\"a\":[1,\"}\"],\"b c\":null}, \"on\": "
      "true}>T1<now>A1<{}>" },
    { GEMMA, "<|tool_call>call:get_w{city:<|\"|>Par", "T0<get_w>A0<{\"city\": \"Par>" },
    { GEMMA, "<|tool_call>call:nobody{}<tool_call|>", "C<<|tool_call>call:nobody{}<tool_call|>>" },
    // marks with attributes, and headers
    { KIMI_K3,
      "<|open|>think<|sep|>Hm<|close|>think<|sep|><|open|>response<|sep|>Ok<|close|>response<|sep|><|open|>tools<|sep|>"
      "<|open|>call "
      "tool=\"get_w\" index=\"1\"<|sep|><|open|>argument key=\"free\" "
      "type=\"string\"<|sep|>1<|close|>argument<|sep|><|open|>argument "
      "key=\"n\" "
      "type=\"number\"<|sep|>0<|close|>argument<|sep|><|close|>call<|sep|><|close|>tools<|sep|><|close|>message<|sep|>",
      "R<Hm>C<Ok>T0<get_w>A0<{\"free\": \"1\", \"n\": 0}>" },
    { GLIMMER,
      " to=self<|message|>Hm<|eom|><|start|>assistant to=get_w<|message|><atem:function_calls>\n<atem:invoke "
      "name=\"get_w\">\n<atem:parameter "
      "name=\"city\">1</atem:parameter>\n</atem:invoke>\n</atem:function_calls><|eom|><|start|>assistant "
      "to=user<|message|>Hi",
      "R<Hm>T0<get_w>A0<{\"city\": \"1\"}>C<Hi>" },
    { GLIMMER, " to=user<|message|>Hi", "C<Hi>" },
    { GLIMMER, "Hi", "C<Hi>" },
    // gpt-oss
    { HARMONY, "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Hi<|return|>",
      "R<Hm>C<Hi>" },
    { HARMONY, "<|channel|>commentary to=functions.get_w <|constrain|>json<|message|>{\"n\":1}<|call|>",
      "T0<get_w>A0<{\"n\":1}>" },
    { HARMONY, " to=functions.now<|channel|>commentary json<|message|>", "T0<now>" },
    { HARMONY, " to=functions.now<|channel|>commentary json<|message|><|call|>", "T0<now>A0<{}>" },
    { HARMONY, " to=python<|channel|>commentary<|message|>1+1<|call|>",
      "C< to=python<|channel|>commentary<|message|>1+1>" },
    { HARMONY, "Hi", "C<Hi>" },
    // reasoning
    { THINK, "<think>\nHm\n\nyes\n</think>\n\nHi", "R<Hm\n\nyes>C<Hi>" },
    { THINK, " \n<think></think>\n\nHi\n", "C<Hi\n>" },
    { THINK, "<think>Hm", "R<Hm>" },
    { THINK, "Hi <think>Hm</think>", "C<Hi <think>Hm</think>>" },
    { THINK, "\n<thin", "C<\n<thin>" },
    { THINK, "\nHm\n</think>\nHi", "R<Hm>C<Hi>", .in_reasoning = true },
    { THINK, "Hm </thi", "R<Hm </thi>", .in_reasoning = true },
    { "[/THINK]" MISTRAL, "[THINK]Hm[/THINK][TOOL_CALLS]now[ARGS]{}", "R<Hm>T0<now>A0<{}>" },
    { THINK HERMES, "<think>" CALL("{}") "</think>\n\n" CALL("{}"), "R<" CALL("{}") ">T0<get_w>A0<{}>" },
    { THINK HERMES, "<think>I look.\n\n" CALL("{\"n\": 1}") "\n" CALL("{}") "\n",
      "R<I look.>T0<get_w>A0<{\"n\": 1}>T1<get_w>A1<{}>" },
    { THINK HERMES, CALL("{}"), "T0<get_w>A0<{}>", .in_reasoning = true },
    { THINK HERMES, "I might " CALL("{}") " but no", "R<I might " CALL("{}") " but no>", .in_reasoning = true },
    { THINK HERMES, "a <tool_call>{\"name\":\"nobody\"}</tool_call>\nb\n<tool_call>{\"name\":\"now\"}</tool_call>",
      "R<a <tool_call>{\"name\":\"nobody\"}</tool_call>\nb>T0<now>A0<{}>", .in_reasoning = true },
    { THINK HERMES, "a <tool_call>b</think><tool_call>c", "R<a <tool_call>b>C<<tool_call>c>", .in_reasoning = true },
    { THINK HERMES, "a <tool_call>", "R<a <tool_call>>", .in_reasoning = true },
    { THINK DEEPSEEK,
      "Hm\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      "R<Hm>T0<now>A0<{}>", .in_reasoning = true },
    { "</seed:think>", "<seed:think>Hm</seed:think>Hi", "R<Hm>C<Hi>" },
};

struct cut {
    size_t first; // length of the first piece; the rest is one piece
    size_t each;  // or the length of each
};

static size_t cut_next(void *ctx)
{
    struct cut *cut = ctx;
    size_t len = cut->each > 0 ? cut->each : cut->first;
    cut->first = SIZE_MAX;
    return len;
}

static void check(const struct answer_case *c, const struct json *tools, struct cut cut)
{
    const struct answer_request request = { .format = answer_format_detect(str_from(c->template_source)),
                                            .tools = tools,
                                            .begins_in_reasoning = c->in_reasoning,
                                            .n_calls_max = c->one_call ? 1 : ANSWER_CALLS_MAX };
    struct answer_parser parser;
    struct strbuf out;
    struct cut left = cut;
    strbuf_init(&out, 0);
    assert_int_equal(answer_parser_init(&parser, 0), 0);
    assert_int_equal(answer_dump_pieces(&parser, &request, str_from(c->answer), cut_next, &left, &out), 0);
    if (strcmp(out.ptr ? out.ptr : "", c->expected) != 0) {
        fail_msg("template \"%s\", cut %zu/%zu\nanswer %s\nwant   %s\ngot    %s", c->template_source, cut.first,
                 cut.each, c->answer, c->expected, out.ptr);
    }
    strbuf_deinit(&out);
    answer_parser_deinit(&parser);
}

static void test_answer_parser_any_cut_gives_the_same_parts(void **state)
{
    struct arena arena;
    const struct json *tools;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, str_from(tools_json), &tools, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(&cases[i], tools, (struct cut){ .first = SIZE_MAX });
        check(&cases[i], tools, (struct cut){ .each = 1 });
        check(&cases[i], tools, (struct cut){ .each = 3 });
        for (size_t at = 1; at < strlen(cases[i].answer); at++) {
            check(&cases[i], tools, (struct cut){ .first = at });
        }
    }
    arena_deinit(&arena);
}

// What is certain comes at once: a client sees the text grow.
static void test_answer_parser_tells_what_is_certain(void **state)
{
    struct arena arena;
    struct answer_request request = { .format = answer_format_detect(STR(HERMES)), .n_calls_max = 9 };
    struct answer_parser parser;
    struct answer_parts parts;
    struct answer_part part;
    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, str_from(tools_json), &request.tools, NULL), 0);
    assert_int_equal(answer_parser_init(&parser, 0), 0);
    answer_parts_init(&parts);
    answer_parser_begin(&parser, &request, &parts);
    answer_parser_feed(&parser, STR("Hello <"));
    assert_true(answer_parts_first(&parts, &part) && str_eq(part.text, STR("Hello")));
    answer_parts_take(&parts, 5);
    assert_true(answer_parts_is_empty(&parts));
    answer_parser_feed(&parser, STR("tool_call>{\"name\":\"get_w\",\"arguments\":{\"ci"));
    assert_true(answer_parts_first(&parts, &part) && part.kind == ANSWER_CALL && str_eq(part.text, STR("get_w")));
    assert_int_equal(part.id.len, 29);
    assert_true(str_starts_with(part.id, STR("call_")));
    answer_parts_take(&parts, part.text.len);
    assert_true(answer_parts_first(&parts, &part) && part.kind == ANSWER_ARGUMENTS && str_eq(part.text, STR("{\"ci")));
    answer_parts_deinit(&parts);
    answer_parser_deinit(&parser);
    arena_deinit(&arena);
}

static struct str first_id(struct arena *arena, const char *template_source, uint64_t seed, const char *answer)
{
    struct answer_request request = { .format = answer_format_detect(str_from(template_source)),
                                      .n_calls_max = 9,
                                      .id_seed = seed };
    struct answer_parser parser;
    struct answer_parts parts;
    struct answer_part part;
    struct str id;
    assert_int_equal(json_parse(arena, str_from(tools_json), &request.tools, NULL), 0);
    assert_int_equal(answer_parser_init(&parser, 0), 0);
    answer_parts_init(&parts);
    answer_parser_begin(&parser, &request, &parts);
    answer_parser_feed(&parser, str_from(answer));
    assert_true(answer_parts_first(&parts, &part) && part.kind == ANSWER_CALL);
    id = arena_copy(arena, part.id);
    answer_parts_deinit(&parts);
    answer_parser_deinit(&parser);
    return id;
}

static void test_answer_parser_gives_ids_that_the_template_takes(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 0);
    struct str a = first_id(&arena, MISTRAL, 1, "[TOOL_CALLS]now[ARGS]{}");
    struct str b = first_id(&arena, MISTRAL, 2, "[TOOL_CALLS]now[ARGS]{}");
    assert_true(a.len == 9 && b.len == 9 && !str_eq(a, b));
    assert_string_equal(first_id(&arena, MISTRAL, 1, "[TOOL_CALLS]now[CALL_ID]abcdefghi[ARGS]{}").ptr, "abcdefghi");
    assert_string_equal(
        first_id(&arena, KIMI, 1, "<|tool_call_begin|>functions.now:3<|tool_call_argument_begin|>{}").ptr,
        "functions.now:3");
    arena_deinit(&arena);
}

static void test_answer_prompt_opens_reasoning_at_its_end_only(void **state)
{
    const struct reasoning_syntax *syntax = answer_format_detect(STR(THINK)).reasoning;
    (void)state;
    assert_true(answer_prompt_opens_reasoning(syntax, STR("hi<|im_start|>assistant\n<think>\n")));
    assert_false(answer_prompt_opens_reasoning(syntax, STR("hi<|im_start|>assistant\n<think>\n</think>\n")));
    assert_false(answer_prompt_opens_reasoning(syntax, STR("what is <think>?<|im_start|>assistant\n")));
    assert_false(answer_prompt_opens_reasoning(NULL, STR("<think>")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_parser_any_cut_gives_the_same_parts),
        cmocka_unit_test(test_answer_parser_tells_what_is_certain),
        cmocka_unit_test(test_answer_parser_gives_ids_that_the_template_takes),
        cmocka_unit_test(test_answer_prompt_opens_reasoning_at_its_end_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
