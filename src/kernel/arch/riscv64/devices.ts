// The board's devices as the kernel reaches them: the console UART's registers, and the platform-level interrupt controller:
// which hart hears which device, who handles its interrupt, and how harts call each other.
//
//   device ──line──> PLIC ──SEIP──> hart ──claim──> handler ──complete──> PLIC
//
// RISC-V PLIC specification 1.0.0: priority 4 x source; enable 0x2000 + 0x80 x context; threshold and claim/complete
// 0x200000 + 0x1000 x context. Context 2 x hart + 1 is a hart's supervisor mode on this board.

import { VIRT } from "../../../machine/boards/virt-map.ts";
import type { RegisterWindow } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { handleUartInterrupt } from "../../tty/wire.ts";

const ENABLE = 0x2000;
const ENABLE_STRIDE = 0x80;
const CONTEXT = 0x20_0000;
const CONTEXT_STRIDE = 0x1000;
const CLAIM = 4;

/** Handler of each interrupt source that the kernel uses. */
const HANDLERS: ReadonlyMap<number, (k: Kernel) => void> = new Map([[VIRT.uartIrq, handleUartInterrupt]]);

/** Start-up: every handled source reaches hart 0. */
export function initializeDevices(k: Kernel): void {
  const context = supervisorContext(0);
  for (const source of HANDLERS.keys()) {
    store(k, source * 4, 1);
    const at = ENABLE + context * ENABLE_STRIDE + Math.floor(source / 32) * 4;
    store(k, at, load(k, at) | (1 << (source % 32)));
  }
  store(k, CONTEXT + context * CONTEXT_STRIDE, 0);
}

/** Claims and handles until nothing is pending for the hart. */
export function serveDevices(k: Kernel, hart: number): void {
  const claim = CONTEXT + supervisorContext(hart) * CONTEXT_STRIDE + CLAIM;
  for (let source = load(k, claim); source !== 0; source = load(k, claim)) {
    HANDLERS.get(source)?.(k);
    store(k, claim, source);
  }
}

/** Through the board's SSWI device: sets SSIP of the other hart. */
export function sendInterprocessorInterrupt(k: Kernel, hartId: number): void {
  if (!k.machine.bus.store(VIRT.sswi + hartId * 4, 4, 1, 0)) throw new KernelBug("the SSWI device refused a store");
}

/** Byte registers at the UART's base. */
export const consoleUart: RegisterWindow = {
  load(k, register) {
    if (!k.machine.bus.load(VIRT.uart + register, 1, uartWord)) throw new KernelBug(`no UART register ${register}`);
    return uartWord.lo & 0xff;
  },
  store(k, register, value) {
    if (!k.machine.bus.store(VIRT.uart + register, 1, value, 0)) throw new KernelBug(`no UART register ${register}`);
  },
};

const uartWord = { lo: 0, hi: 0 };

const supervisorContext = (hart: number): number => 2 * hart + 1;

function load(k: Kernel, offset: number): number {
  const word = { lo: 0, hi: 0 };
  if (!k.machine.bus.load(VIRT.plic + offset, 4, word)) throw new KernelBug(`no PLIC register at ${offset}`);
  return word.lo;
}

function store(k: Kernel, offset: number, value: number): void {
  if (!k.machine.bus.store(VIRT.plic + offset, 4, value, 0)) throw new KernelBug(`no PLIC register at ${offset}`);
}
