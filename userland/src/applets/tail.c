/* tail: the last lines or bytes of files; with -f it waits for more. A count with "+" starts there instead. */

#include "vbox.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    intmax_t count;
    bool from_start, bytes, follow, quiet, verbose, several, printed;
} how = {.count = 10};

static void print_from(FILE *file)
{
    intmax_t left = how.count - 1;
    int c;
    while (left > 0 && (c = getc(file)) != EOF)
        if (how.bytes || c == '\n')
            left--;
    while ((c = getc(file)) != EOF)
        putchar(c);
}

static void print_end(FILE *file)
{
    Buffer text = {0};
    char block[4096];
    for (size_t length; (length = fread(block, 1, sizeof block, file)) > 0;)
        buffer_add(&text, block, length);
    size_t start = text.length;
    if (how.bytes) {
        start = (uintmax_t)how.count < start ? start - (size_t)how.count : 0;
    } else {
        for (intmax_t left = how.count; left > 0 && start > 0; left--) {
            start--; /* past the newline that ends the line before */
            while (start > 0 && text.data[start - 1] != '\n')
                start--;
        }
    }
    if (text.length > start)
        fwrite(text.data + start, 1, text.length - start, stdout);
    buffer_free(&text);
}

/* Shows what is added to a file, for ever; starts again when the file was cut. */
static void follow(FILE *file)
{
    const struct timespec pause = {.tv_nsec = 500000000};
    for (;;) {
        int c;
        while ((c = getc(file)) != EOF)
            putchar(c);
        if (!flush_output())
            exit(1);
        clearerr(file);
        struct stat info;
        if (fstat(fileno(file), &info) == 0 && S_ISREG(info.st_mode) && info.st_size < ftello(file))
            rewind(file);
        nanosleep(&pause, NULL);
    }
}

static int print_tail(FILE *file, const char *name, void *context)
{
    (void)context;
    if (how.verbose || (how.several && !how.quiet))
        printf("%s==> %s <==\n", how.printed ? "\n" : "", file == stdin ? "standard input" : name);
    how.printed = true;
    if (how.from_start)
        print_from(file);
    else
        print_end(file);
    if (how.follow && !how.several)
        follow(file);
    return 0;
}

static void read_count(const char *text, bool bytes)
{
    how.bytes = bytes;
    how.from_start = *text == '+';
    if (!parse_size(text + (*text == '+' || *text == '-'), &how.count))
        die_text("%s: bad count", text);
}

int tail_main(int argc, char **argv)
{
    if (argc > 1 && (argv[1][0] == '-' || argv[1][0] == '+') && argv[1][1] >= '0' && argv[1][1] <= '9') {
        read_count(argv[1], false); /* the old form, tail -5 */
        argv++;
        argc--;
    }
    for (int option; (option = next_option(argc, argv, "n:c:fqvF")) != -1;) {
        switch (option) {
        case 'n': case 'c': read_count(optarg, option == 'c'); break;
        case 'f': case 'F': how.follow = true; break;
        case 'q': how.quiet = true; break;
        case 'v': how.verbose = true; break;
        }
    }
    how.several = argc - optind > 1;
    return for_each_input(argc, argv, print_tail, NULL);
}
