/* xargs: runs a program with arguments from standard input. */

#include "vbox.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES 65536

static bool by_nul, by_line, trace, skip_empty;
static char own_delimiter;
static bool has_delimiter;

/* The next argument, to be freed, or NULL: quotes and backslashes as the shell has them, unless a separator is set. */
static char *read_argument(void)
{
    Buffer text = {0};
    int c;
    if (by_nul || has_delimiter || by_line) {
        int separator = by_nul ? '\0' : has_delimiter ? own_delimiter : '\n';
        bool any = false;
        while ((c = getchar()) != EOF && c != separator) {
            buffer_add_char(&text, (char)c);
            any = true;
        }
        if (c == EOF && !any)
            return NULL;
        char *argument = buffer_take(&text);
        if (by_line) /* -I leaves out the blanks before a line */
            memmove(argument, argument + strspn(argument, " \t"), strlen(argument + strspn(argument, " \t")) + 1);
        if (by_line && *argument == '\0') {
            free(argument);
            return read_argument();
        }
        return argument;
    }
    while ((c = getchar()) != EOF && isspace(c))
        continue;
    if (c == EOF)
        return NULL;
    buffer_add_text(&text, "");
    for (; c != EOF && !isspace(c); c = getchar()) {
        if (c == '\'' || c == '"') {
            int quote = c;
            while ((c = getchar()) != quote) {
                if (c == EOF || c == '\n')
                    die_text("unmatched quote");
                buffer_add_char(&text, (char)c);
            }
            continue;
        }
        if (c == '\\' && (c = getchar()) == EOF)
            break;
        buffer_add_char(&text, (char)c);
    }
    return buffer_take(&text);
}

/* Runs one command; the status of xargs when it must stop, else 0 or 123. */
static int run(char **argv, int *worst)
{
    if (trace) {
        for (char **argument = argv; *argument != NULL; argument++)
            fprintf(stderr, "%s%s", argument == argv ? "" : " ", *argument);
        fputc('\n', stderr);
    }
    int status = run_program(argv);
    if (status == 255)
        return 124;
    if (status == 126 || status == 127)
        return status;
    if (status > 128)
        return 125;
    if (status != 0)
        *worst = 123;
    return 0;
}

static char *substitute(const char *text, const char *mark, const char *value)
{
    Buffer result = {0};
    buffer_add_text(&result, "");
    for (const char *found; (found = strstr(text, mark)) != NULL; text = found + strlen(mark)) {
        buffer_add(&result, text, (size_t)(found - text));
        buffer_add_text(&result, value);
    }
    buffer_add_text(&result, text);
    return buffer_take(&result);
}

/* -I: one run for each line, its mark replaced. */
static int run_each(char **command, int length, const char *mark)
{
    int worst = 0;
    for (char *argument; (argument = read_argument()) != NULL; free(argument)) {
        char **argv = allocate(((size_t)length + 1) * sizeof *argv);
        for (int i = 0; i < length; i++)
            argv[i] = substitute(command[i], mark, argument);
        argv[length] = NULL;
        int stop = run(argv, &worst);
        free_list(argv);
        if (stop != 0)
            return stop;
    }
    return worst;
}

static int run_batches(char **command, int length, size_t most)
{
    char **argv = NULL;
    size_t count = 0, capacity = 0, bytes = 0;
    int worst = 0;
    for (int i = 0; i < length; i++) {
        argv = grow_array(argv, count, &capacity, sizeof *argv);
        argv[count++] = command[i];
    }
    bool ran = false;
    for (bool more = true; more;) {
        char *argument = read_argument();
        more = argument != NULL;
        size_t given = count - (size_t)length;
        bool full = more && given > 0 && (given == most || bytes + strlen(argument) > BATCH_BYTES);
        bool last = !more && (given > 0 || (!ran && !skip_empty));
        if (full || last) {
            argv = grow_array(argv, count, &capacity, sizeof *argv);
            argv[count] = NULL;
            int stop = run(argv, &worst);
            ran = true;
            while (count > (size_t)length)
                free(argv[--count]);
            bytes = 0;
            if (stop != 0)
                return stop;
        }
        if (more) {
            argv = grow_array(argv, count, &capacity, sizeof *argv);
            argv[count++] = argument;
            bytes += strlen(argument) + 1;
        }
    }
    return worst;
}

int xargs_main(int argc, char **argv)
{
    static char *echo[] = {"echo", NULL};
    const char *mark = NULL;
    intmax_t most = INT32_MAX;
    for (int option; (option = next_leading_option(argc, argv, "0n:I:trd:P:L:")) != -1;) {
        switch (option) {
        case '0': by_nul = true; break;
        case 'n': case 'L':
            if (!parse_integer(optarg, &most) || most < 1)
                die_text("%s: bad count", optarg);
            by_line = by_line || option == 'L';
            break;
        case 'I': mark = optarg; by_line = true; break;
        case 't': trace = true; break;
        case 'r': skip_empty = true; break;
        case 'd': {
            const char *text = optarg;
            has_delimiter = true;
            own_delimiter = *text == '\\' ? (text++, (char)read_escape(&text, false)) : *text;
            break;
        }
        case 'P': break; /* one at a time always serves */
        }
    }
    char **command = optind < argc ? argv + optind : echo;
    int length = optind < argc ? argc - optind : 1;
    return mark != NULL ? run_each(command, length, mark) : run_batches(command, length, (size_t)most);
}
