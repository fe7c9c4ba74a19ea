/* id, whoami: who runs this. */

#include "vbox.h"
#include <unistd.h>

static void print_pair(const char *label, unsigned id, const char *name)
{
    printf("%s%u", label, id);
    if (name != NULL)
        printf("(%s)", name);
}

static void print_id(unsigned id, const char *name, const char *after)
{
    if (name != NULL)
        printf("%s%s", name, after);
    else
        printf("%u%s", id, after);
}

int id_main(int argc, char **argv)
{
    char what = '\0';
    bool names = false, real = false;
    for (int option; (option = next_option(argc, argv, "ugGnr")) != -1;) {
        if (option == 'n')
            names = true;
        else if (option == 'r')
            real = true;
        else
            what = (char)option;
    }
    uid_t uid = real ? getuid() : geteuid();
    gid_t gid = real ? getgid() : getegid(), groups[64];
    int count = getgroups(COUNT_OF(groups), groups);
    if (count <= 0) {
        groups[0] = gid;
        count = 1;
    }
    if (what == 'u')
        print_id(uid, names ? describe_user(uid) : NULL, "\n");
    else if (what == 'g')
        print_id(gid, names ? describe_group(gid) : NULL, "\n");
    else if (what == 'G') {
        for (int i = 0; i < count; i++)
            print_id(groups[i], names ? describe_group(groups[i]) : NULL, i + 1 < count ? " " : "\n");
    } else {
        print_pair("uid=", uid, find_user_name(uid));
        print_pair(" gid=", gid, find_group_name(gid));
        for (int i = 0; i < count; i++)
            print_pair(i == 0 ? " groups=" : ",", groups[i], find_group_name(groups[i]));
        putchar('\n');
    }
    return 0;
}

int whoami_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    puts(describe_user(geteuid()));
    return 0;
}
