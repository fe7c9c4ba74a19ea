/* Allocation that dies when memory runs out: no applet has anything better to do then. */

#include "vbox.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void die_of_memory(void)
{
    fprintf(stderr, "%s: out of memory\n", applet_name);
    exit(1);
}

void *allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL)
        die_of_memory();
    return memory;
}

void *reallocate(void *memory, size_t size)
{
    memory = realloc(memory, size > 0 ? size : 1);
    if (memory == NULL)
        die_of_memory();
    return memory;
}

void *grow_array(void *array, size_t count, size_t *capacity, size_t element_size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity > 0 ? *capacity * 2 : 16;
    return reallocate(array, *capacity * element_size);
}

char *copy_string(const char *text)
{
    return copy_bytes(text, strlen(text));
}

char *copy_bytes(const char *bytes, size_t length)
{
    char *copy = allocate(length + 1);
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *format_string(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        die_of_memory();
    va_end(arguments);
    return text;
}
