// Reads a model's answer while it is made: what is content, what reasoning, what a tool call.
//
// Text goes in as it comes, parts come out as soon as they are certain. Where the text is cut does not matter: any cut
// gives the same parts (text of one kind joined).
//
//   * Arguments are passed on as the model writes them, once the function's name is known. They need not be JSON, as
//     OpenAI's need not: a call whose arguments go wrong, or are cut short by the end of the answer, stays a call.
//   * What begins like a call and turns out to be none (ill-formed before its arguments, a name that is not among the
//     request's functions, an end before the arguments) is content, marks included: nothing is lost.
//   * Dropped are the marks of calls and reasoning, and white space: around reasoning, before a call (64 bytes at most)
//     and after it.
//   * Reasoning is read at the beginning of an answer only. Without its end all of the answer is reasoning, but for
//   calls
//     that end it: from the mark of a call on reasoning is held back until its end shows that the call was only thought
//     of, or the answer's end that it was made.
//
// Memory: its buffers grow where more is held than was reserved; a call whose name comes last, and an argument between
// marks, take some for a moment. The parts' memory is the caller's. A piece of 4 bytes takes about a quarter of a
// microsecond, whatever came before it.
#ifndef TOKFS_TEXT_ANSWER_PARSER_H
#define TOKFS_TEXT_ANSWER_PARSER_H

#include "engine/base/json.h"
#include "engine/text/answer_format.h"
#include "engine/text/answer_parts.h"

#define ANSWER_CALLS_MAX 128 // an answer is over when it has made as many calls

// What a request and its prompt say about its answer. Constant while the answer is read.
struct answer_request {
    struct answer_format format; // calls NULL: do not look for any
    const struct json *tools;    // the request's array: which functions there are; NULL: none
    bool begins_in_reasoning;    // the prompt ends inside of it
    unsigned n_calls_max;        // at most ANSWER_CALLS_MAX
    uint64_t id_seed;            // ids of calls follow from it
};

enum answer_state {
    ANSWER_STATE_START,        // reasoning may begin here
    ANSWER_STATE_REASONING,    // until its end
    ANSWER_STATE_THOUGHT_CALL, // from the mark of a call in it until it is known whether that is one
    ANSWER_STATE_TRIM,         // white space after it
    ANSWER_STATE_BARE,         // the answer itself may be a call
    ANSWER_STATE_TEXT,         // content, until a mark
    ANSWER_STATE_SECTION,      // behind the mark around calls
    ANSWER_STATE_HEAD,         // behind a call's mark: the name
    ANSWER_STATE_ARGUMENTS,    // inside the arguments' object
    ANSWER_STATE_BROKEN,       // arguments that are not JSON, until the call's end
    ANSWER_STATE_TAIL,         // behind the arguments, inside the call's object
    ANSWER_STATE_VALUES,       // TAGGED: between arguments
    ANSWER_STATE_LITERALS,     // LITERALS: between the brackets of a call
    ANSWER_STATE_AFTER,        // behind a call
    ANSWER_STATE_HEADER,       // CHANNELS, or messages: a message's header
    ANSWER_STATE_BODY,         // CHANNELS, or messages: a message's text
};

struct answer_parser {
    const struct answer_request *request; // NULL: all is content
    struct answer_parts *out;
    struct strbuf held; // what is not decided
    int error;          // of held or out; sticky
    unsigned n_calls;
    uint64_t id_salt; // sets the ids of answers to one request apart; 0 unless set after begin
    bool is_done;     // n_calls_max calls are complete: the answer is over, what comes now is dropped
    // Private.
    enum answer_state state;
    size_t at;         // held: what lies before is through
    size_t n_searched; // of what is held: see answer_find_on
    size_t head_len;   // HEAD, SECTION, THOUGHT_CALL: white space and marks before it, content if it is no call
    bool is_final;     // nothing comes after what is held
    bool in_list;      // inside an array of calls
    bool is_inside;    // behind a call's mark, before its end
    bool has_fence;    // HEAD: its line ``` is through
    bool in_reasoning; // HEAD, SECTION: what is no call is reasoning
    enum answer_part_kind body_kind; // BODY
    struct answer_object {           // a JSON object in the making; offsets count from `at`
        struct json_scan scan;
        size_t begin, pos; // its first byte; the next to look at
        size_t string_at, key_at, key_len, name_at, name_len;
        unsigned depth, arguments_depth;
        bool is_begun, is_streamed, in_string, is_escaped, is_value;
    } object;
    struct answer_literals {  // LITERALS: the argument in hand; offsets count from `at`
        size_t pos, value_at; // the next byte to look at; behind the key, 0: no key so far
        unsigned depth;
        char quote; // of the string that `pos` is in; 0: the syntax' own quote
        bool in_string, is_escaped, has_text;
    } literals;
    const struct json *function; // of the call in hand; not JSON
    unsigned n_values;           // VALUES, LITERALS: so far; BODY: pieces of arguments
};

int answer_parser_init(struct answer_parser *parser, size_t n_reserved); // 0 or -ENOMEM
void answer_parser_deinit(struct answer_parser *parser);
// Starts over with another answer; what it says goes to *out. The request is borrowed.
void answer_parser_begin(struct answer_parser *parser, const struct answer_request *request, struct answer_parts *out);
int answer_parser_feed(struct answer_parser *parser, struct str text); // 0 or -ENOMEM
int answer_parser_finish(struct answer_parser *parser);                // the answer ends here. 0 or -ENOMEM

// Whether a prompt ends inside of reasoning: with its mark, and white space at most.
bool answer_prompt_opens_reasoning(const struct reasoning_syntax *syntax, struct str prompt);

#endif
