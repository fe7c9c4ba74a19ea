/* A growing string. */

#include "vbox.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void reserve(Buffer *buffer, size_t more)
{
    size_t needed = buffer->length + more + 1;
    if (needed <= buffer->capacity)
        return;
    while (buffer->capacity < needed)
        buffer->capacity = buffer->capacity > 0 ? buffer->capacity * 2 : 64;
    buffer->data = reallocate(buffer->data, buffer->capacity);
}

void buffer_add(Buffer *buffer, const char *bytes, size_t length)
{
    reserve(buffer, length);
    if (length > 0)
        memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void buffer_add_char(Buffer *buffer, char c)
{
    buffer_add(buffer, &c, 1);
}

void buffer_add_text(Buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_add_format(Buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        die_text("out of memory");
    buffer_add(buffer, text, (size_t)length);
    free(text);
}

char *buffer_take(Buffer *buffer)
{
    reserve(buffer, 0);
    buffer->data[buffer->length] = '\0';
    char *text = buffer->data;
    *buffer = (Buffer){0};
    return text;
}

void buffer_free(Buffer *buffer)
{
    free(buffer->data);
    *buffer = (Buffer){0};
}
