/**
 * Interrupt messages: what the I/O APIC, the interrupt command register and MSIs say to local APICs.
 *
 *     15       14     11            10-8       7-0
 *     trigger  level  destination   delivery   vector      the same bits in all three; the destination has 8 bits of its own
 *                     mode          mode
 *
 * Intel SDM volume 3, "Issuing interprocessor interrupts"; 82093AA data sheet, "I/O redirection table registers".
 */

/** By the three bits of the delivery mode; undefined where reserved. */
export const DELIVERY_MODES = [
  "fixed",
  "lowest",
  "smi",
  undefined,
  "nmi",
  "init",
  "startup",
  "external",
] as const satisfies readonly (string | undefined)[];
export type DeliveryMode = NonNullable<(typeof DELIVERY_MODES)[number]>;

export interface InterruptMessage {
  readonly vector: number;
  readonly delivery: DeliveryMode;
  /** An APIC id, with 0xff for all; or a logical destination. */
  readonly destination: number;
  readonly isLogical: boolean;
  readonly isLevel: boolean;
}

/** Bits of a message's low word. */
export const MESSAGE = { LOGICAL: 1 << 11, LEVEL: 1 << 15 } as const;

/** Reads a message; undefined when its delivery mode is reserved. */
export function readMessage(low: number, destination: number): InterruptMessage | undefined {
  const delivery = DELIVERY_MODES[(low >>> 8) & 7];
  if (delivery === undefined) return undefined;
  return {
    vector: low & 0xff,
    delivery,
    destination,
    isLogical: (low & MESSAGE.LOGICAL) !== 0,
    isLevel: (low & MESSAGE.LEVEL) !== 0,
  };
}

const BROADCAST = 0xff;

/** Whether a physical destination names this APIC. */
export function isPhysicalTarget(id: number, destination: number): boolean {
  return destination === BROADCAST || destination === id;
}

/**
 * Whether a logical destination names the APIC of that logical id, an 8-bit value. Flat model: they share a bit. Cluster model: the
 * same cluster in bits 7-4 (15 is all), and a shared bit in 3-0. SDM volume 3, "Logical destination mode".
 */
export function isLogicalTarget(logicalId: number, model: "flat" | "cluster", destination: number): boolean {
  if (model === "flat") return (logicalId & destination) !== 0;
  const isSameCluster = destination >> 4 === 15 || destination >> 4 === logicalId >> 4;
  return isSameCluster && (logicalId & destination & 15) !== 0;
}
