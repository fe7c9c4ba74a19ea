/* The lines typed at the prompt, the oldest first. */

#include "sh/sh.h"
#include <stdlib.h>
#include <string.h>

#define HISTORY_LIMIT 500

static char *lines[HISTORY_LIMIT];
static size_t count;

void add_history(const char *line)
{
    if (line[strspn(line, " \t")] == '\0' || *line == ' ')
        return; /* as elsewhere, a leading blank keeps a line out */
    if (count > 0 && strcmp(lines[count - 1], line) == 0)
        return;
    if (count == HISTORY_LIMIT) {
        free(lines[0]);
        memmove(lines, lines + 1, (HISTORY_LIMIT - 1) * sizeof *lines);
        count--;
    }
    lines[count++] = copy_string(line);
}

const char *get_history(size_t index)
{
    return index < count ? lines[index] : NULL;
}

size_t history_length(void)
{
    return count;
}
