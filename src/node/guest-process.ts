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

export interface GuestProcess {
  readonly pid: number;
  /** Input of a program spawned with `stdin: "pipe"`; ignored otherwise. */
  readonly stdin: { write(bytes: Uint8Array | string): void; end(): void };
  /** Chunks as the program writes them; ends when the program has ended. */
  readonly stdout: ChunkStream;
  readonly stderr: ChunkStream;
  /** How it ended. Rejects with a VitrineError when the whole system stops first (a kernel panic, `close`). */
  readonly status: Promise<ExitStatus>;
  /** Sends a signal by number. Does nothing once the process has ended. */
  kill(signal: number): void;
}

/** The shell's number for a status: the code, or 128 + the signal. */
export function shellStatus(status: ExitStatus): number {
  return status.kind === "exited" ? status.code : 128 + status.signal;
}
