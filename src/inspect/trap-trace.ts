// `trace --traps`: every step of the path into the kernel and back, with cause, registers and instruction counts.
//
// On riscv64:
//
//   trap 3: hart 0, pid 2 (hello), 15 instructions in user mode
//     ecall        pc 0x…10018  cause 8 (environment call from U-mode)  mode U -> S
//     uservec      satp 0x8000100000080266 -> 0x8000000000080006  Sv39, ASID 0, the kernel's page table
//                  saved in the trapframe at 0x3fffffe000 (physical 0x008026b000), by offset:
//                     40 ra …   48 sp …   112 a0 …
//     usertrap     scause 8  sepc 0x…10018  stval 0  stvec …            38 instructions of uservec
//     syscall      64 write(1, "hello"..., 21) = 21
//     usertrapret  sepc 0x…1001c  sstatus …  sscratch …  stvec …
//     userret      satp 0x8000000000080006 -> 0x8000100000080266  Sv39, ASID 1
//                  31 registers from the trapframe, 34 instructions with sret
//     sret         pc 0x…1001c  mode S -> U  73 instructions in the kernel
//
// and on x86-64, where the instruction is `syscall`, the tables are CR3's, and the way back is sysretq or iretq. What differs is in the
// architecture's own words (kernel/arch/arch.ts, Narration).
//
// The machine says where it happens (its probes trap, addressSpace, trapReturn), the kernel what it does (its probes trapStep,
// syscallEnter, syscallExit, pageFault). Lines keep within 120 columns, but for long arguments.

import type { NarratedStep } from "../kernel/arch/arch.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { Thread } from "../kernel/process/types.ts";
import { formatAddress, regionAt, regionName } from "./page-table-view.ts";
import { showCall, showOutcome } from "./strace/show.ts";

export interface TrapTraceOptions {
  readonly write: (line: string) => void;
  /** Show traps of interrupts too; without it, only system calls and faults. */
  readonly interrupts: boolean;
}

/** What hears of traps step by step. */
export interface TrapListener {
  /** A trap, or the first entry into user mode, and who is trapped. */
  begin(text: string): void;
  /** A step of it: a name, "" for what belongs to the step before, and what there is to tell. */
  step(name: string, text: string): void;
  /** Fields of the trapframe, each with its offset. */
  fields(cells: readonly string[]): void;
}

/** Trapframe fields in a row: three take 117 columns. */
const COLUMNS = 3;
/** Registers in a row: four of 64 bits keep within the columns. */
const REGISTERS_IN_A_ROW = 4;
const FIELD_INDENT = " ".repeat(7);

/** One hart on its way through the kernel. */
interface Passage {
  /** Off while a trap that is not to be shown is under way. */
  shown: boolean;
  /** Instructions retired at the trap, and at the last step. */
  trappedAt: number;
  steppedAt: number;
  /** When user mode was last entered. */
  returnedAt: number;
  space: string;
  /** usertrapret has been reached: a change of page tables is userret's. */
  leaving: boolean;
  /** What trapped. */
  cause: number;
  interrupt: boolean;
}

/** Writes the steps as text. */
export function traceTraps(k: Kernel, { write, interrupts }: TrapTraceOptions): void {
  const listener: TrapListener = {
    begin: write,
    step: (name, text) => write(`  ${name.padEnd(12)} ${text}`.trimEnd()),
    fields(cells) {
      for (let row = 0; row < cells.length; row += COLUMNS)
        write(`${FIELD_INDENT}${cells.slice(row, row + COLUMNS).join(" ")}`);
    },
  };
  listenToTraps(k, listener, { interrupts });
}

/** Attaches to machine and kernel probes. */
export function listenToTraps(k: Kernel, listener: TrapListener, options: { readonly interrupts: boolean }): void {
  let count = 0;
  const { narration } = k.arch;
  const { privilegeName } = narration;
  const passages = k.machine.harts.map((hart): Passage => ({
    shown: false,
    trappedAt: 0,
    steppedAt: 0,
    returnedAt: hart.instructionsRetired,
    space: readRegister(k, hart.id, narration.spaceRegister),
    leaving: false,
    cause: 0,
    interrupt: false,
  }));
  /** Threads that have been in user mode: the first entry is shown by itself. */
  const entered = new WeakSet<Thread>();

  const step = (hart: number, name: string, text: string): void => {
    if (passages[hart]?.shown === true) listener.step(name, text);
  };
  const stepOfThread = (thread: Thread, name: string, text: string): void => {
    if (thread.state.kind === "running") step(thread.state.hart, name, text);
    else if (k.state.scheduler.kernelHart >= 0) step(k.state.scheduler.kernelHart, name, text);
  };

  k.machine.probes.trap = (hart, trap): void => {
    const passage = passages[hart.id];
    if (passage === undefined) return;
    passage.shown = !trap.interrupt || options.interrupts;
    passage.trappedAt = hart.instructionsRetired;
    passage.steppedAt = hart.instructionsRetired;
    passage.leaving = false;
    passage.cause = trap.cause;
    passage.interrupt = trap.interrupt;
    if (!passage.shown) return;
    count += 1;
    const before =
      trap.from === narration.userPrivilege
        ? `, ${passage.trappedAt - passage.returnedAt} instructions in user mode`
        : "";
    listener.begin(
      `trap ${count}: hart ${hart.id}, ${describeThread(threadOn(k, hart.id))}${before}, ${passage.trappedAt} in all`,
    );
    const description = narration.describeTrap(trap.cause, trap.interrupt);
    const parts = [
      `pc ${formatAddress(trap.pc)}`,
      ...(description === undefined ? [] : [description]),
      ...(trap.tval === 0 ? [] : [`${narration.valueName(trap.cause)} ${formatAddress(trap.tval)}`]),
      `mode ${privilegeName(trap.from)} -> ${privilegeName(trap.to)}`,
    ];
    step(hart.id, narration.nameTrap(trap.cause, trap.interrupt), parts.join("  "));
    showRegisters(hart.id, "trap", "");
  };

  k.machine.probes.addressSpace = (hart, hi, lo): void => {
    const passage = passages[hart.id];
    if (passage === undefined) return;
    const value = `0x${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
    // userret begins with this write: what usertrapret has prepared stands in the registers now.
    if (passage.leaving) showRegisters(hart.id, "usertrapret", "usertrapret");
    else if (narration.saves !== "") step(hart.id, "uservec", narration.saves);
    const name = passage.leaving ? "userret" : narration.saves === "" ? "uservec" : "";
    const change = `${narration.spaceRegister} ${passage.space} -> ${value}`;
    step(hart.id, name, `${change}  ${narration.describeSpace(hi, lo)}`);
    passage.space = value;
  };

  k.probes.trapStep = (hart, name): void => {
    const passage = passages[hart];
    if (passage === undefined) return;
    const retired = k.machine.harts[hart]?.instructionsRetired ?? 0;
    if (name === "usertrap" && passage.shown) {
      showTrapframe(hart);
      showRegisters(hart, "usertrap", name);
      step(hart, "", `after ${retired - passage.trappedAt} instructions of uservec`);
    } else if (name === "usertrapret") {
      const thread = threadOn(k, hart);
      if (thread !== undefined && !entered.has(thread)) {
        entered.add(thread);
        if (!passage.shown) {
          passage.shown = true;
          passage.trappedAt = retired;
          listener.begin(`start: hart ${hart}, ${describeThread(thread)} enters user mode for the first time`);
        }
      }
      passage.leaving = true;
    } else {
      step(hart, name, name === "idle" ? "nothing to run: the hart waits" : "");
    }
    passage.steppedAt = retired;
  };

  k.probes.syscallEnter = (thread, number, row, args): void =>
    stepOfThread(thread, "syscall", `${number} ${showCall(k, thread, row, number, args)}`);
  k.probes.syscallBlocked = (thread): void =>
    stepOfThread(thread, "", "blocks: the thread sleeps, its pc stays on the instruction");
  k.probes.syscallExit = (thread, _number, row, _args, result): void =>
    stepOfThread(thread, "", `${row?.name ?? "call"} = ${showOutcome(row, result)}`);
  k.probes.pageFault = (thread, address, access, outcome): void => {
    const region = regionAt(thread.process.space, address);
    const place =
      region === undefined
        ? "no region"
        : `${regionName(region)} ${formatAddress(region.start, 10)}-${formatAddress(region.end, 10)}`;
    stepOfThread(thread, "page fault", `${access} of ${formatAddress(address, 10)} in ${place}: ${outcome}`);
  };

  k.machine.probes.trapReturn = (hart, from): void => {
    const passage = passages[hart.id];
    if (passage === undefined) return;
    const retired = hart.instructionsRetired;
    if (passage.leaving)
      step(
        hart.id,
        "",
        `${narration.restores}, ${retired - passage.steppedAt} instructions with ${narration.nameReturn(hart, from)}`,
      );
    const spent = `${retired - passage.trappedAt} instructions in the kernel`;
    step(
      hart.id,
      narration.nameReturn(hart, from),
      `pc ${formatAddress(hart.pc)}  mode ${privilegeName(from)} -> ${privilegeName(hart.privilege)}  ${spent}`,
    );
    passage.returnedAt = retired;
    passage.leaving = false;
    passage.shown = false;
  };

  /** The registers that tell of a step, as they are now; a step with none that has no name is left out. */
  function showRegisters(hartId: number, at: NarratedStep, name: string): void {
    const passage = passages[hartId];
    if (passage?.shown !== true) return;
    const names = narration.registersAt(at, passage.cause, passage.interrupt);
    if (names.length === 0 && name === "") return;
    const cells = readRegisters(k, hartId, names);
    for (let first = 0; first < Math.max(cells.length, 1); first += REGISTERS_IN_A_ROW)
      step(hartId, first === 0 ? name : "", cells.slice(first, first + REGISTERS_IN_A_ROW).join("  "));
  }

  function showTrapframe(hartId: number): void {
    const thread = threadOn(k, hartId);
    if (thread === undefined) return;
    step(
      hartId,
      "",
      `saved in the trapframe at ${formatAddress(thread.trapframeAddress, 10)} (physical ${formatAddress(thread.trapframe, 10)}), by offset:`,
    );
    const cells = k.arch.trapframeFields.map(({ name, offset }) => {
      const lo = k.memory.read32(thread.trapframe + offset) >>> 0;
      const hi = k.memory.read32(thread.trapframe + offset + 4) >>> 0;
      return `${String(offset).padStart(4)} ${name.padEnd(13)} ${hi.toString(16).padStart(8, "0")}${lo.toString(16).padStart(8, "0")}`;
    });
    if (passages[hartId]?.shown === true) listener.fields(cells);
  }
}

function threadOn(k: Kernel, hartId: number): Thread | undefined {
  const tid = k.state.scheduler.current[hartId];
  return tid === undefined ? undefined : k.state.threads.get(tid);
}

function describeThread(thread: Thread | undefined): string {
  return thread === undefined ? "idle" : `pid ${thread.process.pid} (${thread.process.name})`;
}

function readRegister(k: Kernel, hart: number, name: string): string {
  return `0x${k.arch.hartRegisters(k, hart).find((register) => register.name === name)?.value ?? ""}`;
}

/** "scause 0x8", "sepc 0x10018": registers of a hart as they are now, without leading zeros. */
function readRegisters(k: Kernel, hart: number, names: readonly string[]): string[] {
  const values = new Map(k.arch.hartRegisters(k, hart).map(({ name, value }) => [name, value]));
  return names
    .filter((name) => values.has(name))
    .map((name) => `${name} 0x${(values.get(name) ?? "").replace(/^0+(?=.)/, "")}`);
}
