/* ls: lists folders. */

#include "vbox.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef struct Entry {
    char *name, *path;
    struct stat info;
} Entry;

typedef struct Listing {
    Entry *entries;
    size_t count, capacity;
} Listing;

static struct {
    bool all, almost_all, long_form, one_column, recursive, folder_itself, human, inode, reverse, classify, slash,
        numeric, blocks, follow, color;
    enum { BY_NAME, BY_TIME, BY_SIZE, UNSORTED } order;
    enum { TIME_MODIFIED, TIME_ACCESSED, TIME_CHANGED } time;
} how;
static int status;
static bool printed_any;

static struct timespec shown_time(const Entry *entry)
{
    return how.time == TIME_ACCESSED ? entry->info.st_atim
        : how.time == TIME_CHANGED ? entry->info.st_ctim : entry->info.st_mtim;
}

static int compare_entries(const void *a, const void *b)
{
    const Entry *one = a, *other = b;
    int order = 0;
    if (how.order == BY_SIZE) {
        order = (one->info.st_size < other->info.st_size) - (one->info.st_size > other->info.st_size);
    } else if (how.order == BY_TIME) {
        struct timespec x = shown_time(one), y = shown_time(other);
        order = (x.tv_sec < y.tv_sec) - (x.tv_sec > y.tv_sec);
        if (order == 0)
            order = (x.tv_nsec < y.tv_nsec) - (x.tv_nsec > y.tv_nsec);
    }
    if (order == 0)
        order = strcmp(one->name, other->name);
    return how.reverse ? -order : order;
}

static void add_entry(Listing *listing, const char *name, char *path, bool follow)
{
    Entry entry = {.path = path};
    int failed = follow ? stat(path, &entry.info) : lstat(path, &entry.info);
    if (failed != 0 && follow)
        failed = lstat(path, &entry.info);
    if (failed != 0) {
        warn_errno(path);
        status = 2;
        free(path);
        return;
    }
    entry.name = copy_string(name);
    listing->entries = grow_array(listing->entries, listing->count, &listing->capacity, sizeof entry);
    listing->entries[listing->count++] = entry;
}

static void free_listing(Listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->entries[i].name);
        free(listing->entries[i].path);
    }
    free(listing->entries);
}

static const char *color_of(mode_t mode)
{
    if (!how.color)
        return "";
    switch (mode & S_IFMT) {
    case S_IFDIR: return "\33[1;34m";
    case S_IFLNK: return "\33[1;36m";
    case S_IFCHR: case S_IFBLK: return "\33[1;33m";
    case S_IFIFO: case S_IFSOCK: return "\33[33m";
    default: return mode & 0111 ? "\33[1;32m" : "";
    }
}

static const char *suffix_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return how.classify || how.slash ? "/" : "";
    if (!how.classify)
        return "";
    return S_ISLNK(mode) ? "@" : S_ISFIFO(mode) ? "|" : S_ISSOCK(mode) ? "=" : mode & 0111 ? "*" : "";
}

/* The name as shown, with inode, blocks, colour and suffix; *width leaves the colour out. */
static char *format_name(const Entry *entry, int *width)
{
    Buffer text = {0};
    if (how.inode)
        buffer_add_format(&text, "%ju ", (uintmax_t)entry->info.st_ino);
    if (how.blocks)
        buffer_add_format(&text, "%ju ", (uintmax_t)entry->info.st_blocks / 2);
    /* -l shows where a link leads, and then marks the target instead of the link. */
    const char *suffix = how.long_form && S_ISLNK(entry->info.st_mode) ? "" : suffix_of(entry->info.st_mode);
    *width = (int)(text.length + strlen(entry->name) + strlen(suffix));
    const char *color = color_of(entry->info.st_mode);
    buffer_add_format(&text, "%s%s%s%s", color, entry->name, *color != '\0' ? "\33[0m" : "", suffix);
    return buffer_take(&text);
}

static char *format_size(const Entry *entry)
{
    char human[16];
    if (S_ISCHR(entry->info.st_mode) || S_ISBLK(entry->info.st_mode))
        return format_string("%u, %u", major(entry->info.st_rdev), minor(entry->info.st_rdev));
    if (how.human)
        return copy_string(format_human_size(human, (uintmax_t)entry->info.st_size));
    return format_string("%jd", (intmax_t)entry->info.st_size);
}

/* "Nov 20 21:05", or the year instead of the time when it is more than half a year off. */
static void format_time(char *text, size_t size, time_t when)
{
    const time_t half_year = 31556952 / 2;
    time_t now = time(NULL);
    struct tm parts;
    localtime_r(&when, &parts);
    strftime(text, size, when > now || when < now - half_year ? "%b %e  %Y" : "%b %e %H:%M", &parts);
}

static char *read_link_target(const Entry *entry)
{
    char target[PATH_MAX];
    ssize_t length = readlink(entry->path, target, sizeof target);
    return length < 0 ? copy_string("?") : copy_bytes(target, (size_t)length);
}

static int widen(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

static void print_long(const Listing *listing)
{
    int link_width = 0, user_width = 0, group_width = 0, size_width = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const Entry *entry = &listing->entries[i];
        char links[24];
        sprintf(links, "%ju", (uintmax_t)entry->info.st_nlink);
        char *size = format_size(entry);
        link_width = widen(link_width, links);
        user_width = widen(user_width, describe_user(entry->info.st_uid));
        group_width = widen(group_width, describe_group(entry->info.st_gid));
        size_width = widen(size_width, size);
        free(size);
    }
    for (size_t i = 0; i < listing->count; i++) {
        const Entry *entry = &listing->entries[i];
        char mode[11], when[32], uid[16], gid[16];
        int width;
        char *size = format_size(entry), *name = format_name(entry, &width);
        format_time(when, sizeof when, shown_time(entry).tv_sec);
        sprintf(uid, "%u", entry->info.st_uid);
        sprintf(gid, "%u", entry->info.st_gid);
        printf("%s %*ju ", format_mode(mode, entry->info.st_mode), link_width, (uintmax_t)entry->info.st_nlink);
        printf("%-*s ", user_width, how.numeric ? uid : describe_user(entry->info.st_uid));
        printf("%-*s ", group_width, how.numeric ? gid : describe_group(entry->info.st_gid));
        printf("%*s %s %s", size_width, size, when, name);
        if (S_ISLNK(entry->info.st_mode)) {
            char *target = read_link_target(entry);
            printf(" -> %s", target);
            free(target);
        }
        putchar('\n');
        free(size);
        free(name);
    }
}

static void print_short(const Listing *listing)
{
    char **names = allocate(listing->count * sizeof *names);
    int *widths = allocate(listing->count * sizeof *widths);
    for (size_t i = 0; i < listing->count; i++)
        names[i] = format_name(&listing->entries[i], &widths[i]);
    if (how.one_column)
        for (size_t i = 0; i < listing->count; i++)
            puts(names[i]);
    else
        print_columns(names, widths, listing->count, read_window_size(1).columns);
    for (size_t i = 0; i < listing->count; i++)
        free(names[i]);
    free(names);
    free(widths);
}

static void print_listing(Listing *listing)
{
    if (how.order != UNSORTED && listing->count > 0)
        qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
    if (listing->count == 0)
        return;
    if (how.long_form)
        print_long(listing);
    else
        print_short(listing);
    printed_any = true;
}

static void list_one_folder(const char *path, bool titled)
{
    char **names = list_folder(path);
    if (names == NULL) {
        warn_errno(path);
        status = 2;
        return;
    }
    if (titled)
        printf("%s%s:\n", printed_any ? "\n" : "", path);
    printed_any = true;

    Listing listing = {0};
    if (how.all) {
        add_entry(&listing, ".", join_path(path, "."), false);
        add_entry(&listing, "..", join_path(path, ".."), false);
    }
    for (char **name = names; *name != NULL; name++)
        if (how.all || how.almost_all || **name != '.')
            add_entry(&listing, *name, join_path(path, *name), how.follow);
    free_list(names);

    if (how.long_form || how.blocks) {
        uintmax_t blocks = 0;
        for (size_t i = 0; i < listing.count; i++)
            blocks += (uintmax_t)listing.entries[i].info.st_blocks;
        printf("total %ju\n", blocks / 2);
    }
    print_listing(&listing);
    if (how.recursive) {
        for (size_t i = 0; i < listing.count; i++) {
            const Entry *entry = &listing.entries[i];
            bool is_dot = strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0;
            if (S_ISDIR(entry->info.st_mode) && !is_dot)
                list_one_folder(entry->path, true);
        }
    }
    free_listing(&listing);
}

static void read_options(int argc, char **argv)
{
    bool is_terminal = isatty(1) != 0;
    const char *no_color = getenv("NO_COLOR");
    how.color = is_terminal && (no_color == NULL || *no_color == '\0');
    how.one_column = !is_terminal;
    for (int option; (option = next_option(argc, argv, "aA1ldRhitrSFpnsCLucUHgk")) != -1;) {
        switch (option) {
        case 'a': how.all = true; break;
        case 'A': how.almost_all = true; break;
        case '1': how.one_column = true; break;
        case 'C': how.one_column = false; how.long_form = false; break;
        case 'l': case 'g': how.long_form = true; break;
        case 'n': how.long_form = how.numeric = true; break;
        case 'd': how.folder_itself = true; break;
        case 'R': how.recursive = true; break;
        case 'h': how.human = true; break;
        case 'i': how.inode = true; break;
        case 's': how.blocks = true; break;
        case 't': how.order = BY_TIME; break;
        case 'S': how.order = BY_SIZE; break;
        case 'U': how.order = UNSORTED; break;
        case 'u': how.time = TIME_ACCESSED; break;
        case 'c': how.time = TIME_CHANGED; break;
        case 'r': how.reverse = true; break;
        case 'F': how.classify = true; break;
        case 'p': how.slash = true; break;
        case 'L': case 'H': how.follow = true; break;
        }
    }
    if (how.folder_itself)
        how.recursive = false;
}

int ls_main(int argc, char **argv)
{
    static char *here[] = {".", NULL};
    read_options(argc, argv);
    char **operands = optind < argc ? argv + optind : here;

    Listing files = {0}, folders = {0};
    for (char **operand = operands; *operand != NULL; operand++) {
        /* An operand that is a link to a folder is listed as the folder, unless -l or -d asks for the link. */
        bool follow = how.follow || (!how.long_form && !how.folder_itself && !how.classify);
        struct stat info;
        bool exists = (follow ? stat(*operand, &info) : lstat(*operand, &info)) == 0;
        bool as_folder = exists && S_ISDIR(info.st_mode) && !how.folder_itself;
        add_entry(as_folder ? &folders : &files, *operand, copy_string(*operand), follow);
    }
    print_listing(&files);
    if (how.order != UNSORTED && folders.count > 0)
        qsort(folders.entries, folders.count, sizeof *folders.entries, compare_entries);
    bool titled = how.recursive || (operands != here && operands[1] != NULL);
    for (size_t i = 0; i < folders.count; i++)
        list_one_folder(folders.entries[i].path, titled);
    free_listing(&files);
    free_listing(&folders);
    return status;
}
