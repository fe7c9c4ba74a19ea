// The kernel monitor: a shell beside the user's, in the kernel's own words (requirement K1). Each command is a row: name, arguments,
// help, function. While it has the console the machine stands still.

import type { Kernel } from "../kernel/kernel.ts";
import { memoryStatistics } from "../kernel/fs/procfs/memory-totals.ts";
import type { Process } from "../kernel/process/types.ts";
import { formatFrames } from "./frame-view.ts";
import { describeSpace, formatMemoryMap } from "./memory-map.ts";
import { formatState } from "./page-state.ts";
import {
  formatAddress,
  formatPageTable,
  formatSize,
  formatUnmapped,
  readPageTable,
  regionAt,
  regionName,
} from "./page-table-view.ts";
import { formatSwap } from "./swap-view.ts";
import { wrapText } from "./wrap.ts";
import { INTERRUPT_BASE, type TrapLog } from "./trap-log.ts";

/** What the monitor works on. */
export interface MonitorTarget {
  readonly k: Kernel;
  readonly version: string;
  readonly traps: TrapLog;
  /** Characters of a line now, and whether colours are wanted. */
  readonly terminal: () => { readonly width: number; readonly colour: boolean };
  readonly shutdown: () => void;
  /** Makes the kernel panic: its report ends the run. */
  readonly panic: (message: string) => void;
  /** Makes a hart fault in kernel mode: a real trap through kernelvec, whose report ends the run. */
  readonly fault: () => void;
}

interface MonitorCommand {
  readonly name: string;
  readonly arguments: string;
  readonly help: string;
  readonly run: (target: MonitorTarget, args: readonly string[]) => string;
}

/** Entries of the free lists that `frames` shows unless it is told. */
const FREE_LIMIT = 16;
const MOST_ENTRIES = 4096;

const COMMANDS: readonly MonitorCommand[] = [
  { name: "help", arguments: "", help: "this list", run: help },
  {
    name: "version",
    arguments: "",
    help: "version and architecture",
    run: ({ k, version }) => `vitrine ${version}, ${k.arch.name}, ${k.arch.format.name}`,
  },
  { name: "ps", arguments: "", help: "processes", run: listProcesses },
  {
    name: "maps",
    arguments: "PID",
    help: "regions of a process: in memory, copy-on-write, swapped, in large pages",
    run: (target, args) =>
      withProcess(target, args, (process) => formatMemoryMap(target.k, process, target.terminal().width)),
  },
  {
    name: "pt",
    arguments: "PID [VA]",
    help: "page-table tree of a process and who shares its frames, or the walk of one address",
    run: showPageTable,
  },
  {
    name: "frames",
    arguments: "[N]",
    help: "map of physical memory, histograms, and the first N entries of the free lists",
    run: showFrames,
  },
  { name: "swap", arguments: "", help: "swap areas and the swap cache", run: ({ k }) => formatSwap(k) },
  {
    name: "vmstat",
    arguments: "",
    help: "memory counters, as /proc/vmstat has them",
    run: ({ k }) => memoryStatistics(k).trimEnd(),
  },
  { name: "regs", arguments: "", help: "registers of every hart", run: showRegisters },
  { name: "traps", arguments: "", help: "traps by cause, and the last of them", run: showTraps },
  {
    name: "shutdown",
    arguments: "",
    help: "stop the machine cleanly",
    run: ({ shutdown }) => {
      shutdown();
      return "Bye.";
    },
  },
  {
    name: "panic",
    arguments: "",
    help: "make the kernel panic",
    run: ({ panic }) => {
      panic("asked for from the monitor");
      return "";
    },
  },
  {
    name: "fault",
    arguments: "",
    help: "make the kernel fault: a load from an unmapped address",
    run: ({ fault }) => {
      fault();
      return "";
    },
  },
];

/** Runs one line and returns what it prints. */
export function runMonitorCommand(target: MonitorTarget, line: string): string {
  const [name, ...args] = line.trim().split(/\s+/);
  if (name === undefined || name === "") return "";
  const command = COMMANDS.find((candidate) => candidate.name === name);
  return command === undefined ? `${name}: no such command; try help` : command.run(target, args);
}

/** Names of all commands, for completion. */
export const MONITOR_COMMANDS: readonly string[] = COMMANDS.map((command) => command.name);

function help(): string {
  const left = COMMANDS.map((command) => `${command.name} ${command.arguments}`.trim());
  const width = Math.max(...left.map((text) => text.length)) + 3;
  return COMMANDS.map((command, index) => (left[index] ?? "").padEnd(width) + command.help).join("\n");
}

function listProcesses({ k }: MonitorTarget): string {
  const lines = [`  PID  PPID  PGID STATE       PAGES  TABLES ${k.arch.narration.asidName} NAME`];
  for (const process of k.state.processes.values()) {
    const column = (value: number, width: number): string => String(value).padStart(width);
    lines.push(
      `${column(process.pid, 5)} ${column(process.parent, 5)} ${column(process.processGroup, 5)} ${describeState(k, process).padEnd(10)} ${column(
        process.space.residentPages,
        6,
      )} ${column(process.space.tablePages, 7)} ${column(process.space.asid, 4)} ${process.name}`,
    );
  }
  return lines.join("\n");
}

function describeState(k: Kernel, process: Process): string {
  if (process.state.kind !== "running") return process.state.kind;
  const states = process.threads.map((tid) => k.state.threads.get(tid)?.state.kind ?? "exited");
  return (
    states.find((state) => state === "running") ?? states.find((state) => state === "runnable") ?? states[0] ?? "kernel"
  );
}

function withProcess(target: MonitorTarget, args: readonly string[], use: (process: Process) => string): string {
  const pid = Number(args[0] ?? NaN);
  const process = target.k.state.processes.get(pid);
  if (process === undefined)
    return args[0] === undefined ? "which process? give its PID (ps lists them)" : `no process ${args[0]}`;
  return use(process);
}

function showPageTable(target: MonitorTarget, args: readonly string[]): string {
  return withProcess(target, args, (process) => {
    const text = args[1];
    if (text === undefined) return showTree(target, process);
    const address = Number(text.startsWith("0x") ? text : `0x${text}`);
    if (!Number.isFinite(address)) return `${text} is not an address`;
    return walk(target.k, process, address);
  });
}

function showTree({ k, terminal }: MonitorTarget, process: Process): string {
  const unmapped = formatUnmapped(k, process.space);
  return [
    ...wrapText(describeSpace(k, process), terminal().width),
    formatPageTable(k, process.space, terminal().width),
    ...(unmapped === "" ? [] : ["pages that the table does not show", unmapped]),
  ].join("\n");
}

/** The entries that a walk of one address meets. */
function walk(k: Kernel, process: Process, address: number): string {
  const lines: string[] = [];
  let entries = readPageTable(k, process.space);
  for (let depth = 0; ; depth++) {
    const entry = entries.find(
      (candidate) => address >= candidate.address && address < candidate.address + candidate.size * candidate.count,
    );
    if (entry === undefined) {
      lines.push(`${"  ".repeat(depth)}no entry: not mapped`);
      break;
    }
    const index = entry.index + Math.floor((address - entry.address) / entry.size);
    const physical =
      entry.physical + (entry.kind === "leaf" ? Math.floor((address - entry.address) / entry.size) * entry.size : 0);
    lines.push(
      `${"  ".repeat(depth)}${entry.levelName}[${index}]  ${entry.kind} ${formatAddress(physical, 14)}  ${entry.flags}`,
    );
    if (entry.kind === "leaf") {
      const state = entry.pages === undefined ? "" : `, ${formatState(entry.pages)}`;
      lines.push(
        `physical ${formatAddress(entry.physical + (address - entry.address), 14)}, ${formatSize(entry.size)} page${state}`,
      );
      break;
    }
    entries = [...entry.children];
  }
  const region = regionAt(process.space, address);
  lines.push(
    region === undefined
      ? "no region"
      : `region ${formatAddress(region.start)}-${formatAddress(region.end)} ${regionName(region)}`,
  );
  return lines.join("\n");
}

function showFrames(target: MonitorTarget, args: readonly string[]): string {
  const limit = args[0] === undefined ? FREE_LIMIT : Number(args[0]);
  if (!(Number.isInteger(limit) && limit >= 0 && limit <= MOST_ENTRIES))
    return `${args[0] ?? ""} is not a number from 0 to ${MOST_ENTRIES}`;
  return formatFrames(target.k, { ...target.terminal(), limit });
}

function showRegisters({ k, terminal }: MonitorTarget): string {
  return k.machine.harts
    .map((hart) => {
      const running = k.state.scheduler.current[hart.id];
      const head = `hart ${hart.id}: ${running === undefined ? "idle" : `thread ${running}`}, ${hart.instructionsRetired} instructions`;
      const registers = k.arch.hartRegisters(k, hart.id);
      const width = Math.max(8, ...registers.map(({ name }) => name.length));
      const cells = registers.map(({ name, value }) => `${name.padStart(width)} ${value}`);
      const rows: string[] = [];
      const columns = Math.max(1, Math.floor(terminal().width / ((cells[0]?.length ?? 0) + 1)));
      for (let index = 0; index < cells.length; index += columns) {
        rows.push(cells.slice(index, index + columns).join(" "));
      }
      return [head, ...rows].join("\n");
    })
    .join("\n");
}

function showTraps({ k, traps }: MonitorTarget): string {
  const { counters } = k.state;
  const lines = [
    `${counters.systemCalls} system calls, ${counters.minorFaults} minor and ${counters.majorFaults} major faults, ${counters.contextSwitches} context switches`,
  ];
  for (const [key, count] of [...traps.counts].sort((a, b) => b[1] - a[1])) {
    const interrupt = key >= INTERRUPT_BASE;
    lines.push(
      `${String(count).padStart(10)}  ${k.arch.describeCause(interrupt ? key - INTERRUPT_BASE : key, interrupt)}`,
    );
  }
  if (traps.recent.length > 0) lines.push("last:");
  for (const trap of traps.recent) {
    lines.push(
      `  ${String(trap.atNs).padStart(14)} ns  hart ${trap.hart}  pc ${formatAddress(trap.pc)}  ${k.arch.describeCause(trap.cause, trap.interrupt)}`,
    );
  }
  return lines.join("\n");
}
