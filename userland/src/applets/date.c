/* date: prints the time, or sets it with -s. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

/* "@SECONDS", "YYYY-MM-DD [hh:mm[:ss]]" or "hh:mm[:ss]". */
static bool parse_date(const char *text, struct timespec *when)
{
    static const char *const formats[] = {
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M:%S",
        "%H:%M",
    };
    intmax_t seconds;
    if (*text == '@' && parse_integer(text + 1, &seconds)) {
        *when = (struct timespec){.tv_sec = (time_t)seconds};
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        time_t now = when->tv_sec;
        struct tm parts;
        localtime_r(&now, &parts);
        parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
        const char *end = strptime(text, formats[i], &parts);
        if (end == NULL || *end != '\0')
            continue;
        parts.tm_isdst = -1;
        *when = (struct timespec){.tv_sec = mktime(&parts)};
        return true;
    }
    return false;
}

/* strftime, with the nanoseconds that it lacks: %N and %3N. */
static void print_date(const char *format, const struct timespec *when, const struct tm *parts)
{
    Buffer expanded = {0};
    buffer_add_text(&expanded, "");
    for (; *format != '\0'; format++) {
        if (format[0] == '%' && format[1] == 'N') {
            buffer_add_format(&expanded, "%09ld", when->tv_nsec);
            format++;
        } else if (format[0] == '%' && format[1] == '3' && format[2] == 'N') {
            buffer_add_format(&expanded, "%03ld", when->tv_nsec / 1000000);
            format += 2;
        } else if (format[0] == '%' && format[1] != '\0') {
            buffer_add(&expanded, format++, 2);
        } else {
            buffer_add_char(&expanded, *format);
        }
    }
    char text[1024];
    text[0] = '\0';
    strftime(text, sizeof text, expanded.data, parts);
    puts(text);
    buffer_free(&expanded);
}

int date_main(int argc, char **argv)
{
    struct timespec when;
    clock_gettime(CLOCK_REALTIME, &when);
    bool set = false, iso = false;
    const char *format = "%a %b %e %H:%M:%S %Z %Y";
    for (int option; (option = next_option(argc, argv, "ud:r:s:RI")) != -1;) {
        struct stat info;
        switch (option) {
        case 'u': setenv("TZ", "UTC0", 1); break;
        case 's': set = true; /* fall through */
        case 'd':
            if (!parse_date(optarg, &when))
                die_text("%s: bad date", optarg);
            break;
        case 'r':
            if (stat(optarg, &info) != 0)
                die_errno(optarg);
            when = info.st_mtim;
            break;
        case 'R': format = "%a, %d %b %Y %H:%M:%S %z"; break;
        case 'I': iso = true; break;
        }
    }
    if (iso)
        format = "%Y-%m-%d";
    if (optind < argc) {
        if (argv[optind][0] != '+')
            fail_usage();
        format = argv[optind] + 1;
    }
    if (set && clock_settime(CLOCK_REALTIME, &when) != 0)
        die_errno("cannot set the time");
    struct tm parts;
    tzset();
    localtime_r(&when.tv_sec, &parts);
    print_date(format, &when, &parts);
    return 0;
}
