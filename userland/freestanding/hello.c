/* hello: the one-write program. It makes two system calls, write and exit, and touches two pages to do so. */

#include "calls.h"

static const char greeting[] = "hello from user mode\n";

int main(void)
{
    return write(1, greeting, sizeof greeting - 1) == sizeof greeting - 1 ? 0 : 1;
}
