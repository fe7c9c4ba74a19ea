/* clear: clears the screen. reset: also undoes what programs may have left the terminal in. */

#include "vbox.h"
#include <termios.h>
#include <unistd.h>

int clear_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    fputs("\33[H\33[2J", stdout);
    return 0;
}

int reset_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct termios modes;
    if (tcgetattr(0, &modes) == 0) {
        modes.c_iflag = ICRNL | IXON;
        modes.c_oflag = OPOST | ONLCR;
        modes.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
        tcsetattr(0, TCSADRAIN, &modes);
    }
    fputs("\33c\33[!p\33[?25h\33[m\33[H\33[2J", stdout);
    return 0;
}
