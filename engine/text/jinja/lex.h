// Template source to tokens, with Jinja's white space control.
#ifndef TOKFS_TEXT_JINJA_LEX_H
#define TOKFS_TEXT_JINJA_LEX_H

#include "engine/base/arena.h"
#include "engine/base/err.h"

struct jinja_options {
    bool trim_blocks;   // the newline after a block or comment tag goes
    bool lstrip_blocks; // white space before a block or comment tag that begins its line goes
};

enum token_type {
    TOK_EOF,
    TOK_DATA,
    TOK_VAR_BEGIN,
    TOK_VAR_END,
    TOK_BLOCK_BEGIN,
    TOK_BLOCK_END,
    TOK_NAME,
    TOK_STRING,
    TOK_INTEGER,
    TOK_FLOAT,
    // operators
    TOK_ADD,
    TOK_SUB,
    TOK_MUL,
    TOK_DIV,
    TOK_FLOORDIV,
    TOK_MOD,
    TOK_POW,
    TOK_TILDE,
    TOK_LBRACKET,
    TOK_RBRACKET,
    TOK_LPAREN,
    TOK_RPAREN,
    TOK_LBRACE,
    TOK_RBRACE,
    TOK_EQ,
    TOK_NE,
    TOK_GT,
    TOK_GE,
    TOK_LT,
    TOK_LE,
    TOK_ASSIGN,
    TOK_DOT,
    TOK_COLON,
    TOK_PIPE,
    TOK_COMMA,
    TOK_SEMICOLON,
};

struct token {
    enum token_type type;
    uint32_t pos;    // offset in the source
    struct str text; // data, name: as written; string: decoded; number: its digits without '_'
};

struct token_list {
    struct token *items; // the last one is TOK_EOF
    size_t n;
};

#define JINJA_SOURCE_BYTES_MAX (16u << 20)

// `source` must have its newlines normalised (lex_normalize). Text of tokens borrows from it or lies in the arena.
int lex(struct arena *arena, struct str source, const struct jinja_options *options, struct token_list *ret,
        struct err *err);
// A copy with \r\n and \r as \n, and without one final newline.
int lex_normalize(struct arena *arena, struct str source, struct str *ret, struct err *err);
// "line 3, column 7"
void lex_position(struct str source, uint32_t pos, unsigned *ret_line, unsigned *ret_column);
const char *token_type_name(enum token_type type);

#endif
