// Counts traps by cause and keeps the last few, for the monitor's `traps` and for reports.

import type { Machine } from "../machine/machine.ts";

export interface TrapRecord {
  readonly hart: number;
  readonly cause: number;
  readonly interrupt: boolean;
  readonly pc: number;
  readonly tval: number;
  readonly from: number;
  readonly atNs: number;
}

export interface TrapLog {
  /** Traps by cause; interrupts count from 1000 upwards. */
  readonly counts: Map<number, number>;
  /** The last traps, oldest first. */
  readonly recent: TrapRecord[];
}

const RECENT_LIMIT = 16;
/** Added to an interrupt's cause in `counts`. */
export const INTERRUPT_BASE = 1000;

/** Attaches to the machine's trap probe. */
export function logTraps(machine: Machine): TrapLog {
  const log: TrapLog = { counts: new Map(), recent: [] };
  machine.probes.trap = (hart, trap): void => {
    const key = trap.interrupt ? INTERRUPT_BASE + trap.cause : trap.cause;
    log.counts.set(key, (log.counts.get(key) ?? 0) + 1);
    log.recent.push({
      hart: hart.id,
      cause: trap.cause,
      interrupt: trap.interrupt,
      pc: trap.pc,
      tval: trap.tval,
      from: trap.from,
      atNs: machine.timeNs,
    });
    if (log.recent.length > RECENT_LIMIT) log.recent.shift();
  };
  return log;
}
