// Output of a terminal: post-processing (termios(3), c_oflag) and the way to the wire.
//
//   write -> processOutput (NL -> CR NL, tabs, column) -> transmit -> UART or host channel

import { OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS } from "../../abi/linux/ioctl.ts";
import { uartTransmit } from "../devices/uart.ts";
import type { Kernel } from "../kernel.ts";
import { UART_CHANNEL } from "./tty.ts";
import type { Tty } from "./types.ts";

const NEWLINE = 10;
const RETURN = 13;
const TAB = 9;
const BACKSPACE = 8;
const TAB_STOP = 8;

/** Writes bytes as a program does: processed as the settings say. */
export function writeTty(k: Kernel, tty: Tty, bytes: Uint8Array): void {
  transmit(k, tty, processOutput(tty, bytes));
}

/** Puts bytes on the wire as they are. */
export function transmit(k: Kernel, tty: Tty, bytes: Uint8Array): void {
  if (tty.channel === UART_CHANNEL) uartTransmit(k, bytes);
  else k.host.channels.get(tty.channel)?.write(bytes);
}

/** Applies c_oflag, and keeps track of the column for tabs and erasing. */
export function processOutput(tty: Tty, bytes: Uint8Array): Uint8Array {
  const flags = tty.termios.outputFlags;
  if ((flags & OPOST) === 0) return bytes;
  const expandsTabs = (flags & TABDLY) === XTABS;
  const out = new Uint8Array(bytes.length * (expandsTabs ? TAB_STOP : 2));
  let length = 0;
  let { column } = tty;
  for (const byte of bytes) {
    if (byte >= 0x20 && byte !== 0x7f) {
      // A byte inside a UTF-8 sequence adds no column.
      if ((byte & 0xc0) !== 0x80) column += 1;
      out[length++] = (flags & OLCUC) !== 0 && byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
      continue;
    }
    switch (byte) {
      case NEWLINE:
        if ((flags & ONLRET) !== 0) column = 0;
        if ((flags & ONLCR) !== 0) {
          out[length++] = RETURN;
          column = 0;
        }
        out[length++] = NEWLINE;
        break;
      case RETURN:
        if ((flags & ONOCR) !== 0 && column === 0) break;
        if ((flags & OCRNL) !== 0) {
          out[length++] = NEWLINE;
          if ((flags & ONLRET) !== 0) column = 0;
        } else {
          out[length++] = RETURN;
          column = 0;
        }
        break;
      case TAB: {
        const width = TAB_STOP - (column % TAB_STOP);
        column += width;
        if (expandsTabs) for (let i = 0; i < width; i++) out[length++] = 0x20;
        else out[length++] = TAB;
        break;
      }
      case BACKSPACE:
        column = Math.max(0, column - 1);
        out[length++] = byte;
        break;
      default:
        out[length++] = byte;
    }
  }
  tty.column = column;
  return out.subarray(0, length);
}
