// A program of the guest as the host holds it: its streams, its status, a way to signal it.

import type { ChunkStream } from "./channels.ts";

export type ExitStatus =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "signaled"; readonly signal: number; readonly coreDumped: boolean };

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory in the guest. Default "/". */
  readonly cwd?: string;
  /**
   * What the program reads: text or bytes (all there is: end of file follows), "pipe" (fed through `stdin`), or "none" (end of file
   * at once). Default "none". Whole input makes the run's event trace independent of the host's timing.
   */
  readonly stdin?: string | Uint8Array | "pipe" | "none";
  /** Where output goes: "pipe" (the async iterables) or a function that takes each chunk at once. Default "pipe". */
  readonly stdout?: "pipe" | ((bytes: Uint8Array) => void);
  readonly stderr?: "pipe" | ((bytes: Uint8Array) => void);
}

export interface GuestInput {
  /** Adds input; false when much of it waits to be read: await `drained` before writing more. Nothing is lost either way. */
  write(bytes: Uint8Array | string): boolean;
  /** Resolves when the program has read most of what was written, or has ended. */
  drained(): Promise<void>;
  /** End of file follows what was written. */
  end(): void;
}

export interface GuestProcess {
  readonly pid: number;
  /** Input of a program spawned with `stdin: "pipe"`; ignored otherwise. */
  readonly stdin: GuestInput;
  /** Chunks as the program writes them; ends when the program has ended. Leaving the loop early is `closeOutput`. */
  readonly stdout: ChunkStream;
  readonly stderr: ChunkStream;
  /** How it ended. Rejects with a VitrineError when the whole system stops first (a kernel panic, `close`). */
  readonly status: Promise<ExitStatus>;
  /** Says that nobody reads this output any more: the program's writes fail with EPIPE from now on, and send SIGPIPE. */
  closeOutput(stream: "stdout" | "stderr"): void;
  /** Sends a signal by number. Does nothing once the process has ended. */
  kill(signal: number): void;
}

/** The shell's number for a status: the code, or 128 + the signal. */
export function shellStatus(status: ExitStatus): number {
  return status.kind === "exited" ? status.code : 128 + status.signal;
}
