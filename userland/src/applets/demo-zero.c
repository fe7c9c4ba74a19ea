/*
 * demo-zero [PAGES]: demand zero. A big mapping costs nothing until its pages are touched; each first touch is one
 * minor fault, and one page more in memory.
 */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static long count_faults(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_minflt;
}

/* The second field of /proc/self/statm: resident pages. */
static long read_resident(void)
{
    char *text = read_file("/proc/self/statm", NULL);
    long size = 0, resident = -1;
    if (text != NULL && sscanf(text, "%ld %ld", &size, &resident) != 2)
        resident = -1;
    free(text);
    return resident;
}

int demo_zero_main(int argc, char **argv)
{
    intmax_t pages = 1024;
    if (argc > 1 && (!parse_integer(argv[1], &pages) || pages < 1 || pages > 1 << 24))
        die_text("%s: bad number of pages", argv[1]);
    size_t page_size = (size_t)getpagesize();
    char *memory = mmap(NULL, (size_t)pages * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die_errno("mmap");
    madvise(memory, (size_t)pages * page_size, MADV_NOHUGEPAGE); /* one fault a page, where the kernel has larger ones */
    printf("mapped %jd pages at %p\n%10s %12s %15s %6s\n", pages, (void *)memory, "touched", "minor faults",
        "resident pages", "sum");
    fflush(stdout);

    read_resident(); /* its own memory is faulted in before the count starts */
    long faults_at_start = count_faults();
    long sum = 0;
    intmax_t touched = 0;
    for (int step = 0; step <= 8; step++) {
        for (; touched < pages * step / 8; touched++) {
            memory[(size_t)touched * page_size] = 1;
            sum += memory[(size_t)touched * page_size + 1]; /* the rest of the page is zero */
        }
        printf("%10jd %12ld %15ld %6ld\n", touched, count_faults() - faults_at_start, read_resident(), sum);
        fflush(stdout);
    }
    if (sum != 0)
        die_text("fresh pages were not zero");
    munmap(memory, (size_t)pages * page_size);
    printf("unmapped: resident pages %ld\n", read_resident());
    return 0;
}
