/**
 * The timer of a local APIC. Intel SDM volume 3, "APIC timer".
 *
 *     one-shot, periodic    counts down from the initial count, one tick each `divisor` nanoseconds
 *     deadline              comes due when the time-stamp counter reaches IA32_TSC_DEADLINE
 *
 * All it remembers is when it comes due next; the current count is what is left until then.
 */

export type TimerMode = "one-shot" | "periodic" | "deadline";

export interface TimerState {
  mode: TimerMode;
  initialCount: number;
  /** The divide configuration register. */
  divide: number;
  /** When it comes due; undefined while it does not run. */
  dueNs: number | undefined;
}

export const resetTimer = (): TimerState => ({ mode: "one-shot", initialCount: 0, divide: 0, dueNs: undefined });

/**
 * A periodic timer interrupts at most so often, and drops what comes between: a period of a nanosecond would leave the guest no time
 * to do anything but be interrupted, nor the host.
 */
const SHORTEST_PERIOD_NS = 1000;

/** Bits 18-17 of the timer's local vector table entry; the fourth value is reserved. */
export function timerModeOf(entry: number): TimerMode {
  switch ((entry >>> 17) & 3) {
    case 1:
      return "periodic";
    case 2:
      return "deadline";
    default:
      return "one-shot";
  }
}

/** The divide configuration: bits 3, 1, 0 are 0 for 2, 1 for 4, … 6 for 128, and 7 for 1. */
function divisorOf(configuration: number): number {
  const power = ((configuration & 3) | ((configuration >> 1) & 4)) + 1;
  return power === 8 ? 1 : 2 ** power;
}

export function currentCount(timer: TimerState, nowNs: number): number {
  if (timer.dueNs === undefined || timer.mode === "deadline") return 0;
  const left = Math.max(0, Math.ceil((timer.dueNs - nowNs) / divisorOf(timer.divide)));
  return left > timer.initialCount ? left % timer.initialCount : left;
}

/** Starts the count anew; 0 stops it. In deadline mode the write is ignored. */
export function setInitialCount(timer: TimerState, count: number, nowNs: number): void {
  if (timer.mode === "deadline") return;
  timer.initialCount = count;
  timer.dueNs = count === 0 ? undefined : nowNs + count * divisorOf(timer.divide);
}

/** What is left of the count goes on at the new speed. */
export function setDivide(timer: TimerState, configuration: number, nowNs: number): void {
  const left = currentCount(timer, nowNs);
  const isCounting = timer.dueNs !== undefined && timer.mode !== "deadline";
  timer.divide = configuration & 11;
  if (isCounting) timer.dueNs = nowNs + left * divisorOf(timer.divide);
}

/** Changing to or from deadline mode disarms the timer. */
export function setMode(timer: TimerState, mode: TimerMode): void {
  if ((mode === "deadline") !== (timer.mode === "deadline")) {
    timer.initialCount = 0;
    timer.dueNs = undefined;
  }
  timer.mode = mode;
}

/** The timer has come due: when it will again. */
export function restart(timer: TimerState, dueNs: number): void {
  if (timer.mode !== "periodic" || timer.initialCount === 0) {
    timer.dueNs = undefined;
    return;
  }
  const period = timer.initialCount * divisorOf(timer.divide);
  timer.dueNs = dueNs + period * Math.ceil(SHORTEST_PERIOD_NS / period);
}
