/* dmesg: prints the kernel's log. */

#include "vbox.h"
#include <stdlib.h>
#include <sys/klog.h>

#define READ_ALL 3
#define SIZE_OF_BUFFER 10

int dmesg_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    int size = klogctl(SIZE_OF_BUFFER, NULL, 0);
    if (size < 0)
        die_errno("kernel log");
    char *text = allocate((size_t)size + 1);
    int length = klogctl(READ_ALL, text, size);
    if (length < 0)
        die_errno("kernel log");
    fwrite(text, 1, (size_t)length, stdout);
    if (length > 0 && text[length - 1] != '\n')
        putchar('\n');
    free(text);
    return 0;
}
