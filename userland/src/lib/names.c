/*
 * Users and groups from /etc/passwd and /etc/group. The C library's own lookup asks a name-service socket when the
 * file has no answer; this one makes no call but open and read.
 */

#include "vbox.h"
#include <stdlib.h>
#include <string.h>

/* Field `index` of a line whose fields end in colons, as a string to be freed. */
static char *copy_field(const char *line, int index)
{
    for (; index > 0; index--) {
        line = strchr(line, ':');
        if (line == NULL)
            return NULL;
        line++;
    }
    return copy_bytes(line, strcspn(line, ":"));
}

/* The line whose field `key_index` is `key`, to be freed, or NULL. */
static char *find_line(const char *path, int key_index, const char *key)
{
    char *text = read_file(path, NULL);
    char *found = NULL;
    char *rest = text;
    for (char *line; found == NULL && rest != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        char *field = copy_field(line, key_index);
        if (field != NULL && strcmp(field, key) == 0)
            found = copy_string(line);
        free(field);
    }
    free(text);
    return found;
}

/* One remembered answer each: a listing asks for the same owner again and again. */
typedef struct NameCache {
    const char *path;
    bool valid;
    unsigned id;
    char *name;
} NameCache;

static const char *find_name(NameCache *cache, unsigned id)
{
    if (cache->valid && cache->id == id)
        return cache->name;
    free(cache->name);
    char key[16];
    sprintf(key, "%u", id);
    char *line = find_line(cache->path, 2, key);
    *cache = (NameCache){cache->path, true, id, line != NULL ? copy_field(line, 0) : NULL};
    free(line);
    return cache->name;
}

const char *find_user_name(uid_t uid)
{
    static NameCache cache = {.path = "/etc/passwd"};
    return find_name(&cache, uid);
}

const char *find_group_name(gid_t gid)
{
    static NameCache cache = {.path = "/etc/group"};
    return find_name(&cache, gid);
}

static bool parse_id(const char *text, unsigned *id)
{
    intmax_t number;
    if (text == NULL || !parse_integer(text, &number) || number < 0 || number > UINT32_MAX)
        return false;
    *id = (unsigned)number;
    return true;
}

bool find_user(const char *name_or_id, uid_t *uid, gid_t *gid)
{
    char *line = find_line("/etc/passwd", 0, name_or_id);
    if (line == NULL) {
        *gid = (gid_t)-1;
        return parse_id(name_or_id, uid);
    }
    char *uid_text = copy_field(line, 2);
    char *gid_text = copy_field(line, 3);
    bool found = parse_id(uid_text, uid) && parse_id(gid_text, gid);
    free(uid_text);
    free(gid_text);
    free(line);
    return found;
}

bool find_group(const char *name_or_id, gid_t *gid)
{
    char *line = find_line("/etc/group", 0, name_or_id);
    if (line == NULL)
        return parse_id(name_or_id, gid);
    char *text = copy_field(line, 2);
    bool found = parse_id(text, gid);
    free(text);
    free(line);
    return found;
}

const char *describe_user(uid_t uid)
{
    static char number[16];
    const char *name = find_user_name(uid);
    if (name == NULL)
        sprintf(number, "%u", uid);
    return name != NULL ? name : number;
}

const char *describe_group(gid_t gid)
{
    static char number[16];
    const char *name = find_group_name(gid);
    if (name == NULL)
        sprintf(number, "%u", gid);
    return name != NULL ? name : number;
}
