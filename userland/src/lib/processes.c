/* What /proc says of processes and memory. proc(5) numbers the fields of /proc/PID/stat. */

#include "vbox.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reads one /proc/PID/stat; false when the process is gone or the line makes no sense. */
static bool read_process(const char *pid, Process *process)
{
    char *path = format_string("/proc/%s/stat", pid);
    char *text = read_file(path, NULL);
    free(path);
    if (text == NULL)
        return false;

    *process = (Process){.pid = atoi(pid)};
    /* The name may hold spaces and brackets, so it ends at the last closing one. */
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    bool fine = open != NULL && close != NULL && close > open;
    if (fine) {
        snprintf(process->name, sizeof process->name, "%.*s", (int)(close - open - 1), open + 1);
        unsigned long user = 0, system = 0;
        int fields = sscanf(close + 1,
            " %c %d %d %d %d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %lu %lu %lu",
            &process->state, &process->ppid, &process->pgid, &process->session, &process->tty, &user, &system,
            &process->start_ticks, &process->virtual_bytes, &process->resident_pages);
        process->ticks = user + system;
        fine = fields >= 4;
    }
    free(text);

    path = format_string("/proc/%s", pid);
    struct stat info;
    if (stat(path, &info) == 0)
        process->uid = info.st_uid;
    free(path);
    return fine;
}

static int compare_pids(const void *a, const void *b)
{
    const Process *one = a, *other = b;
    return (one->pid > other->pid) - (one->pid < other->pid);
}

Process *list_processes(size_t *count)
{
    DIR *folder = opendir("/proc");
    if (folder == NULL)
        return NULL;
    Process *list = NULL;
    size_t length = 0, capacity = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        list = grow_array(list, length, &capacity, sizeof *list);
        if (read_process(entry->d_name, &list[length]))
            length++;
    }
    closedir(folder);
    if (list == NULL) {
        errno = ENOENT;
        return NULL;
    }
    qsort(list, length, sizeof *list, compare_pids);
    *count = length;
    return list;
}

char *read_command_line(const Process *process)
{
    char *path = format_string("/proc/%d/cmdline", process->pid);
    size_t length = 0;
    char *text = read_file(path, &length);
    free(path);
    while (text != NULL && length > 0 && text[length - 1] == '\0')
        length--;
    if (text == NULL || length == 0) {
        free(text);
        return format_string("[%s]", process->name);
    }
    for (size_t i = 0; i < length; i++)
        if (text[i] == '\0' || text[i] == '\n')
            text[i] = ' ';
    return text;
}

unsigned long read_memory_field(const char *field)
{
    char *text = read_file("/proc/meminfo", NULL);
    unsigned long value = 0;
    char *rest = text;
    for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        size_t length = strlen(field);
        if (strncmp(line, field, length) == 0 && line[length] == ':')
            value = strtoul(line + length + 1, NULL, 10);
    }
    free(text);
    return value;
}
