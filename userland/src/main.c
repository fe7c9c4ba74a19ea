/*
 * vbox: one binary, many programs. The name it is called by picks the applet; `vbox APPLET ARGS` does too.
 */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

#define APPLET(name, function, arguments, summary) AppletMain function;
#include "applets.def"
#undef APPLET

#define APPLET(name, function, arguments, summary) {name, function, arguments, summary},
const Applet applets[] = {
#include "applets.def"
};
#undef APPLET

const size_t applet_count = COUNT_OF(applets);
static const Applet *running;

const Applet *find_applet(const char *name)
{
    for (size_t i = 0; i < applet_count; i++)
        if (strcmp(applets[i].name, name) == 0)
            return &applets[i];
    return NULL;
}

int run_applet(const Applet *applet, int argc, char **argv)
{
    const Applet *caller = running;
    const char *caller_name = applet_name;
    running = applet;
    applet_name = applet->name;
    optind = 0;
    opterr = 0;

    int status;
    bool takes_help = applet->arguments != NULL && argc == 2;
    if (takes_help && strcmp(argv[1], "--help") == 0) {
        printf("usage: %s %s\n%s\n", applet->name, applet->arguments, applet->summary);
        status = 0;
    } else {
        status = applet->main(argc, argv);
    }
    if (!flush_output() && status == 0)
        status = 1;
    running = caller;
    applet_name = caller_name;
    return status;
}

_Noreturn void fail_usage(void)
{
    const char *arguments = running->arguments != NULL ? running->arguments : "";
    fflush(stdout);
    fprintf(stderr, "usage: %s %s\n", running->name, arguments);
    exit(2);
}

static int read_option(int argc, char **argv, const char *options)
{
    static const struct option no_long_options[] = {{NULL, 0, NULL, 0}};
    int option = getopt_long(argc, argv, options, no_long_options, NULL);
    if (option == '?') {
        const char *shown = argv[optind - 1];
        if (optopt != 0)
            warn_text("bad option or missing argument: -%c", optopt);
        else
            warn_text("unknown option: %s", shown);
        fail_usage();
    }
    return option;
}

int next_option(int argc, char **argv, const char *options)
{
    return read_option(argc, argv, options);
}

int next_leading_option(int argc, char **argv, const char *options)
{
    char leading[64];
    snprintf(leading, sizeof leading, "+%s", options);
    return read_option(argc, argv, leading);
}

static void list_applets(void)
{
    puts("vbox: the user land of Vitrine, in one program\nusage: vbox APPLET [ARG]...\n\napplets:");
    for (size_t i = 0; i < applet_count; i++)
        printf("  %-12s %s\n", applets[i].name, applets[i].summary);
}

static const char *last_component(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

int main(int argc, char **argv)
{
    const char *name = argc > 0 ? last_component(argv[0]) : "vbox";
    if (*name == '-') /* a login shell is started as "-sh" */
        name++;
    const Applet *applet = find_applet(name);
    if (applet == NULL && strcmp(name, "vbox") == 0) {
        if (argc < 2 || strcmp(argv[1], "--help") == 0) {
            list_applets();
            return 0;
        }
        argv++;
        argc--;
        name = argv[0];
        applet = find_applet(name);
    }
    if (applet == NULL) {
        fprintf(stderr, "vbox: %s: no such applet\n", name);
        return 127;
    }
    return run_applet(applet, argc, argv);
}
