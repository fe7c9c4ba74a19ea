// The board's devices as the kernel reaches them: the console UART's ports, the I/O APIC, which sends the devices' interrupts, and
// the local APIC of each hart, which takes them.
//
//   device ──pin──> I/O APIC ──vector──> local APIC of hart 0 ──INTR──> hart ──> handler ──end of interrupt──> both APICs
//   hart ──interrupt command──> local APIC ──> another hart's: inter-processor interrupt, INIT, start-up
//
// A local APIC's registers are at the same physical address for every hart: each sees its own. So what concerns one hart's APIC is
// done by kernel code that runs on that hart. Intel SDM volume 3, "Advanced programmable interrupt controller"; 82093AA data sheet.

import { MICROVM } from "../../../machine/boards/microvm-map.ts";
import type { RegisterWindow } from "../arch.ts";
import { KernelBug, type Kernel } from "../../kernel.ts";
import { handleUartInterrupt } from "../../tty/wire.ts";
import { DEVICE_PINS, INTERRUPT } from "./entries.ts";
import { IMAGE, imagePage } from "./layout.ts";

/** Registers of a local APIC. */
const LOCAL = {
  taskPriority: 0x80,
  endOfInterrupt: 0xb0,
  spurious: 0xf0,
  /** First of eight words: bit n of word w is vector 32 w + n. */
  inService: 0x100,
  commandLow: 0x300,
  commandHigh: 0x310,
  timer: 0x320,
} as const;
const APIC_ENABLED = 0x100;
/** Timer mode: the deadline in an MSR. */
const TSC_DEADLINE = 2 << 17;
const COMMAND = { fixed: 0 << 8, nonMaskable: 4 << 8, init: 5 << 8, startUp: 6 << 8, assert: 1 << 14 } as const;
/** Destination field of commandHigh and of a redirection entry's second word. */
const DESTINATION_SHIFT = 24;

/** The I/O APIC: a register is chosen by number, then read or written through the window. */
const IO_SELECT = 0;
const IO_WINDOW = 0x10;
const REDIRECTION = 0x10;
const LEVEL_TRIGGERED = 1 << 15;

/** Handler of each pin that the kernel uses. */
const HANDLERS: ReadonlyMap<number, (k: Kernel) => void> = new Map([[MICROVM.uartIrq, handleUartInterrupt]]);

/** Start-up: every handled pin reaches hart 0. */
export function initializeDevices(k: Kernel): void {
  for (const pin of HANDLERS.keys()) {
    storeIo(k, REDIRECTION + pin * 2 + 1, 0 << DESTINATION_SHIFT);
    storeIo(k, REDIRECTION + pin * 2, LEVEL_TRIGGERED | (INTERRUPT.device + pin));
  }
}

/** Handles every device interrupt that the hart has taken, and ends it. */
export function serveDevices(k: Kernel, _hart: number): void {
  for (let pin = 0; pin < DEVICE_PINS; pin++) {
    const vector = INTERRUPT.device + pin;
    const word = load(k, LOCAL.inService + Math.floor(vector / 32) * 0x10);
    if ((word & (1 << (vector % 32))) === 0) continue;
    HANDLERS.get(pin)?.(k);
    endInterrupt(k);
  }
}

/** The interrupt that the running hart serves is over: others of its priority may come. */
export function endInterrupt(k: Kernel): void {
  store(k, LOCAL.endOfInterrupt, 0);
}

/** Start-up of the running hart: its local APIC takes interrupts, and its timer is one. */
export function initializeLocalApic(k: Kernel): void {
  store(k, LOCAL.taskPriority, 0);
  store(k, LOCAL.spurious, APIC_ENABLED | INTERRUPT.spurious);
  store(k, LOCAL.timer, TSC_DEADLINE | INTERRUPT.timer);
}

/** INIT, then the start-up interrupt that names the loader's page: the hart begins there. SDM volume 3, 8.4.4. */
export function startHart(k: Kernel, hart: number): void {
  sendCommand(k, hart, COMMAND.init | COMMAND.assert);
  sendCommand(k, hart, COMMAND.startUp | COMMAND.assert | (imagePage(IMAGE.boot) / 4096));
}

export function sendInterprocessorInterrupt(k: Kernel, hart: number): void {
  sendCommand(k, hart, COMMAND.fixed | COMMAND.assert | INTERRUPT.interprocessor);
}

/** An interrupt that the hart takes with interrupts off too: it ends any wait, and the kernel goes on where it was. */
export function sendNonMaskableInterrupt(k: Kernel, hart: number): void {
  sendCommand(k, hart, COMMAND.nonMaskable | COMMAND.assert);
}

/** The console's registers, at consecutive ports. */
export const consoleUart: RegisterWindow = {
  load: (k, register) => k.machine.bus.ports.load(MICROVM.uartPort + register, 1),
  store: (k, register, value) => k.machine.bus.ports.store(MICROVM.uartPort + register, 1, value),
};

function sendCommand(k: Kernel, hart: number, command: number): void {
  store(k, LOCAL.commandHigh, hart << DESTINATION_SHIFT);
  store(k, LOCAL.commandLow, command);
}

function storeIo(k: Kernel, register: number, value: number): void {
  const { bus } = k.machine;
  const isDone =
    bus.store(MICROVM.ioApic + IO_SELECT, 4, register, 0) && bus.store(MICROVM.ioApic + IO_WINDOW, 4, value, 0);
  if (!isDone) throw new KernelBug("the I/O APIC refused a store");
}

const word = { lo: 0, hi: 0 };

function load(k: Kernel, register: number): number {
  if (!k.machine.bus.load(MICROVM.localApic + register, 4, word)) throw new KernelBug(`no APIC register ${register}`);
  return word.lo;
}

function store(k: Kernel, register: number, value: number): void {
  if (!k.machine.bus.store(MICROVM.localApic + register, 4, value, 0))
    throw new KernelBug(`no APIC register ${register}`);
}
