/* reboot, poweroff, halt. -f or not, the kernel is asked at once: there are no services to stop. */

#include "vbox.h"
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

int reboot_main(int argc, char **argv)
{
    while (next_option(argc, argv, "f") != -1)
        continue;
    int how = strcmp(argv[0], "reboot") == 0 ? RB_AUTOBOOT : RB_POWER_OFF;
    const char *slash = strrchr(argv[0], '/');
    if (slash != NULL && strcmp(slash, "/reboot") == 0)
        how = RB_AUTOBOOT;
    sync();
    reboot(how);
    die_errno(applet_name);
}
