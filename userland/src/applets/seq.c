/* seq: counts. Whole numbers are counted exactly; fractions show as many digits as the operands have. */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

static int count_decimals(const char *text)
{
    const char *point = strchr(text, '.');
    return point != NULL ? (int)strlen(point + 1) : 0;
}

static double read_double(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0')
        die_text("%s: not a number", text);
    return value;
}

int seq_main(int argc, char **argv)
{
    const char *separator = "\n";
    bool equal_width = false;
    int i = 1;
    /* Not getopt: "-5" is an operand. */
    for (; i < argc && argv[i][0] == '-' && strchr("sw", argv[i][1]) != NULL && argv[i][1] != '\0'; i++) {
        if (argv[i][1] == 'w') {
            equal_width = true;
        } else {
            separator = argv[i][2] != '\0' ? argv[i] + 2 : i + 1 < argc ? argv[++i] : "";
        }
    }
    int count = argc - i;
    if (count < 1 || count > 3)
        fail_usage();
    const char *first = count > 1 ? argv[i] : "1", *step = count > 2 ? argv[i + 1] : "1", *last = argv[argc - 1];
    double from = read_double(first), by = read_double(step), to = read_double(last);
    if (by == 0)
        die_text("the step is zero");
    int decimals = count_decimals(first) > count_decimals(step) ? count_decimals(first) : count_decimals(step);

    int width = 0;
    if (equal_width) {
        int a = snprintf(NULL, 0, "%.*f", decimals, from), b = snprintf(NULL, 0, "%.*f", decimals, to);
        width = a > b ? a : b;
    }
    bool any = false;
    for (uintmax_t n = 0;; n++) {
        double value = from + (double)n * by;
        /* Half a unit of the last digit makes up for what binary fractions lose. */
        double slack = decimals > 0 ? by * 1e-6 : 0;
        if (by > 0 ? value > to + slack : value < to + slack)
            break;
        if (any)
            fputs(separator, stdout);
        printf("%0*.*f", width, decimals, value);
        any = true;
        if (ferror(stdout))
            return 1;
    }
    if (any)
        putchar('\n');
    return 0;
}
