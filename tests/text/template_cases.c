#include "tests/text/template_cases.h"
#include "engine/text/chat_template.h"
#include "tests/unit.h"
#include <string.h>
#include <time.h>

struct str template_cases_read(struct template_cases *cases, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        fail_msg("cannot open %s", path);
    }
    fseek(file, 0, SEEK_END);
    size_t len = (size_t)ftell(file);
    rewind(file);
    char *text = arena_alloc(&cases->arena, len + 1);
    assert_int_equal(fread(text, 1, len, file), len);
    fclose(file);
    return (struct str){ text, len };
}

void template_cases_open(struct template_cases *cases, const char *root, const char *path)
{
    struct err err;
    arena_init(&cases->arena, 0);
    struct str full = arena_printf(&cases->arena, "%s/%s", root, path);
    struct str dir = arena_printf(&cases->arena, "%.*s", (int)(strrchr(full.ptr, '/') - full.ptr), full.ptr);
    cases->dir = dir.ptr;
    if (json_parse(&cases->arena, template_cases_read(cases, full.ptr), &cases->root, &err) < 0) {
        fail_msg("%s: %s", full.ptr, err.msg);
    }
}

void template_cases_close(struct template_cases *cases)
{
    arena_deinit(&cases->arena);
}

// The clock with which the cases were recorded.
static time_t recorded_now(void)
{
    struct tm tm = {
        .tm_year = 125, .tm_mon = 6, .tm_mday = 10, .tm_hour = 12, .tm_min = 34, .tm_sec = 56, .tm_isdst = -1
    };
    return mktime(&tm);
}

bool template_case_passes(struct template_cases *cases, const struct json *expected, const struct json *source,
                          const struct json *context)
{
    const struct json *ok = json_get(expected, STR("ok")), *output = json_get(expected, STR("output"));
    const struct json *name = json_get(expected, STR("name"));
    bool should_render = ok ? ok->boolean : output != NULL;
    struct chat_template *tmpl = NULL;
    struct err err = { 0 };
    struct strbuf out;
    struct str text;
    if (source) {
        text = source->text;
    } else {
        const struct json *file = json_get(expected, STR("file"));
        text = template_cases_read(cases, arena_printf(&cases->arena, "%s/%.*s", cases->dir, STR_ARG(file->text)).ptr);
    }
    strbuf_init(&out, 0);
    int rc = chat_template_compile(text, &tmpl, &err);
    if (rc == 0) {
        rc = chat_template_render_context(tmpl, context, recorded_now(), &out, &err);
    }
    bool passes = should_render == (rc == 0) && (rc < 0 || str_eq(strbuf_str(&out), output->text));
    if (!passes) {
        fprintf(stderr, "%.*s\n  expected: %.*s\n  got:      %.*s%s\n", STR_ARG(name ? name->text : text),
                STR_ARG(should_render ? output->text : STR("an error")), STR_ARG(strbuf_str(&out)), err.msg);
    }
    chat_template_free(tmpl);
    strbuf_deinit(&out);
    return passes;
}
