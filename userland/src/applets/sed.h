/* What the two halves of sed share: the script as it was read (sed-script.c), run by sed.c. */

#ifndef SED_H
#define SED_H

#include "vbox.h"
#include <regex.h>

typedef enum AddressKind {
    ADDRESS_NONE, ADDRESS_LINE, ADDRESS_LAST, ADDRESS_EXPRESSION, ADDRESS_STEP, ADDRESS_OFFSET,
} AddressKind;

typedef struct Address {
    AddressKind kind;
    unsigned long line, step;
    regex_t *expression; /* NULL: the last one used */
} Address;

typedef struct Command {
    Address from, to;
    bool negated, active;    /* active: inside the range */
    unsigned long range_end;
    char name;
    char *text;              /* a, i, c: the text; b, t, T, ":": the label; r, w: the file; y: both sets */
    regex_t *expression;
    char *replacement;
    bool global, print;
    unsigned long which;     /* s///N */
    FILE *file;
    size_t target;           /* of b, t, "{": a command's index */
    int exit_status;
} Command;

extern Command *sed_commands;
extern size_t sed_command_count;

/* Reads a script; dies of an error in it. `extended` is for its regular expressions. */
void read_sed_script(const char *text, bool extended);

#endif
