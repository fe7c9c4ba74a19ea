/* stat: all that the kernel says of a file; -c FORMAT picks. */

#include "vbox.h"
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void format_time(char *text, size_t size, struct timespec when)
{
    struct tm parts;
    localtime_r(&when.tv_sec, &parts);
    size_t length = strftime(text, size, "%Y-%m-%d %H:%M:%S", &parts);
    length += (size_t)snprintf(text + length, size - length, ".%09ld ", when.tv_nsec);
    strftime(text + length, size - length, "%z", &parts);
}

static void print_field(char letter, const char *path, const struct stat *info)
{
    char text[64], target[PATH_MAX];
    ssize_t length;
    switch (letter) {
    case 'n': fputs(path, stdout); break;
    case 'N':
        printf("'%s'", path);
        if (S_ISLNK(info->st_mode) && (length = readlink(path, target, sizeof target)) >= 0)
            printf(" -> '%.*s'", (int)length, target);
        break;
    case 's': printf("%jd", (intmax_t)info->st_size); break;
    case 'b': printf("%jd", (intmax_t)info->st_blocks); break;
    case 'B': fputs("512", stdout); break;
    case 'o': printf("%ld", (long)info->st_blksize); break;
    case 'f': printf("%x", info->st_mode); break;
    case 'a': printf("%o", info->st_mode & 07777); break;
    case 'A': fputs(format_mode(text, info->st_mode), stdout); break;
    case 'F':
        fputs(S_ISREG(info->st_mode) && info->st_size == 0 ? "regular empty file" : format_file_type(info->st_mode), stdout);
        break;
    case 'u': printf("%u", info->st_uid); break;
    case 'U': fputs(find_user_name(info->st_uid) != NULL ? find_user_name(info->st_uid) : "UNKNOWN", stdout); break;
    case 'g': printf("%u", info->st_gid); break;
    case 'G': fputs(find_group_name(info->st_gid) != NULL ? find_group_name(info->st_gid) : "UNKNOWN", stdout); break;
    case 'h': printf("%ju", (uintmax_t)info->st_nlink); break;
    case 'i': printf("%ju", (uintmax_t)info->st_ino); break;
    case 'd': printf("%ju", (uintmax_t)info->st_dev); break;
    case 't': printf("%x", major(info->st_rdev)); break;
    case 'T': printf("%x", minor(info->st_rdev)); break;
    case 'X': printf("%jd", (intmax_t)info->st_atime); break;
    case 'Y': printf("%jd", (intmax_t)info->st_mtime); break;
    case 'Z': printf("%jd", (intmax_t)info->st_ctime); break;
    case 'x': format_time(text, sizeof text, info->st_atim); fputs(text, stdout); break;
    case 'y': format_time(text, sizeof text, info->st_mtim); fputs(text, stdout); break;
    case 'z': format_time(text, sizeof text, info->st_ctim); fputs(text, stdout); break;
    case '%': putchar('%'); break;
    default: printf("?"); break;
    }
}

static void print_format(const char *format, const char *path, const struct stat *info)
{
    for (; *format != '\0'; format++) {
        if (*format == '%' && format[1] != '\0')
            print_field(*++format, path, info);
        else
            putchar(*format);
    }
    putchar('\n');
}

static void print_all(const char *path, const struct stat *info)
{
    print_format("  File: %N\n  Size: %s\tBlocks: %b\tIO Block: %o\t%F", path, info);
    print_format("Device: %d\tInode: %i\tLinks: %h", path, info);
    if (S_ISCHR(info->st_mode) || S_ISBLK(info->st_mode))
        print_format("Device type: %t,%T", path, info);
    print_format("Access: (%a/%A)  Uid: (%u/%U)   Gid: (%g/%G)", path, info);
    print_format("Access: %x\nModify: %y\nChange: %z", path, info);
}

int stat_main(int argc, char **argv)
{
    const char *format = NULL;
    bool follow = false;
    for (int option; (option = next_option(argc, argv, "Lc:")) != -1;) {
        if (option == 'c')
            format = optarg;
        else
            follow = true;
    }
    if (optind >= argc)
        fail_usage();
    int status = 0;
    for (int i = optind; i < argc; i++) {
        struct stat info;
        if ((follow ? stat(argv[i], &info) : lstat(argv[i], &info)) != 0) {
            warn_errno(argv[i]);
            status = 1;
        } else if (format != NULL) {
            print_format(format, argv[i], &info);
        } else {
            print_all(argv[i], &info);
        }
    }
    return status;
}
