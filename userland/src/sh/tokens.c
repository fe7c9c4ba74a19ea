/*
 * The parser's tokens: one ahead, with here-documents read at the end of their line and aliases put in place.
 */

#include "sh/parser.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const char *describe_token(Token token)
{
    switch (token.kind) {
    case TOKEN_END: return "end of file";
    case TOKEN_NEWLINE: return "newline";
    case TOKEN_WORD: case TOKEN_IO_NUMBER: return token.text != NULL ? token.text : "word";
    case TOKEN_AND: return "&&";
    case TOKEN_OR: return "||";
    case TOKEN_CASE_END: return ";;";
    case TOKEN_SEMICOLON: return ";";
    case TOKEN_BACKGROUND: return "&";
    case TOKEN_PIPE: return "|";
    case TOKEN_OPEN: return "(";
    case TOKEN_CLOSE: return ")";
    default: return "redirection";
    }
}

_Noreturn void fail_unexpected(Parser *parser)
{
    raise_error(2, "syntax error: line %d: unexpected %s", input_line(parser->input), describe_token(parser->token));
}

/* Reads the bodies of the here-documents that the line just ended has announced (XCU 2.7.4). */
void read_here_documents(Parser *parser)
{
    for (int i = 0; i < parser->pending_here_count; i++) {
        Redirect *redirect = parser->pending_here[i];
        Buffer body = {0}, line = {0};
        bool ended = false;
        buffer_add_text(&body, "");
        while (!ended) {
            int c;
            line.length = 0;
            buffer_add_text(&line, "");
            while ((c = next_char(parser->input)) != INPUT_END && c != '\n')
                if (c != '\t' || !redirect->strip_tabs || line.length > 0)
                    buffer_add_char(&line, (char)c);
            ended = strcmp(line.data, redirect->delimiter) == 0 || (c == INPUT_END && line.length == 0);
            if (!ended) {
                buffer_add(&body, line.data, line.length);
                if (c != INPUT_END)
                    buffer_add_char(&body, '\n');
            }
        }
        if (redirect->delimiter_quoted) {
            Word *word = arena_allocate(parser->arena, sizeof *word);
            word->parts = arena_allocate(parser->arena, sizeof *word->parts);
            word->parts->quoted = true;
            word->parts->text = arena_copy(parser->arena, body.data, body.length);
            redirect->target = word;
        } else {
            redirect->target = parse_body(parser->arena, body.data);
        }
        buffer_free(&body);
        buffer_free(&line);
    }
    parser->pending_here_count = 0;
}

TokenKind peek_token(Parser *parser)
{
    if (!parser->has_token) {
        parser->token_start = record_length(parser->input);
        parser->token = read_token(parser);
        parser->has_token = true;
    }
    return parser->token.kind;
}

Token take_token(Parser *parser)
{
    peek_token(parser);
    parser->has_token = false;
    if (parser->token.kind == TOKEN_NEWLINE) {
        set_continuation(parser->input, true);
        read_here_documents(parser);
    }
    return parser->token;
}

bool accept_token(Parser *parser, TokenKind kind)
{
    if (peek_token(parser) != kind)
        return false;
    take_token(parser);
    return true;
}

void expect_token(Parser *parser, TokenKind kind)
{
    if (peek_token(parser) != kind)
        fail_unexpected(parser);
    take_token(parser);
}

static bool is_at_word(Parser *parser, const char *text)
{
    return peek_token(parser) == TOKEN_WORD && parser->token.text != NULL && strcmp(parser->token.text, text) == 0;
}

bool accept_word(Parser *parser, const char *text)
{
    if (!is_at_word(parser, text))
        return false;
    take_token(parser);
    return true;
}

void expect_word(Parser *parser, const char *text)
{
    if (!accept_word(parser, text))
        fail_unexpected(parser);
}

void skip_newlines(Parser *parser)
{
    while (accept_token(parser, TOKEN_NEWLINE))
        continue;
}

static const char *const closing_words[] = {"then", "else", "elif", "fi", "do", "done", "esac", "}"};
static const char *const opening_words[] = {"!", "{", "if", "while", "until", "for", "case", "in"};

static bool is_in(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, list[i]) == 0)
            return true;
    return false;
}

bool is_closing_word(const char *text)
{
    return is_in(text, closing_words, COUNT_OF(closing_words));
}

bool is_reserved_word(const char *text)
{
    return is_closing_word(text) || is_in(text, opening_words, COUNT_OF(opening_words));
}

size_t name_length(const char *text)
{
    size_t length = 0;
    while (text[length] == '_' || isalpha((unsigned char)text[length])
        || (length > 0 && isdigit((unsigned char)text[length])))
        length++;
    return length;
}

bool is_name(const char *text)
{
    return *text != '\0' && text[name_length(text)] == '\0';
}

/* Replaces an alias in command position by its value, as often as that is an alias again. */
void expand_aliases(Parser *parser)
{
    while (peek_token(parser) == TOKEN_WORD && parser->token.text != NULL) {
        Alias *alias = find_alias(parser->token.text);
        if (alias == NULL || alias->in_use || is_reserved_word(parser->token.text))
            return;
        parser->has_token = false;
        /* The blank keeps the alias in use until its last word has been looked at. */
        char *text = format_string("%s ", alias->value);
        push_text(parser->input, text, &alias->in_use);
        free(text);
    }
}
