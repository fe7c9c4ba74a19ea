/*
 * Tokens and words (XCU 2.2 Quoting, 2.3 Token Recognition).
 *
 *   ab"c $d"'e'   ─►   LITERAL ab │ LITERAL "c " quoted │ PARAMETER d quoted │ LITERAL e quoted
 *
 * A word is kept as parts, so that nothing is scanned twice: $(...) holds its parsed command.
 */

#include "sh/sh.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Where the text of a word ends, and what quotes mean in it. */
typedef enum Context {
    CONTEXT_WORD,          /* ends at a blank or an operator */
    CONTEXT_BRACE,         /* ends at "}" */
    CONTEXT_QUOTED_BRACE,  /* ends at "}", within double quotes: '...' is not special */
    CONTEXT_QUOTED,        /* ends at '"' */
    CONTEXT_BODY,          /* ends with the input; double quotes are not special */
} Context;

/* The parts of a word as they grow. */
typedef struct Builder {
    Parser *parser;
    Part *first;
    Part **last;
    Buffer literal;
    bool literal_quoted;
} Builder;

static void read_parts(Builder *builder, Context context);

static _Noreturn void fail_unterminated(const char *what)
{
    raise_error(2, "syntax error: unterminated %s", what);
}

/* What nests takes stack; a text made to exhaust it is an error like any other. */
#define NESTING_LIMIT 500

void enter_nesting(void)
{
    if (++sh.parse_depth > NESTING_LIMIT)
        raise_error(2, "syntax error: nested too deeply");
}

static Part *add_part(Builder *builder, PartKind kind, bool quoted)
{
    Part *part = arena_allocate(builder->parser->arena, sizeof *part);
    part->kind = kind;
    part->quoted = quoted;
    *builder->last = part;
    builder->last = &part->next;
    return part;
}

static void flush_literal(Builder *builder)
{
    if (builder->literal.length == 0)
        return;
    Part *part = add_part(builder, PART_LITERAL, builder->literal_quoted);
    part->text = arena_copy(builder->parser->arena, builder->literal.data, builder->literal.length);
    builder->literal.length = 0;
}

static void add_literal(Builder *builder, int c, bool quoted)
{
    if (quoted != builder->literal_quoted)
        flush_literal(builder);
    builder->literal_quoted = quoted;
    buffer_add_char(&builder->literal, (char)c);
}

/* Quotes around nothing still make a field. */
static void add_empty_quotes(Builder *builder)
{
    flush_literal(builder);
    add_part(builder, PART_LITERAL, true)->text = arena_copy(builder->parser->arena, "", 0);
}

static Word *finish_word(Builder *builder)
{
    flush_literal(builder);
    buffer_free(&builder->literal);
    Word *word = arena_allocate(builder->parser->arena, sizeof *word);
    word->parts = builder->first;
    return word;
}

static Word *read_word_in(Parser *parser, Context context)
{
    Builder builder = {.parser = parser};
    builder.last = &builder.first;
    enter_nesting();
    read_parts(&builder, context);
    sh.parse_depth--;
    return finish_word(&builder);
}

Word *parse_body(Arena *arena, const char *text)
{
    Parser parser = {.input = open_text_input(text), .arena = arena};
    Word *word = read_word_in(&parser, CONTEXT_BODY);
    close_input_source(parser.input);
    return word;
}

/* ---- expansions ---- */

/* The next character once line continuations are taken out, as inside "${x\<newline>}" (XCU 2.2.1). */
static int peek_joined(Input *input)
{
    while (peek_char(input) == '\\') {
        next_char(input);
        if (peek_char(input) != '\n') {
            push_text(input, "\\", NULL);
            break;
        }
        next_char(input);
    }
    return peek_char(input);
}

/* $((...)): collects up to the "))"; false when the parentheses turn out to be $( (...) ), with all pushed back. */
static bool collect_arithmetic(Input *input, Buffer *text)
{
    int depth = 0;
    for (;;) {
        int c = next_char(input);
        if (c == INPUT_END)
            fail_unterminated("$((");
        if (c == '(')
            depth++;
        if (c == ')' && depth-- == 0) {
            if (peek_char(input) == ')') {
                next_char(input);
                buffer_add_text(text, "");
                return true;
            }
            buffer_add_char(text, ')');
            push_text(input, text->data, NULL);
            return false;
        }
        buffer_add_char(text, (char)c);
    }
}

static void add_command(Builder *builder, Node *command, bool quoted)
{
    flush_literal(builder);
    add_part(builder, PART_COMMAND, quoted)->command = command;
}

/* After "$(". */
static void read_parenthesis(Builder *builder, bool quoted)
{
    Parser *parser = builder->parser;
    if (peek_char(parser->input) == '(') {
        next_char(parser->input);
        Buffer text = {0};
        bool arithmetic = collect_arithmetic(parser->input, &text);
        if (arithmetic) {
            flush_literal(builder);
            Part *part = add_part(builder, PART_ARITHMETIC, quoted);
            part->word = parse_body(parser->arena, text.data);
            buffer_free(&text);
            return;
        }
        buffer_free(&text);
        push_text(parser->input, "(", NULL);
    }
    add_command(builder, parse_substitution(parser->input, parser->arena), quoted);
}

/* After "`": the text with its backslashes taken off is parsed on its own (XCU 2.6.3). */
static void read_backquotes(Builder *builder, bool quoted, bool in_double_quotes)
{
    Input *input = builder->parser->input;
    Buffer text = {0};
    for (;;) {
        int c = next_char(input);
        if (c == INPUT_END)
            fail_unterminated("`");
        if (c == '`')
            break;
        if (c == '\\') {
            int escaped = peek_char(input);
            bool special = escaped == '$' || escaped == '`' || escaped == '\\' || (in_double_quotes && escaped == '"');
            if (special)
                c = next_char(input);
        }
        buffer_add_char(&text, (char)c);
    }
    buffer_add_char(&text, ')');
    Input *inner = open_text_input(text.data);
    add_command(builder, parse_substitution(inner, builder->parser->arena), quoted);
    close_input_source(inner);
    buffer_free(&text);
}

static bool is_special_parameter(int c)
{
    return c > 0 && strchr("@*#?-$!", c) != NULL;
}

static bool is_name_char(int c, bool first)
{
    return c == '_' || (c > 0 && c < 128 && (first ? isalpha(c) : isalnum(c)));
}

/* A parameter's name at the input: a name, a number, or one special character; "" when there is none. */
static char *read_parameter_name(Parser *parser, bool in_braces)
{
    Buffer name = {0};
    int c = peek_joined(parser->input);
    if (is_special_parameter(c)) {
        buffer_add_char(&name, (char)next_char(parser->input));
    } else if (c > 0 && c < 128 && isdigit(c)) {
        do
            buffer_add_char(&name, (char)next_char(parser->input));
        while (in_braces && (c = peek_joined(parser->input)) > 0 && c < 128 && isdigit(c));
    } else {
        while (is_name_char(peek_joined(parser->input), name.length == 0))
            buffer_add_char(&name, (char)next_char(parser->input));
    }
    char *copy = arena_copy(parser->arena, name.data, name.length);
    buffer_free(&name);
    return copy;
}

static ParameterOperator read_operator(Parser *parser, Part *part)
{
    Input *input = parser->input;
    int c = next_char(input);
    if (c == ':') {
        part->null_too = true;
        c = next_char(input);
    }
    switch (c) {
    case '-': return OPERATOR_DEFAULT;
    case '=': return OPERATOR_ASSIGN;
    case '?': return OPERATOR_ERROR;
    case '+': return OPERATOR_ALTERNATIVE;
    default: break;
    }
    if (!part->null_too && (c == '#' || c == '%')) {
        bool longest = peek_joined(input) == c;
        if (longest)
            next_char(input);
        if (c == '#')
            return longest ? OPERATOR_LONGEST_PREFIX : OPERATOR_SHORTEST_PREFIX;
        return longest ? OPERATOR_LONGEST_SUFFIX : OPERATOR_SHORTEST_SUFFIX;
    }
    raise_error(2, "syntax error: bad substitution");
}

/* After "${". */
static void read_braces(Builder *builder, bool quoted)
{
    Parser *parser = builder->parser;
    Input *input = parser->input;
    flush_literal(builder);
    Part *part = add_part(builder, PART_PARAMETER, quoted);
    part->text = read_parameter_name(parser, true);

    int c = peek_joined(input);
    /* "${#}" and "${#-x}" are of the parameter "#"; "${#x}" and "${##}" are lengths. */
    if (strcmp(part->text, "#") == 0 && c != '}') {
        bool named = is_name_char(c, false) || (is_special_parameter(c) && c != '-' && c != '?' && c != '#');
        if (c == '#' || c == '?' || c == '-') { /* a length only if the brace closes right after it */
            next_char(input);
            named = peek_joined(input) == '}';
            char text[2] = {(char)c, '\0'};
            push_text(input, text, NULL);
        }
        if (named) {
            part->operator = OPERATOR_LENGTH;
            part->text = read_parameter_name(parser, true);
        }
    }
    if (*part->text == '\0')
        raise_error(2, "syntax error: bad substitution");
    if (part->operator == OPERATOR_NONE && peek_joined(input) != '}') {
        part->operator = read_operator(parser, part);
        bool is_pattern = part->operator >= OPERATOR_SHORTEST_PREFIX;
        part->word = read_word_in(parser, quoted && !is_pattern ? CONTEXT_QUOTED_BRACE : CONTEXT_BRACE);
    }
    if (next_char(input) != '}')
        fail_unterminated("${");
}

/* After "$'": escapes as in C (POSIX.1-2024, 2.2.4). */
static void read_dollar_quotes(Builder *builder)
{
    Buffer text = {0};
    for (int c; (c = next_char(builder->parser->input)) != '\'';) {
        if (c == INPUT_END)
            fail_unterminated("$'");
        buffer_add_char(&text, (char)c);
        if (c == '\\')
            buffer_add_char(&text, (char)next_char(builder->parser->input));
    }
    if (text.length == 0)
        add_empty_quotes(builder);
    for (const char *next = text.data; next != NULL && *next != '\0';) {
        if (*next != '\\') {
            add_literal(builder, *next++, true);
        } else if (next[1] == '\'' || next[1] == '"') {
            add_literal(builder, next[1], true);
            next += 2;
        } else {
            next++;
            int c = read_escape(&next, false);
            add_literal(builder, c < 0 ? 'c' : c, true);
        }
    }
    buffer_free(&text);
}

/* After "$". */
static void read_dollar(Builder *builder, Context context, bool quoted)
{
    Parser *parser = builder->parser;
    int c = peek_joined(parser->input);
    if (c == '(') {
        next_char(parser->input);
        read_parenthesis(builder, quoted);
    } else if (c == '{') {
        next_char(parser->input);
        read_braces(builder, quoted);
    } else if (c == '\'' && (context == CONTEXT_WORD || context == CONTEXT_BRACE)) {
        next_char(parser->input);
        read_dollar_quotes(builder);
    } else if (is_special_parameter(c) || is_name_char(c, false)) {
        flush_literal(builder);
        Part *part = add_part(builder, PART_PARAMETER, quoted);
        part->text = read_parameter_name(parser, false);
    } else {
        add_literal(builder, '$', quoted);
    }
}

/* ---- words ---- */

static void read_single_quotes(Builder *builder)
{
    bool empty = true;
    for (int c; (c = next_char(builder->parser->input)) != '\''; empty = false) {
        if (c == INPUT_END)
            fail_unterminated("'");
        add_literal(builder, c, true);
    }
    if (empty)
        add_empty_quotes(builder);
}

static void read_double_quotes(Builder *builder)
{
    flush_literal(builder);
    Part **before = builder->last;
    read_parts(builder, CONTEXT_QUOTED);
    if (next_char(builder->parser->input) != '"')
        fail_unterminated("\"");
    if (builder->last == before && builder->literal.length == 0)
        add_empty_quotes(builder);
}

static void read_backslash(Builder *builder, Context context, bool quoted)
{
    Input *input = builder->parser->input;
    int c = peek_char(input);
    if (c == '\n') { /* a line continuation */
        next_char(input);
        return;
    }
    bool escapes = !quoted || c == '$' || c == '`' || c == '\\' || (c == '"' && context != CONTEXT_BODY)
        || (c == '}' && context == CONTEXT_QUOTED_BRACE);
    if (c == INPUT_END || !escapes)
        add_literal(builder, '\\', true);
    else
        add_literal(builder, next_char(input), true);
}

static bool ends_word(int c, Context context)
{
    switch (context) {
    case CONTEXT_WORD: return strchr(" \t\n;&|<>()", c) != NULL;
    case CONTEXT_BRACE: case CONTEXT_QUOTED_BRACE: return c == '}';
    case CONTEXT_QUOTED: return c == '"';
    case CONTEXT_BODY: return false;
    }
    return false;
}

static void read_parts(Builder *builder, Context context)
{
    Input *input = builder->parser->input;
    bool quoted = context != CONTEXT_WORD && context != CONTEXT_BRACE;
    for (;;) {
        int c = peek_char(input);
        if (c == INPUT_END || ends_word(c, context))
            return;
        next_char(input);
        if (c == '\\')
            read_backslash(builder, context, quoted);
        else if (c == '$')
            read_dollar(builder, context, quoted);
        else if (c == '`')
            read_backquotes(builder, quoted, quoted && context != CONTEXT_BODY);
        else if (c == '\'' && !quoted)
            read_single_quotes(builder);
        else if (c == '"' && context != CONTEXT_BODY)
            read_double_quotes(builder);
        else
            add_literal(builder, c, quoted);
    }
}

/* ---- tokens ---- */

/* Skips blanks, line continuations and a comment. */
static void skip_blanks(Input *input)
{
    for (;;) {
        int c = peek_char(input);
        if (c == '\\') {
            next_char(input);
            if (peek_char(input) != '\n') {
                push_text(input, "\\", NULL);
                return;
            }
        } else if (c == '#') {
            while ((c = peek_char(input)) != '\n' && c != INPUT_END)
                next_char(input);
            return;
        } else if (c != ' ' && c != '\t' && c != '\r') {
            return;
        }
        next_char(input);
    }
}

static const struct {
    const char *text;
    TokenKind kind;
} operators[] = {
    {"<<-", TOKEN_HERE_TABS}, {"&&", TOKEN_AND}, {"||", TOKEN_OR}, {";;", TOKEN_CASE_END}, {"<<", TOKEN_HERE},
    {"<&", TOKEN_DUP_IN}, {"<>", TOKEN_BOTH}, {">>", TOKEN_APPEND}, {">&", TOKEN_DUP_OUT}, {">|", TOKEN_CLOBBER},
    {";", TOKEN_SEMICOLON}, {"&", TOKEN_BACKGROUND}, {"|", TOKEN_PIPE}, {"(", TOKEN_OPEN}, {")", TOKEN_CLOSE},
    {"<", TOKEN_LESS}, {">", TOKEN_GREAT}, {"\n", TOKEN_NEWLINE},
};

/* The index of an operator's row, or -1. */
static int find_operator(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(operators); i++)
        if (strcmp(operators[i].text, text) == 0)
            return (int)i;
    return -1;
}

static TokenKind read_operator_token(Input *input)
{
    char text[4] = {(char)next_char(input), '\0'};
    int found = find_operator(text);
    /* A newline ends the line: what follows must not be asked for yet. */
    for (size_t length = 1; text[0] != '\n' && length < 3; length++) {
        int c = peek_char(input);
        if (c == INPUT_END)
            break;
        text[length] = (char)c;
        int longer = find_operator(text);
        if (longer < 0)
            break;
        found = longer;
        next_char(input);
    }
    return found < 0 ? TOKEN_END : operators[found].kind;
}

static Token read_word_token(Parser *parser)
{
    Token token = {.kind = TOKEN_WORD, .word = read_word_in(parser, CONTEXT_WORD)};
    const Part *only = token.word->parts;
    bool plain = only != NULL && only->next == NULL && only->kind == PART_LITERAL && !only->quoted;
    if (!plain)
        return token;
    token.text = only->text;
    int c = peek_char(parser->input);
    bool all_digits = token.text[strspn(token.text, "0123456789")] == '\0';
    if ((c == '<' || c == '>') && all_digits && strlen(token.text) < 5) {
        token.kind = TOKEN_IO_NUMBER;
        token.number = atoi(token.text);
    }
    return token;
}

Token read_token(Parser *parser)
{
    skip_blanks(parser->input);
    int c = peek_char(parser->input);
    if (c == INPUT_END)
        return (Token){.kind = TOKEN_END};
    if (strchr("\n;&|<>()", c) != NULL)
        return (Token){.kind = read_operator_token(parser->input)};
    return read_word_token(parser);
}
