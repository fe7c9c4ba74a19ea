// `trace --traps`: every step of the path into the kernel and back, with cause, registers and instruction counts.
//
//   trap 3: hart 0, pid 2 (hello), 113 instructions since the last
//     ecall        pc 0x…10134  cause 8 (environment call from U-mode)  mode U -> S
//     uservec      registers to the trapframe at 0x87fe1000:
//                    40 ra …   48 sp …   112 a0 …
//                  satp 0x8000…  -> 0x8000…
//     usertrap     …
//     syscall      write …
//     usertrapret  …
//     userret      satp …
//     sret         pc …  mode U  97 instructions in the kernel
//
// The machine says where it happens (its probes trap, satp, trapReturn), the kernel what it does (its probe trapStep).

import type { Kernel } from "../kernel/kernel.ts";
import type { Thread } from "../kernel/process/types.ts";
import { formatAddress } from "./page-table-view.ts";

export interface TrapTraceOptions {
  readonly write: (line: string) => void;
  /** Show traps of interrupts too; without it, only system calls and faults. */
  readonly interrupts: boolean;
}

/** Trapframe fields in a row. */
const COLUMNS = 4;

/** Attaches to machine and kernel probes. */
export function traceTraps(k: Kernel, options: TrapTraceOptions): void {
  let count = 0;
  let lastRetired = 0;
  let trappedAt = 0;
  /** Off while a trap that is not to be shown is under way. */
  let shown = false;
  let satp = "";
  let inUserReturn = false;

  const step = (name: string, text: string): void => {
    if (shown) options.write(`  ${name.padEnd(12)} ${text}`.trimEnd());
  };

  k.machine.probes.trap = (hart, trap): void => {
    shown = !trap.interrupt || options.interrupts;
    count += 1;
    trappedAt = hart.instructionsRetired;
    inUserReturn = false;
    if (!shown) return;
    const thread = threadOn(k, hart.id);
    const who = thread === undefined ? "idle" : `pid ${thread.process.pid} (${thread.process.name})`;
    options.write(`trap ${count}: hart ${hart.id}, ${who}, ${trappedAt - lastRetired} instructions since the last, ${trappedAt} in all`);
    const parts = [
      `pc ${formatAddress(trap.pc)}`,
      `cause ${trap.cause} (${k.arch.describeCause(trap.cause, trap.interrupt)})`,
      ...(trap.tval === 0 ? [] : [`tval ${formatAddress(trap.tval)}`]),
      `mode ${privilegeName(trap.from)} -> ${privilegeName(trap.to)}`,
    ];
    step(trap.interrupt ? "interrupt" : trap.cause === 8 ? "ecall" : "exception", parts.join("  "));
  };

  k.machine.probes.satp = (_hart, hi, lo): void => {
    const value = `0x${(hi >>> 0).toString(16).padStart(8, "0")}${(lo >>> 0).toString(16).padStart(8, "0")}`;
    step(inUserReturn ? "userret" : "uservec", `satp ${satp === "" ? "" : `${satp} -> `}${value}`);
    satp = value;
  };

  k.probes.trapStep = (hartId, name, detail): void => {
    if (!shown) return;
    if (name === "usertrap") showTrapframe(hartId);
    step(name, Object.entries(detail).map(([key, value]) => `${key} ${typeof value === "number" ? showNumber(value) : value}`).join("  "));
    if (name === "usertrapret") inUserReturn = true;
  };

  k.machine.probes.trapReturn = (hart, from): void => {
    const spent = hart.instructionsRetired - trappedAt;
    if (inUserReturn) step("userret", "31 registers from the trapframe");
    step(from === 3 ? "mret" : "sret", `pc ${formatAddress(hart.pc)}  mode ${privilegeName(hart.privilege)}  ${spent} instructions in the kernel`);
    lastRetired = hart.instructionsRetired;
    inUserReturn = false;
  };

  function showTrapframe(hartId: number): void {
    const thread = threadOn(k, hartId);
    if (thread === undefined) return;
    step("uservec", `saved in the trapframe at ${formatAddress(thread.trapframeAddress, 10)} (physical ${formatAddress(thread.trapframe, 10)}), by offset:`);
    const cells = k.arch.trapframeFields.map(({ name, offset }) => {
      const lo = k.memory.read32(thread.trapframe + offset) >>> 0;
      const hi = k.memory.read32(thread.trapframe + offset + 4) >>> 0;
      return `${String(offset).padStart(4)} ${name.padEnd(13)} ${hi.toString(16).padStart(8, "0")}${lo.toString(16).padStart(8, "0")}`;
    });
    for (let row = 0; row < cells.length; row += COLUMNS) options.write(`               ${cells.slice(row, row + COLUMNS).join("  ")}`);
  }
}

function threadOn(k: Kernel, hartId: number): Thread | undefined {
  const tid = k.state.scheduler.current[hartId];
  return tid === undefined ? undefined : k.state.threads.get(tid);
}

function privilegeName(privilege: number): string {
  return privilege === 0 ? "U" : privilege === 1 ? "S" : "M";
}

function showNumber(value: number): string {
  return Math.abs(value) < 65536 ? String(value) : formatAddress(value);
}
