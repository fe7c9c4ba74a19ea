/* pwd: prints the working directory. */

#include "vbox.h"
#include <limits.h>
#include <unistd.h>

int pwd_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    char path[PATH_MAX];
    if (getcwd(path, sizeof path) == NULL)
        die_errno("pwd");
    puts(path);
    return 0;
}
