// Names of flags and constants as the tracer prints them, taken from the ABI's own constants by prefix.

import * as futex from "../../abi/linux/futex.ts";
import * as ipc from "../../abi/linux/ipc.ts";
import * as ioctl from "../../abi/linux/ioctl.ts";
import * as memory from "../../abi/linux/memory.ts";
import * as mount from "../../abi/linux/mount.ts";
import * as files from "../../abi/linux/open-flags.ts";
import * as poll from "../../abi/linux/poll.ts";
import * as process from "../../abi/linux/process.ts";
import * as signals from "../../abi/linux/signals.ts";
import * as stat from "../../abi/linux/stat.ts";
import * as time from "../../abi/linux/time.ts";

/** A set of named values: exclusive ones (an enumeration) or bits that are ORed. */
export interface NameTable {
  readonly kind: "enumeration" | "bits";
  readonly names: ReadonlyMap<number, string>;
  /** bits: what a field within the word selects (the access mode of open), and its names. */
  readonly field?: { readonly mask: number; readonly names: ReadonlyMap<number, string>; readonly last?: boolean };
  /** Digits for what no name covers. */
  readonly radix?: 8 | 16;
}

type Constants = Readonly<Record<string, unknown>>;

function byPrefix(constants: Constants, prefix: string, without: readonly string[] = []): Map<number, string> {
  const names = new Map<number, string>();
  for (const [name, value] of Object.entries(constants)) {
    if (name.startsWith(prefix) && typeof value === "number" && !without.includes(name) && !names.has(value))
      names.set(value, name);
  }
  return names;
}

function pick(constants: Constants, names: readonly string[]): Map<number, string> {
  const picked = new Map<number, string>();
  for (const name of names) {
    const value = constants[name];
    if (typeof value === "number") picked.set(value, name);
  }
  return picked;
}

const bits = (names: ReadonlyMap<number, string>, rest: Partial<NameTable> = {}): NameTable => ({
  kind: "bits",
  names,
  ...rest,
});
const enumeration = (names: ReadonlyMap<number, string>): NameTable => ({ kind: "enumeration", names });

const accessModes = pick(files, ["O_RDONLY", "O_WRONLY", "O_RDWR"]);
const openBits = byPrefix(files, "O_", ["O_ACCMODE", "O_RDONLY", "O_WRONLY", "O_RDWR"]);
const fileTypes = byPrefix(stat, "S_IF", ["S_IFMT"]);

/** The tables by the name that a system-call row's `show` gives. */
export const NAME_TABLES: Readonly<Record<string, NameTable>> = {
  open: bits(openBits, { field: { mask: files.O_ACCMODE, names: accessModes }, radix: 8 }),
  "open-flags": bits(openBits, { radix: 8 }),
  at: bits(
    pick(files, ["AT_SYMLINK_NOFOLLOW", "AT_SYMLINK_FOLLOW", "AT_NO_AUTOMOUNT", "AT_EMPTY_PATH", "AT_RECURSIVE"]),
  ),
  unlinkat: bits(pick(files, ["AT_REMOVEDIR"])),
  access: bits(pick(files, ["R_OK", "W_OK", "X_OK"]), { field: { mask: 7, names: new Map([[0, "F_OK"]]) } }),
  fcntl: enumeration(byPrefix(files, "F_", ["F_OK", "F_RDLCK", "F_WRLCK", "F_UNLCK"])),
  flock: bits(byPrefix(files, "LOCK_")),
  "seek-whence": enumeration(byPrefix(files, "SEEK_")),
  fallocate: bits(byPrefix(files, "FALLOC_")),
  rename: bits(byPrefix(files, "RENAME_")),
  "statx-mask": bits(byPrefix(stat, "STATX_", ["STATX_SIZE_BYTES"])),
  "file-type": enumeration(fileTypes),
  "mmap-prot": bits(byPrefix(memory, "PROT_", ["PROT_NONE"]), {
    field: { mask: 7, names: new Map([[0, "PROT_NONE"]]) },
  }),
  "mmap-flags": bits(
    byPrefix(memory, "MAP_", [
      "MAP_TYPE",
      "MAP_SHARED",
      "MAP_PRIVATE",
      "MAP_SHARED_VALIDATE",
      "MAP_HUGE_SHIFT",
      "MAP_HUGE_MASK",
    ]),
    {
      field: { mask: memory.MAP_TYPE, names: pick(memory, ["MAP_SHARED", "MAP_PRIVATE", "MAP_SHARED_VALIDATE"]) },
    },
  ),
  mremap: bits(byPrefix(memory, "MREMAP_")),
  madvise: enumeration(byPrefix(memory, "MADV_")),
  msync: bits(byPrefix(memory, "MS_")),
  mlockall: bits(byPrefix(memory, "MCL_")),
  "ipc-key": enumeration(pick(ipc, ["IPC_PRIVATE"])),
  shmget: bits(pick(ipc, ["IPC_CREAT", "IPC_EXCL", "SHM_HUGETLB", "SHM_NORESERVE"]), { radix: 8 }),
  shmat: bits(pick(ipc, ["SHM_RDONLY", "SHM_RND", "SHM_REMAP", "SHM_EXEC"])),
  shmctl: enumeration(
    pick(ipc, [
      "IPC_RMID",
      "IPC_SET",
      "IPC_STAT",
      "IPC_INFO",
      "SHM_LOCK",
      "SHM_UNLOCK",
      "SHM_STAT",
      "SHM_INFO",
      "SHM_STAT_ANY",
    ]),
  ),
  memfd: bits(byPrefix(ipc, "MFD_", ["MFD_NAME_LIMIT"])),
  seals: bits(byPrefix(ipc, "F_SEAL_")),
  mount: bits(byPrefix(mount, "MS_")),
  umount: bits(pick(mount, ["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"])),
  clone: bits(byPrefix(process, "CLONE_", ["CLONE_ARGS_SIZE_VER0", "CLONE_ARGS_SIZE", "CLONE_CLEAR_SIGHAND_HIGH"]), {
    field: {
      mask: 0xff,
      names: new Map(Object.entries(signals.SIGNALS).map(([name, number]) => [number, name])),
      last: true,
    },
  }),
  wait: bits(
    pick(process, ["WNOHANG", "WUNTRACED", "WEXITED", "WCONTINUED", "WNOWAIT", "WNOTHREAD", "WALL", "WCLONE"]),
  ),
  waitid: enumeration(pick(process, ["P_ALL", "P_PID", "P_PGID", "P_PIDFD"])),
  "rlimit-resource": enumeration(byPrefix(process, "RLIMIT_", ["RLIMIT_COUNT"])),
  "rusage-who": enumeration(byPrefix(process, "RUSAGE_")),
  priority: enumeration(byPrefix(process, "PRIO_")),
  sched: enumeration(byPrefix(process, "SCHED_", ["SCHED_RESET_ON_FORK"])),
  prctl: enumeration(byPrefix(process, "PR_")),
  arch_prctl: enumeration(byPrefix(process, "ARCH_")),
  getrandom: bits(byPrefix(process, "GRND_")),
  membarrier: enumeration(byPrefix(process, "MEMBARRIER_CMD_")),
  "sigmask-how": enumeration(pick(signals, ["SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK"])),
  sigaction: bits(byPrefix(signals, "SA_")),
  clock: enumeration(byPrefix(time, "CLOCK_", ["CLOCK_TICKS_PER_SECOND"])),
  "clock-flags": bits(pick(time, ["TIMER_ABSTIME"])),
  "stack-flags": bits(pick(signals, ["SS_ONSTACK", "SS_DISABLE"])),
  "descriptor-flags": bits(pick(files, ["FD_CLOEXEC"])),
  itimer: enumeration(pick(time, ["ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"])),
  poll: bits(byPrefix(poll, "POLL")),
  "epoll-op": enumeration(byPrefix(poll, "EPOLL_CTL_")),
  futex: {
    kind: "bits",
    names: pick(futex, ["FUTEX_PRIVATE_FLAG", "FUTEX_CLOCK_REALTIME"]),
    field: {
      mask: futex.FUTEX_CMD_MASK,
      names: byPrefix(futex, "FUTEX_", [
        "FUTEX_PRIVATE_FLAG",
        "FUTEX_CLOCK_REALTIME",
        "FUTEX_CMD_MASK",
        "FUTEX_WAITERS",
        "FUTEX_OWNER_DIED",
        "FUTEX_TID_MASK",
        "FUTEX_BITSET_MATCH_ANY",
      ]),
    },
  },
  ioctl: enumeration(
    new Map([
      ...byPrefix(ioctl, "TC", ["TCIFLUSH", "TCOFLUSH", "TCIOFLUSH", "TCOOFF", "TCOON", "TCIOFF", "TCION"]),
      ...byPrefix(ioctl, "TIOC"),
      ...byPrefix(ioctl, "FIO"),
    ]),
  ),
};

/** A value in the table's names, ORed with |; what no name covers in digits. */
export function showNamed(table: NameTable, value: number): string {
  const digits = (rest: number): string =>
    table.radix === 8 ? `0${(rest >>> 0).toString(8)}` : `0x${(rest >>> 0).toString(16)}`;
  if (table.kind === "enumeration") return table.names.get(value) ?? table.names.get(value >>> 0) ?? digits(value);
  const parts: string[] = [];
  let rest = value >>> 0;
  let fieldName: string | undefined;
  if (table.field !== undefined) {
    const selected = (rest & table.field.mask) >>> 0;
    fieldName = table.field.names.get(selected);
    if (fieldName !== undefined) {
      rest = (rest & ~table.field.mask) >>> 0;
    }
  }
  // Names of several bits first, so that O_SYNC is not shown as O_DSYNC and a remainder.
  const byWidth = [...table.names].filter(([bit]) => bit !== 0).sort((a, b) => bitCount(b[0]) - bitCount(a[0]));
  const found: [number, string][] = [];
  for (const [bit, name] of byWidth) {
    if ((rest & bit) >>> 0 !== bit >>> 0) continue;
    found.push([bit >>> 0, name]);
    rest = (rest & ~bit) >>> 0;
  }
  parts.push(...found.sort((a, b) => a[0] - b[0]).map(([, name]) => name));
  if (fieldName !== undefined) {
    if (table.field?.last === true) parts.push(fieldName);
    else parts.unshift(fieldName);
  }
  if (rest !== 0 || parts.length === 0) parts.push(rest === 0 ? "0" : digits(rest));
  return parts.join("|");
}

function bitCount(value: number): number {
  let count = 0;
  for (let rest = value >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count += 1;
  return count;
}
