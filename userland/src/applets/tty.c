/* tty: the name of the terminal. */

#include "vbox.h"
#include <unistd.h>

int tty_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    const char *name = isatty(0) ? ttyname(0) : NULL;
    puts(name != NULL ? name : "not a tty");
    return name != NULL ? 0 : 1;
}
