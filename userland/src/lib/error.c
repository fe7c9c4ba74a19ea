/* Error messages, all of the shape "applet: what: reason", on standard error. */

#include "vbox.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *applet_name = "vbox";

void warn_errno(const char *what)
{
    int code = errno;
    fflush(stdout);
    fprintf(stderr, "%s: %s: %s\n", applet_name, what, strerror(code));
}

static void warn_list(const char *format, va_list arguments)
{
    fflush(stdout);
    fprintf(stderr, "%s: ", applet_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void warn_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    warn_list(format, arguments);
    va_end(arguments);
}

_Noreturn void die_errno(const char *what)
{
    warn_errno(what);
    exit(1);
}

_Noreturn void die_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    warn_list(format, arguments);
    va_end(arguments);
    exit(1);
}
