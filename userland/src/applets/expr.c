/*
 * expr: evaluates its arguments as an expression (XCU, expr).
 *
 *   lowest   |   &   = > >= < <= !=   + -   * / %   :   highest
 */

#include "vbox.h"
#include <inttypes.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

static char **next;

static char *evaluate_level(size_t level);

static _Noreturn void fail(const char *why)
{
    fprintf(stderr, "expr: %s\n", why);
    exit(2);
}

static bool is_null(const char *value)
{
    return *value == '\0' || strspn(value + (*value == '-'), "0") == strlen(value + (*value == '-'));
}

static bool is_falsy(const char *value)
{
    intmax_t number;
    return *value == '\0' || (parse_integer(value, &number) && is_null(value));
}

static intmax_t number_of(const char *value)
{
    intmax_t number;
    if (!parse_integer(value, &number))
        fail("non-integer argument");
    return number;
}

static char *number_text(intmax_t number)
{
    return format_string("%jd", number);
}

/* STRING : EXPRESSION, anchored at the start: the group \(...\), or the length of the match. */
static char *match(const char *text, const char *pattern)
{
    char *anchored = format_string("^%s", pattern);
    regex_t expression;
    if (regcomp(&expression, anchored, 0) != 0)
        fail("bad expression");
    regmatch_t groups[2];
    bool found = regexec(&expression, text, 2, groups, 0) == 0;
    char *result;
    if (expression.re_nsub > 0)
        result = found && groups[1].rm_so >= 0
            ? copy_bytes(text + groups[1].rm_so, (size_t)(groups[1].rm_eo - groups[1].rm_so)) : copy_string("");
    else
        result = number_text(found ? groups[0].rm_eo : 0);
    regfree(&expression);
    free(anchored);
    return result;
}

static char *take(void)
{
    if (*next == NULL)
        fail("syntax error");
    return *next++;
}

static char *evaluate_primary(void)
{
    char *word = take();
    if (strcmp(word, "(") == 0) {
        char *value = evaluate_level(0);
        if (strcmp(take(), ")") != 0)
            fail("missing )");
        return value;
    }
    if (strcmp(word, "length") == 0 && *next != NULL)
        return number_text((intmax_t)strlen(evaluate_primary()));
    if (strcmp(word, "match") == 0 && *next != NULL) {
        char *text = evaluate_primary();
        return match(text, evaluate_primary());
    }
    if (strcmp(word, "index") == 0 && *next != NULL) {
        char *text = evaluate_primary();
        size_t place = strcspn(text, evaluate_primary());
        return number_text(text[place] != '\0' ? (intmax_t)place + 1 : 0);
    }
    if (strcmp(word, "substr") == 0 && *next != NULL) {
        char *text = evaluate_primary();
        intmax_t start = number_of(evaluate_primary()), length = number_of(evaluate_primary());
        intmax_t size = (intmax_t)strlen(text);
        if (start < 1 || length < 1 || start > size)
            return copy_string("");
        return copy_bytes(text + start - 1, (size_t)(length < size - start + 1 ? length : size - start + 1));
    }
    return word;
}

static const char *const levels[][7] = {
    {"|"}, {"&"}, {"=", "!=", "<", "<=", ">", ">=", "=="}, {"+", "-"}, {"*", "/", "%"}, {":"},
};

static char *compare(const char *operator, const char *left, const char *right)
{
    intmax_t a, b;
    int order;
    if (parse_integer(left, &a) && parse_integer(right, &b))
        order = (a > b) - (a < b);
    else
        order = strcmp(left, right);
    bool result = operator[0] == '=' ? order == 0
        : operator[0] == '!' ? order != 0
        : operator[0] == '<' ? (operator[1] == '=' ? order <= 0 : order < 0)
                             : (operator[1] == '=' ? order >= 0 : order > 0);
    return number_text(result);
}

static char *apply(const char *operator, char *left, char *right)
{
    switch (*operator) {
    case '|': return !is_falsy(left) ? left : !is_falsy(right) ? right : copy_string("0");
    case '&': return !is_falsy(left) && !is_falsy(right) ? left : copy_string("0");
    case ':': return match(left, right);
    case '+': case '-': case '*': case '/': case '%': break;
    default: return compare(operator, left, right);
    }
    intmax_t a = number_of(left), b = number_of(right), result = 0;
    bool overflow = false;
    if ((*operator == '/' || *operator == '%') && b == 0)
        fail("division by zero");
    switch (*operator) {
    case '+': overflow = __builtin_add_overflow(a, b, &result); break;
    case '-': overflow = __builtin_sub_overflow(a, b, &result); break;
    case '*': overflow = __builtin_mul_overflow(a, b, &result); break;
    default:
        overflow = a == INTMAX_MIN && b == -1;
        if (!overflow)
            result = *operator == '/' ? a / b : a % b;
        break;
    }
    if (overflow)
        fail("result out of range");
    return number_text(result);
}

static char *evaluate_level(size_t level)
{
    if (level == COUNT_OF(levels))
        return evaluate_primary();
    char *value = evaluate_level(level + 1);
    for (;;) {
        const char *operator = NULL;
        for (size_t i = 0; *next != NULL && i < COUNT_OF(levels[level]) && levels[level][i] != NULL; i++)
            if (strcmp(*next, levels[level][i]) == 0)
                operator = levels[level][i];
        if (operator == NULL)
            return value;
        next++;
        value = apply(operator, value, evaluate_level(level + 1));
    }
}

int expr_main(int argc, char **argv)
{
    next = argv + 1;
    if (argc > 1 && strcmp(*next, "--") == 0)
        next++;
    if (*next == NULL)
        fail("syntax error");
    char *value = evaluate_level(0);
    if (*next != NULL)
        fail("syntax error");
    puts(value);
    return is_falsy(value);
}
