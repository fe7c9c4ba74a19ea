/**
 * Runs a program of the guest to its end, within a limit: a test that compares with an oracle says by its failure which of the two
 * hung, and where the guest stood. An endless loop of the host itself does not come here; test/run.mjs ends it.
 */
import type { Kernel } from "../../src/kernel/kernel.ts";
import { type SpawnOptions, shellStatus } from "../../src/node/guest-process.ts";
import type { Vitrine } from "../../src/node/index.ts";

export interface GuestOutcome {
  /** Latin-1: a character for each byte. */
  readonly stdout: string;
  readonly stderr: string;
  /** The shell's number: the exit code, or 128 + the signal. */
  readonly status: number;
}

const LIMIT_MS = 60_000;
const SIGKILL = 9;

/** Throws with the guest's processes when the program has not ended, its output with it, after `limitMs` of the host's time. */
export async function runGuest(
  system: Vitrine,
  argv: readonly string[],
  options: Omit<SpawnOptions, "stdout" | "stderr">,
  limitMs = LIMIT_MS,
): Promise<GuestOutcome> {
  const program = system.spawn(argv, options);
  let timer: NodeJS.Timeout | undefined;
  const outcome = Promise.all([collect(program.stdout), collect(program.stderr), program.status]);
  const late = new Promise<"LATE">((resolve) => {
    timer = setTimeout(() => resolve("LATE"), limitMs);
  });
  const ended = await Promise.race([outcome, late]).finally(() => clearTimeout(timer));
  if (ended === "LATE") {
    const state = describeGuest(system);
    program.kill(SIGKILL);
    throw new Error(`Vitrine: no end after ${limitMs / 1000} s of ${argv.join(" ")}\n${state}`);
  }
  const [stdout, stderr, status] = ended;
  return { stdout, stderr, status: shellStatus(status) };
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += Buffer.from(chunk).toString("latin1");
  return text;
}

/** A line for each process, each thread and what it waits for, and each hart. */
export function describeGuest({ kernel, machine }: Vitrine): string {
  const lines = [`at ${machine.timeNs} ns:`];
  for (const process of kernel.state.processes.values()) {
    lines.push(`  process ${process.pid} of ${process.parent} (${process.name}): ${process.state.kind}`);
    for (const tid of process.threads) lines.push(`    thread ${tid}: ${describeThread(kernel, tid)}`);
  }
  for (const { id, waiting, privilege } of machine.harts) {
    const pc = kernel.arch.hartRegisters(kernel, id).find(({ name }) => name === "pc" || name === "rip");
    const where = `pc ${pc?.value ?? "unknown"}, privilege ${privilege}`;
    lines.push(`  hart ${id}: ${where}${waiting ? ", waits for an interrupt" : ""}`);
  }
  return lines.join("\n");
}

function describeThread(kernel: Kernel, tid: number): string {
  const thread = kernel.state.threads.get(tid);
  if (thread === undefined) return "gone";
  const call = thread.currentCall;
  const within = call === undefined ? "" : `, in ${kernel.arch.callNames.get(call.number) ?? call.number}`;
  return JSON.stringify(thread.state) + within;
}
