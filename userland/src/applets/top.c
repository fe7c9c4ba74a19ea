/* top: the busiest processes, refreshed until q. With -b it prints once for each -n. */

#include "vbox.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Sample {
    Process *list;
    size_t count;
    double seconds;
} Sample;

static Sample take_sample(void)
{
    Sample sample = {0};
    struct timespec now;
    sample.list = list_processes(&sample.count);
    if (sample.list == NULL)
        die_errno("/proc");
    clock_gettime(CLOCK_MONOTONIC, &now);
    sample.seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
    return sample;
}

/* Replaces the ticks of each process by those since the last sample. */
static void subtract(Sample *now, const Sample *before)
{
    for (size_t i = 0; i < now->count; i++)
        for (size_t j = 0; j < before->count; j++)
            if (before->list[j].pid == now->list[i].pid && before->list[j].ticks <= now->list[i].ticks)
                now->list[i].ticks -= before->list[j].ticks;
}

static int compare_busy(const void *a, const void *b)
{
    const Process *one = a, *other = b;
    if (one->ticks != other->ticks)
        return one->ticks < other->ticks ? 1 : -1;
    return one->pid - other->pid;
}

/* Each line ends as the terminal needs it: in raw mode it also clears the rest of its row. */
static void print_sample(const Sample *sample, double elapsed, int rows, const char *line_end)
{
    double ticks_per_second = (double)sysconf(_SC_CLK_TCK);
    unsigned long total = read_memory_field("MemTotal"), unused = read_memory_field("MemFree");
    printf("processes %zu, memory %lu KiB, free %lu KiB%s", sample->count, total, unused, line_end);
    printf("%5s %5s %-8s %c %6s %6s %5s %s%s", "PID", "PPID", "USER", 'S', "VSZ", "RSS", "%CPU", "COMMAND",
        line_end);
    for (size_t i = 0; i < sample->count && (int)i < rows - 3; i++) {
        const Process *process = &sample->list[i];
        double share = elapsed > 0 ? (double)process->ticks / ticks_per_second / elapsed * 100 : 0;
        char *command = read_command_line(process);
        printf("%5d %5d %-8s %c %6lu %6lu %5.1f %.40s%s", process->pid, process->ppid,
            describe_user(process->uid), process->state, process->virtual_bytes / 1024,
            process->resident_pages * (unsigned long)getpagesize() / 1024, share, command, line_end);
        free(command);
    }
}

int top_main(int argc, char **argv)
{
    bool batch = false;
    intmax_t rounds = -1;
    struct timespec pause = {.tv_sec = 2};
    for (int option; (option = next_option(argc, argv, "bn:d:")) != -1;) {
        if (option == 'b')
            batch = true;
        else if (option == 'n' && (!parse_integer(optarg, &rounds) || rounds < 1))
            die_text("%s: bad number", optarg);
        else if (option == 'd' && !parse_seconds(optarg, &pause))
            die_text("%s: bad interval", optarg);
    }
    if (!isatty(0))
        batch = true;
    if (!batch)
        enter_raw_mode(0);
    Sample before = take_sample();
    for (bool first = true; rounds != 0; first = false) {
        Sample now = take_sample(), shown = now;
        shown.list = allocate(now.count * sizeof *shown.list);
        memcpy(shown.list, now.list, now.count * sizeof *shown.list);
        if (!first)
            subtract(&shown, &before);
        qsort(shown.list, shown.count, sizeof *shown.list, compare_busy);
        if (!batch)
            fputs("\33[H", stdout);
        /* The first sample shows averages since the machine started, when the clock read zero. */
        double elapsed = first ? now.seconds : now.seconds - before.seconds;
        print_sample(&shown, elapsed, batch ? INT32_MAX : read_window_size(1).rows, batch ? "\n" : "\33[K\r\n");
        if (!batch)
            fputs("\33[J", stdout);
        if (!flush_output())
            return 1;
        free(shown.list);
        free(before.list);
        before = now;
        if (rounds > 0 && --rounds == 0)
            break;
        struct pollfd keyboard = {.fd = 0, .events = POLLIN};
        int milliseconds = (int)(pause.tv_sec * 1000 + pause.tv_nsec / 1000000);
        if (poll(&keyboard, batch ? 0 : 1, milliseconds) > 0) {
            int key = read_key(0);
            if (key == 'q' || key == 3 || key == KEY_END_OF_INPUT)
                break;
        }
    }
    if (!batch)
        leave_raw_mode(0);
    return 0;
}
