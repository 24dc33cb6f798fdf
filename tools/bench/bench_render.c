// Workload render: compiling a chat template, and rendering a chat of ten messages with it, on one thread.
//
// The template is --text FILE, or one in the manner of Llama 3. Figures are the best of the rounds.
#include "engine/model/file.h"
#include "engine/text/chat_template.h"
#include "tools/bench/bench.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_RENDERINGS   2000
#define TEMPLATE_BYTES (1u << 20)

static const struct str default_template =
    STR("{{- bos_token }}\n"
        "{%- if messages[0]['role'] == 'system' %}\n"
        "    {%- set system_message = messages[0]['content'] | trim %}\n"
        "    {%- set messages = messages[1:] %}\n"
        "{%- else %}\n"
        "    {%- set system_message = '' %}\n"
        "{%- endif %}\n"
        "{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' + system_message + '<|eot_id|>' }}\n"
        "{%- for message in messages %}\n"
        "    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}\n"
        "        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}\n"
        "        {{- message['content'] | trim + '<|eot_id|>' }}\n"
        "    {%- endif %}\n"
        "{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n"
        "    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n"
        "{%- endif %}\n");

static const struct str chat =
    STR("[{\"role\":\"system\",\"content\":\"You answer in one or two sentences.\"},"
        "{\"role\":\"user\",\"content\":\"What is the capital of France, and why is it so well known?\"},"
        "{\"role\":\"assistant\",\"content\":\"Paris. It is known for its art and its food.\"},"
        "{\"role\":\"user\",\"content\":\"And of Italy?\"},{\"role\":\"assistant\",\"content\":\"Rome.\"},"
        "{\"role\":\"user\",\"content\":\"And of Spain? Tell me where it lies, too.\"},"
        "{\"role\":\"assistant\",\"content\":\"Madrid. It lies in the centre of the country.\"},"
        "{\"role\":\"user\",\"content\":\"Thanks!\"},{\"role\":\"assistant\",\"content\":\"You are welcome.\"},"
        "{\"role\":\"user\",\"content\":\"Which one of the three has the most people?\"}]");

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

struct render {
    struct chat_template_input input;
    struct strbuf out;
    double compile, render; // seconds, best so far
};

static int run_round(struct str source, struct render *render, struct err *err)
{
    struct chat_template *tmpl;
    double start = now();
    int rc = chat_template_compile(source, &tmpl, err);
    if (rc < 0) {
        return rc;
    }
    double compiled = now();
    for (unsigned i = 0; i < N_RENDERINGS && rc == 0; i++) {
        strbuf_reset(&render->out);
        rc = chat_template_render(tmpl, &render->input, &render->out, err);
    }
    double seconds = (now() - compiled) / N_RENDERINGS;
    render->compile = render->compile == 0 || compiled - start < render->compile ? compiled - start : render->compile;
    render->render = render->render == 0 || seconds < render->render ? seconds : render->render;
    chat_template_free(tmpl);
    return rc;
}

int bench_render(const struct bench_options *options, struct bench_report *report, struct err *err)
{
    struct render render = { .input = {
                                 .bos_token = STR("<s>"), .eos_token = STR("</s>"), .add_generation_prompt = true } };
    struct strbuf text;
    struct arena arena;
    strbuf_init(&text, TEMPLATE_BYTES);
    strbuf_init(&render.out, 0);
    arena_init(&arena, 0);
    int rc = options->text ? file_read_path(options->text, TEMPLATE_BYTES, &text, err)
                           : strbuf_append(&text, default_template);
    rc = rc < 0 ? rc : json_parse(&arena, chat, &render.input.messages, err);
    for (unsigned i = 0; i < options->n_rounds && rc == 0; i++) {
        rc = run_round(strbuf_str(&text), &render, err);
    }
    if (rc == 0) {
        snprintf(report->model, sizeof(report->model), "%s", options->text ? options->text : "Llama 3 style");
        snprintf(report->backend, sizeof(report->backend), "one thread");
        bench_report_add(report, "compile_us", render.compile * 1e6, "us");
        bench_report_add(report, "render_us", render.render * 1e6, "us");
        bench_report_add(report, "rendered_bytes", (double)render.out.len, "bytes");
    }
    arena_deinit(&arena);
    strbuf_deinit(&render.out);
    strbuf_deinit(&text);
    return rc;
}
