/*
 * Arithmetic expansion (XCU 2.6.4): C's integer expressions over variables, in 64 bits that wrap.
 *
 *   lowest  ,  = += ...  ?:  ||  &&  |  ^  &  == !=  < <= > >=  << >>  + -  * / %  unary ++ --  highest
 */

#include "sh/sh.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Evaluation {
    const char *text, *next;
    int skip;  /* depth of operands that are parsed but not evaluated: those that &&, || and ?: pass over */
    int depth; /* of nesting, against a text that would exhaust the stack */
} Evaluation;

static intmax_t evaluate_comma(Evaluation *e);
static intmax_t evaluate_assignment(Evaluation *e);

static _Noreturn void fail(const Evaluation *e, const char *why)
{
    raise_error(2, "arithmetic: %s: \"%s\"", why, e->text);
}

static void skip_space(Evaluation *e)
{
    while (isspace((unsigned char)*e->next))
        e->next++;
}

static bool accept(Evaluation *e, const char *operator)
{
    skip_space(e);
    size_t length = strlen(operator);
    if (strncmp(e->next, operator, length) != 0)
        return false;
    e->next += length;
    return true;
}

/* Wrapping arithmetic: signed overflow is undefined in C. */
static intmax_t wrap(uintmax_t value)
{
    return (intmax_t)value;
}

static intmax_t read_variable(Evaluation *e, const char *name)
{
    const char *value = get_variable(name);
    if (e->skip > 0)
        return 0;
    if (value == NULL && options[OPTION_NOUNSET].on)
        raise_error(2, "%s: parameter not set", name);
    if (value == NULL || *value == '\0')
        return 0;
    char *end;
    intmax_t number = strtoimax(value, &end, 0);
    while (isspace((unsigned char)*end))
        end++;
    if (*end == '\0')
        return number;
    if (e->depth > 100)
        fail(e, "nested too deeply");
    Evaluation inner = {.text = value, .next = value, .depth = e->depth + 10};
    number = evaluate_comma(&inner);
    skip_space(&inner);
    if (*inner.next != '\0')
        fail(&inner, "not a number");
    return number;
}

static intmax_t assign(Evaluation *e, const char *name, intmax_t value)
{
    if (e->skip == 0)
        set_number_variable(name, value);
    return value;
}

static intmax_t divide(Evaluation *e, intmax_t left, intmax_t right, bool remainder)
{
    if (e->skip > 0)
        return 0;
    if (right == 0)
        fail(e, "division by zero");
    if (right == -1) /* INTMAX_MIN / -1 overflows */
        return remainder ? 0 : wrap(0 - (uintmax_t)left);
    return remainder ? left % right : left / right;
}

static intmax_t apply(Evaluation *e, const char *operator, intmax_t left, intmax_t right)
{
    uintmax_t a = (uintmax_t)left, b = (uintmax_t)right;
    switch (operator[0]) {
    case '+': return wrap(a + b);
    case '-': return wrap(a - b);
    case '*': return wrap(a * b);
    case '/': return divide(e, left, right, false);
    case '%': return divide(e, left, right, true);
    case '&': return left & right;
    case '|': return left | right;
    case '^': return left ^ right;
    case '=': return left == right;
    case '!': return left != right;
    case '<': return operator[1] == '<' ? wrap(a << (b & 63)) : operator[1] == '=' ? left <= right : left < right;
    default: return operator[1] == '>' ? left >> (b & 63) : operator[1] == '=' ? left >= right : left > right;
    }
}

/* The name at the input, copied, or NULL. */
static char *accept_name(Evaluation *e)
{
    skip_space(e);
    size_t length = name_length(e->next);
    if (length == 0)
        return NULL;
    char *name = copy_bytes(e->next, length);
    e->next += length;
    return name;
}

static intmax_t evaluate_primary(Evaluation *e)
{
    if (accept(e, "(")) {
        intmax_t value = evaluate_comma(e);
        if (!accept(e, ")"))
            fail(e, "missing )");
        return value;
    }
    char *name = accept_name(e);
    if (name != NULL) {
        intmax_t value = read_variable(e, name);
        int step = accept(e, "++") ? 1 : accept(e, "--") ? -1 : 0;
        if (step != 0)
            assign(e, name, wrap((uintmax_t)value + (uintmax_t)(intmax_t)step));
        free(name);
        return value;
    }
    if (!isdigit((unsigned char)*e->next))
        fail(e, *e->next == '\0' ? "operand expected" : "bad operand");
    char *end;
    uintmax_t value = strtoumax(e->next, &end, 0);
    if (isalnum((unsigned char)*end) || *end == '_')
        fail(e, "bad number");
    e->next = end;
    return wrap(value);
}

static intmax_t evaluate_unary(Evaluation *e)
{
    if (++e->depth > 200)
        fail(e, "nested too deeply");
    intmax_t value;
    skip_space(e);
    int step = strncmp(e->next, "++", 2) == 0 ? 1 : strncmp(e->next, "--", 2) == 0 ? -1 : 0;
    if (step != 0 && name_length(e->next + 2 + strspn(e->next + 2, " \t")) > 0) {
        e->next += 2;
        char *name = accept_name(e);
        value = assign(e, name, wrap((uintmax_t)read_variable(e, name) + (uintmax_t)(intmax_t)step));
        free(name);
    } else if (accept(e, "-")) {
        value = wrap(0 - (uintmax_t)evaluate_unary(e));
    } else if (accept(e, "+")) {
        value = evaluate_unary(e);
    } else if (accept(e, "!")) {
        value = !evaluate_unary(e);
    } else if (accept(e, "~")) {
        value = ~evaluate_unary(e);
    } else {
        value = evaluate_primary(e);
    }
    e->depth--;
    return value;
}

/* The binary operators but && and ||, from those that bind least. */
static const char *const levels[][5] = {
    {"|"}, {"^"}, {"&"}, {"==", "!="}, {"<=", ">=", "<", ">"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"},
};

/* Accepts one operator of a level, unless it is the start of a longer one. */
static const char *accept_operator(Evaluation *e, size_t level)
{
    skip_space(e);
    for (size_t i = 0; i < COUNT_OF(levels[level]) && levels[level][i] != NULL; i++) {
        const char *operator = levels[level][i];
        size_t length = strlen(operator);
        if (strncmp(e->next, operator, length) != 0)
            continue;
        char after = e->next[length];
        bool is_comparison = strcmp(operator, "==") == 0 || strcmp(operator, "!=") == 0 || strcmp(operator, "<=") == 0
            || strcmp(operator, ">=") == 0;
        bool is_longer = (after == '=' && !is_comparison) || (length == 1 && after == operator[0] && strchr("|&<>", after) != NULL);
        if (is_longer)
            continue;
        e->next += length;
        return operator;
    }
    return NULL;
}

static intmax_t evaluate_binary(Evaluation *e, size_t level)
{
    if (level == COUNT_OF(levels))
        return evaluate_unary(e);
    intmax_t left = evaluate_binary(e, level + 1);
    for (const char *operator; (operator = accept_operator(e, level)) != NULL;)
        left = apply(e, operator, left, evaluate_binary(e, level + 1));
    return left;
}

static intmax_t evaluate_and(Evaluation *e)
{
    intmax_t left = evaluate_binary(e, 0);
    while (accept(e, "&&")) {
        bool skipped = left == 0;
        e->skip += skipped;
        intmax_t right = evaluate_binary(e, 0);
        e->skip -= skipped;
        left = !skipped && right != 0;
    }
    return left;
}

static intmax_t evaluate_or(Evaluation *e)
{
    intmax_t left = evaluate_and(e);
    while (accept(e, "||")) {
        bool skipped = left != 0;
        e->skip += skipped;
        intmax_t right = evaluate_and(e);
        e->skip -= skipped;
        left = skipped || right != 0;
    }
    return left;
}

static intmax_t evaluate_conditional(Evaluation *e)
{
    intmax_t condition = evaluate_or(e);
    if (!accept(e, "?"))
        return condition;
    bool chosen = condition != 0;
    e->skip += !chosen;
    intmax_t then = evaluate_comma(e);
    e->skip -= !chosen;
    if (!accept(e, ":"))
        fail(e, "missing :");
    e->skip += chosen;
    intmax_t otherwise = evaluate_assignment(e);
    e->skip -= chosen;
    return chosen ? then : otherwise;
}

static intmax_t evaluate_assignment(Evaluation *e)
{
    static const char *const operators[] = {"=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="};
    const char *start = e->next;
    char *name = accept_name(e);
    for (size_t i = 0; name != NULL && i < COUNT_OF(operators); i++) {
        const char *before = e->next;
        if (!accept(e, operators[i]))
            continue;
        if (i == 0 && *e->next == '=') { /* a comparison */
            e->next = before;
            break;
        }
        intmax_t right = evaluate_assignment(e);
        intmax_t value = i == 0 ? right : apply(e, operators[i], read_variable(e, name), right);
        value = assign(e, name, value);
        free(name);
        return value;
    }
    free(name);
    e->next = start;
    return evaluate_conditional(e);
}

static intmax_t evaluate_comma(Evaluation *e)
{
    intmax_t value = evaluate_assignment(e);
    while (accept(e, ","))
        value = evaluate_assignment(e);
    return value;
}

intmax_t evaluate(const char *expression)
{
    Evaluation e = {.text = expression, .next = expression};
    skip_space(&e);
    if (*e.next == '\0')
        return 0;
    intmax_t value = evaluate_comma(&e);
    skip_space(&e);
    if (*e.next != '\0')
        fail(&e, "unexpected text");
    return value;
}
