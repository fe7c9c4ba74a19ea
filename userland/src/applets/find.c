/*
 * find: walks trees and evaluates an expression on each file.
 *
 *   or ::= and ("-o" and)*    and ::= not (["-a"] not)*    not ::= "!"* primary
 */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

typedef struct File {
    const char *path;
    const struct stat *info;
    int depth;
    bool prune;
} File;

typedef struct Test Test;
typedef bool Evaluate(const Test *test, File *file);

/* The number of -size, -mtime and their like: +N more, -N less, N exactly. */
typedef enum Comparison { EXACTLY, MORE, LESS } Comparison;

struct Test {
    Evaluate *evaluate;
    const Test *left, *right;
    char *text;
    intmax_t number, unit;
    Comparison comparison;
    char **command;
    int command_length;
    struct stat reference;
};

static char **next, **end;
static int max_depth = INT_MAX, min_depth = 0;
static bool folders_last, one_device, has_action;
static dev_t first_device;
static int status;

static const Test *parse_or(void);

static Test *make_test(Evaluate *evaluate)
{
    Test *test = allocate(sizeof *test);
    *test = (Test){.evaluate = evaluate};
    return test;
}

/* ---- the primaries ---- */

static bool evaluate_and(const Test *test, File *file)
{
    return test->left->evaluate(test->left, file) && test->right->evaluate(test->right, file);
}

static bool evaluate_or(const Test *test, File *file)
{
    return test->left->evaluate(test->left, file) || test->right->evaluate(test->right, file);
}

static bool evaluate_not(const Test *test, File *file)
{
    return !test->left->evaluate(test->left, file);
}

static bool evaluate_true(const Test *test, File *file)
{
    (void)test, (void)file;
    return true;
}

static bool compare(const Test *test, intmax_t value)
{
    return test->comparison == MORE ? value > test->number
        : test->comparison == LESS ? value < test->number : value == test->number;
}

static bool evaluate_name(const Test *test, File *file)
{
    char *name = base_name(file->path);
    bool matches = fnmatch(test->text, name, test->unit ? FNM_CASEFOLD : 0) == 0;
    free(name);
    return matches;
}

static bool evaluate_path(const Test *test, File *file)
{
    return fnmatch(test->text, file->path, 0) == 0;
}

static bool evaluate_type(const Test *test, File *file)
{
    mode_t mode = file->info->st_mode;
    char letter = S_ISDIR(mode) ? 'd' : S_ISREG(mode) ? 'f' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c'
        : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : 's';
    return strchr(test->text, letter) != NULL;
}

static bool evaluate_size(const Test *test, File *file)
{
    return compare(test, (file->info->st_size + test->unit - 1) / test->unit);
}

static bool evaluate_time(const Test *test, File *file)
{
    return compare(test, (time(NULL) - file->info->st_mtime) / test->unit);
}

static bool evaluate_newer(const Test *test, File *file)
{
    struct timespec one = file->info->st_mtim, other = test->reference.st_mtim;
    return one.tv_sec > other.tv_sec || (one.tv_sec == other.tv_sec && one.tv_nsec > other.tv_nsec);
}

static bool evaluate_permissions(const Test *test, File *file)
{
    mode_t mode = file->info->st_mode & 07777, wanted = (mode_t)test->number;
    return test->comparison == LESS ? (mode & wanted) == wanted
        : test->comparison == MORE ? (mode & wanted) != 0 || wanted == 0 : mode == wanted;
}

static bool evaluate_links(const Test *test, File *file)
{
    return compare(test, (intmax_t)file->info->st_nlink);
}

static bool evaluate_inode(const Test *test, File *file)
{
    return compare(test, (intmax_t)file->info->st_ino);
}

static bool evaluate_user(const Test *test, File *file)
{
    return file->info->st_uid == (uid_t)test->number;
}

static bool evaluate_empty(const Test *test, File *file)
{
    (void)test;
    if (S_ISREG(file->info->st_mode))
        return file->info->st_size == 0;
    char **names = S_ISDIR(file->info->st_mode) ? list_folder(file->path) : NULL;
    bool empty = names != NULL && names[0] == NULL;
    if (names != NULL)
        free_list(names);
    return empty;
}

static bool evaluate_print(const Test *test, File *file)
{
    printf("%s%c", file->path, (char)test->number);
    return true;
}

static bool evaluate_prune(const Test *test, File *file)
{
    (void)test;
    file->prune = true;
    return true;
}

static bool evaluate_quit(const Test *test, File *file)
{
    (void)test, (void)file;
    flush_output();
    exit(status);
}

static bool evaluate_delete(const Test *test, File *file)
{
    (void)test;
    int failed = S_ISDIR(file->info->st_mode) ? rmdir(file->path) : unlink(file->path);
    if (failed != 0) {
        warn_errno(file->path);
        status = 1;
    }
    return failed == 0;
}

/* Every "{}" in an argument becomes the path. */
static char *substitute(const char *argument, const char *path)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (const char *found; (found = strstr(argument, "{}")) != NULL; argument = found + 2) {
        buffer_add(&text, argument, (size_t)(found - argument));
        buffer_add_text(&text, path);
    }
    buffer_add_text(&text, argument);
    return buffer_take(&text);
}

static bool evaluate_exec(const Test *test, File *file)
{
    char **argv = allocate(((size_t)test->command_length + 1) * sizeof *argv);
    for (int i = 0; i < test->command_length; i++)
        argv[i] = substitute(test->command[i], file->path);
    argv[test->command_length] = NULL;
    bool agreed = true;
    if (test->number != 0) { /* -ok */
        fprintf(stderr, "< %s ... %s > ? ", argv[0], file->path);
        int answer = getchar();
        for (int c = answer; c != '\n' && c != EOF;)
            c = getchar();
        agreed = answer == 'y' || answer == 'Y';
    }
    bool succeeded = agreed && run_program(argv) == 0;
    free_list(argv);
    return succeeded;
}

/* -exec ... {} +: paths are gathered, and run in batches. */
typedef struct Batch {
    const Test *test;
    char **argv;
    size_t count, capacity, bytes;
} Batch;

static Batch batches[8];
static size_t batch_count;

static void run_batch(Batch *batch)
{
    size_t fixed = (size_t)batch->test->command_length;
    if (batch->count <= fixed)
        return;
    batch->argv = grow_array(batch->argv, batch->count, &batch->capacity, sizeof *batch->argv);
    batch->argv[batch->count] = NULL;
    if (run_program(batch->argv) != 0)
        status = 1;
    while (batch->count > fixed)
        free(batch->argv[--batch->count]);
    batch->bytes = 0;
}

static bool evaluate_batch(const Test *test, File *file)
{
    Batch *batch = &batches[test->number];
    batch->argv = grow_array(batch->argv, batch->count, &batch->capacity, sizeof *batch->argv);
    batch->argv[batch->count++] = copy_string(file->path);
    batch->bytes += strlen(file->path) + 1;
    if (batch->bytes > 32768)
        run_batch(batch);
    return true;
}

static void start_batch(Test *test)
{
    if (batch_count == COUNT_OF(batches))
        die_text("too many -exec ... +");
    Batch *batch = &batches[batch_count];
    test->number = (intmax_t)batch_count++;
    test->evaluate = evaluate_batch;
    batch->test = test;
    for (int i = 0; i < test->command_length; i++) {
        batch->argv = grow_array(batch->argv, batch->count, &batch->capacity, sizeof *batch->argv);
        batch->argv[batch->count++] = test->command[i];
    }
}

/* ---- parsing ---- */

static char *take_operand(const char *name)
{
    if (next >= end)
        die_text("%s: argument expected", name);
    return *next++;
}

static Test *take_number(Evaluate *evaluate, const char *name, intmax_t unit)
{
    const char *text = take_operand(name);
    Test *test = make_test(evaluate);
    test->unit = unit;
    test->comparison = *text == '+' ? MORE : *text == '-' ? LESS : EXACTLY;
    if (!parse_integer(text + (test->comparison != EXACTLY), &test->number))
        die_text("%s: %s: bad number", name, text);
    return test;
}

static Test *take_size(void)
{
    char *text = copy_string(take_operand("-size"));
    size_t length = strlen(text);
    static const struct {
        char letter;
        intmax_t unit;
    } units[] = {{'c', 1}, {'w', 2}, {'b', 512}, {'k', 1024}, {'M', 1048576}, {'G', 1073741824}};
    Test *test = make_test(evaluate_size);
    test->unit = 512;
    for (size_t i = 0; length > 0 && i < COUNT_OF(units); i++) {
        if (text[length - 1] == units[i].letter) {
            test->unit = units[i].unit;
            text[length - 1] = '\0';
            break;
        }
    }
    test->comparison = *text == '+' ? MORE : *text == '-' ? LESS : EXACTLY;
    if (!parse_integer(text + (test->comparison != EXACTLY), &test->number))
        die_text("-size: bad number");
    free(text);
    return test;
}

static Test *take_permissions(void)
{
    const char *text = take_operand("-perm");
    Test *test = make_test(evaluate_permissions);
    test->comparison = *text == '-' ? LESS : *text == '/' ? MORE : EXACTLY;
    mode_t mode;
    if (!parse_mode(text + (test->comparison != EXACTLY), 0, false, 0, &mode))
        die_text("-perm: %s: bad mode", text);
    test->number = mode;
    return test;
}

static Test *take_text(Evaluate *evaluate, const char *name, bool fold)
{
    Test *test = make_test(evaluate);
    test->text = take_operand(name);
    test->unit = fold;
    return test;
}

static Test *take_newer(void)
{
    Test *test = make_test(evaluate_newer);
    const char *path = take_operand("-newer");
    if (stat(path, &test->reference) != 0)
        die_errno(path);
    return test;
}

static Test *take_user(void)
{
    Test *test = make_test(evaluate_user);
    uid_t uid;
    gid_t gid;
    const char *name = take_operand("-user");
    if (!find_user(name, &uid, &gid))
        die_text("%s: no such user", name);
    test->number = uid;
    return test;
}

static Test *take_exec(bool asks)
{
    Test *test = make_test(evaluate_exec);
    has_action = true;
    test->command = next;
    test->number = asks;
    for (; next < end; next++) {
        bool plus = strcmp(*next, "+") == 0 && next > test->command && strcmp(next[-1], "{}") == 0;
        if (strcmp(*next, ";") != 0 && !plus)
            continue;
        test->command_length = (int)(next - test->command) - plus;
        next++;
        if (test->command_length == 0)
            break;
        if (plus)
            start_batch(test);
        return test;
    }
    die_text("-exec: missing ; or command");
}

static Test *make_print(char terminator)
{
    Test *test = make_test(evaluate_print);
    test->number = terminator;
    has_action = true;
    return test;
}

static int take_depth(const char *name)
{
    intmax_t value;
    if (!parse_integer(take_operand(name), &value) || value < 0 || value > INT_MAX)
        die_text("%s: bad number", name);
    return (int)value;
}

static const Test *parse_primary(void)
{
    if (next >= end)
        die_text("expression expected");
    const char *name = *next++;
    if (strcmp(name, "(") == 0) {
        const Test *inner = parse_or();
        if (next >= end || strcmp(*next++, ")") != 0)
            die_text("missing )");
        return inner;
    }
    if (strcmp(name, "!") == 0 || strcmp(name, "-not") == 0) {
        Test *test = make_test(evaluate_not);
        test->left = parse_primary();
        return test;
    }
    if (strcmp(name, "-name") == 0)
        return take_text(evaluate_name, name, false);
    if (strcmp(name, "-iname") == 0)
        return take_text(evaluate_name, name, true);
    if (strcmp(name, "-path") == 0 || strcmp(name, "-wholename") == 0)
        return take_text(evaluate_path, name, false);
    if (strcmp(name, "-type") == 0)
        return take_text(evaluate_type, name, false);
    if (strcmp(name, "-size") == 0)
        return take_size();
    if (strcmp(name, "-mtime") == 0)
        return take_number(evaluate_time, name, 86400);
    if (strcmp(name, "-mmin") == 0)
        return take_number(evaluate_time, name, 60);
    if (strcmp(name, "-newer") == 0)
        return take_newer();
    if (strcmp(name, "-perm") == 0)
        return take_permissions();
    if (strcmp(name, "-links") == 0)
        return take_number(evaluate_links, name, 1);
    if (strcmp(name, "-inum") == 0)
        return take_number(evaluate_inode, name, 1);
    if (strcmp(name, "-user") == 0)
        return take_user();
    if (strcmp(name, "-empty") == 0)
        return make_test(evaluate_empty);
    if (strcmp(name, "-print") == 0)
        return make_print('\n');
    if (strcmp(name, "-print0") == 0)
        return make_print('\0');
    if (strcmp(name, "-prune") == 0)
        return make_test(evaluate_prune);
    if (strcmp(name, "-quit") == 0)
        return make_test(evaluate_quit);
    if (strcmp(name, "-exec") == 0)
        return take_exec(false);
    if (strcmp(name, "-ok") == 0)
        return take_exec(true);
    if (strcmp(name, "-delete") == 0) {
        has_action = folders_last = true;
        return make_test(evaluate_delete);
    }
    if (strcmp(name, "-maxdepth") == 0)
        max_depth = take_depth(name);
    else if (strcmp(name, "-mindepth") == 0)
        min_depth = take_depth(name);
    else if (strcmp(name, "-depth") == 0)
        folders_last = true;
    else if (strcmp(name, "-xdev") == 0 || strcmp(name, "-mount") == 0)
        one_device = true;
    else if (strcmp(name, "-true") != 0)
        die_text("%s: unknown expression", name);
    return make_test(evaluate_true);
}

static const Test *make_pair(Evaluate *evaluate, const Test *left, const Test *right)
{
    Test *test = make_test(evaluate);
    test->left = left;
    test->right = right;
    return test;
}

static const Test *parse_and(void)
{
    const Test *test = parse_primary();
    while (next < end && strcmp(*next, "-o") != 0 && strcmp(*next, "-or") != 0 && strcmp(*next, ")") != 0) {
        if (strcmp(*next, "-a") == 0 || strcmp(*next, "-and") == 0)
            next++;
        test = make_pair(evaluate_and, test, parse_primary());
    }
    return test;
}

static const Test *parse_or(void)
{
    const Test *test = parse_and();
    while (next < end && (strcmp(*next, "-o") == 0 || strcmp(*next, "-or") == 0)) {
        next++;
        test = make_pair(evaluate_or, test, parse_and());
    }
    return test;
}

/* ---- walking ---- */

static Visit visit(const char *path, const struct stat *info, int depth, void *context)
{
    const Test *test = context;
    File file = {.path = path, .info = info, .depth = depth};
    if (depth == 0)
        first_device = info->st_dev;
    if (depth >= min_depth && depth <= max_depth)
        test->evaluate(test, &file);
    bool leave = file.prune || depth >= max_depth || (one_device && info->st_dev != first_device);
    return leave ? VISIT_PRUNE : VISIT_CONTINUE;
}

int find_main(int argc, char **argv)
{
    static char *here[] = {".", NULL};
    bool follow = false;
    int i = 1;
    for (; i < argc && (strcmp(argv[i], "-L") == 0 || strcmp(argv[i], "-P") == 0 || strcmp(argv[i], "-H") == 0); i++)
        follow = argv[i][1] == 'L';
    int first = i;
    while (i < argc && argv[i][0] != '-' && strcmp(argv[i], "(") != 0 && strcmp(argv[i], "!") != 0)
        i++;
    next = argv + i;
    end = argv + argc;
    char **paths = i > first ? argv + first : here;
    int path_count = i > first ? i - first : 1;

    const Test *test = next < end ? parse_or() : make_test(evaluate_true);
    if (next < end)
        die_text("%s: unexpected", *next);
    if (!has_action)
        test = make_pair(evaluate_and, test, make_print('\n'));
    Walk walk = {.visit = visit, .context = (void *)test, .folders_last = folders_last, .follow_links = follow};
    for (int p = 0; p < path_count; p++)
        if (!walk_tree(paths[p], &walk))
            status = 1;
    for (size_t b = 0; b < batch_count; b++)
        run_batch(&batches[b]);
    return status;
}
