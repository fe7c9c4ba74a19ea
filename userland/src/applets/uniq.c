/* uniq: drops, counts or picks lines that repeat the one before. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool show_count, only_repeated, only_single, ignore_case;
static intmax_t skipped_fields, skipped_characters, compared = -1;

static const char *skip(const char *line)
{
    for (intmax_t i = 0; i < skipped_fields; i++) {
        line += strspn(line, " \t");
        line += strcspn(line, " \t");
    }
    for (intmax_t i = 0; i < skipped_characters && *line != '\0'; i++)
        line++;
    return line;
}

static bool is_same(const char *a, const char *b)
{
    a = skip(a);
    b = skip(b);
    size_t length = compared >= 0 ? (size_t)compared : SIZE_MAX;
    return (ignore_case ? strncasecmp(a, b, length) : strncmp(a, b, length)) == 0;
}

static void print_group(const char *line, uintmax_t count)
{
    if ((only_repeated && count < 2) || (only_single && count > 1))
        return;
    if (show_count)
        printf("%7ju ", count);
    puts(line);
}

static intmax_t read_count(const char *text)
{
    intmax_t value;
    if (!parse_integer(text, &value) || value < 0)
        die_text("%s: bad count", text);
    return value;
}

int uniq_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "cduif:s:w:")) != -1;) {
        switch (option) {
        case 'c': show_count = true; break;
        case 'd': only_repeated = true; break;
        case 'u': only_single = true; break;
        case 'i': ignore_case = true; break;
        case 'f': skipped_fields = read_count(optarg); break;
        case 's': skipped_characters = read_count(optarg); break;
        case 'w': compared = read_count(optarg); break;
        }
    }
    const char *name = optind < argc ? argv[optind] : "-";
    FILE *file = open_input(name);
    if (file == NULL)
        return 1;
    if (optind + 1 < argc && freopen(argv[optind + 1], "w", stdout) == NULL)
        die_errno(argv[optind + 1]);
    char *line = NULL, *group = NULL;
    size_t capacity = 0;
    uintmax_t count = 0;
    while (read_line(&line, &capacity, file, NULL) >= 0) {
        if (group != NULL && is_same(group, line)) {
            count++;
            continue;
        }
        if (group != NULL)
            print_group(group, count);
        free(group);
        group = copy_string(line);
        count = 1;
    }
    if (group != NULL)
        print_group(group, count);
    free(group);
    free(line);
    return close_input(file, name) ? 0 : 1;
}
