/* Paths, folders, and walks over trees of them. */

#include "vbox.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *join_path(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    bool ends_in_slash = length > 0 && folder[length - 1] == '/';
    return format_string(length == 0 || ends_in_slash ? "%s%s" : "%s/%s", folder, name);
}

static size_t length_without_slashes(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

char *base_name(const char *path)
{
    size_t end = length_without_slashes(path);
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (start == end && end > 0) /* the root itself */
        return copy_string("/");
    return copy_bytes(path + start, end - start);
}

char *folder_name(const char *path)
{
    size_t end = length_without_slashes(path);
    while (end > 0 && path[end - 1] != '/')
        end--;
    if (end == 0)
        return copy_string(path[0] == '/' ? "/" : ".");
    while (end > 1 && path[end - 1] == '/')
        end--;
    return copy_bytes(path, end);
}

bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **list_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return NULL;
    char **names = NULL;
    size_t count = 0, capacity = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        names = grow_array(names, count, &capacity, sizeof *names);
        names[count++] = copy_string(entry->d_name);
    }
    int code = errno;
    closedir(folder);
    names = grow_array(names, count, &capacity, sizeof *names);
    names[count] = NULL;
    if (code != 0) {
        free_list(names);
        errno = code;
        return NULL;
    }
    qsort(names, count, sizeof *names, compare_names);
    return names;
}

void free_list(char **list)
{
    for (char **item = list; *item != NULL; item++)
        free(*item);
    free(list);
}

char *resolve_path(const char *path, bool last_may_be_missing)
{
    char *resolved = realpath(path, NULL);
    if (resolved != NULL || errno != ENOENT || !last_may_be_missing)
        return resolved;

    struct stat info;
    char target[PATH_MAX];
    ssize_t length = lstat(path, &info) == 0 ? readlink(path, target, sizeof target - 1) : -1;
    char *folder = folder_name(path);
    char *result = NULL;
    if (length >= 0) { /* a dangling link: resolve what it names */
        target[length] = '\0';
        char *next = target[0] == '/' ? copy_string(target) : join_path(folder, target);
        result = resolve_path(next, true);
        free(next);
    } else {
        char *parent = realpath(folder, NULL);
        if (parent != NULL) {
            char *name = base_name(path);
            result = join_path(parent, name);
            free(name);
            free(parent);
        }
    }
    free(folder);
    return result;
}

static bool walk_level(const char *path, const Walk *walk, int depth)
{
    struct stat info;
    int failed = walk->follow_links ? stat(path, &info) : lstat(path, &info);
    if (failed != 0 && walk->follow_links)
        failed = lstat(path, &info); /* a dangling link is visited as itself */
    if (failed != 0) {
        warn_errno(path);
        return false;
    }

    bool is_dir = S_ISDIR(info.st_mode);
    Visit answer = VISIT_CONTINUE;
    if (!is_dir || !walk->folders_last)
        answer = walk->visit(path, &info, depth, walk->context);
    if (!is_dir || answer != VISIT_CONTINUE)
        return answer != VISIT_FAIL;

    char **names = list_folder(path);
    bool fine = names != NULL;
    if (fine) {
        for (char **name = names; *name != NULL; name++) {
            char *child = join_path(path, *name);
            fine = walk_level(child, walk, depth + 1) && fine;
            free(child);
        }
        free_list(names);
    } else {
        warn_errno(path);
    }
    if (walk->folders_last)
        fine = walk->visit(path, &info, depth, walk->context) != VISIT_FAIL && fine;
    return fine;
}

bool walk_tree(const char *path, const Walk *walk)
{
    return walk_level(path, walk, 0);
}
