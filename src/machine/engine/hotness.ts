/**
 * Finds what is hot, by sampling: from time to time the machine runs in short quanta for a while, and notes where each ends.
 * A quantum ends at a check point, so what is noted are heads of loops and places that are jumped to.
 *
 *     |<------- pause ------->|<- samples x quantum ->|<------- pause ------->| …      in retired instructions
 */
import type { EngineHart } from "../processor.ts";

export interface Hotness {
  /** Instructions between samplings; Infinity never samples. */
  readonly pause: number;
  readonly samples: number;
  readonly quantum: number;
  /** How often a place must be seen in one sampling to be hot. */
  readonly threshold: number;
}

export const DEFAULT_HOTNESS: Hotness = { pause: 20_000_000, samples: 96, quantum: 20_000, threshold: 3 };

export class Sampler {
  private readonly hotness: Hotness;
  /** Instructions until the next sampling begins. */
  private pause: number;
  private left: number;
  private readonly seen = new Map<number, number>();

  constructor(hotness: Hotness) {
    this.hotness = hotness;
    this.pause = hotness.pause;
    this.left = hotness.samples;
  }

  /** The longest quantum wanted now. */
  get quantum(): number {
    return this.pause > 0 ? Math.max(1, this.pause) : this.hotness.quantum;
  }

  /** A hart has run so many instructions and was stopped; true when a sampling is complete. */
  add(hart: EngineHart, spent: number): boolean {
    if (this.pause > 0) {
      this.pause -= spent;
      return false;
    }
    const { place } = hart;
    if (place !== undefined) this.seen.set(place, (this.seen.get(place) ?? 0) + 1);
    this.left--;
    return this.left <= 0;
  }

  /** The places found hot, the hottest first; the next sampling comes after a pause. */
  take(): number[] {
    const hot = [...this.seen].filter(([, count]) => count >= this.hotness.threshold).toSorted((a, b) => b[1] - a[1]);
    this.seen.clear();
    this.left = this.hotness.samples;
    this.pause = this.hotness.pause;
    return hot.map(([place]) => place);
  }
}
