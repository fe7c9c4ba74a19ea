/*
 * Where the shell's text comes from: a string, a descriptor read as little as possible (a script on standard input
 * shares it with the commands it runs), or a terminal through the line editor. Aliases are pushed on top.
 */

#include "sh/sh.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Pushed {
    char *text;
    size_t next;
    bool *alias_in_use;
    struct Pushed *below;
} Pushed;

struct Input {
    char *text;                    /* the string, or the current line */
    size_t length, next;
    int fd;                        /* -1 for a string */
    bool at_terminal, continued, ended;
    int line;
    Pushed *pushed;
    Buffer record;
};

Input *open_text_input(const char *text)
{
    Input *input = allocate(sizeof *input);
    *input = (Input){.text = copy_string(text), .length = strlen(text), .fd = -1, .line = 1};
    return input;
}

Input *open_descriptor_input(int fd, bool at_terminal)
{
    Input *input = allocate(sizeof *input);
    *input = (Input){.fd = fd, .at_terminal = at_terminal, .line = 1};
    return input;
}

static void drop_pushed(Input *input)
{
    Pushed *top = input->pushed;
    input->pushed = top->below;
    if (top->alias_in_use != NULL)
        *top->alias_in_use = false;
    free(top->text);
    free(top);
}

void close_input_source(Input *input)
{
    while (input->pushed != NULL)
        drop_pushed(input);
    free(input->text);
    buffer_free(&input->record);
    free(input);
}

/*
 * Reads through the next newline and no further, so that a command run meanwhile finds the rest: a file is read in
 * blocks and wound back, a pipe byte by byte.
 */
static char *read_shared_line(int fd, size_t *length)
{
    Buffer line = {0};
    bool seekable = lseek(fd, 0, SEEK_CUR) >= 0;
    char block[512];
    for (;;) {
        ssize_t count = read(fd, block, seekable ? sizeof block : 1);
        if (count < 0 && errno == EINTR) {
            run_pending_traps();
            continue;
        }
        if (count <= 0)
            break;
        const char *newline = memchr(block, '\n', (size_t)count);
        ssize_t used = newline != NULL ? newline - block + 1 : count;
        if (used < count)
            lseek(fd, used - count, SEEK_CUR);
        buffer_add(&line, block, (size_t)used);
        if (newline != NULL)
            break;
    }
    *length = line.length;
    return line.length > 0 ? buffer_take(&line) : NULL;
}

static char *expand_prompt(const char *name, const char *otherwise)
{
    const char *prompt = get_variable(name);
    return expand_text(prompt != NULL ? prompt : otherwise);
}

static char *read_terminal_line(Input *input, size_t *length)
{
    if (!input->continued)
        notify_jobs();
    char *prompt = input->continued ? expand_prompt("PS2", "> ") : expand_prompt("PS1", "\\w \\$ ");
    char *line = edit_line(prompt);
    free(prompt);
    if (line == NULL)
        return NULL;
    Buffer text = {0};
    buffer_add_text(&text, line);
    buffer_add_char(&text, '\n');
    add_history(line);
    free(line);
    *length = text.length;
    return buffer_take(&text);
}

/* Makes the next line current; false at the end. */
static bool refill(Input *input)
{
    if (input->fd < 0 || input->ended)
        return false;
    free(input->text);
    input->text = NULL;
    input->length = input->next = 0;
    char *text = input->at_terminal ? read_terminal_line(input, &input->length)
                                    : read_shared_line(input->fd, &input->length);
    input->text = text;
    input->ended = text == NULL;
    if (text != NULL && options[OPTION_VERBOSE].on)
        fputs(text, stderr);
    return text != NULL;
}

int peek_char(Input *input)
{
    while (input->pushed != NULL) {
        char c = input->pushed->text[input->pushed->next];
        if (c != '\0')
            return (unsigned char)c;
        drop_pushed(input);
    }
    if (input->next >= input->length && !refill(input))
        return INPUT_END;
    return (unsigned char)input->text[input->next];
}

int next_char(Input *input)
{
    int c = peek_char(input);
    if (c == INPUT_END)
        return c;
    if (input->pushed != NULL) {
        input->pushed->next++;
    } else {
        input->next++;
        if (c == '\n')
            input->line++;
    }
    buffer_add_char(&input->record, (char)c);
    return c;
}

void push_text(Input *input, const char *text, bool *alias_in_use)
{
    Pushed *top = allocate(sizeof *top);
    *top = (Pushed){.text = copy_string(text), .alias_in_use = alias_in_use, .below = input->pushed};
    if (alias_in_use != NULL)
        *alias_in_use = true;
    input->pushed = top;
}

int input_line(const Input *input)
{
    return input->line;
}

size_t record_length(const Input *input)
{
    return input->record.length;
}

char *copy_record(const Input *input, size_t start, size_t end)
{
    if (end > input->record.length)
        end = input->record.length;
    if (start > end)
        start = end;
    const char *text = input->record.data != NULL ? input->record.data : "";
    while (end > start && strchr(" \t\n;&|", text[end - 1]) != NULL)
        end--;
    while (start < end && strchr(" \t\n", text[start]) != NULL)
        start++;
    return copy_bytes(text + start, end - start);
}

void clear_record(Input *input)
{
    input->record.length = 0;
    if (input->at_terminal)
        input->ended = false; /* ^D ends one line; with stopped jobs the shell asks again */
}

void set_continuation(Input *input, bool continued)
{
    input->continued = continued;
}

void discard_line(Input *input)
{
    while (input->pushed != NULL)
        drop_pushed(input);
    input->next = input->length;
}
