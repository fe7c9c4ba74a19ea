// Driver of the board's 16550 UART: the console's wire. National Semiconductor PC16550D, "Registers".
//
//   0 RBR (read) THR (write)   1 IER: bit 0 received data, bit 1 THR empty   2 FCR: bit 0 FIFOs on   5 LSR: bit 0 data ready
//
// Input comes by interrupt and is left in the UART while the terminal has no room for it: the interrupt is off meanwhile, so that
// nothing is lost and nothing storms. Output goes byte by byte; the board's transmitter is always ready. How a register is
// reached is the architecture's business (arch/arch.ts, consoleUart).

import type { Kernel } from "../kernel.ts";

const DATA = 0;
const INTERRUPT_ENABLE = 1;
const FIFO_CONTROL = 2;
const LINE_CONTROL = 3;
const LINE_STATUS = 5;

const RECEIVED_DATA = 1;
const FIFOS_ON = 1;
const CLEAR_FIFOS = 6;
const EIGHT_BITS = 3;
const DATA_READY = 1;

/** Eight data bits, FIFOs on, interrupt on received data. */
export function startUart(k: Kernel): void {
  k.arch.consoleUart.store(k, INTERRUPT_ENABLE, 0);
  k.arch.consoleUart.store(k, LINE_CONTROL, EIGHT_BITS);
  k.arch.consoleUart.store(k, FIFO_CONTROL, FIFOS_ON | CLEAR_FIFOS);
  k.arch.consoleUart.store(k, INTERRUPT_ENABLE, RECEIVED_DATA);
}

/** Lets received data interrupt, or not while the terminal is full. */
export function setUartInterrupt(k: Kernel, state: "on" | "off"): void {
  k.arch.consoleUart.store(k, INTERRUPT_ENABLE, state === "on" ? RECEIVED_DATA : 0);
}

/** Up to `limit` bytes that have arrived. */
export function uartReceive(k: Kernel, limit: number): Uint8Array {
  const { consoleUart } = k.arch;
  const bytes: number[] = [];
  while (bytes.length < limit && (consoleUart.load(k, LINE_STATUS) & DATA_READY) !== 0) {
    bytes.push(consoleUart.load(k, DATA));
  }
  return Uint8Array.from(bytes);
}

export function uartTransmit(k: Kernel, bytes: Uint8Array): void {
  const { consoleUart } = k.arch;
  for (const byte of bytes) consoleUart.store(k, DATA, byte);
}
