/* grep: prints lines that match. The expressions are the C library's (XBD chapter 9); -F looks for fixed text. */

#include "vbox.h"
#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct Pattern {
    regex_t expression;
    char *text; /* for -F */
} Pattern;

static struct {
    bool fixed, ignore_case, invert, count, names_only, names_without, quiet, number, only_match, word, whole_line,
        no_messages, recursive, extended;
    enum { NAMES_AUTO, NAMES_ALWAYS, NAMES_NEVER } names;
    long before, after, most;
} how = {.most = -1};

static Pattern *patterns;
static size_t pattern_count, pattern_capacity;
static bool any_match, any_error;
static bool show_color;

static void add_pattern(const char *text)
{
    patterns = grow_array(patterns, pattern_count, &pattern_capacity, sizeof *patterns);
    patterns[pattern_count++] = (Pattern){.text = copy_string(text)};
}

/* Each line of the text is a pattern of its own. */
static void add_patterns(const char *text)
{
    for (;;) {
        size_t length = strcspn(text, "\n");
        char *line = copy_bytes(text, length);
        add_pattern(line);
        free(line);
        if (text[length] == '\0')
            return;
        text += length + 1;
    }
}

static void add_pattern_file(const char *path)
{
    FILE *file = open_input(path);
    if (file == NULL)
        exit(2);
    char *line = NULL;
    size_t capacity = 0;
    while (read_line(&line, &capacity, file, NULL) >= 0)
        add_pattern(line);
    free(line);
    close_input(file, path);
}

static void compile_patterns(void)
{
    int flags = (how.extended ? REG_EXTENDED : 0) | (how.ignore_case ? REG_ICASE : 0);
    for (size_t i = 0; !how.fixed && i < pattern_count; i++) {
        int code = regcomp(&patterns[i].expression, patterns[i].text, flags);
        if (code != 0) {
            char message[128];
            regerror(code, &patterns[i].expression, message, sizeof message);
            warn_text("%s: %s", patterns[i].text, message);
            exit(2);
        }
    }
}

static const char *find_text(const char *line, const char *text)
{
    return how.ignore_case ? strcasestr(line, text) : strstr(line, text);
}

/* The first match at or after `from`; false when there is none. */
static bool find_once(const Pattern *pattern, const char *line, size_t from, size_t *start, size_t *end)
{
    if (how.fixed) {
        const char *found = find_text(line + from, pattern->text);
        if (found == NULL)
            return false;
        *start = (size_t)(found - line);
        *end = *start + strlen(pattern->text);
        return true;
    }
    regmatch_t match;
    if (regexec(&pattern->expression, line + from, 1, &match, from > 0 ? REG_NOTBOL : 0) != 0)
        return false;
    *start = from + (size_t)match.rm_so;
    *end = from + (size_t)match.rm_eo;
    return true;
}

static bool is_word_char(char c)
{
    return c == '_' || isalnum((unsigned char)c);
}

static bool is_wanted(const char *line, size_t start, size_t end)
{
    if (how.whole_line)
        return start == 0 && line[end] == '\0';
    if (how.word)
        return (start == 0 || !is_word_char(line[start - 1])) && !is_word_char(line[end]);
    return true;
}

/* The leftmost match of any pattern, the longest of those. */
static bool find_match(const char *line, size_t from, size_t *start, size_t *end)
{
    bool found = false;
    for (size_t i = 0; i < pattern_count; i++) {
        size_t first, last;
        for (size_t at = from; find_once(&patterns[i], line, at, &first, &last);) {
            if (is_wanted(line, first, last)) {
                if (!found || first < *start || (first == *start && last > *end)) {
                    *start = first;
                    *end = last;
                }
                found = true;
                break;
            }
            if (how.whole_line || line[first] == '\0')
                break;
            at = first + 1;
        }
    }
    return found;
}

/* -x with alternatives: a shorter alternative must not hide a longer one, so the pattern is anchored. */
static char *anchor(const char *text)
{
    return how.extended ? format_string("^(%s)$", text) : format_string("^\\(%s\\)$", text);
}

static void print_prefix(const char *name, long number, char separator)
{
    if (name != NULL)
        printf(show_color ? "\33[35m%s\33[m%c" : "%s%c", name, separator);
    if (how.number)
        printf("%ld%c", number, separator);
}

static void print_colored(const char *line)
{
    size_t from = 0, start, end;
    while (line[from] != '\0' && find_match(line, from, &start, &end)) {
        if (end == start) {
            putchar(line[from++]);
            continue;
        }
        printf("%.*s\33[1;31m%.*s\33[m", (int)(start - from), line + from, (int)(end - start), line + start);
        from = end;
    }
    puts(line + from);
}

static void print_line(const char *name, long number, const char *line, char separator)
{
    if (how.only_match) {
        size_t from = 0, start, end;
        while (find_match(line, from, &start, &end)) {
            if (end > start) {
                print_prefix(name, number, ':');
                printf("%.*s\n", (int)(end - start), line + start);
            }
            from = end > start ? end : end + 1;
            if (from > strlen(line) || line[from] == '\0')
                break;
        }
        return;
    }
    print_prefix(name, number, separator);
    if (show_color && separator == ':' && !how.invert)
        print_colored(line);
    else
        puts(line);
}

/* Lines kept for -B, as a ring. */
typedef struct Context {
    char **lines;
    long kept;
} Context;

static int search_stream(FILE *file, const char *path, bool named)
{
    const char *shown = file == stdin ? "(standard input)" : path;
    const char *name = named ? shown : NULL;
    Context context = {0};
    if (how.before > 0) {
        context.lines = allocate((size_t)how.before * sizeof(char *));
        memset(context.lines, 0, (size_t)how.before * sizeof(char *));
    }
    long matches = 0, number = 0, after_left = 0, last_printed = 0;
    char *line = NULL;
    size_t capacity = 0;
    while ((how.most < 0 || matches < how.most || after_left > 0) && read_line(&line, &capacity, file, NULL) >= 0) {
        number++;
        size_t start, end;
        bool counts = (how.most < 0 || matches < how.most) && find_match(line, 0, &start, &end) != how.invert;
        if (counts) {
            matches++;
            any_match = true;
            if (how.quiet || how.names_only || how.names_without)
                break;
            if (!how.count) {
                long first = number - context.kept;
                if ((how.before > 0 || how.after > 0) && last_printed > 0 && first > last_printed + 1)
                    puts("--");
                for (long i = context.kept; i > 0; i--)
                    print_line(name, number - i, context.lines[(number - i) % how.before], '-');
                context.kept = 0;
                print_line(name, number, line, ':');
                last_printed = number;
                after_left = how.after;
            }
        } else if (after_left > 0 && !how.count) {
            after_left--;
            print_line(name, number, line, '-');
            last_printed = number;
        } else if (how.before > 0) {
            free(context.lines[number % how.before]);
            context.lines[number % how.before] = copy_string(line);
            context.kept += context.kept < how.before;
        }
    }
    free(line);
    for (long i = 0; i < how.before; i++)
        free(context.lines[i]);
    free(context.lines);
    if (how.quiet)
        return 0;
    if (how.names_only && matches > 0)
        puts(shown);
    if (how.names_without && matches == 0)
        puts(shown);
    if (how.count && !how.names_only && !how.names_without) {
        if (name != NULL)
            printf("%s:", name);
        printf("%ld\n", matches);
    }
    return 0;
}

static void search_file(const char *path, bool named)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        if (!how.no_messages)
            warn_errno(path);
        any_error = true;
        return;
    }
    search_stream(file, path, named);
    if (file != stdin)
        fclose(file);
}

static Visit search_visited(const char *path, const struct stat *info, int depth, void *context)
{
    (void)context;
    /* Below an operand, devices and pipes are left alone: they might never end. */
    if (S_ISREG(info->st_mode) || (depth == 0 && !S_ISDIR(info->st_mode)))
        search_file(path, how.names != NAMES_NEVER);
    return VISIT_CONTINUE;
}

static void search_operand(const char *path, bool named)
{
    if (how.recursive && strcmp(path, "-") != 0) {
        Walk walk = {.visit = search_visited};
        if (!walk_tree(path, &walk))
            any_error = true;
        return;
    }
    if (is_folder(path)) {
        if (!how.no_messages)
            warn_text("%s: Is a directory", path);
        return;
    }
    search_file(path, named);
}

static long read_count(const char *text)
{
    intmax_t value;
    if (!parse_integer(text, &value) || value < 0 || value > INT32_MAX)
        die_text("%s: bad count", text);
    return (long)value;
}

static void read_options(int argc, char **argv, bool *have_patterns)
{
    for (int option; (option = next_option(argc, argv, "ivnclrREFGqowxshHLe:f:m:A:B:C:a")) != -1;) {
        switch (option) {
        case 'i': how.ignore_case = true; break;
        case 'v': how.invert = true; break;
        case 'n': how.number = true; break;
        case 'c': how.count = true; break;
        case 'l': how.names_only = true; break;
        case 'L': how.names_without = true; break;
        case 'r': case 'R': how.recursive = true; break;
        case 'E': how.extended = true; how.fixed = false; break;
        case 'F': how.fixed = true; break;
        case 'G': how.extended = how.fixed = false; break;
        case 'q': how.quiet = true; break;
        case 'o': how.only_match = true; break;
        case 'w': how.word = true; break;
        case 'x': how.whole_line = true; break;
        case 's': how.no_messages = true; break;
        case 'h': how.names = NAMES_NEVER; break;
        case 'H': how.names = NAMES_ALWAYS; break;
        case 'e': add_patterns(optarg); *have_patterns = true; break;
        case 'f': add_pattern_file(optarg); *have_patterns = true; break;
        case 'm': how.most = read_count(optarg); break;
        case 'A': how.after = read_count(optarg); break;
        case 'B': how.before = read_count(optarg); break;
        case 'C': how.after = how.before = read_count(optarg); break;
        }
    }
}

int grep_main(int argc, char **argv)
{
    static char *standard_input[] = {"-", NULL}, *here[] = {".", NULL};
    bool have_patterns = false;
    how.extended = strcmp(argv[0], "egrep") == 0;
    how.fixed = strcmp(argv[0], "fgrep") == 0;
    read_options(argc, argv, &have_patterns);
    if (!have_patterns) {
        if (optind >= argc)
            fail_usage();
        add_patterns(argv[optind++]);
    }
    for (size_t i = 0; how.whole_line && !how.fixed && i < pattern_count; i++)
        patterns[i].text = anchor(patterns[i].text);
    compile_patterns();
    const char *no_color = getenv("NO_COLOR");
    show_color = isatty(1) && (no_color == NULL || *no_color == '\0');

    char **operands = optind < argc ? argv + optind : how.recursive ? here : standard_input;
    bool named = how.names == NAMES_ALWAYS || (how.names == NAMES_AUTO && argc - optind > 1);
    for (; *operands != NULL && !(how.quiet && any_match); operands++)
        search_operand(*operands, named);
    if (any_error && !(how.quiet && any_match))
        return 2;
    return any_match ? 0 : 1;
}
