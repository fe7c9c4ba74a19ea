/*
 * The syntax tree: what the parser makes of the text, and what exec.c runs.
 *
 *   and-or list      SEQUENCE ─┬─ AND/OR ─┬─ PIPELINE ─┬─ SIMPLE: assignments, words, redirects
 *   "a | b && c; d"            │          │            └─ or a compound command
 *                              └─ ...     └─ ...
 *
 * A tree lives in one arena. A function keeps its arena alive when the rest of the tree has run.
 */

#ifndef AST_H
#define AST_H

#include "vbox.h"

/* ---- memory (arena.c) ---- */

typedef struct Arena Arena;

Arena *make_arena(void); /* held once by the caller */
void hold_arena(Arena *arena);
void release_arena(Arena *arena);
void *arena_allocate(Arena *arena, size_t size); /* zeroed */
char *arena_copy(Arena *arena, const char *bytes, size_t length);

/* ---- words ---- */

typedef struct Word Word;
typedef struct Node Node;

typedef enum PartKind { PART_LITERAL, PART_PARAMETER, PART_COMMAND, PART_ARITHMETIC } PartKind;

/* What follows the name in ${name...}. */
typedef enum ParameterOperator {
    OPERATOR_NONE,
    OPERATOR_DEFAULT,          /* - */
    OPERATOR_ASSIGN,           /* = */
    OPERATOR_ERROR,            /* ? */
    OPERATOR_ALTERNATIVE,      /* + */
    OPERATOR_LENGTH,           /* ${#name} */
    OPERATOR_SHORTEST_PREFIX,  /* # */
    OPERATOR_LONGEST_PREFIX,   /* ## */
    OPERATOR_SHORTEST_SUFFIX,  /* % */
    OPERATOR_LONGEST_SUFFIX,   /* %% */
} ParameterOperator;

typedef struct Part {
    PartKind kind;
    bool quoted;
    bool null_too;             /* the colon of ":-": null counts as unset */
    ParameterOperator operator;
    char *text;                /* the literal, or the parameter's name */
    Word *word;                /* the operator's word, or the arithmetic expression */
    Node *command;
    struct Part *next;
} Part;

struct Word {
    Part *parts;
    Word *next;
};

/* ---- commands ---- */

typedef enum RedirectKind {
    REDIRECT_INPUT, REDIRECT_OUTPUT, REDIRECT_CLOBBER, REDIRECT_APPEND, REDIRECT_BOTH, REDIRECT_DUPLICATE,
    REDIRECT_HERE,
} RedirectKind;

typedef struct Redirect {
    RedirectKind kind;
    int fd;
    Word *target;              /* for a here-document: its body */
    struct Redirect *next;
    /* while the here-document is still to be read */
    char *delimiter;
    bool delimiter_quoted, strip_tabs;
} Redirect;

typedef struct Assignment {
    char *name;
    Word *value;
    struct Assignment *next;
} Assignment;

typedef struct CaseItem {
    Word *patterns;
    Node *body;
    struct CaseItem *next;
} CaseItem;

typedef enum NodeKind {
    NODE_SIMPLE, NODE_PIPELINE, NODE_AND, NODE_OR, NODE_SEQUENCE, NODE_BACKGROUND, NODE_SUBSHELL, NODE_GROUP,
    NODE_IF, NODE_WHILE, NODE_UNTIL, NODE_FOR, NODE_CASE, NODE_FUNCTION, NODE_NOT,
} NodeKind;

struct Node {
    NodeKind kind;
    int line;
    char *source;              /* the text, for jobs */
    Redirect *redirects;
    union {
        struct { Assignment *assignments; Word *words; } simple;
        struct { Node *commands; } pipeline;                 /* joined by next */
        struct { Node *left, *right; } pair;                 /* AND, OR, SEQUENCE */
        struct { Node *body; } single;                       /* BACKGROUND, SUBSHELL, GROUP, NOT */
        struct { Node *condition, *then, *otherwise; } branch;
        struct { Node *condition, *body; } loop;
        struct { char *name; Word *words; bool over_parameters; Node *body; } each;
        struct { Word *subject; CaseItem *items; } choice;
        struct { char *name; Node *body; Arena *arena; } function;
    };
    Node *next;
};

#endif
