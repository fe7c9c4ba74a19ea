/**
 * The platform-level interrupt controller: device interrupts to harts.
 *
 *   device level ──> gateway ──> pending ──> per context: enabled, highest priority > threshold ──> MEIP or SEIP
 *                       ^                                   │ claim: clears pending, closes the gateway
 *                       └────────── complete ───────────────┘
 *
 * RISC-V PLIC specification 1.0.0. A context is one interrupt target: 2 * hart is machine mode, 2 * hart + 1 supervisor
 * mode. Source 0 does not exist. A source may be a level, edges or both: an edge that comes while the gateway is closed
 * is remembered, once, until it opens.
 */
import type { Device, DeviceServices } from "../bus.ts";
import { createWordDevice } from "./registers.ts";

/** The highest source number. */
export const plicSources = 95;

const plicSize = 0x400_0000;
const words = (plicSources + 1) / 32;
/** Priorities and thresholds are 0..7 (WARL); a source of priority 0 never interrupts. */
const priorityMask = 7;
const mipSeip = 9;
const mipMeip = 11;

export interface PlicState {
  /** By source. */
  readonly priority: number[];
  /** Bit sets over sources, 32 to a word. */
  readonly level: number[];
  /** Edges not yet forwarded. */
  readonly edge: number[];
  readonly pending: number[];
  /** Claimed and not completed: the gateway forwards nothing more. */
  readonly claimed: number[];
  /** By context: `words` words each. */
  readonly enabled: number[];
  readonly threshold: number[];
}

export interface Plic extends Device {
  readonly state: PlicState;
  /** Drives the wire of a source. */
  setLevel(source: number, level: boolean): void;
  /** An edge on the wire of a source: one interrupt, now or when the one in service completes. */
  pulse(source: number): void;
}

export interface PlicOptions {
  readonly base: number;
  readonly harts: number;
  readonly services: DeviceServices;
}

export function createPlic({ base, harts, services }: PlicOptions): Plic {
  const contexts = 2 * harts;
  const state: PlicState = {
    priority: Array(plicSources + 1).fill(0),
    level: Array(words).fill(0),
    edge: Array(words).fill(0),
    pending: Array(words).fill(0),
    claimed: Array(words).fill(0),
    enabled: Array(contexts * words).fill(0),
    threshold: Array(contexts).fill(0),
  };

  /** The source that a claim in this context would get: highest priority, then lowest number; 0 for none. */
  const best = (context: number): number => {
    let chosen = 0;
    let chosenPriority = 0;
    for (let word = 0; word < words; word++) {
      let candidates = (state.pending[word] ?? 0) & (state.enabled[context * words + word] ?? 0);
      while (candidates !== 0) {
        const bit = 31 - Math.clz32(candidates & -candidates);
        candidates &= candidates - 1;
        const priority = state.priority[32 * word + bit] ?? 0;
        if (priority > chosenPriority) {
          chosen = 32 * word + bit;
          chosenPriority = priority;
        }
      }
    }
    return chosen;
  };

  const updateOutputs = (): void => {
    for (let context = 0; context < contexts; context++) {
      const priority = state.priority[best(context)] ?? 0;
      const raised = priority > (state.threshold[context] ?? 0);
      services.setInterrupt(context >> 1, context % 2 === 0 ? mipMeip : mipSeip, raised);
    }
  };

  /** The gateways: an asserted source that is neither pending nor claimed becomes pending, and stays so until claimed. */
  const forward = (): void => {
    for (let word = 0; word < words; word++) {
      const open = ~(state.claimed[word] ?? 0);
      const requests = (state.level[word] ?? 0) | (state.edge[word] ?? 0);
      state.pending[word] = (state.pending[word] ?? 0) | (requests & open);
      state.edge[word] = (state.edge[word] ?? 0) & ~open;
    }
    updateOutputs();
  };

  /** Chapter 9: not affected by the threshold. */
  const claim = (context: number): number => {
    const source = best(context);
    if (source !== 0) {
      assignBit(state.pending, source, false);
      assignBit(state.claimed, source, true);
      updateOutputs();
    }
    return source;
  };

  /** Chapter 10: ignored unless the source is enabled in this context. */
  const complete = (context: number, source: number): void => {
    if (source < 1 || source > plicSources) return;
    if (((state.enabled[context * words + (source >> 5)] ?? 0) & (1 << (source & 31))) === 0) return;
    assignBit(state.claimed, source, false);
    forward();
  };

  const device = createWordDevice({
    name: "plic",
    base,
    size: plicSize,
    state,
    registers: [
      {
        name: "priority",
        offset: 0,
        count: plicSources + 1,
        load: (source) => state.priority[source] ?? 0,
        store: (value, source) => {
          if (source !== 0) state.priority[source] = value & priorityMask;
          updateOutputs();
        },
      },
      { name: "pending", offset: 0x1000, count: words, load: (word) => state.pending[word] ?? 0 },
      ...Array.from({ length: contexts }, (_, context) => ({
        name: `enable[${context}]`,
        offset: 0x2000 + 0x80 * context,
        count: words,
        load: (word: number) => state.enabled[context * words + word] ?? 0,
        store: (value: number, word: number) => {
          state.enabled[context * words + word] = word === 0 ? value & ~1 : value;
          updateOutputs();
        },
      })),
      {
        name: "threshold",
        offset: 0x20_0000,
        count: contexts,
        stride: 0x1000,
        load: (context) => state.threshold[context] ?? 0,
        store: (value, context) => {
          state.threshold[context] = value & priorityMask;
          updateOutputs();
        },
      },
      {
        name: "claim/complete",
        offset: 0x20_0004,
        count: contexts,
        stride: 0x1000,
        load: claim,
        store: (source, context) => complete(context, source),
      },
    ],
    onRestore: updateOutputs,
  });

  return {
    ...device,
    setLevel(source: number, level: boolean): void {
      assignBit(state.level, source, level);
      if (level) forward();
    },
    pulse(source: number): void {
      assignBit(state.edge, source, true);
      forward();
    },
  };
}

function assignBit(set: number[], source: number, value: boolean): void {
  const word = source >> 5;
  const bit = 1 << (source & 31);
  set[word] = value ? (set[word] ?? 0) | bit : (set[word] ?? 0) & ~bit;
}
