// Runs a system on Node's event loop: slices of a few milliseconds, between which input arrives, timers fire and output drains.
//
//   running ──slice──> running            idle, nothing due ──> wait for input
//   idle until T ──> pace "virtual": jump to T      pace "real": wait as long as T is away, or for input
//
// A slice is a number of instructions, chosen to take SLICE_MS. Where its system calls cost far more than its instructions, the clock
// ends it (`SliceClock`), so that the event loop always gets its turn.

import type { RunState, System } from "../system/boot.ts";

/** How an idle machine's time passes: at once, or as it does for people at a terminal. */
export type Pace = "virtual" | "real";

/** When the slice under way is to end on the host's clock; shared by the driver, which sets it, and the system, which asks. */
export interface SliceClock {
  endsAtMs: number;
}

export const isSliceOver = (clock: SliceClock): boolean => performance.now() >= clock.endsAtMs;

export interface DriveOptions {
  readonly pace: Pace;
  readonly clock: SliceClock;
  /** Awaited between slices: resolves when host streams have room again. */
  readonly drain?: () => Promise<void> | undefined;
  /** Called when every program waits for the host and nothing is due. */
  readonly onStarved?: () => void;
}

export interface Driver {
  /** Runs until the system stops or `pause` is called. */
  start(): void;
  /** Stops at the end of the slice. The returned promise resolves when the machine stands still. */
  pause(): Promise<void>;
  /**
   * To be called before the host changes anything: with pace "real", the time that an idle machine has waited passes for the guest
   * first, so that what comes next happens after it.
   */
  passTime(): void;
  /** The host has something new (input, a spawned program, a closed stream): an idle system looks again. */
  notify(): void;
  /** How it ended; resolves once. */
  readonly stopped: Promise<Extract<RunState, { kind: "stopped" }>>;
  /** Ends the run from outside. */
  stop(status: number, reason: string): void;
}

/** A slice aims at this long, so that a key press is answered at once. */
const SLICE_MS = 8;
const FIRST_SLICE = 200_000;
const LEAST_SLICE = 20_000;
const MOST_SLICE = 20_000_000;

type Stopped = Extract<RunState, { kind: "stopped" }>;

export function createDriver(system: System, options: DriveOptions): Driver {
  let sliceInstructions = FIRST_SLICE;
  let active = false;
  let looping = false;
  let ended = false;
  let wakeUp: (() => void) | undefined;
  let notified = false;
  let onPaused: (() => void)[] = [];
  /** Since when an idle machine with pace "real" waits, and what it waits for at most. */
  let idle: { readonly beganMs: number; readonly fromNs: number; readonly untilNs: number } | undefined;
  let finish: (state: Stopped) => void = () => undefined;
  const stopped = new Promise<Stopped>((resolve) => {
    finish = resolve;
  });
  const end = (state: Stopped): void => {
    if (ended) return;
    ended = true;
    active = false;
    finish(state);
    wake();
  };
  const wake = (): void => {
    notified = true;
    wakeUp?.();
    wakeUp = undefined;
  };

  async function loop(): Promise<void> {
    looping = true;
    let lastTurn = performance.now();
    while (active) {
      const began = performance.now();
      options.clock.endsAtMs = began + 2 * SLICE_MS;
      const before = system.machine.timeNs;
      notified = false;
      const state = system.run({ instructions: sliceInstructions });
      if (state.kind === "stopped") {
        end(state);
        break;
      }
      adapt(performance.now() - began);
      for (let full = options.drain?.(); full !== undefined && active; full = options.drain?.()) {
        await Promise.race([full, waitForHost(undefined)]);
      }
      if (state.kind === "running") {
        await nextTurn();
        continue;
      }
      if (notified) {
        await nextTurn();
        continue;
      }
      if (state.untilNs === undefined) {
        options.onStarved?.();
        if (notified) await nextTurn();
        else await waitIdle(undefined);
      } else if (options.pace === "virtual") {
        system.skipTo(state.untilNs);
        // Programs that do little but sleep are never seen running: the host gets its turn all the same.
        if (system.machine.timeNs === before || performance.now() - lastTurn >= SLICE_MS) {
          await nextTurn();
          lastTurn = performance.now();
        }
      } else {
        await waitIdle(state.untilNs);
      }
    }
    looping = false;
    for (const resolve of onPaused) resolve();
    onPaused = [];
  }

  function adapt(elapsedMs: number): void {
    const factor = elapsedMs <= 0 ? 2 : Math.min(2, Math.max(0.25, SLICE_MS / elapsedMs));
    sliceInstructions = Math.min(MOST_SLICE, Math.max(LEAST_SLICE, Math.round(sliceInstructions * factor)));
  }

  /** Waits for the host, or until the machine's next event is due. */
  async function waitIdle(untilNs: number | undefined): Promise<void> {
    const fromNs = system.machine.timeNs;
    if (options.pace === "real") idle = { beganMs: performance.now(), fromNs, untilNs: untilNs ?? Infinity };
    await waitForHost(untilNs === undefined ? undefined : (untilNs - fromNs) / 1e6);
    passTime();
  }

  /** What passed for the person passes for the guest. */
  function passTime(): void {
    if (idle === undefined) return;
    const { beganMs, fromNs, untilNs } = idle;
    idle = undefined;
    system.skipTo(Math.min(untilNs, fromNs + Math.round((performance.now() - beganMs) * 1e6)));
  }

  /** Waits for `notify` or the given time; answers how many milliseconds passed. */
  function waitForHost(milliseconds: number | undefined): Promise<number> {
    const began = performance.now();
    return new Promise((resolve) => {
      const timer = milliseconds === undefined ? undefined : setTimeout(() => wake(), Math.min(milliseconds, 2 ** 30));
      wakeUp = (): void => {
        clearTimeout(timer);
        resolve(performance.now() - began);
      };
    });
  }

  return {
    start(): void {
      if (ended || active) return;
      active = true;
      if (!looping)
        void loop().catch((error: unknown) =>
          end({ kind: "stopped", status: 125, reason: "failure", report: String(error) }),
        );
    },
    pause(): Promise<void> {
      active = false;
      if (!looping) return Promise.resolve();
      return new Promise((resolve) => {
        onPaused.push(resolve);
        wake();
      });
    },
    passTime,
    notify: wake,
    stopped,
    stop(status, reason): void {
      end({ kind: "stopped", status, reason, report: undefined });
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
