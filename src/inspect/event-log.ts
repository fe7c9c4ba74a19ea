// Every kernel and machine probe (but for TLB fills) as a line of text: the event trace of a run.
//
//   TIME_NS EVENT DETAIL…       2043 syscallEnter tid=2 write 1 0x11000 0x15 0x0 0x0 0x0
//
// Two runs of the same image with the same input give the same lines, byte for byte, on any host. A listener that is already there
// still hears everything.

import type { Kernel } from "../kernel/kernel.ts";
import type { KernelProbes } from "../kernel/probes.ts";
import type { AddressSpace } from "../kernel/mem/types.ts";
import type { Process, SignalInfo, Thread } from "../kernel/process/types.ts";
import type { MachineProbes } from "../machine/machine.ts";
import { hexWords } from "./strace/show.ts";

type Listener = (...args: never[]) => void;
type Formats<Probes> = {
  readonly [Name in keyof Probes]-?: (...args: Parameters<Extract<Probes[Name], Listener>>) => string;
};

const tid = (thread: Thread | undefined): string => `tid=${thread?.tid ?? "-"}`;
const pid = (process: Process): string => `pid=${process.pid}`;
const space = ({ id }: AddressSpace): string => `space=${id}`;
const hex = (value: number | undefined): string =>
  value === undefined ? "all" : `${value < 0 ? "-" : ""}0x${Math.abs(value).toString(16)}`;
const exactWords = (hi: number, lo: number): string =>
  `${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
const text = (value: string): string => JSON.stringify(value);
const signal = (info: SignalInfo): string => JSON.stringify(info);

/** A format for each kernel probe; a new probe without one does not compile. */
const KERNEL_FORMATS: Formats<KernelProbes> = {
  syscallEnter: (thread, number, row, args) => {
    const values = Array.from({ length: 6 }, (_, index) => hexWords(args[index * 2 + 1] ?? 0, args[index * 2] ?? 0));
    return `${tid(thread)} ${row?.name ?? number} ${values.join(" ")}`;
  },
  syscallExit: (thread, number, row, _args, result) => `${tid(thread)} ${row?.name ?? number} ${result}`,
  syscallBlocked: (thread, number) => `${tid(thread)} ${number}`,
  trapStep: (hart, step, detail) => `hart=${hart} ${step} ${JSON.stringify(detail)}`,
  pageFault: (thread, address, access, outcome) => `${tid(thread)} ${hex(address)} ${access} ${text(outcome)}`,
  pteWrite: (of, address, level, hi, lo) => `${space(of)} ${hex(address)} level=${level} ${exactWords(hi, lo)}`,
  flush: (hart, asid, address, reason, manner) =>
    `hart=${hart} asid=${asid ?? "all"} ${hex(address)} ${text(reason)} ${manner}`,
  shootdown: ({ id, space: of, harts }, step, hart, reason) =>
    `hart=${hart} ${step} id=${id} space=${of} awaits=${harts.toString(2)} ${text(reason)}`,
  frameAllocate: (frame, owner) => `${hex(frame)} ${owner}`,
  frameFree: (frame) => hex(frame),
  regionChange: (of, region, change) => `${space(of)} ${hex(region.start)}-${hex(region.end)} ${change}`,
  contextSwitch: (hart, from, to) => `hart=${hart} ${tid(from)} ${tid(to)}`,
  fork: (parent, child) => `${tid(parent)} ${tid(child)}`,
  exec: (thread, path, argv) => `${tid(thread)} ${text(path)} ${JSON.stringify(argv)}`,
  beforeExit: (process) => pid(process),
  exit: (process, status) => `${pid(process)} ${status}`,
  threadExit: (thread) => tid(thread),
  signalSend: (process, info) => `${pid(process)} ${signal(info)}`,
  signalDeliver: (thread, info, action) => `${tid(thread)} ${signal(info)} ${action}`,
  log: (line) => text(line),
};

/** Without tlbFill: what a TLB holds follows from how far the host lets the machine run at a time, and no program can see it. */
const MACHINE_FORMATS: Formats<Omit<MachineProbes, "tlbFill">> = {
  trap: (hart, trap) =>
    `hart=${hart.id} cause=${trap.cause} interrupt=${trap.interrupt ? 1 : 0} tval=${hex(trap.tval)} pc=${hex(trap.pc)} ${trap.from}->${trap.to} retired=${hart.instructionsRetired}`,
  trapReturn: (hart, from) => `hart=${hart.id} from=${from} pc=${hex(hart.pc)} retired=${hart.instructionsRetired}`,
  addressSpace: (hart, hi, lo) => `hart=${hart.id} ${exactWords(hi, lo)}`,
  tlbFlush: (hart, address, asid) => `hart=${hart.id} ${hex(address)} asid=${asid ?? "all"}`,
};

/** Attaches to every probe of the kernel and its machine. */
export function logEvents(k: Kernel, write: (line: string) => void): void {
  attach(k.probes, KERNEL_FORMATS, "", k, write);
  attach<Omit<MachineProbes, "tlbFill">>(k.machine.probes, MACHINE_FORMATS, "machine.", k, write);
}

function attach<Probes extends object>(
  probes: Probes,
  formats: Formats<Probes>,
  prefix: string,
  k: Kernel,
  write: (line: string) => void,
): void {
  // Without the types of their arguments: each probe is wrapped in the format of the same name, which has the same arguments.
  const listeners = probes as Record<string, Listener | undefined>;
  const byName = formats as unknown as Readonly<Record<string, (...args: never[]) => string>>;
  for (const [name, format] of Object.entries(byName)) {
    const previous = listeners[name];
    listeners[name] = (...args): void => {
      write(`${k.machine.timeNs} ${prefix}${name} ${format(...args)}`.trimEnd());
      previous?.(...args);
    };
  }
}
