/* Completion: a command's name in command position, a path elsewhere. */

#include "sh/sh.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(Completion *completion, size_t *capacity, char *candidate, char *label)
{
    for (size_t i = 0; i < completion->count; i++) {
        if (strcmp(completion->candidates[i], candidate) == 0) {
            free(candidate);
            free(label);
            return;
        }
    }
    if (completion->count >= *capacity) {
        *capacity = *capacity * 2 + 16;
        completion->candidates = reallocate(completion->candidates, *capacity * sizeof(char *));
        completion->labels = reallocate(completion->labels, *capacity * sizeof(char *));
    }
    completion->candidates[completion->count] = candidate;
    completion->labels[completion->count++] = label;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* A path as it must be typed: what the shell would take apart is escaped. */
static char *escape(const char *text)
{
    Buffer escaped = {0};
    buffer_add_text(&escaped, "");
    for (; *text != '\0'; text++) {
        if (strchr(" \t\n'\"\\$&;|<>()*?[`#!", *text) != NULL)
            buffer_add_char(&escaped, '\\');
        buffer_add_char(&escaped, *text);
    }
    return buffer_take(&escaped);
}

static void complete_path(Completion *completion, size_t *capacity, const char *word, bool only_programs)
{
    const char *slash = strrchr(word, '/');
    const char *prefix = slash != NULL ? slash + 1 : word;
    char *folder = copy_bytes(word, slash != NULL ? (size_t)(slash - word) + 1 : 0);
    char *opened = copy_string(*folder != '\0' ? folder : ".");
    if (starts_with(opened, "~/") && get_variable("HOME") != NULL) {
        char *home = join_path(get_variable("HOME"), opened + 2);
        free(opened);
        opened = home;
    }
    char **names = list_folder(opened);
    for (char **name = names; names != NULL && *name != NULL; name++) {
        if (!starts_with(*name, prefix) || (**name == '.' && *prefix != '.'))
            continue;
        char *path = join_path(opened, *name);
        bool folder_itself = is_folder(path);
        bool wanted = folder_itself || !only_programs || access(path, X_OK) == 0;
        free(path);
        if (!wanted)
            continue;
        char *whole = format_string("%s%s", folder, *name), *escaped = escape(whole);
        const char *suffix = folder_itself ? "/" : "";
        add(completion, capacity, format_string("%s%s", escaped, suffix), format_string("%s%s", *name, suffix));
        free(escaped);
        free(whole);
    }
    if (names != NULL)
        free_list(names);
    free(opened);
    free(folder);
}

static void complete_command(Completion *completion, size_t *capacity, const char *word)
{
    for (size_t i = 0; i < builtin_count; i++)
        if (starts_with(builtins[i].name, word))
            add(completion, capacity, copy_string(builtins[i].name), copy_string(builtins[i].name));
    for (const Alias *alias = aliases; alias != NULL; alias = alias->next)
        if (*alias->name != '\0' && starts_with(alias->name, word))
            add(completion, capacity, copy_string(alias->name), copy_string(alias->name));
    const char *path = get_variable("PATH");
    while (path != NULL && *path != '\0') {
        size_t length = strcspn(path, ":");
        char *folder = copy_bytes(path, length);
        char **names = list_folder(folder);
        for (char **name = names; names != NULL && *name != NULL; name++)
            if (starts_with(*name, word))
                add(completion, capacity, copy_string(*name), copy_string(*name));
        if (names != NULL)
            free_list(names);
        free(folder);
        path += length + (path[length] == ':');
    }
}

/* The word without its quoting, which paths are compared with. */
static char *unquote(const char *text, size_t length)
{
    char *word = allocate(length + 1), *next = word;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length)
            i++;
        else if (text[i] == '\'' || text[i] == '"')
            continue;
        *next++ = text[i];
    }
    *next = '\0';
    return word;
}

Completion complete_word(const char *line, size_t cursor)
{
    Completion completion = {0};
    size_t capacity = 0, start = cursor;
    while (start > 0 && (strchr(" \t;|&<>()=", line[start - 1]) == NULL || (start > 1 && line[start - 2] == '\\')))
        start--;
    completion.word_start = start;

    size_t before = start;
    while (before > 0 && strchr(" \t", line[before - 1]) != NULL)
        before--;
    bool command_position = before == 0 || strchr(";|&(", line[before - 1]) != NULL;
    char *word = unquote(line + start, cursor - start);
    if (command_position && strchr(word, '/') == NULL)
        complete_command(&completion, &capacity, word);
    else
        complete_path(&completion, &capacity, word, command_position);
    free(word);
    return completion;
}

void free_completion(Completion *completion)
{
    for (size_t i = 0; i < completion->count; i++) {
        free(completion->candidates[i]);
        free(completion->labels[i]);
    }
    free(completion->candidates);
    free(completion->labels);
}
