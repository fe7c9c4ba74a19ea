/* dd: copies blocks. */

#include "vbox.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    const char *input, *output;
    intmax_t input_block, output_block, count, skip, seek;
    bool no_truncate, sync, no_error, quiet, no_summary, append;
} how = {.input_block = 512, .output_block = 512, .count = -1};

static void read_conversions(char *text)
{
    for (char *name; (name = strsep(&text, ",")) != NULL;) {
        if (strcmp(name, "notrunc") == 0)
            how.no_truncate = true;
        else if (strcmp(name, "sync") == 0)
            how.sync = true;
        else if (strcmp(name, "noerror") == 0)
            how.no_error = true;
        else if (strcmp(name, "fsync") != 0)
            die_text("conv=%s: not supported", name);
    }
}

static void read_operand(char *operand)
{
    static const struct {
        const char *name;
        intmax_t *value;
    } numbers[] = {{"count", &how.count}, {"skip", &how.skip}, {"seek", &how.seek}, {"ibs", &how.input_block}, {"obs", &how.output_block}};
    char *value = strchr(operand, '=');
    if (value == NULL)
        die_text("%s: bad operand", operand);
    *value++ = '\0';
    if (strcmp(operand, "if") == 0) {
        how.input = value;
    } else if (strcmp(operand, "of") == 0) {
        how.output = value;
    } else if (strcmp(operand, "conv") == 0) {
        read_conversions(value);
    } else if (strcmp(operand, "status") == 0) {
        how.quiet = strcmp(value, "none") == 0;
        how.no_summary = how.quiet || strcmp(value, "noxfer") == 0;
    } else if (strcmp(operand, "bs") == 0) {
        if (!parse_size(value, &how.input_block) || how.input_block <= 0)
            die_text("bs=%s: bad number", value);
        how.output_block = how.input_block;
    } else {
        size_t i = 0;
        while (i < COUNT_OF(numbers) && strcmp(numbers[i].name, operand) != 0)
            i++;
        if (i == COUNT_OF(numbers))
            die_text("%s: unknown operand", operand);
        if (!parse_size(value, numbers[i].value) || *numbers[i].value < 0)
            die_text("%s=%s: bad number", operand, value);
    }
}

static void skip_input(int fd, char *block)
{
    if (how.skip == 0 || lseek(fd, how.skip * how.input_block, SEEK_CUR) >= 0)
        return;
    for (intmax_t left = how.skip; left > 0; left--)
        if (read(fd, block, (size_t)how.input_block) <= 0)
            return;
}

int dd_main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        read_operand(argv[i]);
    int input = how.input != NULL ? open(how.input, O_RDONLY | O_CLOEXEC) : 0;
    if (input < 0)
        die_errno(how.input);
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (how.no_truncate || how.seek > 0 ? 0 : O_TRUNC);
    int output = how.output != NULL ? open(how.output, flags, 0666) : 1;
    if (output < 0)
        die_errno(how.output);
    if (how.seek > 0) {
        if (how.output != NULL && !how.no_truncate && ftruncate(output, how.seek * how.output_block) != 0 && errno != EINVAL)
            die_errno(how.output);
        if (lseek(output, how.seek * how.output_block, SEEK_SET) < 0)
            die_errno(how.output != NULL ? how.output : "standard output");
    }

    char *block = allocate((size_t)how.input_block);
    skip_input(input, block);
    uintmax_t full = 0, partial = 0, bytes = 0;
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    int status = 0;
    while (how.count < 0 || full + partial < (uintmax_t)how.count) {
        ssize_t length = read(input, block, (size_t)how.input_block);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0) {
            warn_errno(how.input != NULL ? how.input : "standard input");
            status = 1;
            if (!how.no_error || lseek(input, how.input_block, SEEK_CUR) < 0)
                break;
            length = how.sync ? how.input_block : 0;
            memset(block, 0, (size_t)length);
        }
        if (length == 0)
            break;
        *(length == how.input_block ? &full : &partial) += 1;
        if (how.sync && length < how.input_block) {
            memset(block + length, 0, (size_t)(how.input_block - length));
            length = how.input_block;
        }
        if (!write_all(output, block, (size_t)length))
            die_errno(how.output != NULL ? how.output : "standard output");
        bytes += (uintmax_t)length;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (!how.quiet)
        fprintf(stderr, "%ju+%ju records in\n%ju+%ju records out\n", full, partial, full, partial);
    double seconds = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    if (!how.no_summary)
        fprintf(stderr, "%ju bytes copied, %.6f s\n", bytes, seconds);
    free(block);
    return status;
}
