/*
 * demo-cow: copy-on-write, as two processes see it.
 *
 *   before fork     parent ──► frame A "written by the parent"
 *   after fork      parent ──► frame A ◄── child              both read-only
 *   child writes    parent ──► frame A     child ──► frame B  one page fault, one copy
 *   parent writes   parent ──► frame A                        it is the last owner: no copy
 *
 * The frames come from /proc/self/pagemap, where the kernel shows them (bits 0-54 of a 64-bit entry: proc(5)).
 */

#include "vbox.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The page's frame number, or 0 when the kernel does not say. */
static uint64_t read_frame(const void *page)
{
    uint64_t entry = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    off_t offset = (off_t)((uintptr_t)page / (uintptr_t)getpagesize() * sizeof entry);
    if (pread(fd, &entry, sizeof entry, offset) != sizeof entry || !(entry >> 63))
        entry = 0;
    close(fd);
    return entry & ((UINT64_C(1) << 55) - 1);
}

static long count_faults(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_minflt;
}

static void show(const char *who, const char *when, const char *page, long faults)
{
    uint64_t frame = read_frame(page);
    printf("%-6s %-22s address %p holds \"%s\"", who, when, (const void *)page, page);
    if (frame != 0)
        printf(", frame %#jx", (uintmax_t)frame);
    if (faults >= 0)
        printf(", page faults of this write: %ld", faults);
    putchar('\n');
    fflush(stdout);
}

/* Writes the page and counts the faults that the write itself took. */
static long write_page(char *page, const char *text)
{
    size_t length = strlen(text) + 1;
    long before = count_faults();
    memcpy(page, text, length);
    return count_faults() - before;
}

int demo_cow_main(int argc, char **argv)
{
    (void)argc, (void)argv;
    char *page = mmap(NULL, (size_t)getpagesize(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        die_errno("mmap");
    count_faults(); /* so that the call itself faults nothing in later */
    show("parent", "before fork", page, write_page(page, "written by the parent"));

    pid_t pid = fork();
    if (pid < 0)
        die_errno("fork");
    if (pid == 0) {
        show("child", "shares the frame", page, -1);
        show("child", "has written: a copy", page, write_page(page, "written by the child"));
        return 0;
    }
    int status;
    waitpid(pid, &status, 0);
    show("parent", "still sees its own", page, -1);
    show("parent", "has written: no copy", page, write_page(page, "again by the parent"));
    return status_of_wait(status);
}
