/* Backslash escapes, as echo -e, printf and $'...' know them. */

#include "vbox.h"
#include <ctype.h>

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static int read_digits(const char **text, int base, int most)
{
    int value = 0;
    for (; most > 0 && digit_value(**text) < base; most--)
        value = value * base + digit_value(*(*text)++);
    return value & 0xff;
}

int read_escape(const char **text, bool octal_needs_zero)
{
    char c = *(*text)++;
    switch (c) {
    case 'a': return '\a';
    case 'b': return '\b';
    case 'c': return -1;
    case 'e': return 27;
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case '\\': return '\\';
    case 'x':
        if (digit_value(**text) < 16)
            return read_digits(text, 16, 2);
        break;
    case '0':
        return read_digits(text, 8, octal_needs_zero ? 3 : 2);
    case '1': case '2': case '3': case '4': case '5': case '6': case '7':
        if (!octal_needs_zero) {
            (*text)--;
            return read_digits(text, 8, 3);
        }
        break;
    default:
        break;
    }
    (*text)--; /* not an escape: the backslash stands for itself */
    return '\\';
}
