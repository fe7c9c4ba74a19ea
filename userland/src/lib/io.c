/* Reading and writing whole streams. */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool write_all(int fd, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        ssize_t written = write(fd, next, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        next += written;
        length -= (size_t)written;
    }
    return true;
}

bool copy_stream(int from, const char *from_name, int to, const char *to_name)
{
    static char block[32768];
    for (;;) {
        ssize_t length = read(from, block, sizeof block);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0) {
            warn_errno(from_name);
            return false;
        }
        if (length == 0)
            return true;
        if (!write_all(to, block, (size_t)length)) {
            warn_errno(to_name);
            return false;
        }
    }
}

char *read_descriptor(int fd, size_t *length)
{
    Buffer contents = {0};
    char block[4096];
    for (;;) {
        ssize_t count = read(fd, block, sizeof block);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            buffer_free(&contents);
            return NULL;
        }
        if (count == 0)
            break;
        buffer_add(&contents, block, (size_t)count);
    }
    if (length != NULL)
        *length = contents.length;
    return buffer_take(&contents);
}

char *read_file(const char *path, size_t *length)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *contents = read_descriptor(fd, length);
    int code = errno;
    close(fd);
    errno = code;
    return contents;
}

FILE *open_input(const char *path)
{
    if (strcmp(path, "-") == 0)
        return stdin;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        warn_errno(path);
    return file;
}

bool close_input(FILE *file, const char *path)
{
    bool failed = ferror(file) != 0;
    if (failed)
        warn_errno(path);
    if (file == stdin)
        clearerr(file);
    else
        fclose(file);
    return !failed;
}

ssize_t read_line(char **line, size_t *capacity, FILE *file, bool *had_newline)
{
    ssize_t length = getline(line, capacity, file);
    if (length < 0)
        return -1;
    bool newline = length > 0 && (*line)[length - 1] == '\n';
    if (newline)
        (*line)[--length] = '\0';
    if (had_newline != NULL)
        *had_newline = newline;
    return length;
}

bool flush_output(void)
{
    bool failed = fflush(stdout) != 0;
    if (failed || ferror(stdout)) {
        if (errno != EPIPE)
            warn_errno("standard output");
        clearerr(stdout);
        return false;
    }
    return true;
}

int for_each_input(int argc, char **argv, UseInput *use, void *context)
{
    static char *standard_input[] = {"-", NULL};
    char **names = argv + optind;
    if (optind >= argc)
        names = standard_input;

    int worst = 0;
    for (; *names != NULL; names++) {
        FILE *file = open_input(*names);
        int status = 1;
        if (file != NULL) {
            status = use(file, *names, context);
            if (!close_input(file, *names) && status == 0)
                status = 1;
        }
        if (status > worst)
            worst = status;
    }
    return worst;
}
