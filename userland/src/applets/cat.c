/* cat: copies files to standard output. */

#include "vbox.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

typedef struct Numbering {
    bool all, nonblank, show_ends, show_unprintable, show_tabs;
    unsigned long line;
} Numbering;

static void put_visible(int c, const Numbering *how)
{
    if (c == '\t') {
        fputs(how->show_tabs ? "^I" : "\t", stdout);
        return;
    }
    if (how->show_unprintable && c >= 128) {
        fputs("M-", stdout);
        c -= 128;
    }
    if (how->show_unprintable && (c < 32 || c == 127))
        printf("^%c", c ^ 64);
    else
        putchar(c);
}

static int copy_decorated(FILE *file, const char *name, void *context)
{
    (void)name;
    Numbering *how = context;
    bool at_start = true;
    for (int c; (c = getc(file)) != EOF;) {
        if (at_start && (how->all || (how->nonblank && c != '\n')))
            printf("%6lu\t", ++how->line);
        at_start = c == '\n';
        if (at_start && how->show_ends)
            putchar('$');
        if (at_start)
            putchar(c);
        else
            put_visible(c, how);
    }
    return 0;
}

static int copy_plain(char **names)
{
    static char *standard_input[] = {"-", NULL};
    int status = 0;
    for (names = *names != NULL ? names : standard_input; *names != NULL; names++) {
        bool is_stdin = strcmp(*names, "-") == 0;
        int fd = is_stdin ? 0 : open(*names, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            warn_errno(*names);
        if (fd < 0 || !copy_stream(fd, *names, 1, "standard output"))
            status = 1;
        if (fd > 0)
            close(fd);
    }
    return status;
}

int cat_main(int argc, char **argv)
{
    Numbering how = {0};
    for (int option; (option = next_option(argc, argv, "nbuvETAet")) != -1;) {
        switch (option) {
        case 'n': how.all = true; break;
        case 'b': how.nonblank = true; break;
        case 'u': break; /* output is never delayed */
        case 'v': how.show_unprintable = true; break;
        case 'E': how.show_ends = true; break;
        case 'T': how.show_tabs = true; break;
        case 'e': how.show_unprintable = how.show_ends = true; break;
        case 't': how.show_unprintable = how.show_tabs = true; break;
        case 'A': how.show_unprintable = how.show_ends = how.show_tabs = true; break;
        }
    }
    if (how.nonblank)
        how.all = false;
    if (how.all || how.nonblank || how.show_ends || how.show_tabs || how.show_unprintable)
        return for_each_input(argc, argv, copy_decorated, &how);
    return copy_plain(argv + optind);
}
