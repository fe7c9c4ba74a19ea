/* chmod, chown, chgrp: change who may do what with files. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Change {
    const char *mode;       /* of chmod */
    mode_t mask;
    uid_t uid;              /* -1: unchanged */
    gid_t gid;
    bool links_too;         /* change a link itself */
} Change;

static Visit change_mode(const char *path, const struct stat *info, int depth, void *context)
{
    const Change *change = context;
    mode_t mode;
    if (S_ISLNK(info->st_mode) && depth > 0)
        return VISIT_CONTINUE; /* links in a tree are left alone */
    struct stat target = *info;
    if (S_ISLNK(info->st_mode) && stat(path, &target) != 0) {
        warn_errno(path);
        return VISIT_FAIL;
    }
    if (!parse_mode(change->mode, target.st_mode, S_ISDIR(target.st_mode), change->mask, &mode))
        die_text("%s: bad mode", change->mode);
    if (chmod(path, mode) == 0)
        return VISIT_CONTINUE;
    warn_errno(path);
    return VISIT_FAIL;
}

static Visit change_owner(const char *path, const struct stat *info, int depth, void *context)
{
    const Change *change = context;
    (void)info;
    bool itself = change->links_too || depth > 0;
    int failed = itself ? lchown(path, change->uid, change->gid) : chown(path, change->uid, change->gid);
    if (failed == 0)
        return VISIT_CONTINUE;
    warn_errno(path);
    return VISIT_FAIL;
}

static int change_all(char **paths, bool recursive, VisitFile *visit, Change *change)
{
    int status = 0;
    for (; *paths != NULL; paths++) {
        Walk walk = {.visit = visit, .context = change};
        struct stat info;
        bool fine;
        if (recursive) {
            fine = walk_tree(*paths, &walk);
        } else {
            fine = lstat(*paths, &info) == 0;
            if (!fine)
                warn_errno(*paths);
            fine = fine && visit(*paths, &info, 0, change) != VISIT_FAIL;
        }
        if (!fine)
            status = 1;
    }
    return status;
}

int chmod_main(int argc, char **argv)
{
    /* Not getopt: "-x" is a mode. */
    bool recursive = false;
    int i = 1;
    for (; i < argc && (strcmp(argv[i], "-R") == 0 || strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--") == 0); i++)
        recursive = recursive || argv[i][1] == 'R';
    if (argc - i < 2)
        fail_usage();
    Change change = {.mode = argv[i]};
    change.mask = umask(0);
    umask(change.mask);
    return change_all(argv + i + 1, recursive, change_mode, &change);
}

static int change_owners(int argc, char **argv, bool group_only)
{
    Change change = {.uid = (uid_t)-1, .gid = (gid_t)-1};
    bool recursive = false;
    for (int option; (option = next_option(argc, argv, "Rhf")) != -1;) {
        recursive = recursive || option == 'R';
        change.links_too = change.links_too || option == 'h';
    }
    if (argc - optind < 2)
        fail_usage();
    char *owner = copy_string(argv[optind]);
    char *colon = group_only ? NULL : strpbrk(owner, ":.");
    const char *group = group_only ? owner : colon != NULL ? colon + 1 : NULL;
    if (colon != NULL)
        *colon = '\0';
    gid_t login_group;
    if (!group_only && *owner != '\0' && !find_user(owner, &change.uid, &login_group))
        die_text("%s: no such user", owner);
    if (group != NULL && *group != '\0' && !find_group(group, &change.gid))
        die_text("%s: no such group", group);
    free(owner);
    return change_all(argv + optind + 1, recursive, change_owner, &change);
}

int chown_main(int argc, char **argv)
{
    return change_owners(argc, argv, false);
}

int chgrp_main(int argc, char **argv)
{
    return change_owners(argc, argv, true);
}
