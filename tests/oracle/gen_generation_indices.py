#!/usr/bin/env python3
"""Records tests/fixtures/chat_templates/generation.json: requests of apply-template, and what transformers makes of them.

usage: gen_generation_indices.py   (needs the PyPI packages transformers and jinja2)
"""

import json
import pathlib

from transformers.utils.chat_template_utils import render_jinja_template

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "chat_templates" / "generation.json"

USER = {"role": "user", "content": "Grüße 🙂"}
ASSISTANT = {"role": "assistant", "content": " Ünd du?\n"}
TURNS = [USER, ASSISTANT, USER, {"role": "assistant", "content": "4 €"}]
CHATS = [TURNS, [USER], [], [ASSISTANT]]

PLAIN = (
    "{% for m in messages %}<|{{ m.role }}|>\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|end|>"
    "{% endgeneration %}{% else %}{{ m.content }}<|end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
TEMPLATES = {
    "plain": PLAIN,
    "strip": "{%- for m in messages -%}  {{ m.role }}:  {%- generation -%}  {{ m.content | trim }}  {%- endgeneration -%}  é{%- endfor -%}",
    "none": "{% for m in messages %}{{ m.content }}{% endfor %}",
    "nested": "ä{% generation %}b{% generation %}ö{{ messages | length }}{% endgeneration %}c{% endgeneration %}d",
    "macro": "{% macro say(m) %}é[{% generation %}{{ m.content }}{% endgeneration %}]{% endmacro %}"
    "{% for m in messages %}{{ m.role }}{{ say(m) }}{{ 'x' ~ say(m) ~ 'y' }}{% endfor %}",
    "captured": "{% for m in messages %}{% set t %}ü{% generation %}{{ m.content }}{% endgeneration %}{% endset %}<{{ t }}>{% endfor %}",
    "filtered": "{% for m in messages %}{% filter upper %}ß{% generation %}{{ m.content }}{% endgeneration %}{% endfilter %}|{% endfor %}",
    "called": "{% macro box() %}({{ caller() }}{{ caller() }}){% endmacro %}é{% for m in messages %}"
    "{% call box() %}{% generation %}{{ m.content }}{% endgeneration %}{% endcall %}{% endfor %}",
    "empty": "{% for m in messages %}{% generation %}{% endgeneration %}{{ m.content }}{% endfor %}",
    "scoped": "{% set ns = namespace(n=0) %}{% for m in messages %}{% generation %}{% set ns.n = ns.n + 1 %}{% set x = 'é' %}{{ x }}{{ ns.n }}{% endgeneration %}{{ x }}{% endfor %}",
    "vars": "{{ bos_token }}{{ tools | tojson }}{{ documents | tojson }}{{ flavour }}{% generation %}{{ messages | tojson }}{% endgeneration %}",
}
OPTIONS = [
    {"return_assistant_tokens_mask": True},
    {"return_assistant_tokens_mask": True, "add_generation_prompt": True},
    {"return_assistant_tokens_mask": False},
]
EXTRA = {
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "documents": [{"title": "a", "text": "b"}],
    "template_vars": {"flavour": "süß", "bos_token": "<b>"},
}


def case(name, template, conversations, options):
    call = dict(options)
    variables = {"bos_token": "<s>", **call.pop("template_vars", {})}  # as the tokenizer adds its special tokens
    chats, indices = render_jinja_template(conversations=conversations, chat_template=template, **call, **variables)
    request = {"chat_template": template, "conversations": conversations, **options}
    return {"name": name, "request": request, "result": {"rendered_chats": chats, "generation_indices": indices}}


cases = [case(name, text, CHATS, options) for name, text in TEMPLATES.items() for options in OPTIONS]
cases.append(case("vars given", TEMPLATES["vars"], CHATS, {**EXTRA, **OPTIONS[0]}))
for final in ("go on", " trailing ", [{"type": "text", "text": "part"}]):
    chat = [USER, {"role": "assistant", "content": final}]
    text = PLAIN if isinstance(final, str) else PLAIN.replace("m.content }}<|end|>{% endg", "m.content[0].text }}<|end|>{% endg")
    for mask in (False, True):
        cases.append(case("continued", text, [chat, chat], {"continue_final_message": True, "return_assistant_tokens_mask": mask}))
OUT.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")
print(len(cases), "cases")
