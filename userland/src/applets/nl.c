/* nl: numbers lines. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

static struct {
    bool all;
    const char *separator;
    intmax_t width, line, step;
} how = {.separator = "\t", .width = 6, .line = 1, .step = 1};

static int number_lines(FILE *file, const char *name, void *context)
{
    (void)name, (void)context;
    char *line = NULL;
    size_t capacity = 0;
    while (read_line(&line, &capacity, file, NULL) >= 0) {
        if (how.all || *line != '\0') {
            printf("%*jd%s%s\n", (int)how.width, how.line, how.separator, line);
            how.line += how.step;
        } else {
            printf("%*s\n", (int)how.width + (int)strlen(how.separator), "");
        }
    }
    free(line);
    return 0;
}

int nl_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "b:w:s:v:i:")) != -1;) {
        bool fine = true;
        switch (option) {
        case 'b': how.all = *optarg == 'a'; break;
        case 'w': fine = parse_integer(optarg, &how.width) && how.width > 0 && how.width < 100; break;
        case 's': how.separator = optarg; break;
        case 'v': fine = parse_integer(optarg, &how.line); break;
        case 'i': fine = parse_integer(optarg, &how.step); break;
        }
        if (!fine)
            die_text("%s: bad number", optarg);
    }
    return for_each_input(argc, argv, number_lines, NULL);
}
