/*
 * diff: how two files differ, as a unified diff.
 *
 * The longest common subsequence by Myers's greedy algorithm ("An O(ND) Difference Algorithm", 1986): on diagonal
 * k = x - y, reach[k] is the furthest x that d edits lead to. The reaches of each d are kept, to walk back.
 */

#include "vbox.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_DEFAULT 3

typedef struct Text {
    const char *name;
    char **lines;
    long count;
    size_t capacity;
    bool no_final_newline;
} Text;

static bool ignore_space, ignore_all_space, ignore_case, brief, recursive, new_as_empty, report_same;
static long context = CONTEXT_DEFAULT;

static int next_compared(const char **text)
{
    unsigned char c = (unsigned char)**text;
    if (c == '\0')
        return 0;
    if ((ignore_space || ignore_all_space) && isspace(c)) {
        while (isspace((unsigned char)**text))
            (*text)++;
        if (ignore_all_space || **text == '\0')
            return next_compared(text);
        return ' ';
    }
    (*text)++;
    return ignore_case ? tolower(c) : c;
}

static bool is_same_line(const char *a, const char *b)
{
    if (!ignore_space && !ignore_all_space && !ignore_case)
        return strcmp(a, b) == 0;
    for (;;) {
        int x = next_compared(&a), y = next_compared(&b);
        if (x != y)
            return false;
        if (x == 0)
            return true;
    }
}

static bool is_same_at(const Text *a, const Text *b, long x, long y)
{
    bool last_a = x + 1 == a->count && a->no_final_newline, last_b = y + 1 == b->count && b->no_final_newline;
    return last_a == last_b && is_same_line(a->lines[x], b->lines[y]);
}

/* Marks the lines that are not common. */
static void compare(const Text *a, const Text *b, bool *removed, bool *added)
{
    long most = a->count + b->count;
    long *reach = allocate((size_t)(2 * most + 3) * sizeof *reach);
    long **history = NULL;
    size_t capacity = 0;
    long *at = reach + most + 1; /* at[k] for -most-1 <= k <= most+1 */
    at[1] = 0;
    long d = 0;
    for (bool found = false; !found; d++) {
        history = grow_array(history, (size_t)d, &capacity, sizeof *history);
        history[d] = allocate((size_t)(2 * d + 3) * sizeof **history);
        memcpy(history[d], at - d - 1, (size_t)(2 * d + 3) * sizeof **history);
        for (long k = -d; k <= d && !found; k += 2) {
            long x = k == -d || (k != d && at[k - 1] < at[k + 1]) ? at[k + 1] : at[k - 1] + 1;
            while (x < a->count && x - k < b->count && is_same_at(a, b, x, x - k))
                x++;
            at[k] = x;
            found = x >= a->count && x - k >= b->count;
        }
    }
    long x = a->count, y = b->count;
    for (d--; d >= 0; d--) {
        const long *before = history[d] + d + 1;
        long k = x - y;
        bool down = k == -d || (k != d && before[k - 1] < before[k + 1]);
        long from = down ? k + 1 : k - 1;
        long start = d > 0 ? before[from] : 0;
        if (d > 0 && down)
            added[start - from] = true;
        else if (d > 0)
            removed[start] = true;
        x = start;
        y = start - from;
        free(history[d]);
    }
    free(history);
    free(reach);
}

static void print_range(char sign, long start, long count)
{
    printf(count == 1 ? "%c%ld" : "%c%ld,%ld", sign, count == 0 ? start : start + 1, count);
}

static void print_line(char sign, const Text *text, long index)
{
    printf("%c%s\n", sign, text->lines[index]);
    if (index + 1 == text->count && text->no_final_newline)
        puts("\\ No newline at end of file");
}

/* From a difference at (x, y): the end of the hunk, which takes in differences up to twice the context apart. */
static void find_hunk_end(const Text *a, const Text *b, const bool *removed, const bool *added, long *x, long *y)
{
    long end_x = *x, end_y = *y;
    for (long same = 0; (*x < a->count || *y < b->count) && same <= 2 * context;) {
        if (*x < a->count && removed[*x]) {
            (*x)++;
            same = 0;
        } else if (*y < b->count && added[*y]) {
            (*y)++;
            same = 0;
        } else {
            (*x)++;
            (*y)++;
            same++;
        }
        if (same == 0) {
            end_x = *x;
            end_y = *y;
        }
    }
    long after = a->count - end_x < context ? a->count - end_x : context;
    *x = end_x + after;
    *y = end_y + after;
}

static void print_hunks(const Text *a, const Text *b, const bool *removed, const bool *added)
{
    printf("--- %s\n+++ %s\n", a->name, b->name);
    for (long x = 0, y = 0; x < a->count || y < b->count;) {
        bool differs = (x < a->count && removed[x]) || (y < b->count && added[y]);
        if (!differs) {
            x++;
            y++;
            continue;
        }
        long lead = x < context ? x : context;
        if (lead > y)
            lead = y;
        long start_x = x - lead, start_y = y - lead;
        find_hunk_end(a, b, removed, added, &x, &y);
        fputs("@@ ", stdout);
        print_range('-', start_x, x - start_x);
        putchar(' ');
        print_range('+', start_y, y - start_y);
        puts(" @@");
        while (start_x < x || start_y < y) {
            if (start_x < x && removed[start_x])
                print_line('-', a, start_x++);
            else if (start_y < y && added[start_y])
                print_line('+', b, start_y++);
            else {
                print_line(' ', a, start_x++);
                start_y++;
            }
        }
    }
}

static bool read_text(const char *name, Text *text)
{
    *text = (Text){.name = name};
    FILE *file = open_input(name);
    if (file == NULL)
        return false;
    char *line = NULL;
    size_t capacity = 0;
    bool newline = true;
    while (read_line(&line, &capacity, file, &newline) >= 0) {
        text->lines = grow_array(text->lines, (size_t)text->count, &text->capacity, sizeof *text->lines);
        text->lines[text->count++] = copy_string(line);
    }
    text->no_final_newline = text->count > 0 && !newline;
    free(line);
    return close_input(file, name);
}

static void free_text(Text *text)
{
    for (long i = 0; i < text->count; i++)
        free(text->lines[i]);
    free(text->lines);
}

static int compare_files(const char *a_name, const char *b_name)
{
    Text a, b;
    if (!read_text(a_name, &a) || !read_text(b_name, &b))
        return 2;
    bool *removed = allocate((size_t)a.count + 1), *added = allocate((size_t)b.count + 1);
    memset(removed, 0, (size_t)a.count + 1);
    memset(added, 0, (size_t)b.count + 1);
    compare(&a, &b, removed, added);
    bool differ = memchr(removed, true, (size_t)a.count) != NULL || memchr(added, true, (size_t)b.count) != NULL;
    if (differ && brief)
        printf("Files %s and %s differ\n", a_name, b_name);
    else if (differ)
        print_hunks(&a, &b, removed, added);
    else if (report_same)
        printf("Files %s and %s are identical\n", a_name, b_name);
    free(removed);
    free(added);
    free_text(&a);
    free_text(&b);
    return differ;
}

static int compare_paths(const char *a, const char *b);

static int compare_folders(const char *a, const char *b)
{
    char **left = list_folder(a), **right = list_folder(b);
    if (left == NULL || right == NULL) {
        warn_errno(left == NULL ? a : b);
        return 2;
    }
    int worst = 0;
    for (char **x = left, **y = right; *x != NULL || *y != NULL;) {
        int order = *x == NULL ? 1 : *y == NULL ? -1 : strcmp(*x, *y);
        int status = 1;
        if (order == 0) {
            char *one = join_path(a, *x), *other = join_path(b, *y);
            if (is_folder(one) && is_folder(other) && !recursive) {
                printf("Common subdirectories: %s and %s\n", one, other);
                status = 0;
            } else {
                status = compare_paths(one, other);
            }
            free(one);
            free(other);
        } else {
            char *only = join_path(order < 0 ? a : b, order < 0 ? *x : *y);
            if (new_as_empty && !is_folder(only))
                status = order < 0 ? compare_files(only, "/dev/null") : compare_files("/dev/null", only);
            else
                printf("Only in %s: %s\n", order < 0 ? a : b, order < 0 ? *x : *y);
            free(only);
        }
        x += order <= 0;
        y += order >= 0;
        if (status > worst)
            worst = status;
    }
    free_list(left);
    free_list(right);
    return worst;
}

static int compare_paths(const char *a, const char *b)
{
    bool a_folder = is_folder(a), b_folder = is_folder(b);
    if (a_folder && b_folder)
        return compare_folders(a, b);
    if (a_folder || b_folder) { /* a file against the file of that name in the folder */
        char *name = base_name(a_folder ? b : a);
        char *path = join_path(a_folder ? a : b, name);
        int status = a_folder ? compare_files(path, b) : compare_files(a, path);
        free(name);
        free(path);
        return status;
    }
    return compare_files(a, b);
}

int diff_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "uU:bwiqrNs")) != -1;) {
        intmax_t value;
        switch (option) {
        case 'U':
            if (!parse_integer(optarg, &value) || value < 0 || value > INT32_MAX)
                die_text("%s: bad count", optarg);
            context = (long)value;
            break;
        case 'b': ignore_space = true; break;
        case 'w': ignore_all_space = true; break;
        case 'i': ignore_case = true; break;
        case 'q': brief = true; break;
        case 'r': recursive = true; break;
        case 'N': new_as_empty = true; break;
        case 's': report_same = true; break;
        }
    }
    if (argc - optind != 2)
        fail_usage();
    return compare_paths(argv[optind], argv[optind + 1]);
}
