/* free: how much memory is used, from /proc/meminfo. */

#include "vbox.h"

static void print_row(const char *name, const unsigned long *kib, size_t count, int shift, bool human)
{
    printf("%-7s", name);
    for (size_t i = 0; i < count; i++) {
        char text[16];
        if (human)
            printf(" %11s", format_human_size(text, (uintmax_t)kib[i] * 1024));
        else
            printf(" %11lu", shift < 0 ? kib[i] << -shift : kib[i] >> shift);
    }
    putchar('\n');
}

int free_main(int argc, char **argv)
{
    int shift = 0;
    bool human = false;
    for (int option; (option = next_option(argc, argv, "bkmgh")) != -1;) {
        human = option == 'h';
        shift = option == 'b' ? -10 : option == 'm' ? 10 : option == 'g' ? 20 : 0;
    }
    unsigned long total = read_memory_field("MemTotal"), unused = read_memory_field("MemFree");
    unsigned long cache = read_memory_field("Buffers") + read_memory_field("Cached");
    unsigned long shared = read_memory_field("Shmem"), available = read_memory_field("MemAvailable");
    if (total == 0)
        die_text("/proc/meminfo: cannot be read");
    unsigned long used = total - unused > cache ? total - unused - cache : 0;
    const unsigned long memory[] = {total, used, unused, shared, cache, available};
    unsigned long swap_total = read_memory_field("SwapTotal"), swap_free = read_memory_field("SwapFree");
    const unsigned long swap[] = {swap_total, swap_total - swap_free, swap_free};
    puts("              total        used        free      shared  buff/cache   available");
    print_row("Mem:", memory, COUNT_OF(memory), shift, human);
    print_row("Swap:", swap, COUNT_OF(swap), shift, human);
    return 0;
}
