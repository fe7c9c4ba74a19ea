/* rm: removes files, and trees with -r. */

#include "vbox.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool recursive, force, interactive, verbose, empty_folders;
} how;

static bool ask(const char *path)
{
    fprintf(stderr, "rm: remove %s? ", path);
    int answer = getchar();
    for (int c = answer; c != '\n' && c != EOF;)
        c = getchar();
    return answer == 'y' || answer == 'Y';
}

static Visit remove_one(const char *path, const struct stat *info, int depth, void *context)
{
    (void)depth, (void)context;
    if (how.interactive && !ask(path))
        return VISIT_CONTINUE;
    int failed = S_ISDIR(info->st_mode) ? rmdir(path) : unlink(path);
    if (failed != 0) {
        warn_errno(path);
        return VISIT_FAIL;
    }
    if (how.verbose)
        printf("removed '%s'\n", path);
    return VISIT_CONTINUE;
}

/* "." and ".." are refused, and the root with them: nobody means it. */
static bool is_forbidden(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 1 && path[0] == '/')
        return true;
    if (length > 0 && path[length - 1] == '.') {
        bool dot = length == 1 || path[length - 2] == '/';
        bool dots = length > 1 && path[length - 2] == '.' && (length == 2 || path[length - 3] == '/');
        return dot || dots;
    }
    return false;
}

static bool remove_operand(const char *path)
{
    struct stat info;
    if (is_forbidden(path)) {
        warn_text("%s: will not remove it", path);
        return false;
    }
    if (lstat(path, &info) != 0) {
        if (how.force && (errno == ENOENT || errno == ENOTDIR))
            return true;
        warn_errno(path);
        return false;
    }
    if (S_ISDIR(info.st_mode) && !how.recursive) {
        if (how.empty_folders)
            return remove_one(path, &info, 0, NULL) != VISIT_FAIL;
        errno = EISDIR;
        warn_errno(path);
        return false;
    }
    Walk walk = {.visit = remove_one, .folders_last = true};
    return walk_tree(path, &walk);
}

int rm_main(int argc, char **argv)
{
    for (int option; (option = next_option(argc, argv, "rRfivd")) != -1;) {
        switch (option) {
        case 'r': case 'R': how.recursive = true; break;
        case 'f': how.force = true; how.interactive = false; break;
        case 'i': how.interactive = true; break;
        case 'v': how.verbose = true; break;
        case 'd': how.empty_folders = true; break;
        }
    }
    if (optind >= argc && !how.force)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++)
        if (!remove_operand(argv[i]))
            status = 1;
    return status;
}
