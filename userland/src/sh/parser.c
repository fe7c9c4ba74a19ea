/*
 * The grammar (XCU 2.10), by recursive descent with one token of lookahead.
 *
 *   list      ::= and_or ((";" | "&" | newline) and_or)*
 *   and_or    ::= pipeline (("&&" | "||") pipeline)*
 *   pipeline  ::= "!"* command ("|" command)*
 *   command   ::= simple | compound redirect* | NAME "(" ")" command
 */

#include "sh/parser.h"
#include <stdlib.h>
#include <string.h>

static Node *parse_list(Parser *parser);
static Node *parse_command(Parser *parser);

/* ---- simple commands ---- */

static Node *make_node(Parser *parser, NodeKind kind)
{
    Node *node = arena_allocate(parser->arena, sizeof *node);
    node->kind = kind;
    node->line = input_line(parser->input);
    return node;
}

static char *literal_text(Parser *parser, const Word *word, bool *quoted)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (const Part *part = word->parts; part != NULL; part = part->next) {
        *quoted = *quoted || part->quoted;
        if (part->kind == PART_PARAMETER)
            buffer_add_char(&text, '$');
        if (part->text != NULL)
            buffer_add_text(&text, part->text);
    }
    char *copy = arena_copy(parser->arena, text.data, text.length);
    buffer_free(&text);
    return copy;
}

static Redirect *parse_redirect(Parser *parser)
{
    static const struct {
        TokenKind token;
        RedirectKind kind;
        int fd;
    } rows[] = {
        {TOKEN_LESS, REDIRECT_INPUT, 0}, {TOKEN_GREAT, REDIRECT_OUTPUT, 1}, {TOKEN_CLOBBER, REDIRECT_CLOBBER, 1},
        {TOKEN_APPEND, REDIRECT_APPEND, 1}, {TOKEN_BOTH, REDIRECT_BOTH, 0}, {TOKEN_DUP_IN, REDIRECT_DUPLICATE, 0},
        {TOKEN_DUP_OUT, REDIRECT_DUPLICATE, 1}, {TOKEN_HERE, REDIRECT_HERE, 0}, {TOKEN_HERE_TABS, REDIRECT_HERE, 0},
    };
    int fd = -1;
    TokenKind kind = peek_token(parser);
    if (kind == TOKEN_IO_NUMBER) {
        fd = take_token(parser).number;
        kind = peek_token(parser);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].token != kind)
            continue;
        take_token(parser);
        if (peek_token(parser) != TOKEN_WORD && peek_token(parser) != TOKEN_IO_NUMBER)
            fail_unexpected(parser);
        Redirect *redirect = arena_allocate(parser->arena, sizeof *redirect);
        *redirect = (Redirect){.kind = rows[i].kind, .fd = fd >= 0 ? fd : rows[i].fd};
        redirect->target = take_token(parser).word;
        if (redirect->kind == REDIRECT_HERE) {
            if (parser->pending_here_count == (int)COUNT_OF(parser->pending_here))
                raise_error(2, "too many here-documents on one line");
            redirect->delimiter = literal_text(parser, redirect->target, &redirect->delimiter_quoted);
            redirect->strip_tabs = kind == TOKEN_HERE_TABS;
            parser->pending_here[parser->pending_here_count++] = redirect;
        }
        return redirect;
    }
    if (fd >= 0)
        fail_unexpected(parser);
    return NULL;
}

static void parse_redirects(Parser *parser, Redirect **last)
{
    while (*last != NULL)
        last = &(*last)->next;
    while ((*last = parse_redirect(parser)) != NULL)
        last = &(*last)->next;
}

/* Splits "name=value" into an assignment; NULL when the word is none. */
static Assignment *parse_assignment(Parser *parser, Word *word)
{
    Part *first = word->parts;
    if (first == NULL || first->kind != PART_LITERAL || first->quoted)
        return NULL;
    size_t length = name_length(first->text);
    if (length == 0 || first->text[length] != '=')
        return NULL;
    Assignment *assignment = arena_allocate(parser->arena, sizeof *assignment);
    assignment->name = arena_copy(parser->arena, first->text, length);
    first->text += length + 1;
    if (*first->text == '\0')
        word->parts = first->next;
    assignment->value = word;
    return assignment;
}

static Node *parse_function(Parser *parser, char *name)
{
    expect_token(parser, TOKEN_CLOSE);
    skip_newlines(parser);
    Node *node = make_node(parser, NODE_FUNCTION);
    node->function.name = name;
    node->function.arena = parser->arena;
    node->function.body = parse_command(parser);
    return node;
}

static Node *parse_simple(Parser *parser)
{
    Node *node = make_node(parser, NODE_SIMPLE);
    Assignment **last_assignment = &node->simple.assignments;
    Word **last_word = &node->simple.words;
    Redirect **last_redirect = &node->redirects;
    for (;;) {
        if (node->simple.words == NULL)
            expand_aliases(parser);
        Redirect *redirect = parse_redirect(parser);
        if (redirect != NULL) {
            *last_redirect = redirect;
            last_redirect = &redirect->next;
            continue;
        }
        if (peek_token(parser) != TOKEN_WORD)
            break;
        Token token = take_token(parser);
        Assignment *assignment = node->simple.words == NULL ? parse_assignment(parser, token.word) : NULL;
        if (assignment != NULL) {
            *last_assignment = assignment;
            last_assignment = &assignment->next;
            continue;
        }
        bool is_first = node->simple.words == NULL && node->simple.assignments == NULL && node->redirects == NULL;
        *last_word = token.word;
        last_word = &token.word->next;
        if (is_first && token.text != NULL && peek_token(parser) == TOKEN_OPEN) {
            if (!is_name(token.text))
                fail_unexpected(parser);
            take_token(parser);
            return parse_function(parser, token.text);
        }
    }
    if (node->simple.words == NULL && node->simple.assignments == NULL && node->redirects == NULL)
        fail_unexpected(parser);
    return node;
}

/* ---- compound commands ---- */

static Node *parse_required_list(Parser *parser)
{
    Node *list = parse_list(parser);
    if (list == NULL)
        fail_unexpected(parser);
    return list;
}

/* After "if" or "elif", through "fi". */
static Node *parse_if(Parser *parser)
{
    Node *node = make_node(parser, NODE_IF);
    node->branch.condition = parse_required_list(parser);
    expect_word(parser, "then");
    node->branch.then = parse_required_list(parser);
    if (accept_word(parser, "elif")) {
        node->branch.otherwise = parse_if(parser);
        return node;
    }
    if (accept_word(parser, "else"))
        node->branch.otherwise = parse_required_list(parser);
    expect_word(parser, "fi");
    return node;
}

static Node *parse_do(Parser *parser)
{
    expect_word(parser, "do");
    Node *body = parse_required_list(parser);
    expect_word(parser, "done");
    return body;
}

static Node *parse_loop(Parser *parser, NodeKind kind)
{
    Node *node = make_node(parser, kind);
    node->loop.condition = parse_required_list(parser);
    node->loop.body = parse_do(parser);
    return node;
}

static Node *parse_for(Parser *parser)
{
    Node *node = make_node(parser, NODE_FOR);
    Token name = take_token(parser);
    if (name.kind != TOKEN_WORD || name.text == NULL || !is_name(name.text))
        fail_unexpected(parser);
    node->each.name = name.text;
    node->each.over_parameters = true;
    skip_newlines(parser);
    if (accept_word(parser, "in")) {
        node->each.over_parameters = false;
        Word **last = &node->each.words;
        while (peek_token(parser) == TOKEN_WORD) {
            *last = take_token(parser).word;
            last = &(*last)->next;
        }
        if (!accept_token(parser, TOKEN_SEMICOLON) && peek_token(parser) != TOKEN_NEWLINE)
            fail_unexpected(parser);
    } else {
        accept_token(parser, TOKEN_SEMICOLON);
    }
    skip_newlines(parser);
    node->each.body = parse_do(parser);
    return node;
}

static Node *parse_case(Parser *parser)
{
    Node *node = make_node(parser, NODE_CASE);
    if (peek_token(parser) != TOKEN_WORD)
        fail_unexpected(parser);
    node->choice.subject = take_token(parser).word;
    skip_newlines(parser);
    expect_word(parser, "in");
    skip_newlines(parser);
    CaseItem **last = &node->choice.items;
    while (!accept_word(parser, "esac")) {
        CaseItem *item = arena_allocate(parser->arena, sizeof *item);
        *last = item;
        last = &item->next;
        accept_token(parser, TOKEN_OPEN);
        Word **pattern = &item->patterns;
        do {
            if (peek_token(parser) != TOKEN_WORD)
                fail_unexpected(parser);
            *pattern = take_token(parser).word;
            pattern = &(*pattern)->next;
        } while (accept_token(parser, TOKEN_PIPE));
        expect_token(parser, TOKEN_CLOSE);
        item->body = parse_list(parser);
        skip_newlines(parser);
        if (!accept_token(parser, TOKEN_CASE_END)) {
            expect_word(parser, "esac");
            break;
        }
        skip_newlines(parser);
    }
    return node;
}

static Node *parse_subshell(Parser *parser)
{
    Node *node = make_node(parser, NODE_SUBSHELL);
    node->single.body = parse_required_list(parser);
    expect_token(parser, TOKEN_CLOSE);
    return node;
}

static Node *parse_group(Parser *parser)
{
    Node *node = make_node(parser, NODE_GROUP);
    node->single.body = parse_required_list(parser);
    expect_word(parser, "}");
    return node;
}

static Node *parse_compound(Parser *parser)
{
    if (accept_token(parser, TOKEN_OPEN))
        return parse_subshell(parser);
    if (accept_word(parser, "{"))
        return parse_group(parser);
    if (accept_word(parser, "if"))
        return parse_if(parser);
    if (accept_word(parser, "while"))
        return parse_loop(parser, NODE_WHILE);
    if (accept_word(parser, "until"))
        return parse_loop(parser, NODE_UNTIL);
    if (accept_word(parser, "for"))
        return parse_for(parser);
    if (accept_word(parser, "case"))
        return parse_case(parser);
    return NULL;
}

static Node *parse_command(Parser *parser)
{
    expand_aliases(parser);
    enter_nesting();
    Node *node = parse_compound(parser);
    sh.parse_depth--;
    if (node != NULL) {
        parse_redirects(parser, &node->redirects);
        return node;
    }
    if (peek_token(parser) == TOKEN_WORD && parser->token.text != NULL
        && is_closing_word(parser->token.text))
        fail_unexpected(parser);
    return parse_simple(parser);
}

/* ---- lists ---- */

/* Remembers a job's text, which only job control shows; `start` is where its first token starts. */
static void keep_source(Parser *parser, Node *node, size_t start)
{
    if (!options[OPTION_MONITOR].on)
        return;
    peek_token(parser);
    char *source = copy_record(parser->input, start, parser->token_start);
    node->source = arena_copy(parser->arena, source, strlen(source));
    free(source);
}

static Node *parse_pipeline(Parser *parser)
{
    peek_token(parser);
    size_t start = parser->token_start;
    expand_aliases(parser);
    if (accept_word(parser, "!")) {
        Node *not = make_node(parser, NODE_NOT);
        enter_nesting();
        not->single.body = parse_pipeline(parser);
        sh.parse_depth--;
        return not;
    }
    Node *first = parse_command(parser);
    Node *node = first;
    if (peek_token(parser) == TOKEN_PIPE) {
        node = make_node(parser, NODE_PIPELINE);
        node->pipeline.commands = first;
        for (Node *last = first; accept_token(parser, TOKEN_PIPE); last = last->next) {
            skip_newlines(parser);
            last->next = parse_command(parser);
        }
    }
    keep_source(parser, node, start);
    return node;
}

static Node *make_pair(Parser *parser, NodeKind kind, Node *left, Node *right)
{
    Node *node = make_node(parser, kind);
    node->pair.left = left;
    node->pair.right = right;
    return node;
}

static Node *parse_and_or(Parser *parser)
{
    Node *node = parse_pipeline(parser);
    for (;;) {
        NodeKind kind = peek_token(parser) == TOKEN_AND ? NODE_AND : NODE_OR;
        if (!accept_token(parser, TOKEN_AND) && !accept_token(parser, TOKEN_OR))
            return node;
        skip_newlines(parser);
        node = make_pair(parser, kind, node, parse_pipeline(parser));
    }
}

static bool ends_list(Parser *parser)
{
    TokenKind kind = peek_token(parser);
    if (kind == TOKEN_END || kind == TOKEN_CLOSE || kind == TOKEN_CASE_END)
        return true;
    return kind == TOKEN_WORD && parser->token.text != NULL
        && is_closing_word(parser->token.text);
}

/* An and-or list with its separator; a newline is left to the caller. *more is false when nothing may follow. */
static Node *parse_item(Parser *parser, bool *more)
{
    peek_token(parser);
    size_t start = parser->token_start;
    Node *node = parse_and_or(parser);
    *more = true;
    if (peek_token(parser) == TOKEN_BACKGROUND) {
        Node *background = make_node(parser, NODE_BACKGROUND);
        background->single.body = node;
        keep_source(parser, background, start);
        node = background;
        take_token(parser);
    } else if (!accept_token(parser, TOKEN_SEMICOLON))
        *more = false;
    return node;
}

/*
 * A list as it grows. SEQUENCE nodes lean to the right, so that a long list is run by a loop and not by recursion:
 *
 *   a; b; c   ─►   SEQUENCE(a, SEQUENCE(b, c))
 */
typedef struct List {
    Node *first;
    Node **last; /* where the last item hangs */
} List;

static void append_item(Parser *parser, List *list, Node *item)
{
    if (list->first == NULL) {
        list->first = item;
        list->last = &list->first;
    } else {
        *list->last = make_pair(parser, NODE_SEQUENCE, *list->last, item);
        list->last = &(*list->last)->pair.right;
    }
}

/* A list over any number of lines, up to a word or token that closes it; NULL when it is empty. */
static Node *parse_list(Parser *parser)
{
    List list = {0};
    bool more = true;
    for (;;) {
        bool newline = peek_token(parser) == TOKEN_NEWLINE;
        skip_newlines(parser);
        if (ends_list(parser) || (!more && !newline))
            return list.first;
        append_item(parser, &list, parse_item(parser, &more));
    }
}

bool parse_line(Input *input, Arena *arena, Node **node)
{
    Parser parser = {.input = input, .arena = arena};
    set_continuation(input, false);
    clear_record(input);
    sh.parse_depth = 0;
    *node = NULL;
    if (peek_token(&parser) == TOKEN_END)
        return false;
    set_continuation(input, true);
    bool more = true;
    List list = {0};
    while (peek_token(&parser) != TOKEN_NEWLINE && peek_token(&parser) != TOKEN_END) {
        if (!more || ends_list(&parser))
            fail_unexpected(&parser);
        append_item(&parser, &list, parse_item(&parser, &more));
    }
    *node = list.first;
    if (peek_token(&parser) == TOKEN_NEWLINE)
        take_token(&parser);
    else
        read_here_documents(&parser);
    return true;
}

Node *parse_substitution(Input *input, Arena *arena)
{
    Parser parser = {.input = input, .arena = arena};
    Node *list = parse_list(&parser);
    expect_token(&parser, TOKEN_CLOSE);
    return list;
}
