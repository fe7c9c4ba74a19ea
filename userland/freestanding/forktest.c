/*
 * forktest [N]: forks until the kernel refuses, or N times (1000 if not told), then waits for every child.
 * It shows that the kernel runs out of processes cleanly. After xv6's test of the same name; it links no library,
 * so that each process is small.
 */

#include "calls.h"

static void print(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0')
        length++;
    write(1, text, length);
}

static void print_number(long number)
{
    char digits[24];
    char *start = digits + sizeof digits - 1;
    *start = '\0';
    do
        *--start = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    print(start);
}

static _Noreturn void fail(const char *why)
{
    print("forktest: ");
    print(why);
    print("\n");
    exit(1);
}

static long parse_count(const char *text)
{
    long number = 0;
    if (*text == '\0')
        fail("usage: forktest [N]");
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > 1000000)
            fail("usage: forktest [N]");
        number = number * 10 + (*text - '0');
    }
    return number;
}

int main(int argc, char **argv)
{
    long wanted = argc > 1 ? parse_count(argv[1]) : 1000;
    long forked = 0;
    long refusal = 0;

    print("forktest: ");
    while (forked < wanted) {
        long pid = clone(SIGCHLD, NULL, NULL, 0, 0);
        if (pid < 0) {
            refusal = -pid;
            break;
        }
        if (pid == 0)
            exit(0);
        forked++;
    }

    for (long waited = 0; waited < forked; waited++) {
        int status = -1;
        if (wait4(-1, &status, 0, NULL) < 0)
            fail("wait stopped early");
        if (status != 0)
            fail("a child failed");
    }
    if (wait4(-1, NULL, 0, NULL) >= 0)
        fail("wait got too many");

    print_number(forked);
    print(" children");
    if (refusal != 0) {
        print(", then errno ");
        print_number(refusal);
    }
    print(", OK\n");
    return 0;
}
