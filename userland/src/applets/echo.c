/* echo: prints its arguments. -n leaves out the newline; -e reads backslash escapes, -E does not. */

#include "vbox.h"
#include <string.h>

static bool is_option(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && text[1 + strspn(text + 1, "neE")] == '\0';
}

/* Prints with escapes; false when "\c" ends the output. */
static bool put_escaped(const char *text)
{
    while (*text != '\0') {
        if (*text != '\\') {
            putchar(*text++);
            continue;
        }
        text++;
        int c = *text != '\0' ? read_escape(&text, true) : '\\';
        if (c < 0)
            return false;
        putchar(c);
    }
    return true;
}

int echo_main(int argc, char **argv)
{
    bool newline = true, escapes = false;
    int i = 1;
    for (; i < argc && is_option(argv[i]); i++) {
        for (const char *letter = argv[i] + 1; *letter != '\0'; letter++) {
            if (*letter == 'n')
                newline = false;
            else
                escapes = *letter == 'e';
        }
    }
    for (int first = i; i < argc; i++) {
        if (i > first)
            putchar(' ');
        if (!escapes)
            fputs(argv[i], stdout);
        else if (!put_escaped(argv[i]))
            return 0;
    }
    if (newline)
        putchar('\n');
    return 0;
}
