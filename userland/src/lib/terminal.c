/* The terminal: its size, raw mode, keys, and columns of names. */

#include "vbox.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static int read_positive_variable(const char *name, int otherwise)
{
    const char *text = getenv(name);
    intmax_t value;
    return text != NULL && parse_integer(text, &value) && value > 0 && value < 10000 ? (int)value : otherwise;
}

WindowSize read_window_size(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
        return (WindowSize){size.ws_row, size.ws_col};
    return (WindowSize){read_positive_variable("LINES", 24), read_positive_variable("COLUMNS", 80)};
}

static struct termios cooked;
static bool is_raw;

bool enter_raw_mode(int fd)
{
    if (is_raw)
        return true;
    if (tcgetattr(fd, &cooked) != 0)
        return false;
    struct termios raw = cooked;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON | ISTRIP | INLCR | IGNCR);
    raw.c_lflag &= ~(tcflag_t)(ECHO | ICANON | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    is_raw = tcsetattr(fd, TCSADRAIN, &raw) == 0;
    return is_raw;
}

void leave_raw_mode(int fd)
{
    if (is_raw)
        tcsetattr(fd, TCSADRAIN, &cooked);
    is_raw = false;
}

/* Escape sequences: ESC [ or ESC O, then parameters, then one final byte. */
static const struct {
    const char *sequence;
    int key;
} sequences[] = {
    {"[A", KEY_UP}, {"OA", KEY_UP}, {"[B", KEY_DOWN}, {"OB", KEY_DOWN}, {"[C", KEY_RIGHT}, {"OC", KEY_RIGHT},
    {"[D", KEY_LEFT}, {"OD", KEY_LEFT}, {"[H", KEY_HOME}, {"OH", KEY_HOME}, {"[1~", KEY_HOME}, {"[7~", KEY_HOME},
    {"[F", KEY_END}, {"OF", KEY_END}, {"[4~", KEY_END}, {"[8~", KEY_END}, {"[3~", KEY_DELETE},
    {"[5~", KEY_PAGE_UP}, {"[6~", KEY_PAGE_DOWN}, {"[1;5C", KEY_WORD_RIGHT}, {"[1;5D", KEY_WORD_LEFT},
    {"f", KEY_WORD_RIGHT}, {"b", KEY_WORD_LEFT},
};

static bool has_input_soon(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, 50) > 0;
}

static int read_escape_sequence(int fd)
{
    char text[9] = "";
    for (size_t length = 0; length < sizeof text - 1 && has_input_soon(fd); length++) {
        if (read(fd, text + length, 1) != 1)
            break;
        char last = text[length];
        bool starts = length == 0 && (last == '[' || last == 'O');
        bool is_parameter = length > 0 && ((last >= '0' && last <= '9') || last == ';');
        if (!starts && !is_parameter)
            break;
    }
    if (text[0] == '\0')
        return 27;
    for (size_t i = 0; i < COUNT_OF(sequences); i++)
        if (strcmp(sequences[i].sequence, text) == 0)
            return sequences[i].key;
    return KEY_UNKNOWN;
}

int read_key(int fd)
{
    unsigned char byte;
    ssize_t count = read(fd, &byte, 1);
    if (count < 0)
        return errno == EINTR ? KEY_INTERRUPTED : KEY_END_OF_INPUT;
    if (count == 0)
        return KEY_END_OF_INPUT;
    return byte == 27 ? read_escape_sequence(fd) : byte;
}

void print_columns(char **names, const int *widths, size_t count, int screen_columns)
{
    int widest = 1;
    for (size_t i = 0; i < count; i++)
        if (widths[i] > widest)
            widest = widths[i];
    size_t per_row = (size_t)((screen_columns + 1) / (widest + 2));
    if (per_row == 0)
        per_row = 1;
    size_t rows = (count + per_row - 1) / per_row;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < count; i += rows) {
            bool last = i + rows >= count;
            printf("%s%*s", names[i], last ? 0 : widest + 2 - widths[i], "");
        }
        putchar('\n');
    }
}
