// tokfs-model: looks at, makes and runs model directories from the command line, one subcommand per file cmd_*.c.
#include "engine/base/log.h"
#include "tools/model/command.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = { &command_info,     &command_random,     &command_logits,
                                                  &command_tokenize, &command_detokenize, &command_render,
                                                  &command_generate, &command_compare,    &command_quantize,
                                                  &command_pack };
#define N_COMMANDS (sizeof(commands) / sizeof(*commands))

static int help(FILE *out, int status)
{
    fprintf(out, "usage: tokfs-model COMMAND [OPTION...] MODEL\n\n"
                 "MODEL is a directory as Hugging Face lays it out, or a GGUF file.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    }
    fprintf(out, "\nOptions: --help, --version; \"tokfs-model COMMAND --help\" lists the command's own.\n");
    return status;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL); // a reader that left is no error
    log_setup("tokfs-model", LOG_LEVEL_WARN, LOG_TARGET_STDERR);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        return help(stdout, 0);
    }
    if (strcmp(name, "--version") == 0) {
        printf("tokfs-model %s\n", TOKFS_VERSION);
        return 0;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i]->name) == 0) {
            char program[64];
            snprintf(program, sizeof(program), "tokfs-model %s", name);
            argv[1] = program; // getopt begins its messages with it
            return commands[i]->run(commands[i], argc - 1, argv + 1);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "tokfs-model: \"%s\" is not a command; see tokfs-model --help\n", name);
        return 2;
    }
    return help(stderr, 2);
}
