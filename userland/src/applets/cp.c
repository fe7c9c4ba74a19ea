/*
 * cp: copies files and trees.
 *
 * After a failure the files copied so far stay; the rest of the tree is still tried.
 */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    bool recursive, preserve, force, interactive, no_clobber, verbose, update;
    enum { FOLLOW_OPERANDS, FOLLOW_ALL, FOLLOW_NONE } follow;
} how;

/* A folder being copied: a copy into itself would never end. */
static dev_t target_device;
static ino_t target_inode;

static void preserve(const char *path, const struct stat *info)
{
    const struct timespec times[2] = {info->st_atim, info->st_mtim};
    bool is_link = S_ISLNK(info->st_mode);
    if (how.preserve) {
        if (lchown(path, info->st_uid, info->st_gid) != 0 && geteuid() == 0)
            warn_errno(path);
        utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
    }
    if (how.preserve && !is_link)
        chmod(path, info->st_mode & 07777);
}

static bool copy_regular(const char *from, const char *to, const struct stat *info)
{
    int input = open(from, O_RDONLY | O_CLOEXEC);
    if (input < 0) {
        warn_errno(from);
        return false;
    }
    int output = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, info->st_mode & 0777);
    if (output < 0 && how.force && unlink(to) == 0)
        output = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, info->st_mode & 0777);
    if (output < 0) {
        warn_errno(to);
        close(input);
        return false;
    }
    bool fine = copy_stream(input, from, output, to);
    close(input);
    if (close(output) != 0) {
        warn_errno(to);
        fine = false;
    }
    return fine;
}

static bool copy_link(const char *from, const char *to)
{
    char target[PATH_MAX];
    ssize_t length = readlink(from, target, sizeof target - 1);
    if (length < 0) {
        warn_errno(from);
        return false;
    }
    target[length] = '\0';
    unlink(to);
    if (symlink(target, to) != 0) {
        warn_errno(to);
        return false;
    }
    return true;
}

static bool copy_path(const char *from, const char *to, int depth);

static bool copy_folder(const char *from, const char *to, const struct stat *info, int depth)
{
    if (info->st_dev == target_device && info->st_ino == target_inode) {
        warn_text("%s: cannot copy a directory into itself", from);
        return false;
    }
    struct stat made;
    if (mkdir(to, (info->st_mode & 07777) | S_IRWXU) != 0 && !(errno == EEXIST && is_folder(to))) {
        warn_errno(to);
        return false;
    }
    if (depth == 0 && stat(to, &made) == 0) {
        target_device = made.st_dev;
        target_inode = made.st_ino;
    }
    char **names = list_folder(from);
    if (names == NULL) {
        warn_errno(from);
        return false;
    }
    bool fine = true;
    for (char **name = names; *name != NULL; name++) {
        char *source = join_path(from, *name), *target = join_path(to, *name);
        fine = copy_path(source, target, depth + 1) && fine;
        free(source);
        free(target);
    }
    free_list(names);
    if (!how.preserve) {
        mode_t mask = umask(0);
        umask(mask);
        chmod(to, info->st_mode & 07777 & ~mask);
    }
    return fine;
}

static bool may_replace(const char *from, const struct stat *info, const char *to)
{
    struct stat old;
    if (stat(to, &old) != 0)
        return true;
    if (old.st_dev == info->st_dev && old.st_ino == info->st_ino) {
        warn_text("%s and %s are the same file", from, to);
        return false;
    }
    if (how.interactive) {
        fprintf(stderr, "cp: overwrite %s? ", to);
        int answer = getchar();
        for (int c = answer; c != '\n' && c != EOF;)
            c = getchar();
        return answer == 'y' || answer == 'Y';
    }
    return true;
}

static bool copy_path(const char *from, const char *to, int depth)
{
    struct stat info, old;
    bool follow = how.follow == FOLLOW_ALL || (how.follow == FOLLOW_OPERANDS && !(how.recursive && depth > 0));
    if ((follow ? stat(from, &info) : lstat(from, &info)) != 0) {
        warn_errno(from);
        return false;
    }
    if (how.no_clobber && lstat(to, &old) == 0 && !S_ISDIR(info.st_mode))
        return true;
    if (how.update && stat(to, &old) == 0 && old.st_mtime >= info.st_mtime && !S_ISDIR(info.st_mode))
        return true;
    bool fine;
    if (S_ISDIR(info.st_mode)) {
        if (!how.recursive) {
            warn_text("%s: is a directory (use -r)", from);
            return false;
        }
        fine = copy_folder(from, to, &info, depth);
    } else {
        if (!may_replace(from, &info, to))
            return false;
        if (S_ISLNK(info.st_mode)) {
            fine = copy_link(from, to);
        } else if (S_ISREG(info.st_mode) || !how.recursive) {
            fine = copy_regular(from, to, &info);
        } else {
            fine = mknod(to, info.st_mode, info.st_rdev) == 0;
            if (!fine)
                warn_errno(to);
        }
    }
    if (fine) {
        preserve(to, &info);
        if (how.verbose)
            printf("'%s' -> '%s'\n", from, to);
    }
    return fine;
}

int cp_main(int argc, char **argv)
{
    const char *into = NULL;
    for (int option; (option = next_option(argc, argv, "rRpadfinPLvut:T")) != -1;) {
        switch (option) {
        case 'r': case 'R': how.recursive = true; break;
        case 'p': how.preserve = true; break;
        case 'a': how.recursive = how.preserve = true; how.follow = FOLLOW_NONE; break;
        case 'd': case 'P': how.follow = FOLLOW_NONE; break;
        case 'L': how.follow = FOLLOW_ALL; break;
        case 'f': how.force = true; break;
        case 'i': how.interactive = true; break;
        case 'n': how.no_clobber = true; break;
        case 'u': how.update = true; break;
        case 'v': how.verbose = true; break;
        case 't': into = optarg; break;
        }
    }
    int last = into == NULL ? argc - 1 : argc;
    if (optind >= last)
        fail_usage();
    const char *target = into != NULL ? into : argv[last];
    bool target_is_folder = is_folder(target);
    if (last - optind > 1 && !target_is_folder)
        die_text("%s: not a directory", target);
    int status = 0;
    for (int i = optind; i < last; i++) {
        char *name = base_name(argv[i]);
        char *to = target_is_folder ? join_path(target, name) : copy_string(target);
        if (!copy_path(argv[i], to, 0))
            status = 1;
        free(name);
        free(to);
    }
    return status;
}
