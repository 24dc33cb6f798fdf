// The C API in one page: opens a model, asks one question, prints the answer as it is made.
//
//     example-chat MODEL_DIR QUESTION
//
// One thread submits and polls; tokfs_engine_fd tells it when there is something to poll.
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tokfs/engine.h>

// {"messages":[{"role":"user","content":QUESTION}],...} with the question escaped as JSON wants it.
static char *request_body(const char *question)
{
    static const char head[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"";
    static const char tail[] = "\"}],\"temperature\":0,\"max_tokens\":200}";
    char *body = malloc(sizeof(head) + 6 * strlen(question) + sizeof(tail));
    if (!body) {
        return NULL;
    }
    char *at = stpcpy(body, head);
    for (const char *c = question; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == '"' || *c == '\\') {
            at += sprintf(at, "\\u%04x", (unsigned)*c);
        } else {
            *at++ = *c;
        }
    }
    strcpy(at, tail);
    return body;
}

// The answer itself: what a reasoning model thinks before it is a part of another kind.
static void print_content(const struct tokfs_event *event)
{
    if (event->part == TOKFS_PART_CONTENT) {
        fwrite(event->text, 1, event->text_len, stdout);
    }
}

// Prints events until the last one. 0, or 1 when there is no (whole) answer.
static int print_answer(struct tokfs_engine *engine)
{
    struct pollfd pfd = { .fd = tokfs_engine_fd(engine), .events = POLLIN };
    struct tokfs_event event;
    for (;;) {
        while (tokfs_poll(engine, &event) == 0) {
            poll(&pfd, 1, -1);
        }
        switch (event.kind) {
        case TOKFS_EVENT_ACCEPTED:
        case TOKFS_EVENT_STARTED:
        case TOKFS_EVENT_CHOICE_FINISHED: break; // one choice was asked for
        case TOKFS_EVENT_TOKEN:
            print_content(&event);
            fflush(stdout);
            break;
        case TOKFS_EVENT_FINISHED:
            print_content(&event);
            printf("\n");
            fprintf(stderr, "[%s: %llu prompt tokens, %llu answer tokens, first after %.1f ms]\n", event.finish_reason,
                    (unsigned long long)event.usage.prompt_tokens, (unsigned long long)event.usage.completion_tokens,
                    (double)event.usage.ttft_ns / 1e6);
            return 0;
        case TOKFS_EVENT_FAILED: fprintf(stderr, "no answer: %s\n", event.error->msg); return 1;
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL_DIR QUESTION\n", argc > 0 ? argv[0] : "example-chat");
        return 2;
    }
    struct tokfs_engine *engine;
    struct tokfs_error error;
    struct tokfs_engine_options options = { .model = argv[1] };
    if (tokfs_engine_open(&options, &engine, &error) < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], error.msg);
        return 1;
    }
    int status = 1;
    char *body = request_body(argv[2]);
    struct tokfs_completion *completion;
    if (!body || tokfs_submit_chat(engine, body, strlen(body), NULL, &completion, &error) < 0) {
        fprintf(stderr, "%s: %s\n", argv[0], body ? error.msg : "out of memory");
    } else {
        status = print_answer(engine);
        tokfs_completion_free(completion);
    }
    free(body);
    tokfs_engine_close(engine);
    return status;
}
