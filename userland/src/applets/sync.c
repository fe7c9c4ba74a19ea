/* sync: has everything written that is still to be written. */

#include "vbox.h"
#include <unistd.h>

int sync_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    sync();
    return 0;
}
