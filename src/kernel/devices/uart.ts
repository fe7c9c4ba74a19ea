// Driver of the board's 16550 UART: the console's wire. National Semiconductor PC16550D, "Registers".
//
//   0 RBR (read) THR (write)   1 IER: bit 0 received data, bit 1 THR empty   2 FCR: bit 0 FIFOs on   5 LSR: bit 0 data ready
//
// Input comes by interrupt and is left in the UART while the terminal has no room for it: the interrupt is off meanwhile, so that
// nothing is lost and nothing storms. Output goes byte by byte; the board's transmitter is always ready.

import { KernelBug, type Kernel } from "../kernel.ts";

const BASE = 0x1000_0000;
const DATA = BASE;
const INTERRUPT_ENABLE = BASE + 1;
const FIFO_CONTROL = BASE + 2;
const LINE_CONTROL = BASE + 3;
const LINE_STATUS = BASE + 5;

const RECEIVED_DATA = 1;
const FIFOS_ON = 1;
const CLEAR_FIFOS = 6;
const EIGHT_BITS = 3;
const DATA_READY = 1;

/** Its source number at the PLIC. */
export const UART_INTERRUPT = 10;

/** Eight data bits, FIFOs on, interrupt on received data. */
export function startUart(k: Kernel): void {
  store(k, INTERRUPT_ENABLE, 0);
  store(k, LINE_CONTROL, EIGHT_BITS);
  store(k, FIFO_CONTROL, FIFOS_ON | CLEAR_FIFOS);
  store(k, INTERRUPT_ENABLE, RECEIVED_DATA);
}

/** Lets received data interrupt, or not while the terminal is full. */
export function setUartInterrupt(k: Kernel, state: "on" | "off"): void {
  store(k, INTERRUPT_ENABLE, state === "on" ? RECEIVED_DATA : 0);
}

/** Up to `limit` bytes that have arrived. */
export function uartReceive(k: Kernel, limit: number): Uint8Array {
  const bytes: number[] = [];
  while (bytes.length < limit && (load(k, LINE_STATUS) & DATA_READY) !== 0) bytes.push(load(k, DATA));
  return Uint8Array.from(bytes);
}

export function uartTransmit(k: Kernel, bytes: Uint8Array): void {
  const { bus } = k.machine;
  for (const byte of bytes) bus.store(DATA, 1, byte, 0);
}

const word = { lo: 0, hi: 0 };

function load(k: Kernel, address: number): number {
  if (!k.machine.bus.load(address, 1, word)) throw new KernelBug(`no UART register at 0x${address.toString(16)}`);
  return word.lo & 0xff;
}

function store(k: Kernel, address: number, value: number): void {
  if (!k.machine.bus.store(address, 1, value, 0)) throw new KernelBug(`no UART register at 0x${address.toString(16)}`);
}
