// From the wire into the terminal: the UART's interrupt, or a host channel that has input.

import { setUartInterrupt, uartReceive } from "../devices/uart.ts";
import type { Kernel } from "../kernel.ts";
import { inputRoom, ttyInput } from "./discipline.ts";
import { hangUpTty } from "./job-control.ts";
import { UART_CHANNEL } from "./tty.ts";
import type { Tty } from "./types.ts";

/** The UART has data: called for its interrupt. */
export function handleUartInterrupt(k: Kernel): void {
  for (const tty of k.state.ttys.ttys) if (tty.channel === UART_CHANNEL) refillTty(k, tty);
}

/** A host channel has data or has ended: terminals on it take what they have room for. */
export function feedTtysFrom(k: Kernel, channel: string): void {
  for (const tty of k.state.ttys.ttys) if (tty.channel === channel) refillTty(k, tty);
}

/** Takes input as far as there is room; what is left stays where it is, and is asked for again after the next read. */
export function refillTty(k: Kernel, tty: Tty): void {
  if (tty.channel === UART_CHANNEL) {
    for (let room = inputRoom(tty); ; room = inputRoom(tty)) {
      const bytes = uartReceive(k, room);
      if (bytes.length > 0) ttyInput(k, tty, bytes);
      if (bytes.length < room || room === 0) break;
    }
    setUartInterrupt(k, inputRoom(tty) > 0 ? "on" : "off");
    return;
  }
  const channel = k.host.channels.get(tty.channel);
  if (channel === undefined) return;
  for (let room = inputRoom(tty); room > 0 && channel.available() !== 0; room = inputRoom(tty)) {
    const bytes = channel.read(room);
    if (bytes === undefined) return;
    if (bytes.length === 0) return hangUpTty(k, tty);
    ttyInput(k, tty, bytes);
  }
}
