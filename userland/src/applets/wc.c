/* wc: counts lines, words, bytes and characters. */

#include "vbox.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Counts {
    uintmax_t lines, words, characters, bytes, longest;
} Counts;

static bool show_lines, show_words, show_characters, show_bytes, show_longest;

static Counts count_stream(FILE *file)
{
    Counts counts = {0};
    bool in_word = false;
    uintmax_t column = 0;
    for (int c; (c = getc(file)) != EOF;) {
        counts.bytes++;
        counts.characters += (c & 0xc0) != 0x80;
        column = c == '\n' ? 0 : c == '\t' ? (column | 7) + 1 : column + ((c & 0xc0) != 0x80);
        if (column > counts.longest)
            counts.longest = column;
        counts.lines += c == '\n';
        bool space = isspace(c) != 0;
        counts.words += !space && !in_word;
        in_word = !space;
    }
    return counts;
}

static void print_counts(const Counts *counts, int width, const char *name)
{
    const struct {
        bool shown;
        uintmax_t value;
    } columns[] = {
        {show_lines, counts->lines}, {show_words, counts->words}, {show_characters, counts->characters},
        {show_bytes, counts->bytes}, {show_longest, counts->longest},
    };
    const char *separator = "";
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        if (!columns[i].shown)
            continue;
        printf("%s%*ju", separator, width, columns[i].value);
        separator = " ";
    }
    printf(name != NULL ? " %s\n" : "\n", name);
}

/* As coreutils: as wide as the total of the sizes, at least 7 when a size is unknown, and 1 for a single number. */
static int choose_width(char **names, int count)
{
    int shown = show_lines + show_words + show_characters + show_bytes + show_longest;
    if (shown == 1 && count <= 1)
        return 1;
    uintmax_t total = 0;
    int least = 1;
    for (int i = 0; i < (count > 0 ? count : 1); i++) {
        struct stat info;
        bool is_stdin = count == 0 || strcmp(names[i], "-") == 0;
        if ((is_stdin ? fstat(0, &info) : stat(names[i], &info)) != 0)
            continue;
        if (S_ISREG(info.st_mode))
            total += (uintmax_t)info.st_size;
        else
            least = 7;
    }
    char digits[24];
    int width = sprintf(digits, "%ju", total);
    return width > least ? width : least;
}

int wc_main(int argc, char **argv)
{
    static char *standard_input[] = {"-", NULL};
    for (int option; (option = next_option(argc, argv, "lwcmL")) != -1;) {
        switch (option) {
        case 'l': show_lines = true; break;
        case 'w': show_words = true; break;
        case 'c': show_bytes = true; break;
        case 'm': show_characters = true; break;
        case 'L': show_longest = true; break;
        }
    }
    if (!show_lines && !show_words && !show_bytes && !show_characters && !show_longest)
        show_lines = show_words = show_bytes = true;
    int width = choose_width(argv + optind, argc - optind), status = 0;
    Counts total = {0};
    char **names = optind < argc ? argv + optind : standard_input;
    for (char **name = names; *name != NULL; name++) {
        FILE *file = open_input(*name);
        if (file == NULL) {
            status = 1;
            continue;
        }
        Counts counts = count_stream(file);
        if (!close_input(file, *name))
            status = 1;
        print_counts(&counts, width, names == standard_input ? NULL : *name);
        total.lines += counts.lines;
        total.words += counts.words;
        total.characters += counts.characters;
        total.bytes += counts.bytes;
        if (counts.longest > total.longest)
            total.longest = counts.longest;
    }
    if (argc - optind > 1)
        print_counts(&total, width, "total");
    return status;
}
