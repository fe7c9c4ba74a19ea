/* stty: shows or changes the terminal's modes. */

#include "vbox.h"
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

typedef enum Field { FIELD_INPUT, FIELD_OUTPUT, FIELD_CONTROL, FIELD_LOCAL } Field;

static const struct {
    const char *name;
    Field field;
    tcflag_t bit;
} modes[] = {
    {"ignbrk", FIELD_INPUT, IGNBRK}, {"brkint", FIELD_INPUT, BRKINT}, {"istrip", FIELD_INPUT, ISTRIP},
    {"inlcr", FIELD_INPUT, INLCR}, {"igncr", FIELD_INPUT, IGNCR}, {"icrnl", FIELD_INPUT, ICRNL},
    {"ixon", FIELD_INPUT, IXON}, {"ixoff", FIELD_INPUT, IXOFF}, {"opost", FIELD_OUTPUT, OPOST},
    {"onlcr", FIELD_OUTPUT, ONLCR}, {"isig", FIELD_LOCAL, ISIG}, {"icanon", FIELD_LOCAL, ICANON},
    {"echo", FIELD_LOCAL, ECHO}, {"echoe", FIELD_LOCAL, ECHOE}, {"echok", FIELD_LOCAL, ECHOK},
    {"echonl", FIELD_LOCAL, ECHONL}, {"echoctl", FIELD_LOCAL, ECHOCTL}, {"echoke", FIELD_LOCAL, ECHOKE},
    {"noflsh", FIELD_LOCAL, NOFLSH}, {"tostop", FIELD_LOCAL, TOSTOP}, {"iexten", FIELD_LOCAL, IEXTEN},
};

static const struct {
    const char *name;
    int index;
} characters[] = {
    {"intr", VINTR}, {"quit", VQUIT}, {"erase", VERASE}, {"kill", VKILL}, {"eof", VEOF}, {"start", VSTART},
    {"stop", VSTOP}, {"susp", VSUSP}, {"werase", VWERASE}, {"lnext", VLNEXT},
};

static tcflag_t *field_of(struct termios *terminal, Field field)
{
    return field == FIELD_INPUT ? &terminal->c_iflag : field == FIELD_OUTPUT ? &terminal->c_oflag
        : field == FIELD_CONTROL ? &terminal->c_cflag : &terminal->c_lflag;
}

static void print_modes(struct termios *terminal, const struct winsize *size)
{
    printf("rows %u; columns %u;\n", size->ws_row, size->ws_col);
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        cc_t c = terminal->c_cc[characters[i].index];
        if (c == 0)
            printf("%s = <undef>; ", characters[i].name);
        else
            printf(c < 32 || c == 127 ? "%s = ^%c; " : "%s = %c; ", characters[i].name, c < 32 || c == 127 ? c ^ 64 : c);
    }
    printf("min = %u; time = %u;\n", terminal->c_cc[VMIN], terminal->c_cc[VTIME]);
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        printf("%s%s%s", *field_of(terminal, modes[i].field) & modes[i].bit ? "" : "-", modes[i].name,
            i + 1 == COUNT_OF(modes) ? "\n" : " ");
}

static void set_raw(struct termios *terminal, bool raw)
{
    if (raw) {
        terminal->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
        terminal->c_oflag &= ~(tcflag_t)OPOST;
        terminal->c_lflag &= ~(tcflag_t)(ISIG | ICANON | IEXTEN);
        terminal->c_cc[VMIN] = 1;
        terminal->c_cc[VTIME] = 0;
    } else {
        terminal->c_iflag |= ICRNL | IXON | BRKINT;
        terminal->c_oflag |= OPOST | ONLCR;
        terminal->c_lflag |= ISIG | ICANON | IEXTEN;
        terminal->c_cc[VEOF] = 4;
    }
}

static void set_sane(struct termios *terminal)
{
    static const cc_t sane[][2] = {{VINTR, 3}, {VQUIT, 28}, {VERASE, 127}, {VKILL, 21}, {VEOF, 4}, {VSTART, 17},
        {VSTOP, 19}, {VSUSP, 26}, {VWERASE, 23}, {VLNEXT, 22}};
    set_raw(terminal, false);
    terminal->c_lflag |= ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE;
    terminal->c_iflag &= ~(tcflag_t)(INLCR | IGNCR | ISTRIP);
    for (size_t i = 0; i < COUNT_OF(sane); i++)
        terminal->c_cc[sane[i][0]] = sane[i][1];
}

/* One argument, with its value from the next; how many it took, 0 when it is unknown. */
static int apply(char **argv, struct termios *terminal, struct winsize *size)
{
    const char *name = *argv;
    intmax_t value;
    bool on = *name != '-';
    if (strcmp(name, "raw") == 0 || strcmp(name, "cooked") == 0 || strcmp(name, "-raw") == 0) {
        set_raw(terminal, strcmp(name, "raw") == 0);
        return 1;
    }
    if (strcmp(name, "sane") == 0) {
        set_sane(terminal);
        return 1;
    }
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        if (strcmp(modes[i].name, name + !on) != 0)
            continue;
        tcflag_t *field = field_of(terminal, modes[i].field);
        *field = on ? *field | modes[i].bit : *field & ~modes[i].bit;
        return 1;
    }
    if (argv[1] == NULL)
        return 0;
    if (strcmp(name, "rows") == 0 || strcmp(name, "cols") == 0 || strcmp(name, "columns") == 0) {
        if (!parse_integer(argv[1], &value) || value < 0 || value > 65535)
            return 0;
        *(*name == 'r' ? &size->ws_row : &size->ws_col) = (unsigned short)value;
        return 2;
    }
    if (strcmp(name, "min") == 0 || strcmp(name, "time") == 0) {
        if (!parse_integer(argv[1], &value) || value < 0 || value > 255)
            return 0;
        terminal->c_cc[*name == 'm' ? VMIN : VTIME] = (cc_t)value;
        return 2;
    }
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        if (strcmp(characters[i].name, name) != 0)
            continue;
        const char *c = argv[1];
        bool control = c[0] == '^' && c[1] != '\0';
        terminal->c_cc[characters[i].index] = strcmp(c, "undef") == 0 ? 0 : (cc_t)(control ? (c[1] == '?' ? 127 : c[1] & 31) : c[0]);
        return 2;
    }
    return 0;
}

int stty_main(int argc, char **argv)
{
    struct termios terminal;
    struct winsize size = {0}, old_size;
    if (tcgetattr(0, &terminal) != 0)
        die_errno("standard input");
    ioctl(0, TIOCGWINSZ, &size);
    old_size = size;
    if (argc == 1 || strcmp(argv[1], "-a") == 0) {
        print_modes(&terminal, &size);
        return 0;
    }
    if (strcmp(argv[1], "size") == 0) {
        printf("%u %u\n", size.ws_row, size.ws_col);
        return 0;
    }
    for (int i = 1; i < argc;) {
        int taken = apply(argv + i, &terminal, &size);
        if (taken == 0)
            die_text("%s: bad argument", argv[i]);
        i += taken;
    }
    if (tcsetattr(0, TCSADRAIN, &terminal) != 0)
        die_errno("standard input");
    if ((size.ws_row != old_size.ws_row || size.ws_col != old_size.ws_col) && ioctl(0, TIOCSWINSZ, &size) != 0)
        die_errno("standard input");
    return 0;
}
