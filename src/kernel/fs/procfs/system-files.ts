// Files of /proc that concern the whole system, in the formats of Linux 6.x. Linux man-pages: proc(5) and its pages for each file.

import { PAGE_SIZE } from "../../../lib/address.ts";
import type { Errno } from "../../../abi/linux/errno.ts";
import { now, type Kernel } from "../../kernel.ts";
import type { Mount } from "../types.ts";
import { maximumThreads, RESERVED_PIDS } from "../../process/create.ts";
import { memoryInfo, memoryStatistics, swapAreas } from "./memory-totals.ts";
import { MEMORY_SETTINGS } from "./memory-settings.ts";
import { SYSFS_DIRECTORIES, SYSFS_FILES } from "./sysfs-files.ts";
import { escapePath, ticks } from "./text.ts";

interface SystemFile {
  readonly read: (k: Kernel) => string;
  /** Takes a new value; absent for files that only show. */
  readonly write?: (k: Kernel, value: string) => 0 | Errno;
}

/** What uname and /proc say of this kernel; the release names the Linux whose interfaces it follows. */
export const KERNEL_RELEASE = "6.12.0-vitrine";
export const KERNEL_VERSION = "#1 SMP Vitrine";

const constant = (value: string | number): SystemFile => ({ read: () => `${value}\n` });
/** A setting that is accepted and has no effect here. */
const setting = (value: string | number): SystemFile => ({ read: () => `${value}\n`, write: () => 0 });

export const SYSTEM_DIRECTORIES: ReadonlySet<string> = new Set([
  "sys",
  "sys/fs",
  "sys/kernel",
  "sys/kernel/random",
  "sys/vm",
  "sysvipc",
  ...SYSFS_DIRECTORIES,
]);

/** By path below /proc. */
export const SYSTEM_FILES: ReadonlyMap<string, SystemFile> = new Map<string, SystemFile>([
  ["cmdline", { read: (k) => `${k.state.config.commandLine}\n` }],
  ["cpuinfo", { read: (k) => k.arch.cpuInfo(k) }],
  ["devices", constant("Character devices:\n  1 mem\n  4 tty\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:")],
  ["filesystems", constant("nodev\tsysfs\nnodev\ttmpfs\nnodev\tdevtmpfs\nnodev\tproc\nnodev\thostfs")],
  ["loadavg", { read: loadAverage }],
  ["meminfo", { read: memoryInfo }],
  ["partitions", constant("major minor  #blocks  name\n")],
  ["stat", { read: statistics }],
  ["swaps", { read: swapAreas }],
  ["uptime", { read: upTime }],
  ["version", constant(`Linux version ${KERNEL_RELEASE} (vitrine) ${KERNEL_VERSION}`)],
  ["vmstat", { read: memoryStatistics }],
  ["sys/fs/file-max", constant(1048576)],
  ["sys/fs/file-nr", { read: (k) => `${k.state.files.openFiles.size}\t0\t1048576\n` }],
  ["sys/fs/nr_open", constant(1048576)],
  ["sys/fs/pipe-max-size", constant(1048576)],
  ["sys/kernel/cap_last_cap", constant(40)],
  ["sys/kernel/hostname", { read: (k) => `${k.state.hostname}\n`, write: setHostname }],
  ["sys/kernel/domainname", setting("(none)")],
  ["sys/kernel/ngroups_max", constant(65536)],
  ["sys/kernel/osrelease", constant(KERNEL_RELEASE)],
  ["sys/kernel/ostype", constant("Linux")],
  ["sys/kernel/overflowgid", constant(65534)],
  ["sys/kernel/overflowuid", constant(65534)],
  ["sys/kernel/pid_max", { read: (k) => `${k.state.scheduler.pidMax}\n`, write: setPidMax }],
  ["sys/kernel/printk", setting("4\t4\t1\t7")],
  ["sys/kernel/random/boot_id", { read: (k) => `${uuid(k.state.config.randomSeed, 0)}\n` }],
  ["sys/kernel/random/entropy_avail", constant(256)],
  ["sys/kernel/random/poolsize", constant(256)],
  ["sys/kernel/random/uuid", { read: (k) => `${uuid(k.state.config.randomSeed, k.state.counters.systemCalls)}\n` }],
  ["sys/kernel/shm_next_id", { read: (k) => `${k.state.sharedMemory.wantedId}\n`, write: setNextSegment }],
  ["sys/kernel/shmall", sharedMemoryLimit("allPages")],
  ["sys/kernel/shmmax", sharedMemoryLimit("maximumBytes")],
  ["sys/kernel/shmmni", { read: (k) => `${k.state.sharedMemory.limits.segments}\n`, write: setSegmentLimit }],
  ["sys/kernel/tainted", constant(0)],
  ["sys/kernel/threads-max", { read: (k) => `${maximumThreads(k)}\n` }],
  ["sys/kernel/version", constant(KERNEL_VERSION)],
  ...MEMORY_SETTINGS,
  ...SYSFS_FILES,
  ["sysvipc/shm", { read: sharedMemorySegments }],
]);

/** Linux: kernel/pid.c, from just above the reserved pids to 2^22. */
function setPidMax(k: Kernel, value: string): 0 | Errno {
  const number = /^[0-9]{1,7}$/.test(value) ? Number(value) : -1;
  if (number <= RESERVED_PIDS || number > 1 << 22) return "EINVAL";
  k.state.scheduler.pidMax = number;
  return 0;
}

/** A limit of shared memory that reaches 2^64. */
function sharedMemoryLimit(which: "allPages" | "maximumBytes"): SystemFile {
  return {
    read: (k) => `${k.state.sharedMemory.limits[which]}\n`,
    write: (k, value) => {
      if (!/^[0-9]{1,20}$/.test(value) || BigInt(value) >= 2n ** 64n) return "EINVAL";
      k.state.sharedMemory.limits[which] = BigInt(value);
      return 0;
    },
  };
}

function setNextSegment(k: Kernel, value: string): 0 | Errno {
  if (!/^[0-9]{1,10}$/.test(value) || Number(value) > 0x7fff_ffff) return "EINVAL";
  k.state.sharedMemory.wantedId = Number(value);
  return 0;
}

function setSegmentLimit(k: Kernel, value: string): 0 | Errno {
  const number = /^[0-9]{1,5}$/.test(value) ? Number(value) : -1;
  if (number < 0 || number > MAX_SEGMENTS) return "EINVAL";
  k.state.sharedMemory.limits.segments = number;
  return 0;
}

/** /proc/sysvipc/shm: a line for each segment that the reader may know of, which is all of them. */
function sharedMemorySegments(k: Kernel): string {
  const heads = ["key", "shmid", "perms", "size", "cpid", "lpid", "nattch", "uid", "gid", "cuid", "cgid"];
  const rest = ["atime", "dtime", "ctime", "rss", "swap"];
  const head = [...heads, ...rest].map((name, column) => name.padStart(SEGMENT_COLUMNS[column] ?? 0)).join(" ");
  const rows = [...k.state.sharedMemory.segments.values()].map((segment) => {
    const { resident = 0, swapped = 0 } = segment.inode.vmo?.pages ?? {};
    const fields = [
      segment.key,
      segment.id,
      segment.mode.toString(8),
      segment.size,
      segment.creatorPid,
      segment.lastPid,
      segment.attaches,
      segment.uid,
      segment.gid,
      segment.creatorUid,
      segment.creatorGid,
      segment.attachTime,
      segment.detachTime,
      segment.changeTime,
      resident * PAGE_SIZE,
      swapped * PAGE_SIZE,
    ];
    return fields.map((field, column) => String(field).padStart(SEGMENT_COLUMNS[column] ?? 0)).join(" ");
  });
  return `${[head, ...rows].join("\n")}\n`;
}

/** Widths of the columns of sysvipc/shm. */
const SEGMENT_COLUMNS: readonly number[] = [10, 10, 5, 21, 5, 5, 6, 5, 5, 5, 5, 10, 10, 10, 21, 21];
/** As many indices as segment ids have room for. */
const MAX_SEGMENTS = 32768;

function setHostname(k: Kernel, value: string): 0 | Errno {
  if (value.length > 64) return "EINVAL";
  k.state.hostname = value;
  return 0;
}

/** Virtual time that all harts together spent in user programs, in the kernel, and idle. */
function processorTimes(k: Kernel): { user: number; system: number; idle: number } {
  let user = 0;
  let system = 0;
  for (const { usage, childrenUsage } of k.state.processes.values()) {
    user += usage.userNs + childrenUsage.userNs;
    system += usage.systemNs + childrenUsage.systemNs;
  }
  return { user, system, idle: Math.max(0, now(k) * k.machine.harts.length - user - system) };
}

function upTime(k: Kernel): string {
  const seconds = (ns: number): string => (Math.floor(ns / 1e7) / 100).toFixed(2);
  return `${seconds(now(k))} ${seconds(processorTimes(k).idle)}\n`;
}

function loadAverage(k: Kernel): string {
  const { load, runQueue, current } = k.state.scheduler;
  const running = runQueue.length + current.filter((tid) => tid !== undefined).length;
  const latest = Math.max(0, ...k.state.processes.keys());
  return `${load.map((value) => value.toFixed(2)).join(" ")} ${Math.max(1, running)}/${k.state.threads.size} ${latest}\n`;
}

function statistics(k: Kernel): string {
  const { counters, scheduler, processes } = k.state;
  const harts = k.machine.harts.length;
  const { user, system, idle } = processorTimes(k);
  const row = (share: number): string =>
    `${ticks(user / share)} 0 ${ticks(system / share)} ${ticks(idle / share)} 0 0 0 0 0 0`;
  const running = scheduler.runQueue.length + scheduler.current.filter((tid) => tid !== undefined).length;
  const boot = k.state.config.bootTime.seconds;
  return [
    `cpu  ${row(1)}`,
    ...Array.from({ length: harts }, (_, hart) => `cpu${hart} ${row(harts)}`),
    `intr ${counters.interrupts}`,
    `ctxt ${counters.contextSwitches}`,
    `btime ${boot}`,
    `processes ${counters.forks + Math.min(1, processes.size)}`,
    `procs_running ${Math.max(1, running)}`,
    "procs_blocked 0",
    "softirq 0 0 0 0 0 0 0 0 0 0 0",
    "",
  ].join("\n");
}

const TYPE_NAMES = {
  tmpfs: "tmpfs",
  devfs: "devtmpfs",
  procfs: "proc",
  sysfs: "sysfs",
  hostfs: "hostfs",
  anonymous: "none",
} as const;

function mountFlags({ flags }: Mount): string {
  return [
    flags.readOnly ? "ro" : "rw",
    ...(flags.noSuid ? ["nosuid"] : []),
    ...(flags.noExec ? ["noexec"] : []),
    "relatime",
  ].join(",");
}

/** /proc/PID/mounts: one line for each mount, as fstab(5) has them. */
export function mountTable(k: Kernel): string {
  return k.state.files.mounts
    .map((mount) => {
      const { source, kind } = mount.filesystem;
      return `${escapePath(source)} ${escapePath(mount.path)} ${TYPE_NAMES[kind]} ${mountFlags(mount)} 0 0\n`;
    })
    .join("");
}

/** /proc/PID/mountinfo. */
export function mountInfo(k: Kernel): string {
  return k.state.files.mounts
    .map((mount) => {
      const { id, source, kind } = mount.filesystem;
      const flags = mountFlags(mount);
      const place = `${mount.id} ${mount.parent?.id ?? 0} 0:${id} / ${escapePath(mount.path)} ${flags}`;
      return `${place} - ${TYPE_NAMES[kind]} ${escapePath(source)} ${flags.split(",")[0]}\n`;
    })
    .join("");
}

/** A version-4 UUID that follows from the seed, so that the same boot has the same one. */
function uuid(seed: number, salt: number): string {
  let state = (seed ^ Math.imul(salt + 1, 0x9e3779b1)) >>> 0;
  let digits = "";
  while (digits.length < 32) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0;
    state = (state + 0x9e3779b9) >>> 0;
    digits += (state ^ (state >>> 13)).toString(16).replace("-", "").padStart(8, "0").slice(-8);
  }
  const variant = "89ab"[Number.parseInt(digits.charAt(16), 16) & 3] ?? "8";
  const parts = [digits.slice(0, 8), digits.slice(8, 12), `4${digits.slice(13, 16)}`, variant + digits.slice(17, 20)];
  return [...parts, digits.slice(20, 32)].join("-");
}
