// The subcommands of tokfs-model, and what they share.
#ifndef TOKFS_TOOLS_MODEL_COMMAND_H
#define TOKFS_TOOLS_MODEL_COMMAND_H

#include "engine/base/arena.h"
#include "engine/base/err.h"
#include "engine/base/option.h"
#include "engine/base/str.h"
#include <getopt.h>
#include <stdint.h>

struct command {
    const char *name;
    const char *synopsis; // its options and operands on one line
    const char *summary;
    const char *options; // a line per option, for --help; each ends in a newline
    int (*run)(const struct command *command, int argc, char **argv); // exit status; argv[0] is "tokfs-model NAME"
};

extern const struct command command_info, command_random, command_logits, command_tokenize, command_detokenize,
    command_render, command_generate, command_compare, command_quantize, command_pack;

// One line on stderr: "tokfs-model NAME: message". Returns the exit status 1.
int command_fail(const struct command *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_misuse(const struct command *command, const struct err *err); // a bad value of an option: 2
int command_usage(const struct command *command);                         // after getopt has said what is wrong: 2
int command_help(const struct command *command);                          // --help, on stdout: 0
// Flushes stdout; the exit status: 0, or 1 when not all of it could be written.
int command_finish(const struct command *command);
// Each line of standard input that is not blank, trimmed, until one is refused: status 1, with "line N: " and its
// error. What was printed before a bad line is written out. The arena is reset after each line; *ret_n (may be NULL) is
// how many there were, blank ones too.
typedef int command_line(void *ctx, struct arena *arena, struct str line, struct err *err);
int command_each_line(const struct command *command, command_line *take, void *ctx, size_t *ret_n);
// Creates DIR/NAME with this text. 0 or -errno (-EEXIST: it is there already); a file that could not be finished is
// removed.
int output_write(const char *dir, const char *name, struct str text, struct err *err);

#endif
