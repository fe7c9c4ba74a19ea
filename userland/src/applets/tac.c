/* tac, rev: lines in reverse order; characters of each line in reverse order. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

static int print_backward(FILE *file, const char *name, void *context)
{
    (void)name, (void)context;
    Buffer text = {0};
    char block[4096];
    for (size_t length; (length = fread(block, 1, sizeof block, file)) > 0;)
        buffer_add(&text, block, length);
    for (size_t end = text.length; end > 0;) {
        size_t start = end - 1; /* the newline that ends this line is not the one that starts it */
        while (start > 0 && text.data[start - 1] != '\n')
            start--;
        fwrite(text.data + start, 1, end - start, stdout);
        end = start;
    }
    buffer_free(&text);
    return 0;
}

int tac_main(int argc, char **argv)
{
    while (next_option(argc, argv, "") != -1)
        continue;
    return for_each_input(argc, argv, print_backward, NULL);
}

static int print_reversed(FILE *file, const char *name, void *context)
{
    (void)name, (void)context;
    char *line = NULL;
    size_t capacity = 0;
    bool newline;
    for (ssize_t length; (length = read_line(&line, &capacity, file, &newline)) >= 0;) {
        for (ssize_t end = length; end > 0;) {
            ssize_t start = end - 1;
            while (start > 0 && ((unsigned char)line[start] & 0xc0) == 0x80) /* the bytes of one character stay in order */
                start--;
            fwrite(line + start, 1, (size_t)(end - start), stdout);
            end = start;
        }
        if (newline)
            putchar('\n');
    }
    free(line);
    return 0;
}

int rev_main(int argc, char **argv)
{
    while (next_option(argc, argv, "") != -1)
        continue;
    return for_each_input(argc, argv, print_reversed, NULL);
}
