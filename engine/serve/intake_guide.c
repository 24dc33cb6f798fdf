// What a request demands of its answer's form, together with what the chat template says of reasoning and calls,
// becomes a plan for guides. Refuses what the template's form does not allow (-EOPNOTSUPP).
//
//   demand                        begins      grammar             free before it       instead of it
//   a form (response_format ...)  START       the form's          reasoning            a call, where tools may be
//   called a tool (tool_choice)          START       calls               reasoning strict tools, left to choose  FREE
//   calls, if any       everything
//
// Reasoning and calls are told by their marks. Where a mark is not one token, no answer to such a request begins with
// it; a prompt that has opened reasoning already is refused then.
#include "engine/serve/intake.h"

#include "engine/text/tool_grammar.h"
#include <errno.h>

static int take_grammar(const struct intake *intake, struct tokfs_completion *c, const struct answer_rule *rule,
                        struct err *err)
{
    c->grammars = intake->grammars;
    return grammar_store_take(intake->grammars, rule, &c->guide.grammar, err);
}

int intake_guide_text(const struct intake *intake, struct tokfs_completion *completion, const struct answer_rule *rule,
                      struct err *err)
{
    completion->guide =
        (struct guide_plan){ .free_begin = GUIDE_NO_TOKEN, .free_end = GUIDE_NO_TOKEN, .call_begin = GUIDE_NO_TOKEN };
    return rule->kind == ANSWER_RULE_NONE ? 0 : take_grammar(intake, completion, rule, err);
}

static bool may_call(const struct chat_request *request)
{
    return request->tools && !request->tool_choice_none;
}

static bool has_strict_tool(const struct json *tools)
{
    const struct json *tool = json_first(tools);
    for (size_t i = 0; i < tools->n_children; i++, tool = json_next(tool)) {
        const struct json *strict = json_get(json_get(tool, STR("function")), STR("strict"));
        if (strict && strict->type == JSON_BOOL && strict->boolean) {
            return true;
        }
    }
    return false;
}

// Templates whose answers are made of messages, or begin with a name, have no place where a form could begin.
static bool has_plain_answers(const struct answer_style *style)
{
    const struct call_syntax *calls = style->format.calls;
    return !calls || (calls->body != CALL_CHANNELS && calls->header_end.len == 0 && !calls->begins_there);
}

static int plan_reasoning(const struct intake *intake, const struct answer_style *style, struct str prompt,
                          const char *param, struct guide_plan *plan, struct err *err)
{
    const struct reasoning_syntax *syntax = style->format.reasoning;
    if (!syntax) {
        return 0;
    }
    plan->begins_free = answer_prompt_opens_reasoning(syntax, prompt);
    plan->free_begin = tokenizer_find(intake->tok, syntax->begin);
    plan->free_end = tokenizer_find(intake->tok, syntax->end);
    if (plan->begins_free && plan->free_end < 0) {
        return err_set_param(err, -EOPNOTSUPP, param,
                             "Unsupported parameter: '%s' is not supported where reasoning ends with \"%.*s\", which "
                             "is not one token of this model.",
                             param, STR_ARG(syntax->end));
    }
    if (plan->free_end < 0 || str_ends_with(str_trim(prompt), syntax->end)) { // the prompt has closed it
        plan->free_begin = GUIDE_NO_TOKEN;
    }
    return 0;
}

static int describe_tools(const struct intake *intake, const struct chat_request *request,
                          const struct answer_style *style, bool is_optional, struct arena *arena,
                          struct answer_rule *ret, struct err *err)
{
    bool is_bare = style->format.calls->is_bare;
    const struct tool_demand demand = {
        .calls = style->format.calls,
        .tools = request->tools,
        .name = request->forced_tool,
        .is_many = request->parallel_tool_calls && !request->forced_tool.ptr,
        .is_begun = is_optional && !is_bare,
        .only_strict = is_optional,
    };
    *ret = (struct answer_rule){ .kind = ANSWER_RULE_CALLS, .where = "tools" };
    return tool_grammar_describe(&demand, intake->tok, arena, &ret->source, err);
}

static int refuse(const char *param, const char *what, struct err *err)
{
    return err_set_param(
        err, -EOPNOTSUPP, param,
        "Unsupported parameter: '%s' is not supported: the form in which this model %s is not one that "
        "can be ruled.",
        param, what);
}

int intake_guide_chat(const struct intake *intake, struct tokfs_completion *completion,
                      const struct chat_request *request, const struct answer_style *style, struct str prompt,
                      struct arena *arena, struct err *err)
{
    const struct call_syntax *calls = style->format.calls;
    struct guide_plan *plan = &completion->guide;
    struct answer_rule rule = request->common.rule;
    bool is_form = rule.kind != ANSWER_RULE_NONE, is_forced = request->tool_choice_forced;
    bool is_optional = !is_form && !is_forced && may_call(request) && has_strict_tool(request->tools);
    const char *param = is_form ? rule.where : is_forced ? "tool_choice" : "tools";
    *plan =
        (struct guide_plan){ .free_begin = GUIDE_NO_TOKEN, .free_end = GUIDE_NO_TOKEN, .call_begin = GUIDE_NO_TOKEN };
    if (!is_form && !is_forced && !is_optional) {
        return 0;
    }
    if (!has_plain_answers(style)) {
        return refuse(param, "answers", err);
    }
    int rc = plan_reasoning(intake, style, prompt, param, plan, err);
    int32_t call_begin = calls && calls->begin.len > 0 ? tokenizer_find(intake->tok, calls->begin) : GUIDE_NO_TOKEN;
    if (is_form) {
        plan->call_begin = may_call(request) ? call_begin : GUIDE_NO_TOKEN;
    } else if (!tool_grammar_has_form(calls) || (is_optional && !calls->is_bare && call_begin < 0)) {
        return rc < 0 ? rc : refuse(param, "calls tools", err);
    } else {
        plan->is_optional = is_optional;
        plan->call_begin = is_optional && !calls->is_bare ? call_begin : GUIDE_NO_TOKEN;
        rc = rc == 0 ? describe_tools(intake, request, style, is_optional, arena, &rule, err) : rc;
    }
    rule.flags |= style->format.reasoning && !is_optional ? GRAMMAR_SPACED : 0;
    return rc == 0 ? take_grammar(intake, completion, &rule, err) : rc;
}
