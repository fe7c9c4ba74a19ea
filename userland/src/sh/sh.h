/*
 * The shell: what its files share.
 *
 *   input.c ─► lexer.c ─► parser.c ─► ast.h ─► exec.c ─┬─► expand.c, arithmetic.c, pattern.c
 *     ▲                                                ├─► redirect.c, jobs.c, traps.c
 *   edit.c, complete.c, history.c                      └─► builtins*.c, variables.c
 *
 * Language: POSIX.1-2017, XCU chapter 2, "Shell Command Language"; `local` and `set -o pipefail` besides.
 */

#ifndef SH_H
#define SH_H

#include "sh/ast.h"

#define SIGNAL_LIMIT 65

/* What a running command asks of those that run it, besides its status. */
typedef enum Unwinding { UNWIND_NONE, UNWIND_BREAK, UNWIND_CONTINUE, UNWIND_RETURN } Unwinding;

typedef struct Shell {
    const char *name;              /* $0 */
    int status;                    /* $? */
    pid_t pid;                     /* $$ */
    pid_t last_background;         /* $! */
    int substitution_status;       /* of the last $(...) of a command that is only assignments */
    int line;                      /* $LINENO */

    bool is_script;                /* $0 is a file, which errors name */
    bool interactive;              /* errors return to the prompt; cleared in children */
    bool is_subshell;
    bool job_control;
    int terminal;                  /* the controlling terminal with job control, or -1 */
    pid_t group;                   /* the shell's own process group */

    Unwinding unwinding;
    int unwind_levels;
    int loop_depth, function_depth, source_depth;
    int parse_depth;               /* of nested commands and expansions, while a line is parsed */
    int errexit_ignored;           /* depth of contexts in which set -e does nothing */

    char **parameters;             /* $1 ..., ended by NULL */
    int parameter_count;
} Shell;

extern Shell sh;

/* The options of `set`, by letter. */
typedef struct ShellOption {
    char letter;                   /* 0: long name only */
    const char *name;
    bool on;
} ShellOption;

typedef enum OptionIndex {
    OPTION_ALLEXPORT, OPTION_NOTIFY, OPTION_NOCLOBBER, OPTION_ERREXIT, OPTION_NOGLOB, OPTION_MONITOR, OPTION_NOEXEC,
    OPTION_NOUNSET, OPTION_VERBOSE, OPTION_XTRACE, OPTION_PIPEFAIL, OPTION_IGNOREEOF, OPTION_COUNT,
} OptionIndex;

extern ShellOption options[OPTION_COUNT];

/* ---- main.c ---- */

/* Runs all commands of a text; returns the last status. */
int run_text(const char *text);
/* Runs a script file in this shell; false with errno when it cannot be read. */
bool run_file(const char *path);
/* Runs the EXIT trap and ends the process. */
_Noreturn void exit_shell(int status);
/* An error that ends a script or returns to the prompt. */
_Noreturn void raise_error(int status, const char *format, ...) PRINTF_LIKE(2, 3);
/* Returns to the prompt without a message, as ^C does; ends a script with status 130. */
_Noreturn void raise_interrupt(void);

/* ---- input.c ---- */

typedef struct Input Input;
#define INPUT_END (-1)

Input *open_text_input(const char *text);
Input *open_descriptor_input(int fd, bool at_terminal);
void close_input_source(Input *input);
int next_char(Input *input);
int peek_char(Input *input);
/* Makes text the next input. `alias`, when not NULL, is in use until the text has been read. */
void push_text(Input *input, const char *text, bool *alias_in_use);
int input_line(const Input *input);
/* The record of what was read since clear_record; a copy of a piece of it, without blanks and separators around it. */
size_t record_length(const Input *input);
char *copy_record(const Input *input, size_t start, size_t end);
void clear_record(Input *input);
/* Which prompt a terminal shows when it is next read. */
void set_continuation(Input *input, bool continued);
/* Drops the rest of the line, after an error at the prompt. */
void discard_line(Input *input);

/* ---- lexer.c ---- */

typedef enum TokenKind {
    TOKEN_END, TOKEN_NEWLINE, TOKEN_WORD, TOKEN_IO_NUMBER, TOKEN_AND, TOKEN_OR, TOKEN_CASE_END, TOKEN_SEMICOLON,
    TOKEN_BACKGROUND, TOKEN_PIPE, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_LESS, TOKEN_GREAT, TOKEN_CLOBBER, TOKEN_APPEND,
    TOKEN_BOTH, TOKEN_DUP_IN, TOKEN_DUP_OUT, TOKEN_HERE, TOKEN_HERE_TABS,
} TokenKind;

typedef struct Token {
    TokenKind kind;
    Word *word;
    char *text;                    /* the word when nothing in it is quoted or expanded, else NULL */
    int number;
} Token;

typedef struct Parser {
    Input *input;
    Arena *arena;
    Token token;
    bool has_token;
    size_t token_start;            /* where the token starts in the input's record */
    Redirect *pending_here[16];
    int pending_here_count;
} Parser;

Token read_token(Parser *parser);
/* Counts a level of nesting in sh.parse_depth; raises an error beyond the limit. */
void enter_nesting(void);
/* The body of a here-document or an arithmetic expression: expansions, but quotes are ordinary. */
Word *parse_body(Arena *arena, const char *text);

/* ---- parser.c ---- */

/* Parses up to the end of a line. False at the end of the input; *node is NULL for an empty line. */
bool parse_line(Input *input, Arena *arena, Node **node);
/* Parses a command list up to a closing parenthesis, for $(...). */
Node *parse_substitution(Input *input, Arena *arena);
bool is_reserved_word(const char *text);
bool is_name(const char *text);
size_t name_length(const char *text);

/* ---- expand.c ---- */

/* All fields of a list of words, ended by NULL; free_list frees them. */
char **expand_words(const Word *words, size_t *count);
/* One string, without splitting: for assignments, redirects and here-documents. */
char *expand_string(const Word *word);
/* An assignment's value: tilde expansion after each colon too. */
char *expand_value(const Word *word);
/* A pattern: quoted characters are escaped by backslashes. */
char *expand_pattern(const Word *word);
/* Expansion of a prompt's text. */
char *expand_text(const char *text);

/* ---- pattern.c ---- */

bool match_pattern(const char *pattern, const char *text);
/* Length of the prefix (or suffix) that matches, or -1. */
ptrdiff_t match_prefix(const char *pattern, const char *text, bool longest);
ptrdiff_t match_suffix(const char *pattern, const char *text, bool longest);
bool has_wildcard(const char *pattern);
/* Names that match, sorted, ended by NULL; NULL when there is none. */
char **expand_path(const char *pattern);
/* A pattern without its backslashes. */
char *unescape_pattern(const char *pattern);

/* ---- arithmetic.c ---- */

intmax_t evaluate(const char *expression);

/* ---- variables.c ---- */

typedef enum VariableFlag { VARIABLE_EXPORTED = 1, VARIABLE_READONLY = 2 } VariableFlag;

void import_environment(void);
const char *get_variable(const char *name);
void set_variable(const char *name, const char *value);
void set_number_variable(const char *name, intmax_t value);
void add_variable_flags(const char *name, int flags);
void unset_variable(const char *name);
bool is_readonly(const char *name);
/* Prints the variables that have all the flags, each as "prefix name='value'". */
void print_variables(const char *prefix, int flags);
char **make_environment(void);
void push_scope(void);
void pop_scope(void);
/* How many scopes are open; pop_scopes_to drops those above. */
int scope_depth(void);
void pop_scopes_to(int depth);
void make_local(const char *name);
/* Prints text so that the shell reads it back as one word. */
void print_quoted(const char *text, FILE *file);

typedef struct Function {
    char *name;
    Node *body;
    Arena *arena;
    struct Function *next;
} Function;

Function *find_function(const char *name);
void define_function(const char *name, Node *body, Arena *arena);
bool unset_function(const char *name);

typedef struct Alias {
    char *name, *value;
    bool in_use;
    struct Alias *next;
} Alias;

extern Alias *aliases;
Alias *find_alias(const char *name);
void define_alias(const char *name, const char *value);
bool remove_alias(const char *name);

/* ---- exec.c ---- */

typedef enum RunFlags {
    RUN_NORMALLY = 0,
    RUN_LAST = 1, /* nothing runs in this process afterwards: a program may replace it */
} RunFlags;

int run_node(Node *node, RunFlags flags);
int call_function(Function *function, char **argv);
/* Runs a command that is already expanded; `skip_functions` is for `command`. */
int run_arguments(char **argv, bool skip_functions, RunFlags flags);
_Noreturn void exec_command(char **argv);
/* The path of a program along PATH, to be freed, or NULL. */
char *find_program(const char *name);
/* The output of a command without its final newlines, to be freed. */
char *capture_output(Node *command);
/* Makes a forked child a subshell. */
void become_subshell(void);

/* ---- redirect.c ---- */

typedef struct SavedDescriptors SavedDescriptors;

/* Applies redirects; false after a warning. With `saved`, they can be undone, even after a failure. */
bool apply_redirects(const Redirect *redirects, SavedDescriptors **saved);
void restore_descriptors(SavedDescriptors *saved);
/* Undoes all that are still saved, after an error at the prompt. */
void restore_all_descriptors(void);
/* Makes the applied redirects permanent, as exec does. */
void keep_redirects(SavedDescriptors *saved);
void forget_saved_descriptors(void);

/* ---- jobs.c ---- */

typedef struct Job Job;

Job *start_job(const char *command);
void add_process(Job *job, pid_t pid);
void finish_start(Job *job);
pid_t job_group(const Job *job);
/* In a child: joins the job's group, takes the terminal if in the foreground, resets signals. */
void join_job(pid_t group, bool foreground);
/* Waits until a foreground job ends or stops; returns its status. */
int wait_for_job(Job *job);
/* Announces a background job at the prompt. */
void announce_job(const Job *job);
void notify_jobs(void);
void forget_jobs(void);
void start_job_control(void);
void stop_job_control(void);
bool has_stopped_jobs(void);
int jobs_builtin(int argc, char **argv);
int fg_builtin(int argc, char **argv);
int bg_builtin(int argc, char **argv);
int wait_builtin(int argc, char **argv);
int kill_builtin(int argc, char **argv);

/* ---- traps.c ---- */

int trap_builtin(int argc, char **argv);
void run_pending_traps(void);
bool has_pending_trap(void);
/* The signal whose trap is due, or 0. */
int pending_signal(void);
void run_exit_trap(void);
/* Whether any trap has a command, so that this process must live to run it. */
bool has_traps(void);
/* In a subshell: traps with commands go back to the default; ignored signals stay ignored. */
void reset_traps(void);
/* Sets the signals that the shell itself ignores or catches, or undoes that before a program runs. */
void set_interactive_signals(void);
void reset_signals(void);
bool take_interrupt(void);

/* ---- builtins.c ---- */

typedef enum BuiltinKind { BUILTIN_REGULAR, BUILTIN_SPECIAL, BUILTIN_DECLARATION } BuiltinKind;

typedef struct Builtin {
    const char *name;
    AppletMain *main;
    BuiltinKind kind;
} Builtin;

extern const Builtin builtins[];
extern const size_t builtin_count;
const Builtin *find_builtin(const char *name);
bool is_special(const Builtin *builtin);
int run_builtin(const Builtin *builtin, char **argv);
/* Sets $1 ...; takes the strings over. */
void set_parameters(char **list, int count);
char **copy_parameters(char *const *list, int count);
/* Reads `set` options; returns the index of the first operand, or -1 after a warning. */
int read_set_options(int argc, char **argv, bool *ended);

/* builtins-state.c, builtins-run.c, builtins-read.c: see the table in builtins.c */

AppletMain alias_builtin, break_builtin, cd_builtin, colon_builtin, command_builtin, continue_builtin, dot_builtin,
    eval_builtin, exec_builtin, exit_builtin, export_builtin, getopts_builtin, hash_builtin, help_builtin,
    history_builtin, local_builtin, pwd_builtin, read_builtin, readonly_builtin, return_builtin, set_builtin,
    shift_builtin, times_builtin, type_builtin, ulimit_builtin, umask_builtin, unalias_builtin, unset_builtin;

/* ---- edit.c, history.c, complete.c: a terminal's lines ---- */

/* Reads one line, edited, without its newline; NULL at the end of input. ^C raises an interrupt. */
char *edit_line(const char *prompt);

void add_history(const char *line);
const char *get_history(size_t index);
size_t history_length(void);

typedef struct Completion {
    char **candidates;             /* full replacements of the word, ended by NULL */
    char **labels;                 /* what a list of them shows */
    size_t count;
    size_t word_start;
} Completion;

/* What the word that ends at `cursor` may become. */
Completion complete_word(const char *line, size_t cursor);
void free_completion(Completion *completion);

#endif
