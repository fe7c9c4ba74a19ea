// Tells start-up as it happens, from reset to the first instruction of the first program (docs/startup.md):
//
//   time in instructions, hart, event
//          0  hart 0  reset: M-mode at 0000000080000000
//         47  hart 0  mret to S-mode at supervisor …

import { PAGE_SIZE } from "../lib/address.ts";
import { hex64, hexNumber64 } from "../lib/word64.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { listFreeBlocks, listFreeFrames } from "../kernel/mem/frames.ts";
import { visitEntries } from "../kernel/mem/page-table.ts";
import type { AddressSpace } from "../kernel/mem/types.ts";

/** Attaches to a kernel that has not run yet. `done` is called when the first system call arrives: everything after is routine. */
export function logStartup(k: Kernel, write: (line: string) => void, done: () => void): void {
  let isDone = false;
  let hasUser = false;
  const say = (hart: number, text: string): void => {
    if (!isDone) write(`${String(k.machine.timeNs).padStart(8)}  hart ${hart}  ${text}`);
  };
  const { probes, machine } = k;
  const { narration } = k.arch;
  /** Where an address is, with its symbol where the kernel image has one. */
  const place = (address: number): string => {
    const symbol = narration.symbolize(address);
    return symbol === undefined ? hexNumber64(address) : `${hexNumber64(address)} (${symbol})`;
  };
  for (const hart of machine.harts) say(hart.id, `reset: ${narration.describeReset(hart)}`);
  machine.probes.trapReturn = (hart, from): void => {
    const step = narration.describeStartupReturn(hart, from);
    if (step !== undefined) say(hart.id, step);
    else if (hart.privilege === narration.userPrivilege && !hasUser) {
      hasUser = true;
      const thread = k.state.threads.get(k.state.scheduler.current[hart.id] ?? 0);
      const stack = thread === undefined ? "" : `, sp ${hexNumber64(k.arch.stackPointer(k, thread))}`;
      say(hart.id, `userret, ${narration.nameReturn(hart, from)}: user mode at ${place(hart.pc)}${stack}`);
    }
  };
  machine.probes.addressSpace = (hart, hi, lo): void =>
    say(hart.id, `${narration.spaceRegister} = ${hex64(hi, lo)}: ${narration.describeSpace(hi, lo)}`);
  machine.probes.trap = (hart, trap): void => {
    const what = trap.interrupt ? `interrupt ${trap.cause}` : k.arch.describeCause(trap.cause, false);
    const where = trap.from === narration.userPrivilege ? "to uservec" : `to ${place(hart.pc)}`;
    say(hart.id, `trap: ${what} at ${place(trap.pc)}, ${where}`);
  };
  probes.trapStep = (hart, step, detail): void => {
    if (step === "start") say(hart, "kentry start: the kernel's TypeScript, for the first time");
    else if (step === "started") describeMemory(k, (text) => say(hart, text), Number(detail["free"]));
    else if (step === "main")
      say(hart, `kentry main: paging is on, pc in the kernel's range at ${place(Number(detail["at"]))}`);
    else if (step === "usertrapret")
      say(hart, `usertrapret: thread ${detail["tid"]}, pc ${hexNumber64(Number(detail["epc"]))}`);
    else if (step === "idle") say(hart, "nothing to run: the idle loop");
  };
  probes.exec = (thread, path): void =>
    say(
      0,
      `first process: pid ${thread.process.pid} from ${path}, trapframe at ${hexNumber64(thread.trapframeAddress)}`,
    );
  probes.pageFault = (thread, address, access, outcome): void =>
    say(0, `page fault: ${access} of ${hexNumber64(address)} by ${thread.tid}: ${outcome}`);
  probes.syscallEnter = (thread, _number, row): void => {
    say(0, `first system call: ${row?.name ?? "unknown"} by ${thread.tid} (${thread.name})`);
    isDone = true;
    done();
  };
}

function describeMemory(k: Kernel, say: (text: string) => void, free: number): void {
  const singles = listFreeFrames(k);
  const [first] = singles;
  say(
    `free memory: ${free} frames, ${singles.length} single (first ${hexNumber64((first ?? 0) * PAGE_SIZE)}), ${listFreeBlocks(k).length} blocks of 2 MiB`,
  );
  const { kernelSpace } = k.state.memory;
  say(
    `kernel page table at ${hexNumber64(kernelSpace.root * PAGE_SIZE)}: ${kernelSpace.tablePages} tables; ${countLeaves(k, kernelSpace)}`,
  );
}

function countLeaves(k: Kernel, space: AddressSpace): string {
  const counts = new Map<number, number>();
  visitEntries(k, space, ({ isLeaf, level }) => {
    if (isLeaf) counts.set(level, (counts.get(level) ?? 0) + 1);
  });
  return [...counts]
    .toSorted(([a], [b]) => b - a)
    .map(([level, count]) => `${count} x ${k.arch.format.levels[level]?.name ?? ""}`)
    .join(", ");
}
