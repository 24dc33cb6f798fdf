// A line of words given to options_parse() as main() would. Included after the header of the options that are tested.
#ifndef TOKFS_TESTS_PARSE_OPTIONS_H
#define TOKFS_TESTS_PARSE_OPTIONS_H

#include <stdio.h>
#include <string.h>

static inline int parse(const char *line, struct options *ret, struct err *err)
{
    static char words[1000];
    char *argv[64] = { "program" };
    int argc = 1;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    *err = (struct err){ 0 };
    return options_parse(argc, argv, ret, err);
}

#endif
