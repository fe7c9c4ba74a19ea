/* tr: translates, squeezes or deletes bytes. */

#include "vbox.h"
#include <ctype.h>
#include <string.h>

typedef struct Set {
    unsigned char bytes[1024];
    size_t length;
} Set;

static void add_byte(Set *set, int c)
{
    if (set->length < sizeof set->bytes)
        set->bytes[set->length++] = (unsigned char)c;
}

static bool add_class(Set *set, const char *name, size_t length)
{
    static const struct {
        const char *name;
        int (*test)(int);
    } classes[] = {
        {"alpha", isalpha}, {"digit", isdigit}, {"alnum", isalnum}, {"upper", isupper}, {"lower", islower},
        {"space", isspace}, {"blank", isblank}, {"punct", ispunct}, {"print", isprint}, {"graph", isgraph},
        {"cntrl", iscntrl}, {"xdigit", isxdigit},
    };
    for (size_t i = 0; i < COUNT_OF(classes); i++) {
        if (strlen(classes[i].name) != length || strncmp(classes[i].name, name, length) != 0)
            continue;
        for (int c = 0; c < 256; c++)
            if (classes[i].test(c))
                add_byte(set, c);
        return true;
    }
    return false;
}

static int take_byte(const char **text)
{
    if (**text == '\\' && (*text)[1] != '\0') {
        (*text)++;
        if (**text != '\\') {
            int c = read_escape(text, false);
            if (c >= 0 && c != '\\')
                return c;
            if (c < 0)
                return 'c';
        }
    }
    return (unsigned char)*(*text)++;
}

static Set read_set(const char *text)
{
    Set set = {0};
    while (*text != '\0') {
        const char *close = strncmp(text, "[:", 2) == 0 ? strstr(text + 2, ":]") : NULL;
        if (close != NULL) {
            if (!add_class(&set, text + 2, (size_t)(close - text - 2)))
                die_text("%.*s: no such class", (int)(close - text + 2), text);
            text = close + 2;
            continue;
        }
        int low = take_byte(&text);
        if (text[0] == '-' && text[1] != '\0') {
            text++;
            int high = take_byte(&text);
            if (high < low)
                die_text("range out of order");
            for (int c = low; c <= high; c++)
                add_byte(&set, c);
        } else {
            add_byte(&set, low);
        }
    }
    return set;
}

static Set complement(const Set *set)
{
    Set result = {0};
    for (int c = 0; c < 256; c++)
        if (memchr(set->bytes, c, set->length) == NULL)
            add_byte(&result, c);
    return result;
}

int tr_main(int argc, char **argv)
{
    bool delete = false, squeeze = false, complemented = false, truncate_first = false;
    for (int option; (option = next_leading_option(argc, argv, "dscCt")) != -1;) {
        switch (option) {
        case 'd': delete = true; break;
        case 's': squeeze = true; break;
        case 'c': case 'C': complemented = true; break;
        case 't': truncate_first = true; break;
        }
    }
    int operands = argc - optind;
    if (operands < 1 || operands > 2 || (operands == 1 && !delete && !squeeze))
        fail_usage();
    Set from = read_set(argv[optind]), to = {0};
    if (complemented)
        from = complement(&from);
    if (operands == 2)
        to = read_set(argv[optind + 1]);

    unsigned char map[256];
    bool deleted[256] = {false}, squeezed[256] = {false};
    for (int c = 0; c < 256; c++)
        map[c] = (unsigned char)c;
    for (size_t i = 0; i < from.length; i++) {
        if (delete)
            deleted[from.bytes[i]] = true;
        else if (i < to.length)
            map[from.bytes[i]] = to.bytes[i];
        else if (to.length > 0 && !truncate_first) /* the last byte stands for all that are missing */
            map[from.bytes[i]] = to.bytes[to.length - 1];
    }
    const Set *squeezing = operands == 2 ? &to : &from;
    for (size_t i = 0; squeeze && i < squeezing->length; i++)
        squeezed[squeezing->bytes[i]] = true;

    int last = -1;
    for (int c; (c = getchar()) != EOF;) {
        if (deleted[c])
            continue;
        int out = map[c];
        if (!(squeezed[out] && out == last))
            putchar(out);
        last = out;
    }
    return 0;
}
