/*
 * less: shows text a screen at a time. When standard output is not a terminal it copies, as cat does.
 *
 *   space f PgDn   a screen on        b PgUp   a screen back      /text  n N   search
 *   j Enter down   a line on          k up     a line back        g G          start, end
 *   d u            half a screen      left right  sideways        q            quit
 */

#include "vbox.h"
#include <fcntl.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char **lines;
static size_t line_count, line_capacity;
static size_t top;
static size_t left;
static char *wanted;
static regex_t expression;
static const char *message = "";

static void add_lines(char *text)
{
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        if (text == NULL && *line == '\0')
            break; /* after the last newline */
        lines = grow_array(lines, line_count, &line_capacity, sizeof *lines);
        lines[line_count++] = line;
    }
}

/* One line, cut to the screen, tabs expanded, control characters made visible, matches marked. */
static void draw_line(const char *line, int columns)
{
    Buffer shown = {0};
    buffer_add_text(&shown, "");
    for (; *line != '\0'; line++) {
        unsigned char c = (unsigned char)*line;
        if (c == '\t') {
            do
                buffer_add_char(&shown, ' ');
            while (shown.length % 8 != 0);
        } else if (c < 32 || c == 127) {
            buffer_add_char(&shown, '^');
            buffer_add_char(&shown, (char)(c ^ 64));
        } else {
            buffer_add_char(&shown, (char)c);
        }
    }
    size_t start = left < shown.length ? left : shown.length;
    if (shown.length > start + (size_t)columns)
        shown.data[start + (size_t)columns] = '\0';
    const char *rest = shown.data + start;
    regmatch_t match;
    while (wanted != NULL && *rest != '\0' && regexec(&expression, rest, 1, &match, 0) == 0 && match.rm_eo > match.rm_so) {
        printf("%.*s\33[7m%.*s\33[m", (int)match.rm_so, rest, (int)(match.rm_eo - match.rm_so), rest + match.rm_so);
        rest += match.rm_eo;
    }
    printf("%s\33[K\r\n", rest);
    buffer_free(&shown);
}

static void draw(const char *name, WindowSize size)
{
    int rows = size.rows - 1;
    fputs("\33[H", stdout);
    for (int row = 0; row < rows; row++) {
        if (top + (size_t)row < line_count)
            draw_line(lines[top + (size_t)row], size.columns);
        else
            fputs("~\33[K\r\n", stdout);
    }
    bool at_end = top + (size_t)rows >= line_count;
    if (*message != '\0')
        printf("\33[7m%s\33[m\33[K", message);
    else
        printf("\33[7m%s %zu/%zu%s\33[m\33[K", name, top + 1, line_count, at_end ? " (end)" : "");
    message = "";
    fflush(stdout);
}

static void scroll(long by, int rows)
{
    long last = (long)line_count - rows;
    long target = (long)top + by;
    if (target > last)
        target = last;
    top = target > 0 ? (size_t)target : 0;
}

static void search(bool backward)
{
    if (wanted == NULL) {
        message = "no search yet";
        return;
    }
    for (size_t n = 1; n < line_count; n++) {
        size_t i = backward ? top - n : top + n;
        if (i >= line_count) /* past either end */
            break;
        if (regexec(&expression, lines[i], 0, NULL, 0) == 0) {
            top = i;
            return;
        }
    }
    message = "not found";
}

static void ask_search(int keyboard, bool backward)
{
    Buffer text = {0};
    buffer_add_text(&text, "");
    for (;;) {
        printf("\r%c%s\33[K", backward ? '?' : '/', text.data);
        fflush(stdout);
        int key = read_key(keyboard);
        if (key == '\r' || key == '\n')
            break;
        if (key == 3 || key == 27 || key == KEY_END_OF_INPUT) {
            buffer_free(&text);
            return;
        }
        if ((key == 127 || key == 8) && text.length > 0)
            text.data[--text.length] = '\0';
        else if (key >= 32 && key < 256 && key != 127)
            buffer_add_char(&text, (char)key);
    }
    if (text.length > 0) {
        if (wanted != NULL)
            regfree(&expression);
        free(wanted);
        wanted = NULL;
        if (regcomp(&expression, text.data, REG_EXTENDED) == 0)
            wanted = copy_string(text.data);
        else
            message = "bad expression";
    }
    buffer_free(&text);
    search(backward);
}

static void show(const char *name, int keyboard)
{
    enter_raw_mode(keyboard);
    fputs("\33[?1049h", stdout);
    for (;;) {
        WindowSize size = read_window_size(1);
        int rows = size.rows - 1;
        draw(name, size);
        switch (read_key(keyboard)) {
        case 'q': case 'Q': case 3: case KEY_END_OF_INPUT:
            fputs("\33[?1049l", stdout);
            fflush(stdout);
            leave_raw_mode(keyboard);
            return;
        case ' ': case 'f': case 6: case KEY_PAGE_DOWN: scroll(rows, rows); break;
        case 'b': case 2: case KEY_PAGE_UP: scroll(-rows, rows); break;
        case 'd': case 4: scroll(rows / 2, rows); break;
        case 'u': case 21: scroll(-rows / 2, rows); break;
        case 'j': case '\r': case '\n': case 'e': case KEY_DOWN: scroll(1, rows); break;
        case 'k': case 'y': case KEY_UP: scroll(-1, rows); break;
        case KEY_RIGHT: left += (size_t)size.columns / 2; break;
        case KEY_LEFT: left -= left < (size_t)size.columns / 2 ? left : (size_t)size.columns / 2; break;
        case 'g': case '<': case KEY_HOME: top = 0; break;
        case 'G': case '>': case KEY_END: scroll((long)line_count, rows); break;
        case '/': ask_search(keyboard, false); break;
        case '?': ask_search(keyboard, true); break;
        case 'n': search(false); break;
        case 'N': search(true); break;
        case 'h': message = "space b j k g G / n N q"; break;
        default: break;
        }
    }
}

int less_main(int argc, char **argv)
{
    while (next_option(argc, argv, "RSFXNin") != -1)
        continue;
    char *name = optind < argc ? argv[optind] : "-";
    if (!isatty(1)) {
        char *cat[] = {"cat", "--", NULL, NULL};
        int status = 0, count = 0;
        for (int i = optind; i < argc || count == 0; i++, count++) {
            cat[2] = i < argc ? argv[i] : "-";
            int one = run_applet(find_applet("cat"), 3, cat);
            if (one != 0)
                status = one;
        }
        return status;
    }
    if (optind >= argc && isatty(0))
        fail_usage();
    for (int i = optind; i < argc || i == optind; i++) {
        bool is_stdin = i >= argc || strcmp(argv[i], "-") == 0;
        char *text = is_stdin ? read_descriptor(0, NULL) : read_file(argv[i], NULL);
        if (text == NULL)
            die_errno(is_stdin ? "standard input" : argv[i]);
        add_lines(text);
    }
    int keyboard = isatty(0) ? 0 : open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (keyboard < 0)
        die_errno("/dev/tty");
    show(strcmp(name, "-") == 0 ? "standard input" : name, keyboard);
    return 0;
}
