/* sort: sorts lines, as bytes, or by fields and numbers. */

#include "vbox.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct Ordering {
    bool numeric, reverse, fold, skip_blanks, human, dictionary;
} Ordering;

/* -k START[.CHAR][,END[.CHAR]]; 1-based, 0 when absent. */
typedef struct Key {
    size_t first_field, first_char, last_field, last_char;
    Ordering order;
    bool own_order;
} Key;

static Key keys[16];
static size_t key_count;
static Ordering global;
static bool unique, stable, check;
static char separator;

static bool read_number(const char **text, size_t *value)
{
    if (!isdigit((unsigned char)**text))
        return false;
    *value = strtoul(*text, (char **)text, 10);
    return true;
}

static void read_ordering(const char **text, Ordering *order, bool *any)
{
    for (;; (*text)++) {
        switch (**text) {
        case 'n': order->numeric = true; break;
        case 'r': order->reverse = true; break;
        case 'f': order->fold = true; break;
        case 'b': order->skip_blanks = true; break;
        case 'h': order->human = true; break;
        case 'd': order->dictionary = true; break;
        default: return;
        }
        *any = true;
    }
}

static void add_key(const char *text)
{
    if (key_count == COUNT_OF(keys))
        die_text("too many keys");
    const char *next = text;
    Key *key = &keys[key_count++];
    bool fine = read_number(&next, &key->first_field) && key->first_field > 0;
    if (fine && *next == '.') {
        next++;
        fine = read_number(&next, &key->first_char);
    }
    read_ordering(&next, &key->order, &key->own_order);
    if (fine && *next == ',') {
        next++;
        fine = read_number(&next, &key->last_field) && key->last_field > 0;
        if (fine && *next == '.') {
            next++;
            fine = read_number(&next, &key->last_char);
        }
        read_ordering(&next, &key->order, &key->own_order);
    }
    if (!fine || *next != '\0')
        die_text("%s: bad key", text);
}

/* Where field `index` (from 0) starts: a field includes the blanks before it, unless -t separates. */
static const char *find_field(const char *line, size_t index)
{
    for (; index > 0 && *line != '\0'; index--) {
        if (separator != '\0') {
            line += strcspn(line, (char[]){separator, '\0'});
            if (*line != '\0')
                line++;
            else
                return line;
        } else {
            line += strspn(line, " \t");
            line += strcspn(line, " \t");
        }
    }
    return line;
}

static const char *find_field_end(const char *line, size_t index)
{
    const char *start = find_field(line, index);
    if (separator != '\0')
        return start + strcspn(start, (char[]){separator, '\0'});
    start += strspn(start, " \t");
    return start + strcspn(start, " \t");
}

static void select_key(const Key *key, const Ordering *order, const char *line, const char **start, const char **end)
{
    const char *line_end = line + strlen(line);
    *start = find_field(line, key->first_field - 1);
    if (order->skip_blanks)
        *start += strspn(*start, " \t");
    if (key->first_char > 1)
        *start += (size_t)(line_end - *start) < key->first_char - 1 ? (size_t)(line_end - *start) : key->first_char - 1;
    *end = line_end;
    if (key->last_field > 0 && key->last_char > 0) {
        const char *field = find_field(line, key->last_field - 1);
        if (order->skip_blanks)
            field += strspn(field, " \t");
        *end = (size_t)(line_end - field) < key->last_char ? line_end : field + key->last_char;
    } else if (key->last_field > 0) {
        *end = find_field_end(line, key->last_field - 1);
    }
    if (*end < *start)
        *end = *start;
}

/* A decimal number of any length: [blanks] [-] digits [. digits], taken apart. */
typedef struct Number {
    bool negative, zero;
    const char *digits, *fraction; /* without leading zeros of the whole part */
    size_t digit_count, fraction_count;
} Number;

static size_t count_digits(const char *text, const char *end)
{
    const char *start = text;
    while (text < end && isdigit((unsigned char)*text))
        text++;
    return (size_t)(text - start);
}

static Number read_decimal(const char *text, const char *end)
{
    Number number = {0};
    while (text < end && (*text == ' ' || *text == '\t'))
        text++;
    number.negative = text < end && *text == '-';
    text += number.negative;
    while (text < end && *text == '0')
        text++;
    number.digits = text;
    number.digit_count = count_digits(text, end);
    text += number.digit_count;
    number.fraction = text < end && *text == '.' ? text + 1 : text;
    number.fraction_count = number.fraction > text ? count_digits(number.fraction, end) : 0;
    size_t zeros = 0;
    while (zeros < number.fraction_count && number.fraction[zeros] == '0')
        zeros++;
    number.zero = number.digit_count == 0 && zeros == number.fraction_count;
    return number;
}

static int compare_numbers(const Number *a, const Number *b)
{
    int a_sign = a->zero ? 0 : a->negative ? -1 : 1, b_sign = b->zero ? 0 : b->negative ? -1 : 1;
    if (a_sign != b_sign)
        return a_sign - b_sign;
    int order = a->digit_count != b->digit_count ? (a->digit_count < b->digit_count ? -1 : 1)
                                                 : strncmp(a->digits, b->digits, a->digit_count);
    for (size_t i = 0; order == 0 && (i < a->fraction_count || i < b->fraction_count); i++)
        order = (i < a->fraction_count ? a->fraction[i] : '0') - (i < b->fraction_count ? b->fraction[i] : '0');
    return a_sign < 0 ? -order : order;
}

/* The rank of the unit after a number: 0 for none, 1 for K, 2 for M, ... */
static int unit_rank(const Number *number, const char *end)
{
    static const char units[] = "KMGTPE";
    const char *text = number->fraction + number->fraction_count;
    const char *found = text < end && *text != '\0' ? strchr(units, toupper((unsigned char)*text)) : NULL;
    int rank = found != NULL ? (int)(found - units) + 1 : 0;
    return number->zero ? 0 : number->negative ? -rank : rank;
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length, const Ordering *order)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (order->dictionary && i < a_length && !isalnum((unsigned char)a[i]) && a[i] != ' ')
            i++;
        while (order->dictionary && j < b_length && !isalnum((unsigned char)b[j]) && b[j] != ' ')
            j++;
        if (i >= a_length || j >= b_length)
            return (i < a_length) - (j < b_length);
        int x = (unsigned char)a[i++], y = (unsigned char)b[j++];
        if (order->fold) {
            x = toupper(x);
            y = toupper(y);
        }
        if (x != y)
            return x - y;
    }
}

static int compare_stretches(const char *a, const char *a_end, const char *b, const char *b_end, const Ordering *order)
{
    if (order->numeric || order->human) {
        Number x = read_decimal(a, a_end), y = read_decimal(b, b_end);
        int result = order->human ? unit_rank(&x, a_end) - unit_rank(&y, b_end) : 0;
        return result != 0 ? result : compare_numbers(&x, &y);
    }
    return compare_bytes(a, (size_t)(a_end - a), b, (size_t)(b_end - b), order);
}

static int compare_keys(const char *a, const char *b)
{
    for (size_t i = 0; i < key_count; i++) {
        const Ordering *order = keys[i].own_order ? &keys[i].order : &global;
        const char *a_start, *a_end, *b_start, *b_end;
        select_key(&keys[i], order, a, &a_start, &a_end);
        select_key(&keys[i], order, b, &b_start, &b_end);
        int result = compare_stretches(a_start, a_end, b_start, b_end, order);
        if (result != 0)
            return order->reverse ? -result : result;
    }
    if (key_count > 0)
        return 0;
    const char *a_start = a, *b_start = b;
    if (global.skip_blanks) {
        a_start += strspn(a, " \t");
        b_start += strspn(b, " \t");
    }
    int result = compare_stretches(a_start, a + strlen(a), b_start, b + strlen(b), &global);
    return global.reverse ? -result : result;
}

/* The keys, then (unless -s or -u) the whole line as a last resort. */
static int compare_lines(const char *a, const char *b)
{
    int result = compare_keys(a, b);
    if (result != 0 || stable || unique)
        return result;
    result = strcmp(a, b);
    return global.reverse ? -result : result;
}

/* A merge sort: the C library's qsort is not stable, which -s and -u need. */
static void sort_lines(char **lines, char **scratch, size_t count)
{
    if (count < 2)
        return;
    size_t half = count / 2;
    sort_lines(lines, scratch, half);
    sort_lines(lines + half, scratch, count - half);
    memcpy(scratch, lines, half * sizeof *lines);
    for (size_t left = 0, right = half, out = 0; left < half; out++) {
        bool take_right = right < count && compare_lines(lines[right], scratch[left]) < 0;
        lines[out] = take_right ? lines[right++] : scratch[left++];
    }
}

typedef struct Lines {
    char **list;
    size_t count, capacity;
} Lines;

static int read_lines(FILE *file, const char *name, void *context)
{
    (void)name;
    Lines *lines = context;
    char *line = NULL;
    size_t capacity = 0;
    while (read_line(&line, &capacity, file, NULL) >= 0) {
        lines->list = grow_array(lines->list, lines->count, &lines->capacity, sizeof *lines->list);
        lines->list[lines->count++] = copy_string(line);
    }
    free(line);
    return 0;
}

static int check_order(const Lines *lines)
{
    for (size_t i = 1; i < lines->count; i++) {
        int order = compare_lines(lines->list[i - 1], lines->list[i]);
        if (order > 0 || (unique && order == 0)) {
            warn_text("disorder: %s", lines->list[i]);
            return 1;
        }
    }
    return 0;
}

int sort_main(int argc, char **argv)
{
    const char *output = NULL;
    for (int option; (option = next_option(argc, argv, "nrufbhdsck:t:o:")) != -1;) {
        switch (option) {
        case 'n': global.numeric = true; break;
        case 'r': global.reverse = true; break;
        case 'f': global.fold = true; break;
        case 'b': global.skip_blanks = true; break;
        case 'h': global.human = true; break;
        case 'd': global.dictionary = true; break;
        case 'u': unique = true; break;
        case 's': stable = true; break;
        case 'c': check = true; break;
        case 'k': add_key(optarg); break;
        case 't': separator = strcmp(optarg, "\\t") == 0 ? '\t' : *optarg; break;
        case 'o': output = optarg; break;
        }
    }
    Lines lines = {0};
    int status = for_each_input(argc, argv, read_lines, &lines);
    if (status != 0)
        return 2;
    if (check)
        return check_order(&lines);
    char **scratch = allocate(lines.count * sizeof *scratch);
    sort_lines(lines.list, scratch, lines.count);
    free(scratch);
    if (output != NULL && freopen(output, "w", stdout) == NULL)
        die_errno(output);
    for (size_t i = 0; i < lines.count; i++)
        if (!unique || i == 0 || compare_keys(lines.list[i - 1], lines.list[i]) != 0)
            puts(lines.list[i]);
    return 0;
}
