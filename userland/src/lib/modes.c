/*
 * File modes: chmod's symbolic form, and the ten letters of ls -l.
 *
 *   clause: [ugoa]* ( [-+=] ( [rwxXst]* | [ugo] ) )+      clauses are separated by commas
 */

#include "vbox.h"
#include <string.h>

static mode_t mask_of_class(char class)
{
    switch (class) {
    case 'u': return S_ISUID | S_IRWXU;
    case 'g': return S_ISGID | S_IRWXG;
    case 'o': return S_ISVTX | S_IRWXO;
    default: return 07777;
    }
}

/* The three bits of one class, copied to all classes. */
static mode_t spread_class(mode_t mode, char class)
{
    mode_t bits = class == 'u' ? mode >> 6 : class == 'g' ? mode >> 3 : mode;
    return (bits & 7) * 0111;
}

static mode_t read_permissions(const char **text, mode_t current, bool is_folder)
{
    mode_t bits = 0;
    if (strchr("ugo", **text) != NULL && **text != '\0')
        return spread_class(current, *(*text)++);
    for (;; (*text)++) {
        switch (**text) {
        case 'r': bits |= 0444; break;
        case 'w': bits |= 0222; break;
        case 'x': bits |= 0111; break;
        case 'X': bits |= is_folder || (current & 0111) ? 0111 : 0; break;
        case 's': bits |= S_ISUID | S_ISGID; break;
        case 't': bits |= S_ISVTX; break;
        default: return bits;
        }
    }
}

bool parse_mode(const char *text, mode_t current, bool is_folder, mode_t umask_bits, mode_t *mode)
{
    if (*text >= '0' && *text <= '7') {
        mode_t octal = 0;
        for (; *text != '\0'; text++) {
            if (*text < '0' || *text > '7' || octal > 07777)
                return false;
            octal = octal * 8 + (mode_t)(*text - '0');
        }
        *mode = octal;
        return octal <= 07777;
    }

    mode_t result = current & 07777;
    do {
        mode_t mask = 0;
        for (; *text != '\0' && strchr("ugoa", *text) != NULL; text++)
            mask |= mask_of_class(*text);
        mode_t allowed = mask != 0 ? mask : 07777 & ~umask_bits;
        mode_t cleared = mask != 0 ? mask : 07777;
        if (*text == '\0' || strchr("-+=", *text) == NULL)
            return false;
        while (*text != '\0' && strchr("-+=", *text) != NULL) {
            char action = *text++;
            mode_t bits = read_permissions(&text, result, is_folder) & allowed;
            if (action == '+')
                result |= bits;
            else if (action == '-')
                result &= ~bits;
            else
                result = (result & ~cleared) | bits;
        }
    } while (*text == ',' && *++text != '\0');
    *mode = result;
    return *text == '\0';
}

const char *format_mode(char *buffer, mode_t mode)
{
    static const char letters[] = "rwxrwxrwx";
    buffer[0] = S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b'
        : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
    for (int i = 0; i < 9; i++)
        buffer[1 + i] = mode & (0400 >> i) ? letters[i] : '-';
    if (mode & S_ISUID)
        buffer[3] = mode & S_IXUSR ? 's' : 'S';
    if (mode & S_ISGID)
        buffer[6] = mode & S_IXGRP ? 's' : 'S';
    if (mode & S_ISVTX)
        buffer[9] = mode & S_IXOTH ? 't' : 'T';
    buffer[10] = '\0';
    return buffer;
}

const char *format_file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR: return "directory";
    case S_IFLNK: return "symbolic link";
    case S_IFCHR: return "character special file";
    case S_IFBLK: return "block special file";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    default: return "regular file";
    }
}
