// Terminals as plain data: line discipline state, termios, window size, foreground group.

export interface TtyState {
  readonly ttys: Tty[];
}

export interface Tty {
  readonly index: number;
  /** "console", "tty1", … under /dev. */
  readonly name: string;
  /** Host channel that its bytes come from and go to. */
  readonly channel: string;
  termios: Termios;
  window: { rows: number; columns: number; xPixels: number; yPixels: number };
  foregroundGroup: number;
  session: number;
  /** Bytes of the line being edited (canonical mode). */
  readonly line: number[];
  /** Complete input, ready to be read; in canonical mode `lineEnds` marks where each line stops (-1-terminated EOF is an end with no byte). */
  readonly ready: number[];
  readonly lineEnds: number[];
  /** Output column, for tab expansion and erase. */
  column: number;
  stopped: boolean;
  /** The next character is literal (VLNEXT). */
  literalNext: boolean;
  openCount: number;
  hungUp: boolean;
}

export interface Termios {
  inputFlags: number;
  outputFlags: number;
  controlFlags: number;
  localFlags: number;
  line: number;
  /** VINTR … : 19 control characters. */
  readonly controlCharacters: Uint8Array;
  inputSpeed: number;
  outputSpeed: number;
}
