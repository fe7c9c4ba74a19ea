/* Variables, their scopes, functions and aliases. */

#include "sh/sh.h"
#include <stdlib.h>
#include <string.h>

typedef struct Variable {
    char *name;
    char *value;                /* NULL: unset, but with flags */
    int flags;
    struct Variable *next;
} Variable;

/* What `local`, or an assignment before a command, has hidden; restored when its scope ends. */
typedef struct Hidden {
    char *name, *value;
    int flags, scope;
    struct Hidden *below;
} Hidden;

#define TABLE_SIZE 128
static Variable *table[TABLE_SIZE];
static Hidden *hidden;
static int scopes;
static Function *functions;
Alias *aliases;
extern char **environ;

static unsigned hash(const char *name, size_t length)
{
    unsigned value = 5381;
    for (size_t i = 0; i < length; i++)
        value = value * 33 + (unsigned char)name[i];
    return value % TABLE_SIZE;
}

static Variable *find(const char *name)
{
    Variable *variable = table[hash(name, strlen(name))];
    while (variable != NULL && strcmp(variable->name, name) != 0)
        variable = variable->next;
    return variable;
}

static Variable *find_or_add(const char *name)
{
    Variable *variable = find(name);
    if (variable == NULL) {
        Variable **slot = &table[hash(name, strlen(name))];
        variable = allocate(sizeof *variable);
        *variable = (Variable){.name = copy_string(name), .next = *slot};
        *slot = variable;
    }
    return variable;
}

/* Drops all that a shell has which runs in the process of another: only the environment is passed on. */
static void forget_all(void)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        table[i] = NULL;
    hidden = NULL;
    scopes = 0;
    functions = NULL;
    aliases = NULL;
}

void import_environment(void)
{
    forget_all();
    for (char **entry = environ; *entry != NULL; entry++) {
        size_t length = name_length(*entry);
        if (length == 0 || (*entry)[length] != '=')
            continue;
        char *name = copy_bytes(*entry, length);
        Variable *variable = find_or_add(name);
        free(variable->value);
        variable->value = copy_string(*entry + length + 1);
        variable->flags = VARIABLE_EXPORTED;
        free(name);
    }
    unset_variable("IFS"); /* IFS is not taken from the environment (XCU 2.5.3) */
    set_variable("IFS", " \t\n");
}

const char *get_variable(const char *name)
{
    const Variable *variable = find(name);
    return variable != NULL ? variable->value : NULL;
}

bool is_readonly(const char *name)
{
    const Variable *variable = find(name);
    return variable != NULL && (variable->flags & VARIABLE_READONLY);
}

void set_variable(const char *name, const char *value)
{
    Variable *variable = find_or_add(name);
    if (variable->flags & VARIABLE_READONLY)
        raise_error(2, "%s: is read only", name);
    char *copy = copy_string(value); /* before the free: value may be the old one */
    free(variable->value);
    variable->value = copy;
    if (options[OPTION_ALLEXPORT].on)
        variable->flags |= VARIABLE_EXPORTED;
}

void set_number_variable(const char *name, intmax_t value)
{
    char *text = format_string("%jd", value);
    set_variable(name, text);
    free(text);
}

void add_variable_flags(const char *name, int flags)
{
    find_or_add(name)->flags |= flags;
}

void unset_variable(const char *name)
{
    for (Variable **slot = &table[hash(name, strlen(name))]; *slot != NULL; slot = &(*slot)->next) {
        Variable *variable = *slot;
        if (strcmp(variable->name, name) != 0)
            continue;
        if (variable->flags & VARIABLE_READONLY)
            raise_error(2, "%s: is read only", name);
        *slot = variable->next;
        free(variable->name);
        free(variable->value);
        free(variable);
        return;
    }
}

static int compare_variables(const void *a, const void *b)
{
    return strcmp((*(Variable *const *)a)->name, (*(Variable *const *)b)->name);
}

void print_quoted(const char *text, FILE *file)
{
    fputc('\'', file);
    for (; *text != '\0'; text++)
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, file);
    fputc('\'', file);
}

void print_variables(const char *prefix, int flags)
{
    Variable **list = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        for (Variable *variable = table[i]; variable != NULL; variable = variable->next) {
            if ((variable->flags & flags) != flags || (flags == 0 && variable->value == NULL))
                continue;
            list = grow_array(list, count, &capacity, sizeof *list);
            list[count++] = variable;
        }
    }
    if (count > 0)
        qsort(list, count, sizeof *list, compare_variables);
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", prefix, list[i]->name);
        if (list[i]->value != NULL) {
            putchar('=');
            print_quoted(list[i]->value, stdout);
        }
        putchar('\n');
    }
    free(list);
}

char **make_environment(void)
{
    char **list = NULL;
    size_t count = 0, capacity = 0;
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        for (Variable *variable = table[i]; variable != NULL; variable = variable->next) {
            if (!(variable->flags & VARIABLE_EXPORTED) || variable->value == NULL)
                continue;
            list = grow_array(list, count, &capacity, sizeof *list);
            list[count++] = format_string("%s=%s", variable->name, variable->value);
        }
    }
    list = grow_array(list, count, &capacity, sizeof *list);
    list[count] = NULL;
    return list;
}

/* ---- scopes ---- */

void push_scope(void)
{
    scopes++;
}

int scope_depth(void)
{
    return scopes;
}

void make_local(const char *name)
{
    for (Hidden *entry = hidden; entry != NULL && entry->scope == scopes; entry = entry->below)
        if (strcmp(entry->name, name) == 0)
            return;
    const Variable *variable = find(name);
    Hidden *entry = allocate(sizeof *entry);
    *entry = (Hidden){.name = copy_string(name), .scope = scopes, .below = hidden};
    if (variable != NULL) {
        entry->value = variable->value != NULL ? copy_string(variable->value) : NULL;
        entry->flags = variable->flags;
    }
    hidden = entry;
}

void pop_scope(void)
{
    while (hidden != NULL && hidden->scope == scopes) {
        Hidden *entry = hidden;
        hidden = entry->below;
        Variable *variable = find_or_add(entry->name);
        variable->flags = 0;
        if (entry->value == NULL && entry->flags == 0) {
            unset_variable(entry->name);
        } else {
            free(variable->value);
            variable->value = entry->value;
            variable->flags = entry->flags;
        }
        free(entry->name);
        free(entry);
    }
    scopes--;
}

void pop_scopes_to(int depth)
{
    while (scopes > depth)
        pop_scope();
}

/* ---- functions and aliases ---- */

Function *find_function(const char *name)
{
    Function *function = functions;
    while (function != NULL && strcmp(function->name, name) != 0)
        function = function->next;
    return function;
}

void define_function(const char *name, Node *body, Arena *arena)
{
    hold_arena(arena);
    Function *function = find_function(name);
    if (function == NULL) {
        function = allocate(sizeof *function);
        *function = (Function){.name = copy_string(name), .next = functions};
        functions = function;
    } else {
        release_arena(function->arena);
    }
    function->body = body;
    function->arena = arena;
}

bool unset_function(const char *name)
{
    for (Function **slot = &functions; *slot != NULL; slot = &(*slot)->next) {
        Function *function = *slot;
        if (strcmp(function->name, name) != 0)
            continue;
        *slot = function->next;
        release_arena(function->arena);
        free(function->name);
        free(function);
        return true;
    }
    return false;
}

Alias *find_alias(const char *name)
{
    Alias *alias = aliases;
    while (alias != NULL && strcmp(alias->name, name) != 0)
        alias = alias->next;
    return alias;
}

void define_alias(const char *name, const char *value)
{
    Alias *alias = find_alias(name);
    if (alias == NULL) {
        alias = allocate(sizeof *alias);
        *alias = (Alias){.name = copy_string(name), .next = aliases};
        aliases = alias;
    }
    char *copy = copy_string(value);
    free(alias->value);
    alias->value = copy;
}

/* The entry stays, emptied of its name: an input may still point at its in_use. */
bool remove_alias(const char *name)
{
    Alias *alias = find_alias(name);
    if (alias == NULL)
        return false;
    *alias->name = '\0';
    return true;
}
