/* cut: picks bytes, characters or fields of each line. */

#include "vbox.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Range {
    size_t first, last; /* from 1, both included */
} Range;

static Range ranges[64];
static size_t range_count;
static char delimiter = '\t';
static const char *joined_by;
static bool by_fields, only_delimited, inverted;

static void read_list(char *text)
{
    for (char *item; (item = strsep(&text, ", ")) != NULL;) {
        char *end = item;
        Range range = {1, SIZE_MAX};
        bool any = false;
        if (isdigit((unsigned char)*end)) {
            range.first = range.last = strtoul(end, &end, 10);
            any = true;
        }
        if (*end == '-') {
            end++;
            range.last = SIZE_MAX;
            if (isdigit((unsigned char)*end)) {
                range.last = strtoul(end, &end, 10);
                any = true;
            }
        }
        if (!any || *end != '\0' || range.first == 0 || range.last < range.first)
            die_text("%s: bad range", item);
        if (range_count == COUNT_OF(ranges))
            die_text("too many ranges");
        ranges[range_count++] = range;
    }
}

static bool is_selected(size_t index)
{
    bool inside = false;
    for (size_t i = 0; i < range_count && !inside; i++)
        inside = ranges[i].first <= index && index <= ranges[i].last;
    return inside != inverted;
}

static void cut_fields(const char *line)
{
    if (strchr(line, delimiter) == NULL) {
        if (!only_delimited)
            puts(line);
        return;
    }
    bool any = false;
    for (size_t index = 1; line != NULL; index++) {
        const char *end = strchr(line, delimiter);
        size_t length = end != NULL ? (size_t)(end - line) : strlen(line);
        if (is_selected(index)) {
            if (any && joined_by != NULL)
                fputs(joined_by, stdout);
            else if (any)
                putchar(delimiter);
            fwrite(line, 1, length, stdout);
            any = true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    putchar('\n');
}

static int cut_stream(FILE *file, const char *name, void *context)
{
    (void)name, (void)context;
    char *line = NULL;
    size_t capacity = 0;
    for (ssize_t length; (length = read_line(&line, &capacity, file, NULL)) >= 0;) {
        if (by_fields) {
            cut_fields(line);
            continue;
        }
        for (size_t i = 0; i < (size_t)length; i++)
            if (is_selected(i + 1))
                putchar(line[i]);
        putchar('\n');
    }
    free(line);
    return 0;
}

int cut_main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"complement", no_argument, NULL, 'C'}, {"output-delimiter", required_argument, NULL, 'O'}, {0},
    };
    for (int option; (option = getopt_long(argc, argv, "f:d:c:b:sn", long_options, NULL)) != -1;) {
        switch (option) {
        case 'f': by_fields = true; read_list(optarg); break;
        case 'c': case 'b': read_list(optarg); break;
        case 'd': delimiter = *optarg; break;
        case 's': only_delimited = true; break;
        case 'n': break;
        case 'C': inverted = true; break;
        case 'O': joined_by = optarg; break;
        default: fail_usage();
        }
    }
    if (range_count == 0)
        fail_usage();
    return for_each_input(argc, argv, cut_stream, NULL);
}
