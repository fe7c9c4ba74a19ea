/* Builtins that take input apart: read and getopts; and history. */

#include "sh/sh.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- read ---- */

/* A line as it was read: marks[i] is true where a backslash quoted the character. */
typedef struct ReadLine {
    Buffer text, marks;
} ReadLine;

/* Reads byte by byte, so that what follows the line is left for the next program. False at end of input. */
static bool read_raw_line(ReadLine *line, bool raw)
{
    buffer_add_text(&line->text, "");
    buffer_add_text(&line->marks, "");
    bool escaped = false;
    for (;;) {
        char c;
        ssize_t count = read(0, &c, 1);
        if (count < 0 && errno == EINTR) {
            run_pending_traps();
            continue;
        }
        if (count <= 0)
            return false;
        if (c == '\n' && !escaped)
            return true;
        if (c == '\\' && !raw && !escaped) {
            escaped = true;
            continue;
        }
        if (c != '\0' && !(c == '\n' && escaped)) {
            buffer_add_char(&line->text, c);
            buffer_add_char(&line->marks, escaped ? 'Q' : '.');
        }
        escaped = false;
    }
}

static bool is_separator(const ReadLine *line, size_t i, const char *separators)
{
    return line->marks.data[i] == '.' && strchr(separators, line->text.data[i]) != NULL;
}

static bool is_blank_separator(const ReadLine *line, size_t i, const char *separators)
{
    char c = line->text.data[i];
    return is_separator(line, i, separators) && (c == ' ' || c == '\t' || c == '\n');
}

/* The last variable takes the rest, without the blanks around it, and without one separator if that ends it. */
static size_t end_of_rest(const ReadLine *line, size_t start, const char *separators)
{
    size_t end = line->text.length;
    while (end > start && is_blank_separator(line, end - 1, separators))
        end--;
    if (end > start && is_separator(line, end - 1, separators)) {
        size_t i = start;
        while (i < end - 1 && !is_separator(line, i, separators))
            i++;
        if (i == end - 1)
            end--; /* the only separator ends the field */
    }
    return end;
}

static void assign_fields(const ReadLine *line, char **names)
{
    const char *found = get_variable("IFS");
    char *separators = copy_string(found != NULL ? found : " \t\n");
    size_t i = 0, length = line->text.length;
    while (i < length && is_blank_separator(line, i, separators))
        i++;
    for (; *names != NULL; names++) {
        size_t end = i;
        if (names[1] == NULL) {
            end = end_of_rest(line, i, separators);
        } else {
            while (end < length && !is_separator(line, end, separators))
                end++;
        }
        char *field = copy_bytes(line->text.data + i, end - i);
        set_variable(*names, field);
        free(field);
        i = end;
        while (i < length && is_blank_separator(line, i, separators))
            i++;
        if (i < length && is_separator(line, i, separators)) {
            i++;
            while (i < length && is_blank_separator(line, i, separators))
                i++;
        }
    }
    free(separators);
}

int read_builtin(int argc, char **argv)
{
    static char *reply[] = {"REPLY", NULL};
    bool raw = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "-r") == 0) {
            raw = true;
        } else if (strcmp(argv[i], "-p") == 0 && i + 1 < argc) {
            fputs(argv[++i], stderr);
        } else {
            warn_text("read: %s: unknown option", argv[i]);
            return 2;
        }
    }
    for (int n = i; n < argc; n++) {
        if (!is_name(argv[n])) {
            warn_text("read: %s: bad variable name", argv[n]);
            return 2;
        }
    }
    ReadLine line = {0};
    bool complete = read_raw_line(&line, raw);
    assign_fields(&line, i < argc ? argv + i : reply);
    buffer_free(&line.text);
    buffer_free(&line.marks);
    return complete ? 0 : 1;
}

/* ---- getopts ---- */

/* Where in a group of letters the next call goes on; OPTIND names the argument only. */
static int letter_index = 1;
static char *last_optind;

/* Remembers the place in OPTIND; a script that sets OPTIND itself starts a new group. */
static void store_index(int index)
{
    set_number_variable("OPTIND", index);
    free(last_optind);
    last_optind = copy_string(get_variable("OPTIND"));
}

int getopts_builtin(int argc, char **argv)
{
    if (argc < 3)
        raise_error(2, "getopts: usage: getopts LETTERS NAME [ARG]...");
    const char *letters = argv[1], *name = argv[2];
    char **list = argc > 3 ? argv + 3 : sh.parameters;
    int count = argc > 3 ? argc - 3 : sh.parameter_count;
    bool silent = *letters == ':';
    if (silent)
        letters++;

    const char *optind_text = get_variable("OPTIND");
    intmax_t index = 1;
    if (optind_text != NULL)
        parse_integer(optind_text, &index);
    if (index < 1)
        index = 1;
    if (last_optind == NULL || optind_text == NULL || strcmp(optind_text, last_optind) != 0)
        letter_index = 1;

    const char *argument = index <= count ? list[index - 1] : NULL;
    bool starts = letter_index == 1;
    if (argument == NULL || (starts && (argument[0] != '-' || argument[1] == '\0'))
        || (starts && strcmp(argument, "--") == 0)) {
        if (argument != NULL && strcmp(argument, "--") == 0)
            index++;
        store_index((int)index);
        set_variable(name, "?");
        return 1;
    }

    char option[2] = {argument[letter_index++], '\0'};
    bool group_ends = argument[letter_index] == '\0';
    const char *found = option[0] != ':' ? strchr(letters, option[0]) : NULL;
    const char *value = NULL;
    const char *result = option;
    unset_variable("OPTARG");
    if (found == NULL) {
        result = "?";
        if (silent)
            value = option;
        else
            fprintf(stderr, "%s: bad option: -%s\n", sh.name, option);
    } else if (found[1] == ':') {
        if (!group_ends) {
            value = argument + letter_index;
        } else if (index < count) {
            value = list[index++];
        } else if (silent) {
            result = ":";
            value = option;
        } else {
            result = "?";
            fprintf(stderr, "%s: option needs an argument: -%s\n", sh.name, option);
        }
        group_ends = true;
    }
    if (value != NULL)
        set_variable("OPTARG", value);
    if (group_ends) {
        index++;
        letter_index = 1;
    }
    set_variable(name, result);
    store_index((int)index);
    return 0;
}

int history_builtin(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (size_t i = 0; i < history_length(); i++)
        printf("%5zu  %s\n", i + 1, get_history(i));
    return 0;
}
