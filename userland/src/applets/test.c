/*
 * test and [: an expression's truth (XCU, test). It runs in the shell too, so it neither exits nor allocates.
 *
 *   or ::= and ("-o" and)*    and ::= not ("-a" not)*    not ::= "!"* primary
 *   With up to four operands their count decides, so that test "$a" = "$b" works whatever the values are.
 */

#include "vbox.h"
#include <string.h>
#include <unistd.h>

typedef struct Expression {
    char **next, **end;
    bool bad;
} Expression;

static bool evaluate_or(Expression *e);

static bool fail(Expression *e, const char *what, const char *operand)
{
    if (!e->bad)
        warn_text("%s%s%s", operand, *operand != '\0' ? ": " : "", what);
    e->bad = true;
    return false;
}

static bool is_unary(const char *text)
{
    return text[0] == '-' && text[1] != '\0' && text[2] == '\0' && strchr("bcdefghkLnprsStuwxzGOv", text[1]) != NULL;
}

static bool evaluate_file(char operator, const char *path)
{
    struct stat info;
    if (operator == 'h' || operator == 'L')
        return lstat(path, &info) == 0 && S_ISLNK(info.st_mode);
    if (stat(path, &info) != 0)
        return false;
    switch (operator) {
    case 'b': return S_ISBLK(info.st_mode);
    case 'c': return S_ISCHR(info.st_mode);
    case 'd': return S_ISDIR(info.st_mode);
    case 'e': return true;
    case 'f': return S_ISREG(info.st_mode);
    case 'g': return info.st_mode & S_ISGID;
    case 'k': return info.st_mode & S_ISVTX;
    case 'p': return S_ISFIFO(info.st_mode);
    case 's': return info.st_size > 0;
    case 'S': return S_ISSOCK(info.st_mode);
    case 'u': return info.st_mode & S_ISUID;
    case 'O': return info.st_uid == geteuid();
    case 'G': return info.st_gid == getegid();
    case 'r': return access(path, R_OK) == 0;
    case 'w': return access(path, W_OK) == 0;
    case 'x': return access(path, X_OK) == 0;
    default: return false;
    }
}

static bool parse_number(Expression *e, const char *text, intmax_t *value)
{
    /* Blanks around a number are let pass, as the output of wc has them. */
    char trimmed[32];
    text += strspn(text, " \t");
    size_t length = strcspn(text, " \t");
    snprintf(trimmed, sizeof trimmed, "%.*s", (int)length, text);
    if (parse_integer(trimmed, value) && text[length + strspn(text + length, " \t")] == '\0')
        return true;
    return fail(e, "not a number", text);
}

static bool evaluate_unary(Expression *e, char operator, const char *operand)
{
    intmax_t fd;
    if (operator == 'n')
        return *operand != '\0';
    if (operator == 'z')
        return *operand == '\0';
    if (operator == 't')
        return parse_number(e, operand, &fd) && isatty((int)fd);
    return evaluate_file(operator, operand);
}

static bool is_newer(const char *path, const char *than)
{
    struct stat one, other;
    if (stat(path, &one) != 0)
        return false;
    if (stat(than, &other) != 0)
        return true;
    return one.st_mtim.tv_sec > other.st_mtim.tv_sec
        || (one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec > other.st_mtim.tv_nsec);
}

static bool is_same_file(const char *path, const char *as)
{
    struct stat one, other;
    return stat(path, &one) == 0 && stat(as, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

typedef enum BinaryOperator {
    BINARY_NONE, BINARY_EQUAL, BINARY_UNEQUAL, BINARY_BEFORE, BINARY_AFTER, BINARY_EQ, BINARY_NE, BINARY_LT,
    BINARY_LE, BINARY_GT, BINARY_GE, BINARY_NEWER, BINARY_OLDER, BINARY_SAME,
} BinaryOperator;

static BinaryOperator find_binary(const char *text)
{
    static const struct {
        const char *text;
        BinaryOperator operator;
    } rows[] = {
        {"=", BINARY_EQUAL}, {"==", BINARY_EQUAL}, {"!=", BINARY_UNEQUAL}, {"<", BINARY_BEFORE}, {">", BINARY_AFTER},
        {"-eq", BINARY_EQ}, {"-ne", BINARY_NE}, {"-lt", BINARY_LT}, {"-le", BINARY_LE}, {"-gt", BINARY_GT},
        {"-ge", BINARY_GE}, {"-nt", BINARY_NEWER}, {"-ot", BINARY_OLDER}, {"-ef", BINARY_SAME},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].text, text) == 0)
            return rows[i].operator;
    return BINARY_NONE;
}

static bool evaluate_binary(Expression *e, const char *left, BinaryOperator operator, const char *right)
{
    intmax_t a = 0, b = 0;
    bool numeric = operator >= BINARY_EQ && operator <= BINARY_GE;
    if (numeric && (!parse_number(e, left, &a) || !parse_number(e, right, &b)))
        return false;
    switch (operator) {
    case BINARY_EQUAL: return strcmp(left, right) == 0;
    case BINARY_UNEQUAL: return strcmp(left, right) != 0;
    case BINARY_BEFORE: return strcmp(left, right) < 0;
    case BINARY_AFTER: return strcmp(left, right) > 0;
    case BINARY_EQ: return a == b;
    case BINARY_NE: return a != b;
    case BINARY_LT: return a < b;
    case BINARY_LE: return a <= b;
    case BINARY_GT: return a > b;
    case BINARY_GE: return a >= b;
    case BINARY_NEWER: return is_newer(left, right);
    case BINARY_OLDER: return is_newer(right, left);
    case BINARY_SAME: return is_same_file(left, right);
    case BINARY_NONE: break;
    }
    return false;
}

static bool evaluate_primary(Expression *e)
{
    ptrdiff_t left = e->end - e->next;
    if (left <= 0)
        return fail(e, "operand expected", "");
    if (left >= 3 && find_binary(e->next[1]) != BINARY_NONE) {
        bool value = evaluate_binary(e, e->next[0], find_binary(e->next[1]), e->next[2]);
        e->next += 3;
        return value;
    }
    if (strcmp(e->next[0], "!") == 0) {
        e->next++;
        return !evaluate_primary(e);
    }
    if (strcmp(e->next[0], "(") == 0 && left >= 2) {
        e->next++;
        bool value = evaluate_or(e);
        if (e->next >= e->end || strcmp(e->next[0], ")") != 0)
            return fail(e, "missing )", "");
        e->next++;
        return value;
    }
    if (left >= 2 && is_unary(e->next[0])) {
        e->next += 2;
        return evaluate_unary(e, e->next[-2][1], e->next[-1]);
    }
    e->next++;
    return *e->next[-1] != '\0';
}

static bool evaluate_and(Expression *e)
{
    bool value = evaluate_primary(e);
    while (e->next < e->end && strcmp(*e->next, "-a") == 0) {
        e->next++;
        value = evaluate_primary(e) && value;
    }
    return value;
}

static bool evaluate_or(Expression *e)
{
    bool value = evaluate_and(e);
    while (e->next < e->end && strcmp(*e->next, "-o") == 0) {
        e->next++;
        value = evaluate_and(e) || value;
    }
    return value;
}

/* The cases that POSIX decides by the number of operands; *decided is false for longer expressions. */
static bool evaluate_by_count(Expression *e, bool *decided)
{
    char **operand = e->next;
    *decided = true;
    switch (e->end - e->next) {
    case 0:
        return false;
    case 1:
        return *operand[0] != '\0';
    case 2:
        if (strcmp(operand[0], "!") == 0)
            return *operand[1] == '\0';
        if (is_unary(operand[0]))
            return evaluate_unary(e, operand[0][1], operand[1]);
        return fail(e, "unknown operator", operand[0]);
    case 3:
        if (find_binary(operand[1]) != BINARY_NONE)
            return evaluate_binary(e, operand[0], find_binary(operand[1]), operand[2]);
        if (strcmp(operand[1], "-a") == 0)
            return *operand[0] != '\0' && *operand[2] != '\0';
        if (strcmp(operand[1], "-o") == 0)
            return *operand[0] != '\0' || *operand[2] != '\0';
        if (strcmp(operand[0], "(") == 0 && strcmp(operand[2], ")") == 0)
            return *operand[1] != '\0';
        if (strcmp(operand[0], "!") != 0)
            return fail(e, "unknown operator", operand[1]);
        break;
    case 4:
        break;
    default:
        *decided = false;
        return false;
    }
    if (strcmp(operand[0], "!") == 0) {
        e->next++;
        bool value = evaluate_by_count(e, decided);
        return !value;
    }
    *decided = false;
    return false;
}

int test_main(int argc, char **argv)
{
    Expression e = {.next = argv + 1, .end = argv + argc};
    if (strcmp(argv[0], "[") == 0) {
        if (argc < 2 || strcmp(argv[argc - 1], "]") != 0) {
            warn_text("missing ]");
            return 2;
        }
        e.end--;
    }
    bool decided;
    bool value = evaluate_by_count(&e, &decided);
    if (!decided && !e.bad) {
        value = evaluate_or(&e);
        if (e.next < e.end)
            fail(&e, "unexpected operand", *e.next);
    }
    return e.bad ? 2 : !value;
}
