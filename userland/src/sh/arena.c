/* Memory that is released all at once, counted by its holders. */

#include "sh/ast.h"
#include <stdlib.h>
#include <string.h>

typedef struct Chunk {
    struct Chunk *next;
    size_t used, size;
    _Alignas(16) char bytes[];
} Chunk;

struct Arena {
    int holders;
    Chunk *chunks;
};

Arena *make_arena(void)
{
    Arena *arena = allocate(sizeof *arena);
    *arena = (Arena){.holders = 1};
    return arena;
}

void hold_arena(Arena *arena)
{
    arena->holders++;
}

void release_arena(Arena *arena)
{
    if (--arena->holders > 0)
        return;
    for (Chunk *chunk = arena->chunks; chunk != NULL;) {
        Chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    free(arena);
}

void *arena_allocate(Arena *arena, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    Chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t room = size > 2048 ? size : 2048;
        chunk = allocate(sizeof *chunk + room);
        *chunk = (Chunk){.next = arena->chunks, .size = room};
        arena->chunks = chunk;
    }
    void *memory = chunk->bytes + chunk->used;
    chunk->used += size;
    memset(memory, 0, size);
    return memory;
}

char *arena_copy(Arena *arena, const char *bytes, size_t length)
{
    char *copy = arena_allocate(arena, length + 1);
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}
