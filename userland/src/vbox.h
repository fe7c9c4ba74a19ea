/*
 * What every part of vbox shares.
 *
 *   main.c ──► applets.def (the table) ──► applets/NAME.c: int NAME_main(int argc, char **argv)
 *                                     └──► sh/main.c
 *   both call down into lib/, which is declared here
 *
 * An applet returns its exit status. It may leave memory to the kernel to free, but an applet that the shell also
 * runs in its own process (see sh/builtins.c) must neither exit nor leak.
 */

#ifndef VBOX_H
#define VBOX_H

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

/* ---- applets (main.c) ---- */

typedef int AppletMain(int argc, char **argv);

typedef struct Applet {
    const char *name;
    AppletMain *main;
    const char *arguments; /* for the usage line */
    const char *summary;
} Applet;

extern const Applet applets[];
extern const size_t applet_count;

const Applet *find_applet(const char *name);
/* Runs an applet in this process, with option parsing started afresh; returns its exit status, output flushed. */
int run_applet(const Applet *applet, int argc, char **argv);
/* Prints the running applet's usage line and exits with status 2. */
_Noreturn void fail_usage(void);
/* getopt over options that may follow operands; answers '?' by fail_usage. -1 at the end. */
int next_option(int argc, char **argv, const char *options);
/* The same, but stops at the first operand, for applets whose operands are a command. */
int next_leading_option(int argc, char **argv, const char *options);

/* ---- lib/error.c: messages have the shape "applet: what: reason" ---- */

extern const char *applet_name;

void warn_errno(const char *what);
void warn_text(const char *format, ...) PRINTF_LIKE(1, 2);
_Noreturn void die_errno(const char *what);
_Noreturn void die_text(const char *format, ...) PRINTF_LIKE(1, 2);

/* ---- lib/memory.c: these die when memory runs out ---- */

void *allocate(size_t size);
void *reallocate(void *memory, size_t size);
/* Makes room for element `count` in an array whose capacity is *capacity. */
void *grow_array(void *array, size_t count, size_t *capacity, size_t element_size);
char *copy_string(const char *text);
char *copy_bytes(const char *bytes, size_t length);
char *format_string(const char *format, ...) PRINTF_LIKE(1, 2);

/* ---- lib/buffer.c: a growing string, always terminated once anything was added ---- */

typedef struct Buffer {
    char *data;
    size_t length;
    size_t capacity;
} Buffer;

void buffer_add(Buffer *buffer, const char *bytes, size_t length);
void buffer_add_char(Buffer *buffer, char c);
void buffer_add_text(Buffer *buffer, const char *text);
void buffer_add_format(Buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
/* The contents as a string of its own, to be freed; the buffer is empty after it. */
char *buffer_take(Buffer *buffer);
void buffer_free(Buffer *buffer);

/* ---- lib/io.c ---- */

/* Writes everything; false, with errno, when it cannot. */
bool write_all(int fd, const void *bytes, size_t length);
/* Copies until end of file; on failure names the side that failed and returns false. */
bool copy_stream(int from, const char *from_name, int to, const char *to_name);
/* The file's whole contents, to be freed, or NULL with errno. For /proc files too, whose size reads as 0. */
char *read_file(const char *path, size_t *length);
char *read_descriptor(int fd, size_t *length);
/* Opens a file for reading; "-" is standard input. Warns and returns NULL when it cannot. */
FILE *open_input(const char *path);
/* Closes what open_input returned; false after a warning when reading had failed. */
bool close_input(FILE *file, const char *path);
/* getline without its newline; -1 at the end. *had_newline may be NULL. */
ssize_t read_line(char **line, size_t *capacity, FILE *file, bool *had_newline);
/* Flushes standard output; false after a warning when it cannot be written. */
bool flush_output(void);

/* Calls `use` with each operand's stream, or with standard input when there is none; the worst status. */
typedef int UseInput(FILE *file, const char *name, void *context);
int for_each_input(int argc, char **argv, UseInput *use, void *context);

/* ---- lib/paths.c ---- */

char *join_path(const char *folder, const char *name);
/* The last component, without trailing slashes; to be freed. */
char *base_name(const char *path);
char *folder_name(const char *path);
bool is_folder(const char *path);
/* The folder's entries but "." and "..", sorted by name, ended by NULL; NULL with errno when unreadable. */
char **list_folder(const char *path);
void free_list(char **list);
/* The absolute path without links; every component but (if allowed) the last must exist. NULL with errno. */
char *resolve_path(const char *path, bool last_may_be_missing);

typedef enum Visit { VISIT_CONTINUE, VISIT_PRUNE, VISIT_FAIL } Visit;
/* Called for each file below and at a path: a folder before its entries, or after them when `after` is set. */
typedef Visit VisitFile(const char *path, const struct stat *info, int depth, void *context);
typedef struct Walk {
    VisitFile *visit;
    void *context;
    bool folders_last;  /* visit a folder after its entries */
    bool follow_links;
} Walk;
/* Walks a tree; true when nothing failed. Warns of what cannot be read. */
bool walk_tree(const char *path, const Walk *walk);

/* ---- lib/numbers.c ---- */

bool parse_integer(const char *text, intmax_t *value);
/* A count with an optional suffix: b (512), k or K, M, G; "kB" and "MB" are decimal. */
bool parse_size(const char *text, intmax_t *value);
bool parse_seconds(const char *text, struct timespec *duration);
/* 1234567 as "1.2M"; the buffer holds at least 8 bytes. */
const char *format_human_size(char *buffer, uintmax_t bytes);

/* ---- lib/modes.c ---- */

/* "u+rwx,go-w" or octal, applied to a mode; false when malformed. */
bool parse_mode(const char *text, mode_t current, bool is_folder, mode_t umask_bits, mode_t *mode);
/* "drwxr-xr-x"; the buffer holds 11 bytes. */
const char *format_mode(char *buffer, mode_t mode);
const char *format_file_type(mode_t mode);

/* ---- lib/names.c: /etc/passwd and /etc/group, without the C library's daemon sockets ---- */

/* The name, or NULL when the file has none. */
const char *find_user_name(uid_t uid);
const char *find_group_name(gid_t gid);
bool find_user(const char *name_or_id, uid_t *uid, gid_t *gid);
bool find_group(const char *name_or_id, gid_t *gid);
/* Prints a user's or group's name, or its number. */
const char *describe_user(uid_t uid);
const char *describe_group(gid_t gid);

/* ---- lib/programs.c ---- */

/* Replaces the process by a program found along PATH, or runs the applet of that name; on failure warns and
 * exits with 126 (cannot run) or 127 (not found). */
_Noreturn void exec_program(char **argv);
/* Runs a program and waits for it; returns the shell's view of its status (128 + signal). */
int run_program(char **argv);
int status_of_wait(int wait_status);

/* ---- lib/signals.c ---- */

/* "INT", "SIGINT" or "2"; -1 when there is none. 0 is "EXIT". */
int parse_signal(const char *text);
/* "INT", or NULL. */
const char *find_signal_name(int number);
void print_signal_list(FILE *file);

/* ---- lib/terminal.c ---- */

typedef struct WindowSize {
    int rows;
    int columns;
} WindowSize;

/* The terminal's size, or COLUMNS and LINES, or 80 by 24. */
WindowSize read_window_size(int fd);
bool enter_raw_mode(int fd);
void leave_raw_mode(int fd);
/* Escape sequences are read into these codes; anything else is the byte itself. */
enum {
    KEY_END_OF_INPUT = -1, KEY_UP = 256, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE,
    KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_WORD_LEFT, KEY_WORD_RIGHT, KEY_INTERRUPTED, KEY_UNKNOWN,
};
int read_key(int fd);
/* Prints names in columns, top to bottom first, as ls and completion do. */
void print_columns(char **names, const int *widths, size_t count, int screen_columns);

/* ---- lib/processes.c: what /proc says of each process ---- */

typedef struct Process {
    int pid, ppid, pgid, session, tty;
    uid_t uid;
    char state;
    char name[32];
    unsigned long ticks;      /* user and system time */
    unsigned long start_ticks;
    unsigned long virtual_bytes, resident_pages;
} Process;

/* All processes by pid, to be freed; NULL with errno when /proc cannot be read. */
Process *list_processes(size_t *count);
/* The command line, or "[name]" when it is empty; to be freed. */
char *read_command_line(const Process *process);
/* A field of /proc/meminfo in KiB, or 0. */
unsigned long read_memory_field(const char *field);

/* ---- lib/escapes.c ---- */

/* Reads one escape after a backslash, as printf and echo -e know them; *text moves past it. -1 is "\c". */
int read_escape(const char **text, bool octal_needs_zero);

#endif
