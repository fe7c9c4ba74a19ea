// Files of /proc/PID, in the formats of Linux 6.x. Linux man-pages: proc_pid_stat(5), proc_pid_status(5), proc_pid_maps(5) …

import type { Errno } from "../../../abi/linux/errno.ts";
import { SIG_DFL, SIG_IGN } from "../../../abi/linux/signals.ts";
import { makeDevice } from "../../../abi/linux/stat.ts";
import { PAGE_SIZE } from "../../../lib/address.ts";
import { writeU64 } from "../../../lib/bytes.ts";
import { hex64 } from "../../../lib/word64.ts";
import type { Kernel } from "../../kernel.ts";
import { regionsOf } from "../../mem/region-tree.ts";
import { copyFromUser } from "../../mem/user-memory.ts";
import type { Region } from "../../mem/types.ts";
import { countResident, type ResidentCounts } from "../../mem/usage.ts";
import { memoryScore, OOM_EXEMPT, swappedPages, totalPages } from "../../process/memory-score.ts";
import type { Process, SignalInfo, Thread } from "../../process/types.ts";
import { mountInfo, mountTable } from "./system-files.ts";
import { maps } from "./maps.ts";
import { smaps, smapsRollup } from "./smaps.ts";
import { ticks } from "./text.ts";

/** Whose file it is; `thread` is undefined for zombies and for the kernel's reaper. */
export interface Subject {
  readonly process: Process;
  readonly thread: Thread | undefined;
  readonly fd: number | undefined;
}

interface ProcessFile {
  readonly mode: number;
  /** A byte string, or bytes; bytes may fail. */
  readonly read: (k: Kernel, subject: Subject) => string | Uint8Array;
}

/** Links of a process's directory; where they lead is in magic-links.ts and tree.ts. */
export const PROCESS_LINKS: readonly string[] = ["cwd", "exe", "root"];

export const PROCESS_FILES: ReadonlyMap<string, ProcessFile> = new Map<string, ProcessFile>([
  ["auxv", { mode: 0o400, read: auxiliaryVector }],
  ["cmdline", { mode: 0o444, read: (k, { process }) => userRange(k, process, process.argumentRange) }],
  ["comm", { mode: 0o644, read: (_k, { process, thread }) => `${thread?.name ?? process.name}\n` }],
  ["environ", { mode: 0o400, read: (k, { process }) => userRange(k, process, process.environmentRange) }],
  ["limits", { mode: 0o444, read: limits }],
  ["maps", { mode: 0o444, read: (k, subject) => maps(k, liveRegions(subject)) }],
  // Read and written through memory-file.ts, at addresses.
  ["mem", { mode: 0o600, read: () => "" }],
  ["mountinfo", { mode: 0o444, read: (k) => mountInfo(k) }],
  ["mounts", { mode: 0o444, read: (k) => mountTable(k) }],
  ["oom_score", { mode: 0o444, read: oomScore }],
  ["oom_score_adj", { mode: 0o644, read: (_k, { process }) => `${process.oomScoreAdjust}\n` }],
  // Read through pagemap.ts, which does not need all of it at once.
  ["pagemap", { mode: 0o400, read: () => "" }],
  ["smaps", { mode: 0o444, read: (k, subject) => smaps(k, subject.process.space, liveRegions(subject)) }],
  ["smaps_rollup", { mode: 0o444, read: (k, subject) => smapsRollup(k, subject.process.space, liveRegions(subject)) }],
  ["stat", { mode: 0o444, read: stat }],
  ["statm", { mode: 0o444, read: statm }],
  ["status", { mode: 0o444, read: status }],
  [
    "wchan",
    { mode: 0o444, read: (_k, { thread }) => (thread?.state.kind === "blocked" ? (thread.state.on[0] ?? "0") : "0") },
  ],
]);

/** Bytes of user memory that may have gone; then there are none. */
function userRange(k: Kernel, process: Process, { start, end }: { start: number; end: number }): Uint8Array {
  const isLive = process.threads.length > 0 && process.state.kind !== "zombie";
  const bytes: Uint8Array | Errno =
    isLive && end > start ? copyFromUser(k, process.space, start, Math.min(end - start, 1 << 20)) : "EFAULT";
  return typeof bytes === "string" ? new Uint8Array(0) : bytes;
}

function auxiliaryVector(_k: Kernel, { process }: Subject): Uint8Array {
  const bytes = new Uint8Array(process.auxv.length * 8);
  for (const [index, value] of process.auxv.entries()) writeU64(bytes, index * 8, value);
  return bytes;
}

/** Letter and word of a state. */
function stateOf({ process, thread }: Subject): readonly [string, string] {
  if (process.state.kind === "zombie") return ["Z", "zombie"];
  if (process.state.kind === "stopped" || thread?.state.kind === "stopped") return ["T", "stopped"];
  if (thread === undefined || thread.state.kind === "blocked") return ["S", "sleeping"];
  return ["R", "running"];
}

function liveRegions({ process }: Subject): readonly Region[] {
  return process.threads.length === 0 || process.state.kind === "zombie" ? [] : [...regionsOf(process.space)];
}

function sizeOf(regions: readonly Region[]): number {
  return regions.reduce((sum, region) => sum + (region.end - region.start), 0);
}

function residentPages(subject: Subject): number {
  return liveRegions(subject).length === 0 ? 0 : subject.process.space.residentPages;
}

const NOTHING_RESIDENT: ResidentCounts = { anonymous: 0, file: 0, sharedMemory: 0, explicitLarge: 0 };

function residentCounts(k: Kernel, subject: Subject): ResidentCounts {
  return liveRegions(subject).length === 0 ? NOTHING_RESIDENT : countResident(k, subject.process.space);
}

function stat(k: Kernel, subject: Subject): string {
  const { process, thread } = subject;
  const { usage, childrenUsage } = process;
  const regions = liveRegions(subject);
  const tty = k.state.ttys.ttys[process.controllingTty ?? -1];
  const code = regions.find(({ protection }) => protection.execute);
  const isBlocked = thread?.state.kind === "blocked";
  const stack = thread === undefined || regions.length === 0 ? 0 : k.arch.stackPointer(k, thread);
  const counter = thread === undefined || regions.length === 0 ? 0 : k.arch.programCounter(k, thread);
  const fields = [
    thread?.tid ?? process.pid,
    `(${thread?.name ?? process.name})`,
    stateOf(subject)[0],
    process.parent,
    process.processGroup,
    process.session,
    tty === undefined ? 0 : makeDevice(4, 64 + tty.index),
    tty === undefined ? -1 : tty.foregroundGroup,
    process.hasExecuted ? 0x400000 : 0x400040,
    usage.minorFaults,
    childrenUsage.minorFaults,
    usage.majorFaults,
    childrenUsage.majorFaults,
    ticks(usage.userNs),
    ticks(usage.systemNs),
    ticks(childrenUsage.userNs),
    ticks(childrenUsage.systemNs),
    20 + process.nice,
    process.nice,
    process.threads.length,
    0,
    ticks(process.startTimeNs),
    sizeOf(regions),
    residentPages(subject),
    limitText(process.limits[5]?.soft, "18446744073709551615"),
    code?.start ?? 0,
    code?.end ?? 0,
    regions.findLast(({ purpose }) => purpose === "stack")?.end ?? 0,
    stack,
    counter,
    maskNumber(pendingMask(process.pendingSignals)),
    maskNumber(thread?.signalMask ?? { lo: 0, hi: 0 }),
    maskNumber(dispositionMask(process, "ignored")),
    maskNumber(dispositionMask(process, "caught")),
    isBlocked ? 1 : 0,
    0,
    0,
    process.exitSignal,
    thread?.lastHart ?? 0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    process.threads.length === 0 ? 0 : process.space.breakStart,
    process.argumentRange.start,
    process.argumentRange.end,
    process.environmentRange.start,
    process.environmentRange.end,
    0,
  ];
  return `${fields.join(" ")}\n`;
}

/** Linux: fs/proc/base.c, proc_oom_score: from 0 to 2000, where half of that is all of memory. */
function oomScore(k: Kernel, { process }: Subject): string {
  if (process.threads.length === 0 || process.oomScoreAdjust === OOM_EXEMPT) return "0\n";
  const thousandths = Math.trunc((memoryScore(k, process) * 1000) / totalPages(k));
  return `${Math.trunc(((1000 + thousandths) * 2) / 3)}\n`;
}

function statm(k: Kernel, subject: Subject): string {
  const regions = liveRegions(subject);
  const pages = (chosen: readonly Region[]): number => sizeOf(chosen) / PAGE_SIZE;
  const text = regions.filter(({ protection }) => protection.execute);
  const data = regions.filter(({ protection, sharing }) => protection.write && sharing === "private");
  const { file, sharedMemory } = residentCounts(k, subject);
  return `${pages(regions)} ${residentPages(subject)} ${file + sharedMemory} ${pages(text)} 0 ${pages(data)} 0\n`;
}

function status(k: Kernel, subject: Subject): string {
  const { process, thread } = subject;
  const { credentials: ids, usage } = process;
  const regions = liveRegions(subject);
  const kib = (bytes: number): string => `${String(Math.floor(bytes / 1024)).padStart(8)} kB`;
  const resident = residentPages(subject) * PAGE_SIZE;
  const sized = (matches: (region: Region) => boolean): string => kib(sizeOf(regions.filter(matches)));
  const [letter, word] = stateOf(subject);
  const harts = k.machine.harts.length;
  const rows: [string, string | number][] = [
    ["Name", thread?.name ?? process.name],
    ["Umask", `0${process.fs.umask.toString(8).padStart(3, "0")}`],
    ["State", `${letter} (${word})`],
    ["Tgid", process.pid],
    ["Ngid", 0],
    ["Pid", thread?.tid ?? process.pid],
    ["PPid", process.parent],
    ["TracerPid", 0],
    ["Uid", [ids.uid, ids.euid, ids.suid, ids.fsuid].join("\t")],
    ["Gid", [ids.gid, ids.egid, ids.sgid, ids.fsgid].join("\t")],
    ["FDSize", Math.max(64, process.files.descriptors.length)],
    ["Groups", `${ids.groups.join(" ")} `],
  ];
  if (regions.length > 0) {
    const counts = residentCounts(k, subject);
    rows.push(
      ["VmPeak", kib(sizeOf(regions))],
      ["VmSize", kib(sizeOf(regions))],
      ["VmLck", kib(process.space.lockedPages * PAGE_SIZE)],
      ["VmPin", kib(0)],
      ["VmHWM", kib(Math.max(resident, usage.maxResidentPages * PAGE_SIZE))],
      ["VmRSS", kib(resident)],
      ["RssAnon", kib(counts.anonymous * PAGE_SIZE)],
      ["RssFile", kib(counts.file * PAGE_SIZE)],
      ["RssShmem", kib(counts.sharedMemory * PAGE_SIZE)],
      ["VmData", sized(({ protection, purpose }) => protection.write && purpose !== "stack")],
      ["VmStk", sized(({ purpose }) => purpose === "stack")],
      ["VmExe", sized(({ protection, purpose }) => protection.execute && purpose === "file")],
      ["VmLib", kib(0)],
      ["VmPTE", kib(process.space.tablePages * PAGE_SIZE)],
      ["VmSwap", kib(swappedPages(process) * PAGE_SIZE)],
      ["HugetlbPages", kib(counts.explicitLarge * PAGE_SIZE)],
    );
  }
  const capabilities = ids.euid === 0 ? "000001ffffffffff" : "0".repeat(16);
  rows.push(
    ["Threads", Math.max(1, process.threads.length)],
    ["SigQ", `${process.pendingSignals.length}/${limitText(process.limits[11]?.soft, "unlimited")}`],
    ["SigPnd", maskText(pendingMask(thread?.pendingSignals ?? []))],
    ["ShdPnd", maskText(pendingMask(process.pendingSignals))],
    ["SigBlk", maskText(thread?.signalMask ?? { lo: 0, hi: 0 })],
    ["SigIgn", maskText(dispositionMask(process, "ignored"))],
    ["SigCgt", maskText(dispositionMask(process, "caught"))],
    ["CapInh", "0".repeat(16)],
    ["CapPrm", capabilities],
    ["CapEff", capabilities],
    ["CapBnd", "000001ffffffffff"],
    ["CapAmb", "0".repeat(16)],
    ["NoNewPrivs", process.noNewPrivileges ? 1 : 0],
    ["Seccomp", 0],
    ["Cpus_allowed", (2 ** harts - 1).toString(16)],
    ["Cpus_allowed_list", harts === 1 ? "0" : `0-${harts - 1}`],
    ["voluntary_ctxt_switches", thread?.usage.voluntarySwitches ?? 0],
    ["nonvoluntary_ctxt_switches", thread?.usage.involuntarySwitches ?? 0],
  );
  return rows.map(([name, value]) => `${name}:\t${value}\n`).join("");
}

const LIMIT_ROWS: readonly (readonly [string, string])[] = [
  ["Max cpu time", "seconds"],
  ["Max file size", "bytes"],
  ["Max data size", "bytes"],
  ["Max stack size", "bytes"],
  ["Max core file size", "bytes"],
  ["Max resident set", "bytes"],
  ["Max processes", "processes"],
  ["Max open files", "files"],
  ["Max locked memory", "bytes"],
  ["Max address space", "bytes"],
  ["Max file locks", "locks"],
  ["Max pending signals", "signals"],
  ["Max msgqueue size", "bytes"],
  ["Max nice priority", ""],
  ["Max realtime priority", ""],
  ["Max realtime timeout", "us"],
];

function limits(_k: Kernel, { process }: Subject): string {
  const line = (name: string, soft: string, hard: string, unit: string): string =>
    `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit.padEnd(10)}\n`;
  const rows = LIMIT_ROWS.map(([name, unit], index) => {
    const limit = process.limits[index];
    return line(name, limitText(limit?.soft, "unlimited"), limitText(limit?.hard, "unlimited"), unit);
  });
  return line("Limit", "Soft Limit", "Hard Limit", "Units") + rows.join("");
}

function limitText(value: number | undefined, unlimited: string): string {
  return value === undefined || value === Infinity ? unlimited : String(value);
}

function pendingMask(queue: readonly SignalInfo[]): { lo: number; hi: number } {
  return maskOfSignals(queue.map(({ signal }) => signal));
}

function dispositionMask(process: Process, which: "ignored" | "caught"): { lo: number; hi: number } {
  const signals: number[] = [];
  for (const [signal, { handler }] of process.signals.actions.entries()) {
    const isIgnored = handler === SIG_IGN;
    const isCaught = handler !== SIG_DFL && !isIgnored;
    if (signal > 0 && (which === "ignored" ? isIgnored : isCaught)) signals.push(signal);
  }
  return maskOfSignals(signals);
}

function maskOfSignals(signals: readonly number[]): { lo: number; hi: number } {
  const mask = { lo: 0, hi: 0 };
  for (const signal of signals) {
    if (signal <= 32) mask.lo |= 1 << (signal - 1);
    else mask.hi |= 1 << (signal - 33);
  }
  return mask;
}

function maskText({ lo, hi }: { lo: number; hi: number }): string {
  return hex64(hi, lo);
}

/** proc_pid_stat(5): these fields show the first 31 signals only. */
function maskNumber({ lo }: { lo: number }): number {
  return lo & 0x7fff_ffff;
}
