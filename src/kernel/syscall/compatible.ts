// What `int 0x80` reaches on x86-64: calls by their i386 numbers, as the 64-bit kernel serves them to 32-bit code.
//
// Arguments are 32 bits wide, zero-extended, and so are the pointers among them. Only calls whose arguments and structures are the
// same on i386 have a row, or get one here under the name that i386 gives them; all others give ENOSYS (docs/limits.md), since
// no 32-bit structure (time_t, struct stat, pointer vectors) is converted.

import { MAP_32BIT } from "../../abi/linux/memory.ts";
import { PAGE_SIZE } from "../../lib/address.ts";
import { indexRows, olderForm, rowNamed } from "./older-forms.ts";
import { defineCall, type SyscallRow } from "./row.ts";

/** Calls that are the same under another name: those that took 16-bit ids before, and 32-bit times. */
const RENAMED: Readonly<Record<string, string>> = {
  getuid32: "getuid",
  getgid32: "getgid",
  geteuid32: "geteuid",
  getegid32: "getegid",
  setuid32: "setuid",
  setgid32: "setgid",
  setreuid32: "setreuid",
  setregid32: "setregid",
  setresuid32: "setresuid",
  getresuid32: "getresuid",
  setresgid32: "setresgid",
  getresgid32: "getresgid",
  setfsuid32: "setfsuid",
  setfsgid32: "setfsgid",
  getgroups32: "getgroups",
  setgroups32: "setgroups",
  chown32: "chown",
  lchown32: "lchown",
  fchown32: "fchown",
  clock_gettime64: "clock_gettime",
  clock_settime64: "clock_settime",
  clock_getres_time64: "clock_getres",
  clock_nanosleep_time64: "clock_nanosleep",
  futex_time64: "futex",
  utimensat_time64: "utimensat",
  ppoll_time64: "ppoll",
};

/** Calls that are the same under the same name. */
const SAME = `
  exit fork read write open close creat link unlink chdir mknod chmod getpid pause access sync kill rename mkdir rmdir dup
  pipe brk setpgid umask chroot dup2 getppid getpgrp setsid symlink readlink munmap fchmod getpriority setpriority fsync
  uname mprotect getpgid fchdir flock msync getsid fdatasync mlock munlock mlockall munlockall sched_yield
  sched_get_priority_max sched_get_priority_min poll prctl getcwd vfork mincore madvise getdents64 gettid tkill
  sched_setaffinity sched_getaffinity exit_group epoll_create set_tid_address tgkill openat mkdirat mknodat
  fchownat unlinkat renameat linkat symlinkat readlinkat fchmodat faccessat unshare sync_file_range eventfd eventfd2
  epoll_create1 dup3 pipe2 syncfs getcpu renameat2 getrandom membarrier mlock2 copy_file_range statx faccessat2 close_range
  fchmodat2 personality capget capset sethostname setdomainname`
  .trim()
  .split(/\s+/);

/** The rows that `int 0x80` reaches, under i386's names. `rows` are the native ones. */
export function compatibleCalls(rows: readonly SyscallRow[]): SyscallRow[] {
  const byName = indexRows(rows);
  const renamed = Object.entries(RENAMED).map(([name, native]) => ({ ...rowNamed(byName, native), name }));
  const same = SAME.map((name) => rowNamed(byName, name));
  const lseek = rowNamed(byName, "lseek");
  const mmap = rowNamed(byName, "mmap");
  return [
    ...same,
    ...renamed,
    olderForm("waitpid", rowNamed(byName, "wait4"), ["given", "given", "given", 0]),
    defineCall({
      name: "lseek",
      args: [
        { name: "fd", type: "fd" },
        { name: "offset", type: "int" },
        { name: "whence", type: "int", show: "seek-whence" },
      ],
      result: "size",
      handler: lseek.handler,
    }),
    defineCall({
      name: "mmap2",
      args: [
        { name: "addr", type: "pointer" },
        { name: "length", type: "size" },
        { name: "prot", type: "flags", show: "mmap-prot" },
        { name: "flags", type: "flags", show: "mmap-flags" },
        { name: "fd", type: "fd" },
        { name: "pgoffset", type: "uint" },
      ],
      result: "pointer",
      handler: (call, address, length, prot, flags, fd, pages) =>
        mmap.handler(call, address, length, prot, flags | MAP_32BIT, fd, pages * PAGE_SIZE),
    }),
  ];
}
