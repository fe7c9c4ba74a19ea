/* The tokens that the parser reads (tokens.c), one ahead. */

#ifndef PARSER_H
#define PARSER_H

#include "sh/sh.h"

TokenKind peek_token(Parser *parser);
/* Taking a newline reads the here-documents that the line has announced. */
Token take_token(Parser *parser);
bool accept_token(Parser *parser, TokenKind kind);
void expect_token(Parser *parser, TokenKind kind);
/* The same for reserved words, which are words without any quoting. */
bool accept_word(Parser *parser, const char *text);
void expect_word(Parser *parser, const char *text);
void skip_newlines(Parser *parser);
/* Replaces an alias in command position by its value, as often as that is an alias again. */
void expand_aliases(Parser *parser);
void read_here_documents(Parser *parser);
/* "then", "fi", "}" and their like, which end a list. */
bool is_closing_word(const char *text);
_Noreturn void fail_unexpected(Parser *parser);

#endif
