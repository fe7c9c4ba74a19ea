/* head: the first lines or bytes of files. A negative count leaves out that many at the end. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

static struct {
    intmax_t count;
    bool bytes, quiet, verbose, several, printed;
} how = {.count = 10};

/* All but the last lines or bytes: needs the whole file. */
static void print_without_end(FILE *file, intmax_t left_out)
{
    Buffer text = {0};
    char block[4096];
    for (size_t length; (length = fread(block, 1, sizeof block, file)) > 0;)
        buffer_add(&text, block, length);
    size_t end = text.length;
    if (how.bytes) {
        end = (uintmax_t)left_out < end ? end - (size_t)left_out : 0;
    } else {
        for (; left_out > 0 && end > 0; left_out--) {
            end--;
            while (end > 0 && text.data[end - 1] != '\n')
                end--;
        }
    }
    if (end > 0)
        fwrite(text.data, 1, end, stdout);
    buffer_free(&text);
}

static int print_start(FILE *file, const char *name, void *context)
{
    (void)context;
    if (how.verbose || (how.several && !how.quiet))
        printf("%s==> %s <==\n", how.printed ? "\n" : "", file == stdin ? "standard input" : name);
    how.printed = true;
    if (how.count < 0) {
        print_without_end(file, -how.count);
        return 0;
    }
    intmax_t left = how.count;
    for (int c; left > 0 && (c = getc(file)) != EOF;) {
        putchar(c);
        if (how.bytes || c == '\n')
            left--;
    }
    return 0;
}

int head_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "n:c:qv0123456789")) != -1;) {
        switch (option) {
        case 'n': case 'c':
            how.bytes = option == 'c';
            if (!parse_size(optarg, &how.count))
                die_text("%s: bad count", optarg);
            break;
        case 'q': how.quiet = true; break;
        case 'v': how.verbose = true; break;
        default: { /* the old form, head -5 */
            static intmax_t old;
            old = old * 10 + (option - '0');
            how.count = old;
            break;
        }
        }
    }
    how.several = argc - optind > 1;
    return for_each_input(argc, argv, print_start, NULL);
}
