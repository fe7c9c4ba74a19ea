/* printf: formats its arguments (XCU, printf; XBD chapter 5). It runs in the shell too. */

#include "vbox.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Printing {
    char **next, **end;
    bool stopped; /* by \c */
    int status;
} Printing;

static const char *take_argument(Printing *printing)
{
    return printing->next < printing->end ? *printing->next++ : NULL;
}

static void complain(Printing *printing, const char *text)
{
    warn_text("%s: not a number", text);
    printing->status = 1;
}

/* 'c and "c are the character's code. */
static bool is_character_code(const char *text)
{
    return (text[0] == '\'' || text[0] == '"') && text[1] != '\0';
}

static intmax_t take_integer(Printing *printing, bool is_signed)
{
    const char *text = take_argument(printing);
    if (text == NULL || *text == '\0')
        return 0;
    if (is_character_code(text))
        return (unsigned char)text[1];
    char *end;
    errno = 0;
    bool negative = text[strspn(text, " \t")] == '-';
    intmax_t value = is_signed || negative ? strtoimax(text, &end, 0) : (intmax_t)strtoumax(text, &end, 0);
    if (end == text || *end != '\0' || errno != 0)
        complain(printing, text);
    return value;
}

static double take_double(Printing *printing)
{
    const char *text = take_argument(printing);
    if (text == NULL || *text == '\0')
        return 0;
    if (is_character_code(text))
        return (unsigned char)text[1];
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0')
        complain(printing, text);
    return value;
}

/* %b: a string with escapes; the result goes through the width and precision given. */
static void print_escaped(Printing *printing, const char *format, int width, int precision, const char *text)
{
    Buffer decoded = {0};
    buffer_add_text(&decoded, "");
    while (*text != '\0' && !printing->stopped) {
        if (*text != '\\') {
            buffer_add_char(&decoded, *text++);
            continue;
        }
        text++;
        int c = *text != '\0' ? read_escape(&text, true) : '\\';
        /* Unlike in a format, octal needs no leading zero to be one; with it, three more digits are allowed. */
        if (c == '\\' && *text >= '1' && *text <= '7')
            c = read_escape(&text, false);
        if (c < 0)
            printing->stopped = true;
        else
            buffer_add_char(&decoded, (char)c);
    }
    if (format[1] == 's' && precision < 0)
        fwrite(decoded.data, 1, decoded.length, stdout); /* zero bytes too */
    else
        printf("%*.*s", width, precision, decoded.data);
    buffer_free(&decoded);
}

/* One conversion; *format points past the "%". */
static void print_conversion(Printing *printing, const char **format)
{
    char specification[32] = "%";
    size_t length = 1;
    const char *next = *format;
    while (*next != '\0' && strchr("-+ #0", *next) != NULL && length < 8)
        specification[length++] = *next++;
    bool left = memchr(specification, '-', length) != NULL;
    int width = 0, precision = -1;
    if (*next == '*') {
        width = (int)take_integer(printing, true);
        next++;
    } else {
        while (*next >= '0' && *next <= '9' && width < 100000)
            width = width * 10 + (*next++ - '0');
    }
    if (*next == '.') {
        precision = 0;
        next++;
        if (*next == '*') {
            precision = (int)take_integer(printing, true);
            next++;
        } else {
            while (*next >= '0' && *next <= '9' && precision < 100000)
                precision = precision * 10 + (*next++ - '0');
        }
    }
    while (*next != '\0' && strchr("hlLjzt", *next) != NULL) /* lengths mean nothing here */
        next++;
    char conversion = *next;
    if (conversion != '\0')
        next++;
    *format = next;

    const char *text;
    specification[length++] = '*';
    specification[length++] = '.';
    specification[length++] = '*';
    switch (conversion) {
    case 'd': case 'i':
        memcpy(specification + length, "jd", 3);
        printf(specification, width, precision, take_integer(printing, true));
        break;
    case 'o': case 'u': case 'x': case 'X':
        specification[length++] = 'j';
        specification[length++] = conversion;
        specification[length] = '\0';
        printf(specification, width, precision, (uintmax_t)take_integer(printing, false));
        break;
    case 'a': case 'A': case 'e': case 'E': case 'f': case 'F': case 'g': case 'G':
        specification[length++] = conversion;
        specification[length] = '\0';
        printf(specification, width, precision, take_double(printing));
        break;
    case 'c':
        text = take_argument(printing);
        printf("%*.1s", left ? -width : width, text != NULL ? text : "");
        break;
    case 's':
        text = take_argument(printing);
        printf("%*.*s", left ? -width : width, precision, text != NULL ? text : "");
        break;
    case 'b':
        text = take_argument(printing);
        print_escaped(printing, width == 0 ? "%s" : "%*", left ? -width : width, precision, text != NULL ? text : "");
        break;
    default:
        warn_text("%%%c: unknown conversion", conversion);
        printing->status = 1;
        printing->stopped = true;
        break;
    }
}

static void print_once(Printing *printing, const char *format)
{
    while (*format != '\0' && !printing->stopped) {
        char c = *format++;
        if (c == '\\' && *format != '\0') {
            int escape = read_escape(&format, false);
            if (escape < 0)
                printing->stopped = true;
            else
                putchar(escape);
        } else if (c == '%' && *format == '%') {
            format++;
            putchar('%');
        } else if (c == '%') {
            print_conversion(printing, &format);
        } else {
            putchar(c);
        }
    }
}

int printf_main(int argc, char **argv)
{
    int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
    if (first >= argc) {
        fputs("usage: printf FORMAT [ARG]...\n", stderr);
        return 2;
    }
    Printing printing = {.next = argv + first + 1, .end = argv + argc};
    /* The format is used again while arguments are left, if it takes any. */
    char **before;
    do {
        before = printing.next;
        print_once(&printing, argv[first]);
    } while (!printing.stopped && printing.next < printing.end && printing.next > before);
    return printing.status;
}
