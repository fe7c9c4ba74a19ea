/* hostname: prints or sets the machine's name. */

#include "vbox.h"
#include <string.h>
#include <unistd.h>

int hostname_main(int argc, char **argv)
{
    char name[256] = "";
    if (argc > 1 && argv[1][0] != '-') {
        if (sethostname(argv[1], strlen(argv[1])) != 0)
            die_errno(argv[1]);
        return 0;
    }
    if (gethostname(name, sizeof name - 1) != 0)
        die_errno("hostname");
    puts(name);
    return 0;
}
