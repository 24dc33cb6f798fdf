// Recorded renderings: a JSON file of cases, each with what Python's jinja2 made of it.
#ifndef TOKFS_TESTS_TEXT_TEMPLATE_CASES_H
#define TOKFS_TESTS_TEXT_TEMPLATE_CASES_H

#include "engine/base/json.h"

struct template_cases {
    struct arena arena;
    const char *dir; // of the file: where "file" of a case is looked for
    const struct json *root;
};

// Reads root/path; fails the test when it cannot.
void template_cases_open(struct template_cases *cases, const char *root, const char *path);
void template_cases_close(struct template_cases *cases);
// Renders a case ({"ok", "output"}; source, or "file" where it is NULL) and says on stderr how it differs.
bool template_case_passes(struct template_cases *cases, const struct json *expected, const struct json *source,
                          const struct json *context);
struct str template_cases_read(struct template_cases *cases, const char *path);

#endif
