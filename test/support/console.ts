/**
 * Drives a board's serial console as a user would: waits for a text, types, goes on.
 */
import type { StopReason } from "../../src/machine/machine.ts";
import type { VirtBoard } from "../../src/machine/boards/virt.ts";

/** What the guest has sent, as it grows. */
export class ConsoleLog {
  text = "";
  readonly #bytes: number[] = [];

  /** For `consoleOutput` of the board. */
  readonly take = (byte: number): void => {
    this.#bytes.push(byte);
    this.text += String.fromCharCode(byte);
  };
}

export interface ExpectOptions {
  /** Instructions to run at most. */
  readonly limit: number;
  /** Where in the log to look from. */
  readonly from?: number;
}

/**
 * Runs the board until the log holds a text that matches, and answers the index after it. Throws, with the end of the log,
 * when the machine stops or the limit is reached first.
 */
export function runUntil(
  board: VirtBoard,
  log: ConsoleLog,
  pattern: RegExp,
  { limit, from = 0 }: ExpectOptions,
): number {
  const slice = 2_000_000;
  let stop: StopReason = { kind: "budget" };
  for (let done = 0; done < limit; done += slice) {
    const match = pattern.exec(log.text.slice(from));
    if (match !== null) return from + match.index + match[0].length;
    if (stop.kind !== "budget") break;
    stop = board.machine.run({ instructions: slice });
  }
  const match = pattern.exec(log.text.slice(from));
  if (match !== null) return from + match.index + match[0].length;
  throw new Error(`no ${pattern} (${JSON.stringify(stop)}) in:\n${log.text.slice(-3000)}`);
}

export function type(board: VirtBoard, text: string): void {
  board.uart.pushInput(Uint8Array.from(text, (char) => char.charCodeAt(0)));
}
