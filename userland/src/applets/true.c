/* true, false: nothing, with a status. */

#include "vbox.h"

int true_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 0;
}

int false_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    return 1;
}
