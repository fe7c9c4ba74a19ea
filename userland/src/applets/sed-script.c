/* Reads sed's scripts into commands (XCU, sed, "Addresses" and "Editing Commands"). */

#include "applets/sed.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

Command *sed_commands;
size_t sed_command_count;
static size_t command_capacity;
static bool extended;

static const char *script;

static _Noreturn void fail(const char *why)
{
    warn_text("bad script near \"%.20s\": %s", script, why);
    exit(1);
}

static void skip_space(void)
{
    while (*script == ' ' || *script == '\t')
        script++;
}

/* The text up to the delimiter; "\" before it is dropped, "\n" becomes a newline. */
static char *read_delimited(char delimiter, bool is_expression)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    bool in_bracket = false;
    for (; *script != delimiter || in_bracket; script++) {
        if (*script == '\0' || (*script == '\n' && is_expression))
            fail("unterminated expression");
        if (*script == '\\' && !in_bracket) {
            script++;
            if (*script == '\0')
                fail("unterminated expression");
            if (*script == delimiter && !(is_expression && strchr("+?|(){}", delimiter) != NULL)) {
                buffer_add_char(&text, *script);
                continue;
            }
            if (*script == 'n' && is_expression) {
                buffer_add_char(&text, '\n');
                continue;
            }
            if (*script == 't' && is_expression) {
                buffer_add_char(&text, '\t');
                continue;
            }
            buffer_add_char(&text, '\\');
        } else if (is_expression && *script == '[' && !in_bracket) {
            in_bracket = true;
            buffer_add_char(&text, *script);
            if (script[1] == '^')
                buffer_add_char(&text, *++script);
            if (script[1] == ']')
                buffer_add_char(&text, *++script);
            continue;
        } else if (in_bracket && *script == '[' && script[1] == ':') {
            buffer_add_char(&text, *script++); /* a class: its "]" does not end the bracket */
            while (*script != '\0' && !(script[0] == ':' && script[1] == ']'))
                buffer_add_char(&text, *script++);
            if (*script == '\0')
                fail("unterminated class");
            buffer_add_char(&text, *script++);
        } else if (in_bracket && *script == ']') {
            in_bracket = false;
        }
        buffer_add_char(&text, *script);
    }
    script++;
    return buffer_take(&text);
}

static regex_t *compile(const char *text, bool ignore_case)
{
    if (*text == '\0')
        return NULL;
    regex_t *expression = allocate(sizeof *expression);
    int code = regcomp(expression, text, (extended ? REG_EXTENDED : 0) | (ignore_case ? REG_ICASE : 0));
    if (code != 0) {
        char message[128];
        regerror(code, expression, message, sizeof message);
        fail(message);
    }
    return expression;
}

static unsigned long read_number(void)
{
    return strtoul(script, (char **)&script, 10);
}

static Address read_address(void)
{
    Address address = {0};
    if (isdigit((unsigned char)*script)) {
        address.kind = ADDRESS_LINE;
        address.line = read_number();
        if (*script == '~') {
            script++;
            address.kind = ADDRESS_STEP;
            address.step = read_number();
        }
    } else if (*script == '$') {
        script++;
        address.kind = ADDRESS_LAST;
    } else if (*script == '/' || *script == '\\') {
        char delimiter = *script++;
        if (delimiter == '\\')
            delimiter = *script++;
        char *text = read_delimited(delimiter, true);
        bool ignore_case = *script == 'I';
        script += ignore_case;
        address.kind = ADDRESS_EXPRESSION;
        address.expression = compile(text, ignore_case);
        free(text);
    }
    return address;
}

static char *read_word(const char *stops)
{
    skip_space();
    size_t length = strcspn(script, stops);
    char *word = copy_bytes(script, length);
    script += length;
    while (length > 0 && isspace((unsigned char)word[length - 1]))
        word[--length] = '\0';
    return word;
}

/* The text of a, i and c: up to a newline that no backslash precedes. */
static char *read_text(void)
{
    Buffer text = {0};
    skip_space();
    if (*script == '\\') {
        script++;
        skip_space();
        if (*script == '\n')
            script++;
    }
    for (; *script != '\0' && *script != '\n'; script++) {
        if (*script == '\\' && script[1] != '\0')
            script++;
        buffer_add_char(&text, *script);
    }
    buffer_add_char(&text, '\n');
    return buffer_take(&text);
}

static void read_substitution(Command *command)
{
    char delimiter = *script++;
    if (delimiter == '\0' || delimiter == '\n' || delimiter == '\\')
        fail("bad delimiter");
    char *text = read_delimited(delimiter, true);
    command->replacement = read_delimited(delimiter, false);
    command->which = 1;
    bool ignore_case = false;
    for (;; script++) {
        if (*script == 'g')
            command->global = true;
        else if (*script == 'p')
            command->print = true;
        else if (*script == 'i' || *script == 'I')
            ignore_case = true;
        else if (isdigit((unsigned char)*script)) {
            command->which = read_number();
            script--;
        } else if (*script == 'w') {
            script++;
            char *path = read_word("\n");
            command->file = fopen(path, "w");
            if (command->file == NULL)
                die_errno(path);
            free(path);
            break;
        } else
            break;
    }
    command->expression = compile(text, ignore_case);
    free(text);
}

/* y: pairs of bytes, as "abxy" for y/ab/xy/. */
static void read_translation(Command *command)
{
    char delimiter = *script++;
    char *raw[2] = {read_delimited(delimiter, false), NULL};
    raw[1] = read_delimited(delimiter, false);
    for (int i = 0; i < 2; i++) {
        char *to = raw[i];
        for (const char *from = raw[i]; *from != '\0'; from++) {
            if (*from == '\\' && from[1] != '\0') {
                from++;
                *to++ = *from == 'n' ? '\n' : *from == 't' ? '\t' : *from;
            } else {
                *to++ = *from;
            }
        }
        *to = '\0';
    }
    if (strlen(raw[0]) != strlen(raw[1]))
        fail("y: the sets differ in length");
    command->text = format_string("%s%s", raw[0], raw[1]);
}

static void read_command(size_t *open_blocks, size_t *open_count)
{
    sed_commands = grow_array(sed_commands, sed_command_count, &command_capacity, sizeof *sed_commands);
    size_t index = sed_command_count++;
    Command *command = &sed_commands[index];
    *command = (Command){.from = read_address()};
    skip_space();
    if (command->from.kind != ADDRESS_NONE && *script == ',') {
        script++;
        skip_space();
        if (*script == '+') {
            script++;
            command->to = (Address){.kind = ADDRESS_OFFSET, .line = read_number()};
        } else {
            command->to = read_address();
        }
        if (command->to.kind == ADDRESS_NONE)
            fail("address expected");
    }
    skip_space();
    while (*script == '!') {
        script++;
        command->negated = true;
        skip_space();
    }
    command->name = *script++;
    switch (command->name) {
    case '{':
        if (*open_count == 32)
            fail("blocks nested too deeply");
        open_blocks[(*open_count)++] = index;
        return;
    case '}':
        if (*open_count == 0)
            fail("unexpected }");
        sed_commands[open_blocks[--*open_count]].target = index;
        break;
    case 'a': case 'i': case 'c': command->text = read_text(); break;
    case ':': command->text = read_word("\n; \t"); skip_space(); return;
    case 'b': case 't': case 'T': command->text = read_word("\n;} \t"); break;
    case 'r': command->text = read_word("\n"); break;
    case 'w':
        command->text = read_word("\n");
        command->file = strcmp(command->text, "/dev/stdout") == 0 ? stdout : fopen(command->text, "w");
        if (command->file == NULL)
            die_errno(command->text);
        break;
    case 's': read_substitution(command); break;
    case 'y': read_translation(command); break;
    case 'q': case 'Q': skip_space(); command->exit_status = (int)read_number(); break;
    case '=': case 'd': case 'D': case 'g': case 'G': case 'h': case 'H': case 'l': case 'n': case 'N': case 'p':
    case 'P': case 'x':
        break;
    case '#':
        script += strcspn(script, "\n");
        sed_command_count--;
        return;
    default: fail("unknown command");
    }
    skip_space();
    if (*script == '#')
        script += strcspn(script, "\n");
    if (*script != '\0' && *script != '\n' && *script != ';' && *script != '}')
        fail("extra text after a command");
}

static void resolve_labels(void)
{
    for (size_t i = 0; i < sed_command_count; i++) {
        if (strchr("btT", sed_commands[i].name) == NULL)
            continue;
        sed_commands[i].target = sed_command_count;
        size_t label = 0;
        while (*sed_commands[i].text != '\0' && label < sed_command_count
            && !(sed_commands[label].name == ':' && strcmp(sed_commands[label].text, sed_commands[i].text) == 0))
            label++;
        if (*sed_commands[i].text != '\0' && label == sed_command_count)
            die_text("%s: no such label", sed_commands[i].text);
        if (*sed_commands[i].text != '\0')
            sed_commands[i].target = label;
    }
}

void read_sed_script(const char *text, bool extended_expressions)
{
    extended = extended_expressions;
    size_t open_blocks[32], open_count = 0;
    script = text;
    for (;;) {
        script += strspn(script, " \t\n;");
        if (*script == '\0')
            break;
        read_command(open_blocks, &open_count);
    }
    if (open_count > 0)
        fail("unclosed {");
    resolve_labels();
}
