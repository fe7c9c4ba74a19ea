/*
 * Patterns (XCU 2.13): "*", "?", "[...]" and backslash; and the files that match one.
 */

#include "sh/sh.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_in_class(const char *name, size_t length, unsigned char c)
{
    static const struct {
        const char *name;
        int (*test)(int);
    } classes[] = {
        {"alpha", isalpha}, {"digit", isdigit}, {"alnum", isalnum}, {"upper", isupper}, {"lower", islower},
        {"space", isspace}, {"blank", isblank}, {"punct", ispunct}, {"print", isprint}, {"graph", isgraph},
        {"cntrl", iscntrl}, {"xdigit", isxdigit},
    };
    for (size_t i = 0; i < COUNT_OF(classes); i++)
        if (strlen(classes[i].name) == length && strncmp(classes[i].name, name, length) == 0)
            return classes[i].test(c) != 0;
    return false;
}

static unsigned char take_bracket_char(const char **pattern)
{
    if (**pattern == '\\' && (*pattern)[1] != '\0')
        (*pattern)++;
    return (unsigned char)*(*pattern)++;
}

/* After "[": whether c matches; *end is past the "]", or NULL when there is none and "[" is ordinary. */
static bool match_bracket(const char *pattern, unsigned char c, const char **end)
{
    bool negated = *pattern == '!' || *pattern == '^';
    bool matched = false;
    if (negated)
        pattern++;
    *end = NULL;
    for (bool first = true; *pattern != ']' || first; first = false) {
        if (*pattern == '\0')
            return false;
        if (pattern[0] == '[' && pattern[1] == ':') {
            const char *close = strstr(pattern + 2, ":]");
            if (close != NULL) {
                matched = matched || is_in_class(pattern + 2, (size_t)(close - pattern - 2), c);
                pattern = close + 2;
                continue;
            }
        }
        unsigned char low = take_bracket_char(&pattern), high = low;
        if (pattern[0] == '-' && pattern[1] != ']' && pattern[1] != '\0') {
            pattern++;
            high = take_bracket_char(&pattern);
        }
        matched = matched || (low <= c && c <= high);
    }
    *end = pattern + 1;
    return matched != negated;
}

bool match_pattern(const char *pattern, const char *text)
{
    /* A star that fails later is retried one character further on; only the last star needs that. */
    const char *star = NULL, *star_text = NULL;
    for (;;) {
        const char *end = NULL;
        bool step = false;
        if (*pattern == '*') {
            star = ++pattern;
            star_text = text;
            continue;
        }
        if (*text == '\0' && *pattern == '\0')
            return true;
        if (*text != '\0' && *pattern == '[' && match_bracket(pattern + 1, (unsigned char)*text, &end)) {
            pattern = end;
            step = true;
        } else if (*text != '\0' && (*pattern != '[' || end == NULL) && *pattern != '\0') {
            const char *literal = *pattern == '\\' && pattern[1] != '\0' ? pattern + 1 : pattern;
            step = *pattern == '?' || *literal == *text;
            pattern = literal + 1;
        }
        if (step) {
            text++;
            continue;
        }
        if (star == NULL || *star_text == '\0')
            return false;
        pattern = star;
        text = ++star_text;
    }
}

ptrdiff_t match_prefix(const char *pattern, const char *text, bool longest)
{
    size_t length = strlen(text);
    char *copy = copy_string(text);
    ptrdiff_t found = -1;
    for (size_t i = 0; i <= length && found < 0; i++) {
        size_t size = longest ? length - i : i;
        memcpy(copy, text, size);
        copy[size] = '\0';
        if (match_pattern(pattern, copy))
            found = (ptrdiff_t)size;
    }
    free(copy);
    return found;
}

ptrdiff_t match_suffix(const char *pattern, const char *text, bool longest)
{
    size_t length = strlen(text);
    for (size_t i = 0; i <= length; i++) {
        size_t size = longest ? length - i : i;
        if (match_pattern(pattern, text + length - size))
            return (ptrdiff_t)size;
    }
    return -1;
}

bool has_wildcard(const char *pattern)
{
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '\\' && pattern[1] != '\0')
            pattern++;
        else if (*pattern == '*' || *pattern == '?' || (*pattern == '[' && strchr(pattern, ']') != NULL))
            return true;
    }
    return false;
}

char *unescape_pattern(const char *pattern)
{
    char *text = allocate(strlen(pattern) + 1), *next = text;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '\\' && pattern[1] != '\0')
            pattern++;
        *next++ = *pattern;
    }
    *next = '\0';
    return text;
}

/* ---- files ---- */

typedef struct Matches {
    char **list;
    size_t count, capacity;
} Matches;

static void add_match(Matches *matches, const char *path)
{
    matches->list = grow_array(matches->list, matches->count, &matches->capacity, sizeof *matches->list);
    matches->list[matches->count++] = copy_string(path);
}

/* Extends `folder` ("" or ending in a slash) by the pattern's first component, and goes on with the rest. */
static void match_component(Matches *matches, const char *folder, const char *pattern)
{
    size_t length = strcspn(pattern, "/");
    size_t slashes = strspn(pattern + length, "/");
    const char *rest = pattern + length + slashes;
    char *component = copy_bytes(pattern, length);

    if (!has_wildcard(component)) {
        char *name = unescape_pattern(component);
        char *path = format_string("%s%s%.*s", folder, name, (int)slashes, pattern + length);
        struct stat info;
        if (*rest != '\0')
            match_component(matches, path, rest);
        else if (lstat(path, &info) == 0)
            add_match(matches, path);
        free(path);
        free(name);
        free(component);
        return;
    }

    DIR *stream = opendir(*folder != '\0' ? folder : ".");
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        const char *name = entry->d_name;
        /* A leading dot is matched by a dot only. */
        bool hidden = name[0] == '.' && component[0] != '.' && !(component[0] == '\\' && component[1] == '.');
        if (hidden || !match_pattern(component, name))
            continue;
        char *path = format_string("%s%s%.*s", folder, name, (int)slashes, pattern + length);
        if (slashes == 0)
            add_match(matches, path);
        else if (is_folder(path) && *rest == '\0')
            add_match(matches, path);
        else if (is_folder(path))
            match_component(matches, path, rest);
        free(path);
    }
    if (stream != NULL)
        closedir(stream);
    free(component);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **expand_path(const char *pattern)
{
    Matches matches = {0};
    size_t slashes = strspn(pattern, "/");
    char *root = copy_bytes(pattern, slashes);
    match_component(&matches, root, pattern + slashes);
    free(root);
    if (matches.count == 0)
        return NULL;
    qsort(matches.list, matches.count, sizeof *matches.list, compare_paths);
    matches.list = grow_array(matches.list, matches.count, &matches.capacity, sizeof *matches.list);
    matches.list[matches.count] = NULL;
    return matches.list;
}
