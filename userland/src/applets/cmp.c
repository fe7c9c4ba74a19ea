/* cmp: where two files differ first. */

#include "vbox.h"
#include <string.h>

/* -l aligns offsets by the digits of the shorter file's size. */
static int offset_width(FILE *const files[2])
{
    uintmax_t shorter = UINTMAX_MAX;
    for (int i = 0; i < 2; i++) {
        struct stat info;
        if (fstat(fileno(files[i]), &info) == 0 && S_ISREG(info.st_mode) && (uintmax_t)info.st_size < shorter)
            shorter = (uintmax_t)info.st_size;
    }
    return shorter == UINTMAX_MAX ? 1 : snprintf(NULL, 0, "%ju", shorter);
}

int cmp_main(int argc, char **argv)
{
    bool silent = false, list = false;
    for (int option; (option = next_option(argc, argv, "sl")) != -1;) {
        silent = silent || option == 's';
        list = list || option == 'l';
    }
    int count = argc - optind;
    if (count < 1 || count > 2)
        fail_usage();
    const char *names[2] = {argv[optind], count > 1 ? argv[optind + 1] : "-"};
    FILE *files[2];
    for (int i = 0; i < 2; i++) {
        files[i] = open_input(names[i]);
        if (files[i] == NULL)
            return 2;
    }
    uintmax_t offset = 0, line = 1;
    int status = 0, width = offset_width(files);
    for (;;) {
        int a = getc(files[0]), b = getc(files[1]);
        if (a == EOF && b == EOF)
            return status;
        offset++;
        if (a == EOF || b == EOF) {
            if (!silent)
                fprintf(stderr, "cmp: EOF on %s after byte %ju\n", names[a != EOF], offset - 1);
            return 1;
        }
        if (a != b) {
            status = 1;
            if (list)
                printf("%*ju %3o %3o\n", width, offset, a, b);
            else if (!silent)
                printf("%s %s differ: char %ju, line %ju\n", names[0], names[1], offset, line);
            if (!list)
                return 1;
        }
        line += a == '\n';
    }
}
