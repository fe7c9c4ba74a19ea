/* hexdump: shows bytes; -C beside their characters. Equal rows are shown as "*". */

#include "vbox.h"
#include <ctype.h>
#include <string.h>
#include <unistd.h>

#define ROW 16

static bool canonical, show_all;
static intmax_t skip, limit = -1;

static void print_canonical(const unsigned char *row, size_t length)
{
    for (size_t i = 0; i < ROW; i++) {
        if (i % 8 == 0)
            putchar(' ');
        if (i < length)
            printf(" %02x", row[i]);
        else
            fputs("   ", stdout);
    }
    fputs("  |", stdout);
    for (size_t i = 0; i < length; i++)
        putchar(row[i] < 128 && isprint(row[i]) ? row[i] : '.');
    puts("|");
}

static void print_words(const unsigned char *row, size_t length)
{
    for (size_t i = 0; i < ROW; i += 2) {
        if (i < length)
            printf(" %04x", row[i] | (i + 1 < length ? row[i + 1] << 8 : 0));
        else
            fputs("     ", stdout);
    }
    putchar('\n');
}

int hexdump_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "Cvn:s:x")) != -1;) {
        switch (option) {
        case 'C': canonical = true; break;
        case 'v': show_all = true; break;
        case 'n': case 's':
            if (!parse_size(optarg, option == 'n' ? &limit : &skip))
                die_text("%s: bad number", optarg);
            break;
        }
    }
    Buffer all = {0};
    int status = 0;
    static char *standard_input[] = {"-", NULL};
    for (char **name = optind < argc ? argv + optind : standard_input; *name != NULL; name++) {
        FILE *file = open_input(*name);
        if (file == NULL) {
            status = 1;
            continue;
        }
        for (int c; (limit < 0 || (intmax_t)all.length < skip + limit) && (c = getc(file)) != EOF;)
            buffer_add_char(&all, (char)c);
        if (!close_input(file, *name))
            status = 1;
    }
    size_t offset = (uintmax_t)skip < all.length ? (size_t)skip : all.length;
    const unsigned char *bytes = (const unsigned char *)all.data;
    bool starred = false;
    int digits = canonical ? 8 : 7;
    for (size_t start = offset; offset < all.length; offset += ROW) {
        size_t length = all.length - offset < ROW ? all.length - offset : ROW;
        bool repeats = offset > start && length == ROW && memcmp(bytes + offset, bytes + offset - ROW, ROW) == 0;
        if (repeats && !show_all) {
            if (!starred)
                puts("*");
            starred = true;
            continue;
        }
        starred = false;
        printf("%0*zx", digits, offset);
        if (canonical)
            print_canonical(bytes + offset, length);
        else
            print_words(bytes + offset, length);
    }
    if (all.length > 0)
        printf("%0*zx\n", digits, all.length);
    return status;
}
