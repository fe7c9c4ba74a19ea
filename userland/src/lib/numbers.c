/* Numbers as people write them. */

#include "vbox.h"
#include <ctype.h>
#include <inttypes.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool parse_integer(const char *text, intmax_t *value)
{
    char *end;
    errno = 0;
    *value = strtoimax(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && !isspace((unsigned char)*text);
}

bool parse_size(const char *text, intmax_t *value)
{
    static const struct {
        const char *suffix;
        intmax_t factor;
    } suffixes[] = {
        {"", 1}, {"c", 1}, {"w", 2}, {"b", 512}, {"k", 1024}, {"K", 1024}, {"KiB", 1024}, {"kB", 1000},
        {"KB", 1000}, {"M", 1048576}, {"MiB", 1048576}, {"MB", 1000000}, {"G", 1073741824},
        {"GiB", 1073741824}, {"GB", 1000000000},
    };
    char *end;
    errno = 0;
    intmax_t number = strtoimax(text, &end, 10);
    if (errno != 0 || end == text)
        return false;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (strcmp(end, suffixes[i].suffix) == 0)
            return !__builtin_mul_overflow(number, suffixes[i].factor, value);
    return false;
}

bool parse_seconds(const char *text, struct timespec *duration)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || !(seconds >= 0))
        return false;
    if (*end != '\0' && end[1] != '\0')
        return false;
    switch (*end) {
    case '\0': case 's': break;
    case 'm': seconds *= 60; break;
    case 'h': seconds *= 3600; break;
    case 'd': seconds *= 86400; break;
    default: return false;
    }
    if (seconds > 1e15)
        seconds = 1e15;
    duration->tv_sec = (time_t)seconds;
    duration->tv_nsec = (long)((seconds - (double)duration->tv_sec) * 1e9);
    return true;
}

const char *format_human_size(char *buffer, uintmax_t bytes)
{
    /* As coreutils does: rounded up, with one decimal below 10. */
    static const char units[] = "KMGTPE";
    if (bytes < 1024) {
        sprintf(buffer, "%u", (unsigned)bytes);
        return buffer;
    }
    int unit = 0;
    uintmax_t scale = 1024;
    while (unit < 5 && bytes / scale >= 1024) {
        scale *= 1024;
        unit++;
    }
    uintmax_t whole = bytes / scale, rest = bytes % scale;
    uintmax_t tenths = whole * 10 + (rest * 10 + scale - 1) / scale;
    uintmax_t rounded = whole + (rest != 0);
    if (tenths < 100)
        sprintf(buffer, "%u.%u%c", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[unit]);
    else if (rounded >= 1024 && unit < 5)
        sprintf(buffer, "1.0%c", units[unit + 1]);
    else
        sprintf(buffer, "%u%c", (unsigned)rounded, units[unit]);
    return buffer;
}
