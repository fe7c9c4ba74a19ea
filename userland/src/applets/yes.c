/* yes: prints a line for ever. */

#include "vbox.h"

int yes_main(int argc, char **argv)
{
    for (;;) {
        for (int i = 1; i < argc; i++)
            printf("%s%s", i > 1 ? " " : "", argv[i]);
        if (puts(argc > 1 ? "" : "y") < 0 || ferror(stdout))
            return 1;
    }
}
