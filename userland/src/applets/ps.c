/* ps: lists processes, from /proc. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum Column {
    COLUMN_USER, COLUMN_PID, COLUMN_PPID, COLUMN_PGID, COLUMN_SID, COLUMN_STAT, COLUMN_VSZ, COLUMN_RSS,
    COLUMN_TIME, COLUMN_COMM, COLUMN_ARGS,
} Column;

static const struct {
    const char *name, *heading;
    int width; /* negative: to the left; 0: the rest of the line */
} columns[] = {
    [COLUMN_USER] = {"user", "USER", -8}, [COLUMN_PID] = {"pid", "PID", 5},
    [COLUMN_PPID] = {"ppid", "PPID", 5}, [COLUMN_PGID] = {"pgid", "PGID", 5},
    [COLUMN_SID] = {"sid", "SID", 5}, [COLUMN_STAT] = {"stat", "STAT", -4},
    [COLUMN_VSZ] = {"vsz", "VSZ", 6}, [COLUMN_RSS] = {"rss", "RSS", 6},
    [COLUMN_TIME] = {"time", "TIME", 5}, [COLUMN_COMM] = {"comm", "COMMAND", -15},
    [COLUMN_ARGS] = {"args", "COMMAND", 0},
};

static const Column short_format[] = {COLUMN_PID, COLUMN_PPID, COLUMN_PGID, COLUMN_STAT, COLUMN_TIME, COLUMN_ARGS};
static const Column long_format[] = {COLUMN_USER, COLUMN_PID, COLUMN_PPID, COLUMN_PGID, COLUMN_SID, COLUMN_STAT,
    COLUMN_VSZ, COLUMN_RSS, COLUMN_TIME, COLUMN_ARGS};

static char *format_cell(const Process *process, Column column)
{
    long ticks_per_second = sysconf(_SC_CLK_TCK);
    unsigned long seconds = process->ticks / (unsigned long)(ticks_per_second > 0 ? ticks_per_second : 100);
    switch (column) {
    case COLUMN_USER: return copy_string(describe_user(process->uid));
    case COLUMN_PID: return format_string("%d", process->pid);
    case COLUMN_PPID: return format_string("%d", process->ppid);
    case COLUMN_PGID: return format_string("%d", process->pgid);
    case COLUMN_SID: return format_string("%d", process->session);
    case COLUMN_STAT:
        return format_string("%c%s", process->state, process->pid == process->session ? "s" : "");
    case COLUMN_VSZ: return format_string("%lu", process->virtual_bytes / 1024);
    case COLUMN_RSS: return format_string("%lu", process->resident_pages * (unsigned long)getpagesize() / 1024);
    case COLUMN_TIME: return format_string("%lu:%02lu", seconds / 60, seconds % 60);
    case COLUMN_COMM: return copy_string(process->name);
    case COLUMN_ARGS: return read_command_line(process);
    }
    return copy_string("");
}

static void print_cell(Column column, const char *text, bool last)
{
    if (last)
        printf("%*s\n", columns[column].width > 0 ? columns[column].width : 0, text);
    else
        printf("%*s ", columns[column].width, text);
}

/* Reads "pid,stat,args"; the count of columns. */
static size_t parse_columns(char *text, Column *list, size_t most)
{
    size_t count = 0;
    for (char *name; (name = strsep(&text, ", ")) != NULL;) {
        size_t i = 0;
        while (i < COUNT_OF(columns) && strcmp(columns[i].name, name) != 0)
            i++;
        if (i == COUNT_OF(columns) && strcmp(name, "cmd") == 0)
            i = COLUMN_ARGS;
        if (i == COUNT_OF(columns))
            die_text("%s: no such column", name);
        if (count < most)
            list[count++] = (Column)i;
    }
    return count;
}

int ps_main(int argc, char **argv)
{
    Column chosen[16];
    const Column *list = short_format;
    size_t length = COUNT_OF(short_format);
    if (argc > 1 && argv[1][0] != '-' && strspn(argv[1], "aux") == strlen(argv[1])) {
        list = long_format; /* the form without a dash */
        length = COUNT_OF(long_format);
        argv++;
        argc--;
    }
    for (int option; (option = next_option(argc, argv, "eAaflxuo:")) != -1;) {
        if (option == 'f' || option == 'l' || option == 'u') {
            list = long_format;
            length = COUNT_OF(long_format);
        } else if (option == 'o') {
            length = parse_columns(optarg, chosen, COUNT_OF(chosen));
            list = chosen;
        }
    }

    size_t count;
    Process *processes = list_processes(&count);
    if (processes == NULL)
        die_errno("/proc");
    for (size_t c = 0; c < length; c++)
        print_cell(list[c], columns[list[c]].heading, c + 1 == length);
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < length; c++) {
            char *text = format_cell(&processes[i], list[c]);
            print_cell(list[c], text, c + 1 == length);
            free(text);
        }
    }
    free(processes);
    return 0;
}
