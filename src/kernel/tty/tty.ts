// Making terminals, and what they start with: the settings of Linux's tty_std_termios.

import * as io from "../../abi/linux/ioctl.ts";
import type { Kernel } from "../kernel.ts";
import type { WaitKey } from "../wait.ts";
import type { Termios, Tty, TtyState } from "./types.ts";

/** The channel name of a terminal that is wired to the board's UART. */
export const UART_CHANNEL = "uart";

/** Woken when input becomes readable; when output may go on. */
export const ttyInputKey = (tty: Tty): WaitKey => `tty:${tty.index}:input`;
export const ttyOutputKey = (tty: Tty): WaitKey => `tty:${tty.index}:output`;

export function createTtyState(): TtyState {
  return { ttys: [] };
}

/** Adds a terminal. The first is the console. `channel` is UART_CHANNEL or the name of a host channel. */
export function createTty(k: Kernel, name: string, channel: string): Tty {
  const tty: Tty = {
    index: k.state.ttys.ttys.length,
    name,
    channel,
    termios: defaultTermios(),
    window: { rows: 24, columns: 80, xPixels: 0, yPixels: 0 },
    foregroundGroup: 0,
    session: 0,
    line: [],
    ready: [],
    lineEnds: [],
    column: 0,
    stopped: false,
    literalNext: false,
    openCount: 0,
    hungUp: false,
  };
  k.state.ttys.ttys.push(tty);
  return tty;
}

export function defaultTermios(): Termios {
  const controlCharacters = new Uint8Array(io.NCCS);
  const set: readonly (readonly [number, number])[] = [
    [io.VINTR, 3], // ^C
    [io.VQUIT, 28], // ^\
    [io.VERASE, 127],
    [io.VKILL, 21], // ^U
    [io.VEOF, 4], // ^D
    [io.VMIN, 1],
    [io.VSTART, 17], // ^Q
    [io.VSTOP, 19], // ^S
    [io.VSUSP, 26], // ^Z
    [io.VREPRINT, 18], // ^R
    [io.VDISCARD, 15], // ^O
    [io.VWERASE, 23], // ^W
    [io.VLNEXT, 22], // ^V
  ];
  for (const [index, value] of set) controlCharacters[index] = value;
  return {
    inputFlags: io.ICRNL | io.IXON,
    outputFlags: io.OPOST | io.ONLCR,
    controlFlags: io.B38400 | io.CS8 | io.CREAD | io.HUPCL,
    localFlags: io.ISIG | io.ICANON | io.ECHO | io.ECHOE | io.ECHOK | io.ECHOCTL | io.ECHOKE | io.IEXTEN,
    line: 0,
    controlCharacters,
    inputSpeed: 38400,
    outputSpeed: 38400,
  };
}

export function ttyAt(k: Kernel, index: number | undefined): Tty | undefined {
  return index === undefined ? undefined : k.state.ttys.ttys[index];
}
