/*
 * The line editor: one logical line, which may wrap over several rows of the terminal.
 *
 *   ┌ columns ─────────────┐
 *   │~ # echo a long line t│  row 0
 *   │hat wraps_            │  row 1: the cursor's row, from which the next refresh climbs back
 *   └──────────────────────┘
 */

#include "sh/sh.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONTROL(letter) ((letter) & 31)

typedef struct Editor {
    const char *prompt;
    int prompt_width;
    Buffer text;
    size_t cursor;
    int cursor_row;             /* below the row of the prompt */
    size_t history_index;       /* history_length() for the new line */
    char *new_line;             /* the new line while an old one is shown */
} Editor;

static char *last_killed;       /* survives from line to line, for ^Y */

static void put(const char *text)
{
    write_all(1, text, strlen(text));
}

/* ---- text and columns ---- */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

static int count_columns(const char *text, size_t length)
{
    int columns = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == 27 && i + 1 < length && text[i + 1] == '[') { /* a colour takes no room */
            while (i < length && !isalpha((unsigned char)text[i]))
                i++;
            continue;
        }
        columns += !is_continuation(text[i]);
    }
    return columns;
}

static size_t previous_character(const Editor *editor, size_t from)
{
    if (from > 0)
        from--;
    while (from > 0 && is_continuation(editor->text.data[from]))
        from--;
    return from;
}

static size_t next_character(const Editor *editor, size_t from)
{
    if (from < editor->text.length)
        from++;
    while (from < editor->text.length && is_continuation(editor->text.data[from]))
        from++;
    return from;
}

static size_t previous_word(const Editor *editor, bool by_blanks)
{
    size_t i = editor->cursor;
    const char *text = editor->text.data;
    while (i > 0 && !(by_blanks ? text[i - 1] != ' ' : isalnum((unsigned char)text[i - 1])))
        i--;
    while (i > 0 && (by_blanks ? text[i - 1] != ' ' : isalnum((unsigned char)text[i - 1])))
        i--;
    return i;
}

static size_t next_word(const Editor *editor)
{
    size_t i = editor->cursor;
    while (i < editor->text.length && !isalnum((unsigned char)editor->text.data[i]))
        i++;
    while (i < editor->text.length && isalnum((unsigned char)editor->text.data[i]))
        i++;
    return i;
}

/* ---- the screen ---- */

static void refresh(Editor *editor)
{
    int columns = read_window_size(1).columns;
    Buffer output = {0};
    if (editor->cursor_row > 0)
        buffer_add_format(&output, "\33[%dA", editor->cursor_row);
    buffer_add_text(&output, "\r\33[J");
    buffer_add_text(&output, editor->prompt);
    buffer_add(&output, editor->text.data, editor->text.length);

    int end = editor->prompt_width + count_columns(editor->text.data, editor->text.length);
    int here = editor->prompt_width + count_columns(editor->text.data, editor->cursor);
    if (end > 0 && end % columns == 0)
        buffer_add_text(&output, "\n"); /* the terminal wraps only when a character follows */
    int up = end / columns - here / columns;
    if (up > 0)
        buffer_add_format(&output, "\33[%dA", up);
    if (here != end) {
        buffer_add_char(&output, '\r');
        if (here % columns > 0)
            buffer_add_format(&output, "\33[%dC", here % columns);
    }
    editor->cursor_row = here / columns;
    write_all(1, output.data, output.length);
    buffer_free(&output);
}

static void move_to(Editor *editor, size_t place)
{
    editor->cursor = place;
    refresh(editor);
}

/* Moves below the text, for output that is not part of the line. */
static void leave_line(Editor *editor)
{
    if (editor->cursor != editor->text.length)
        move_to(editor, editor->text.length);
    put("\n");
    editor->cursor_row = 0;
}

/* ---- edits ---- */

static void replace(Editor *editor, size_t start, size_t end, const char *text, size_t length)
{
    Buffer changed = {0};
    buffer_add(&changed, editor->text.data, start);
    buffer_add(&changed, text, length);
    buffer_add(&changed, editor->text.data + end, editor->text.length - end);
    buffer_free(&editor->text);
    editor->text = changed;
    editor->cursor = start + length;
}

static void insert(Editor *editor, char c)
{
    bool at_end = editor->cursor == editor->text.length;
    replace(editor, editor->cursor, editor->cursor, &c, 1);
    int width = editor->prompt_width + count_columns(editor->text.data, editor->text.length);
    if (at_end && width < read_window_size(1).columns)
        write_all(1, &c, 1); /* the usual case needs no refresh */
    else
        refresh(editor);
}

static void erase(Editor *editor, size_t start, size_t end)
{
    replace(editor, start, end, "", 0);
    refresh(editor);
}

static void kill_text(Editor *editor, size_t start, size_t end)
{
    free(last_killed);
    last_killed = copy_bytes(editor->text.data + start, end - start);
    erase(editor, start, end);
}

static void set_text(Editor *editor, const char *text)
{
    replace(editor, 0, editor->text.length, text, strlen(text));
    refresh(editor);
}

/* ---- history ---- */

static void show_history(Editor *editor, size_t index)
{
    if (index > history_length())
        return;
    if (editor->history_index == history_length()) {
        free(editor->new_line);
        editor->new_line = copy_bytes(editor->text.data, editor->text.length);
    }
    editor->history_index = index;
    set_text(editor, index == history_length() ? editor->new_line : get_history(index));
}

/* The newest line at or before `from` that contains the text; history_length() when there is none. */
static size_t search_back(const char *text, size_t from)
{
    for (size_t i = from + 1; i-- > 0;)
        if (get_history(i) != NULL && strstr(get_history(i), text) != NULL)
            return i;
    return history_length();
}

/* ^R: narrows the match with each character; returns the key that ended the search. */
static int search_history(Editor *editor)
{
    Buffer wanted = {0};
    buffer_add_text(&wanted, "");
    size_t found = history_length();
    const char *usual_prompt = editor->prompt;
    int usual_width = editor->prompt_width, key;
    for (;;) {
        char *prompt = format_string("(search)`%s': ", wanted.data);
        editor->prompt = prompt;
        editor->prompt_width = count_columns(prompt, strlen(prompt));
        set_text(editor, found < history_length() ? get_history(found) : "");
        key = read_key(0);
        free(prompt);
        if (key == CONTROL('R') && found > 0) {
            size_t older = search_back(wanted.data, found - 1);
            if (older < history_length())
                found = older;
        } else if ((key == 127 || key == 8) && wanted.length > 0) {
            wanted.data[--wanted.length] = '\0';
            found = search_back(wanted.data, history_length());
        } else if (key >= 32 && key < 256 && key != 127) {
            buffer_add_char(&wanted, (char)key);
            found = search_back(wanted.data, history_length());
        } else {
            break;
        }
    }
    buffer_free(&wanted);
    editor->prompt = usual_prompt;
    editor->prompt_width = usual_width;
    editor->history_index = found;
    refresh(editor);
    return key;
}

/* ---- completion ---- */

static size_t common_length(const Completion *completion)
{
    size_t length = strlen(completion->candidates[0]);
    for (size_t i = 1; i < completion->count; i++) {
        size_t same = 0;
        while (same < length && completion->candidates[i][same] == completion->candidates[0][same])
            same++;
        length = same;
    }
    return length;
}

static void list_candidates(Editor *editor, const Completion *completion)
{
    size_t cursor = editor->cursor;
    leave_line(editor);
    leave_raw_mode(0);
    int *widths = allocate(completion->count * sizeof *widths);
    for (size_t i = 0; i < completion->count; i++)
        widths[i] = count_columns(completion->labels[i], strlen(completion->labels[i]));
    print_columns(completion->labels, widths, completion->count, read_window_size(1).columns);
    fflush(stdout);
    free(widths);
    enter_raw_mode(0);
    editor->cursor = cursor;
    refresh(editor);
}

static void complete(Editor *editor, bool again)
{
    char *line = copy_bytes(editor->text.data, editor->text.length);
    Completion completion = complete_word(line, editor->cursor);
    free(line);
    if (completion.count == 0) {
        put("\a");
        free_completion(&completion);
        return;
    }
    size_t length = common_length(&completion), typed = editor->cursor - completion.word_start;
    if (length > typed || completion.count == 1) {
        char *text = copy_bytes(completion.candidates[0], length);
        bool finished = completion.count == 1 && (length == 0 || text[length - 1] != '/');
        char *with_blank = format_string(finished ? "%s " : "%s", text);
        replace(editor, completion.word_start, editor->cursor, with_blank, strlen(with_blank));
        refresh(editor);
        free(with_blank);
        free(text);
    } else if (again) {
        list_candidates(editor, &completion);
    } else {
        put("\a");
    }
    free_completion(&completion);
}

/* ---- keys ---- */

typedef enum KeyResult { KEY_CONTINUES, KEY_ENDS_LINE, KEY_ENDS_INPUT, KEY_INTERRUPTS } KeyResult;

static KeyResult handle_key(Editor *editor, int key, int previous)
{
    size_t cursor = editor->cursor, length = editor->text.length;
    switch (key) {
    case '\r': case '\n': return KEY_ENDS_LINE;
    case CONTROL('C'): return KEY_INTERRUPTS;
    case KEY_END_OF_INPUT: return KEY_ENDS_INPUT;
    case CONTROL('D'):
        if (length == 0)
            return KEY_ENDS_INPUT;
        erase(editor, cursor, next_character(editor, cursor));
        break;
    case KEY_DELETE: erase(editor, cursor, next_character(editor, cursor)); break;
    case 127: case 8: erase(editor, previous_character(editor, cursor), cursor); break;
    case KEY_LEFT: case CONTROL('B'): move_to(editor, previous_character(editor, cursor)); break;
    case KEY_RIGHT: case CONTROL('F'): move_to(editor, next_character(editor, cursor)); break;
    case KEY_WORD_LEFT: move_to(editor, previous_word(editor, false)); break;
    case KEY_WORD_RIGHT: move_to(editor, next_word(editor)); break;
    case KEY_HOME: case CONTROL('A'): move_to(editor, 0); break;
    case KEY_END: case CONTROL('E'): move_to(editor, length); break;
    case CONTROL('K'): kill_text(editor, cursor, length); break;
    case CONTROL('U'): kill_text(editor, 0, cursor); editor->cursor = 0; refresh(editor); break;
    case CONTROL('W'): kill_text(editor, previous_word(editor, true), cursor); break;
    case CONTROL('Y'):
        if (last_killed != NULL)
            replace(editor, cursor, cursor, last_killed, strlen(last_killed));
        refresh(editor);
        break;
    case CONTROL('L'): put("\33[H\33[2J"); editor->cursor_row = 0; refresh(editor); break;
    case KEY_UP: case CONTROL('P'): show_history(editor, editor->history_index - 1); break;
    case KEY_DOWN: case CONTROL('N'): show_history(editor, editor->history_index + 1); break;
    case '\t': complete(editor, previous == '\t'); break;
    case CONTROL('R'): return handle_key(editor, search_history(editor), 0);
    default:
        if (key >= 32 && key < 256)
            insert(editor, (char)key);
        break;
    }
    return KEY_CONTINUES;
}

/* Without a terminal that can be edited on: a plain line. */
static char *read_plain_line(const char *prompt)
{
    Buffer line = {0};
    write_all(2, prompt, strlen(prompt));
    char c;
    ssize_t count;
    while ((count = read(0, &c, 1)) != 0) {
        if (count < 0 && errno != EINTR)
            break;
        if (count < 0) {
            buffer_free(&line);
            put("\n");
            raise_interrupt();
        }
        if (c == '\n')
            return buffer_take(&line);
        buffer_add_char(&line, c);
    }
    if (line.length > 0)
        return buffer_take(&line);
    return NULL;
}

char *edit_line(const char *prompt)
{
    fflush(stdout);
    if (!isatty(0) || !enter_raw_mode(0))
        return read_plain_line(prompt);
    const char *last_row = strrchr(prompt, '\n');
    last_row = last_row != NULL ? last_row + 1 : prompt;
    for (const char *c = prompt; c < last_row; c++)
        put(*c == '\n' ? "\n" : (char[]){*c, '\0'});

    Editor editor = {.prompt = last_row, .history_index = history_length()};
    editor.prompt_width = count_columns(last_row, strlen(last_row));
    buffer_add_text(&editor.text, "");
    put(last_row);

    KeyResult result = KEY_CONTINUES;
    for (int previous = 0; result == KEY_CONTINUES;) {
        int key = read_key(0);
        result = handle_key(&editor, key, previous);
        previous = key;
    }
    if (result == KEY_ENDS_INPUT) {
        put("\n");
    } else {
        if (editor.cursor != editor.text.length)
            move_to(&editor, editor.text.length);
        put(result == KEY_INTERRUPTS ? "^C\n" : "\n");
    }
    leave_raw_mode(0);
    free(editor.new_line);
    if (result == KEY_ENDS_LINE)
        return buffer_take(&editor.text);
    buffer_free(&editor.text);
    if (result == KEY_INTERRUPTS)
        raise_interrupt();
    return NULL;
}
