// What one open file has been given so far: JSON, told complete by the write that completes it, or plain text, which
// ends with its writer. Writes come in pieces of any size; their offsets mean nothing.
#ifndef TOKFS_FS_BODY_H
#define TOKFS_FS_BODY_H

#include "engine/base/json.h"
#include "fs/user.h"

enum body_kind { BODY_EMPTY, BODY_JSON, BODY_TEXT };

enum {                         // what a file takes
    BODY_TAKES_TEXT = 1 << 0,  // anything that does not begin with a brace
    BODY_TAKES_ARRAY = 1 << 1, // a JSON array as well as an object
    BODY_IS_TEXT = 1 << 2,     // everything is text: braces too, and white space from the first byte
};

enum body_result { BODY_MORE, BODY_COMPLETE };

struct body {
    struct strbuf bytes;
    struct holding holding; // their memory
    struct json_scan scan;  // JSON: state after all of `bytes`
    size_t n_checked;       // text: bytes known to be UTF-8
    enum body_kind kind;
    unsigned takes;
    size_t n_last; // bytes of the latest piece
    bool is_cut;   // the latest piece may be the rest of a write that the kernel cut into pieces
    int settled;   // what became of the complete body, when that may be asked again: see body_settle
    bool is_blank; // EMPTY, but white space was given
    int failed;    // errno of a piece that was refused: what follows it is refused alike until body_reset
};

void body_init(struct body *body, struct user *user, size_t bytes_max, unsigned takes); // user NULL: charged to nobody
void body_deinit(struct body *body);
void body_reset(struct body *body); // as if nothing had been written; keeps the memory of a short one
// enum body_result, or -EINVAL (JSON or UTF-8 is ill formed; reason), -EFBIG, -EDQUOT, -EAGAIN, -ENOMEM. White space
// begins nothing (a complete body has a line end after it); of what stands before a text, the indentation of its first
// line is kept.
int body_feed(struct body *body, struct str bytes, struct tokfs_error *reason);
// A complete body was taken (0) or refused. A write(2) that the kernel cut into pieces of which the last was refused is
// told to its caller as a short one; so he writes the rest once more, which must be refused with the same code and not
// be taken for another body: -errno again, without a reason; or BODY_COMPLETE again after -EINTR and -EAGAIN, which ask
// for another try, of the latest write however long it was.
void body_settle(struct body *body, int code);
// Something else refused it: unless it was complete, what follows belongs to it and is refused with the same code.
void body_refuse(struct body *body, int code);
// Its writer has stalled: what was begun and has no end yet is given up, and what follows is refused with -ETIMEDOUT,
// which is returned with the reason. 0: nothing was begun.
int body_give_up(struct body *body, struct tokfs_error *reason);
// Whether text that ends here is whole: -EINVAL when it ends inside a character, or inside JSON.
int body_check_end(const struct body *body, struct tokfs_error *reason);
// Plain text as a message: without the line end that `echo` puts after it.
struct str body_text(const struct body *body);

#endif
