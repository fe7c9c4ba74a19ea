/* uname: names the system. */

#include "vbox.h"
#include <sys/utsname.h>

int uname_main(int argc, char **argv)
{
    struct utsname name;
    if (uname(&name) != 0)
        die_errno("uname");
    const struct {
        char option;
        const char *text;
        bool in_all;
    } fields[] = {
        {'s', name.sysname, true}, {'n', name.nodename, true}, {'r', name.release, true}, {'v', name.version, true},
        {'m', name.machine, true}, {'p', "unknown", false}, {'i', "unknown", false}, {'o', "GNU/Linux", true},
    };
    bool shown[COUNT_OF(fields)] = {false};
    bool any = false;
    for (int option; (option = next_option(argc, argv, "asnrvmpio")) != -1; any = true)
        for (size_t i = 0; i < COUNT_OF(fields); i++)
            shown[i] = shown[i] || fields[i].option == option || (option == 'a' && fields[i].in_all);
    shown[0] = shown[0] || !any;
    const char *separator = "";
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (!shown[i])
            continue;
        printf("%s%s", separator, fields[i].text);
        separator = " ";
    }
    putchar('\n');
    return 0;
}
