/**
 * The virtio transport over memory-mapped registers, version 2 ("modern").
 *
 *   0x000 magic "virt"   0x010 features        0x030 queue select   0x060 interrupt status   0x0a0 device ring address
 *   0x004 version 2      0x014 features select 0x034 queue size max 0x064 interrupt ack      0x0fc config generation
 *   0x008 device id      0x020 driver features 0x038 queue size     0x070 status             0x100 the device's own
 *   0x00c vendor id      0x024   ... select    0x044 queue ready    0x080 descriptor address       configuration
 *                                              0x050 queue notify   0x090 driver ring address
 *
 * Virtual I/O Device specification 1.2, section 4.2. A slot without a device has device id 0. A driver that breaks the
 * rules of a virtqueue gets DEVICE_NEEDS_RESET (2.1.1), and the device stops until it is reset.
 *
 * Requests are served by an event some time after the notification, as a real device would: the guest sees them in flight.
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../../bus.ts";
import { createWordDevice, type InterruptLine, type WordRegister } from "../registers.ts";
import {
  createVirtqueueState,
  interruptSuppressed,
  returnChain,
  takeChain,
  type Chain,
  type VirtqueueState,
} from "./virtqueue.ts";

export const virtioMmioSize = 0x1000;
export const maxQueueSize = 256;

/** Feature bits of the transport (section 6): word 1 holds bits 32 to 63. */
export const featureIndirectWord0 = 1 << 28;
export const featureVersion1Word1 = 1 << 0;

export const STATUS = {
  acknowledge: 1,
  driver: 2,
  driverOk: 4,
  featuresOk: 8,
  needsReset: 0x40,
  failed: 0x80,
} as const;

const magic = 0x74726976;
const version = 2;
/** "QEMU": some drivers, xv6's among them, take no other vendor. */
const vendor = 0x554d4551;
const configOffset = 0x100;
const interruptUsedBuffer = 1;
const interruptConfigChange = 2;
/** Work of one event, in bytes: a flood of large requests is spread over several events, so that each is short. */
const bytesPerEvent = 4 << 20;

/** A kind of virtio device behind the transport. */
export interface VirtioFunction {
  readonly deviceId: number;
  readonly queues: number;
  /** Device-specific feature bits 0 to 31 offered, without those of the transport. */
  readonly features: number;
  /** The configuration space. */
  readonly config: Uint8Array;
  /** How long a request takes. */
  readonly latencyNs: number;
  /** Serves one request. Answers the bytes written to the chain and the work done, or what is wrong with the chain. */
  serve(
    chain: Chain,
    acceptedFeatures: number,
  ): { readonly written: number; readonly workBytes: number } | { readonly error: string };
}

export interface VirtioMmioState {
  status: number;
  deviceFeaturesSelect: number;
  driverFeaturesSelect: number;
  /** Words 0 and 1. */
  readonly driverFeatures: number[];
  queueSelect: number;
  interruptStatus: number;
  readonly queues: VirtqueueState[];
  /** Whether an event to serve each queue is pending: a further notification must not put it off. */
  readonly notified: boolean[];
  /** What the driver did wrong, when the device needs a reset. */
  fault: string | undefined;
}

export interface VirtioMmioOptions {
  readonly name: string;
  readonly base: number;
  readonly services: DeviceServices;
  readonly interrupt: InterruptLine;
  /** Undefined leaves the slot empty. */
  readonly function: VirtioFunction | undefined;
}

export function createVirtioMmio(options: VirtioMmioOptions): Device & { readonly state: VirtioMmioState } {
  const { name, base, services, interrupt } = options;
  const { memory } = services;
  const device = options.function;
  const offered = device === undefined ? [0, 0] : [device.features | featureIndirectWord0, featureVersion1Word1];
  const state: VirtioMmioState = {
    status: 0,
    deviceFeaturesSelect: 0,
    driverFeaturesSelect: 0,
    driverFeatures: [0, 0],
    queueSelect: 0,
    interruptStatus: 0,
    queues: Array.from({ length: device?.queues ?? 0 }, createVirtqueueState),
    notified: Array(device?.queues ?? 0).fill(false),
    fault: undefined,
  };

  const updateInterrupt = (): void => interrupt(state.interruptStatus !== 0);
  const raise = (cause: number): void => {
    state.interruptStatus |= cause;
    updateInterrupt();
  };
  const selected = (): VirtqueueState | undefined => state.queues[state.queueSelect >>> 0];

  const reset = (): void => {
    state.status = 0;
    state.deviceFeaturesSelect = 0;
    state.driverFeaturesSelect = 0;
    state.queueSelect = 0;
    state.interruptStatus = 0;
    state.fault = undefined;
    state.driverFeatures.fill(0);
    state.notified.fill(false);
    state.queues.forEach((queue, index) => {
      Object.assign(queue, createVirtqueueState());
      services.cancel(name, index);
    });
    updateInterrupt();
  };

  const needReset = (error: string): void => {
    state.fault = error;
    state.status |= STATUS.needsReset;
    if ((state.status & STATUS.driverOk) !== 0) raise(interruptConfigChange);
  };

  /** 3.1.1: FEATURES_OK stays clear when the driver accepts what was not offered; the driver reads it back. */
  const writeStatus = (value: number): void => {
    if (value === 0) return reset();
    const featuresValid = offered.every((word, index) => ((state.driverFeatures[index] ?? 0) & ~word) === 0);
    const kept = state.status & STATUS.needsReset;
    state.status = (value & (featuresValid ? 0xff : 0xff & ~STATUS.featuresOk)) | kept;
  };

  const notify = (index: number): void => {
    if (state.queues[index >>> 0]?.ready === true) serveSoon(index >>> 0, services.timeNs());
  };
  const serveSoon = (index: number, nowNs: number): void => {
    if (device === undefined || state.notified[index] === true) return;
    state.notified[index] = true;
    services.schedule(nowNs + device.latencyNs, name, index);
  };

  /** Serves the requests of a queue, and comes back for the rest after enough work. */
  const serveQueue = (index: number, nowNs: number): void => {
    const queue = state.queues[index];
    if (device === undefined || queue === undefined) return;
    state.notified[index] = false;
    const indirect = ((state.driverFeatures[0] ?? 0) & featureIndirectWord0) !== 0;
    let work = 0;
    let served = 0;
    while (isRunning(queue)) {
      if (work >= bytesPerEvent) {
        serveSoon(index, nowNs);
        break;
      }
      const chain = takeChain(queue, memory, indirect);
      if (chain === undefined) break;
      const result = "error" in chain ? chain : device.serve(chain, state.driverFeatures[0] ?? 0);
      if ("error" in chain || "error" in result) {
        needReset("error" in result ? result.error : "");
        break;
      }
      returnChain(queue, memory, chain.head, result.written);
      work += result.workBytes;
      served++;
    }
    if (served > 0 && !interruptSuppressed(queue, memory)) raise(interruptUsedBuffer);
  };
  const isRunning = (queue: VirtqueueState): boolean =>
    queue.ready && (state.status & STATUS.driverOk) !== 0 && (state.status & STATUS.needsReset) === 0;

  const addressRegisters = (offset: number, area: "descriptors" | "driver" | "device"): WordRegister[] => [
    { name: `${area} address, low`, offset, store: (value) => configure((queue) => (queue[area].lo = value)) },
    {
      name: `${area} address, high`,
      offset: offset + 4,
      store: (value) => configure((queue) => (queue[area].hi = value)),
    },
  ];
  /** 4.2.2.2: a queue is configured only while it is not ready. */
  const configure = (change: (queue: VirtqueueState) => void): void => {
    const queue = selected();
    if (queue !== undefined && !queue.ready) change(queue);
  };

  const word = createWordDevice({
    name,
    base,
    size: virtioMmioSize,
    state,
    registers: [
      { name: "MagicValue", offset: 0x000, load: () => magic },
      { name: "Version", offset: 0x004, load: () => version },
      { name: "DeviceID", offset: 0x008, load: () => device?.deviceId ?? 0 },
      { name: "VendorID", offset: 0x00c, load: () => vendor },
      { name: "DeviceFeatures", offset: 0x010, load: () => offered[state.deviceFeaturesSelect >>> 0] ?? 0 },
      { name: "DeviceFeaturesSel", offset: 0x014, store: (value) => (state.deviceFeaturesSelect = value) },
      {
        name: "DriverFeatures",
        offset: 0x020,
        store: (value) => {
          const select = state.driverFeaturesSelect >>> 0;
          if (select < 2 && (state.status & STATUS.featuresOk) === 0) state.driverFeatures[select] = value;
        },
      },
      { name: "DriverFeaturesSel", offset: 0x024, store: (value) => (state.driverFeaturesSelect = value) },
      { name: "QueueSel", offset: 0x030, store: (value) => (state.queueSelect = value) },
      { name: "QueueNumMax", offset: 0x034, load: () => (selected() === undefined ? 0 : maxQueueSize) },
      {
        name: "QueueNum",
        offset: 0x038,
        // A split queue's size is a power of two (2.7); anything else leaves the size as it was.
        store: (value) => {
          const valid = value > 0 && value <= maxQueueSize && (value & (value - 1)) === 0;
          if (valid) configure((queue) => (queue.num = value));
        },
      },
      {
        name: "QueueReady",
        offset: 0x044,
        load: () => Number(selected()?.ready ?? false),
        store: (value) => {
          const queue = selected();
          if (queue !== undefined) queue.ready = (value & 1) === 1;
        },
      },
      { name: "QueueNotify", offset: 0x050, store: notify },
      { name: "InterruptStatus", offset: 0x060, load: () => state.interruptStatus },
      {
        name: "InterruptACK",
        offset: 0x064,
        store: (value) => {
          state.interruptStatus &= ~value;
          updateInterrupt();
        },
      },
      { name: "Status", offset: 0x070, load: () => state.status, store: writeStatus },
      ...addressRegisters(0x080, "descriptors"),
      ...addressRegisters(0x090, "driver"),
      ...addressRegisters(0x0a0, "device"),
      { name: "ConfigGeneration", offset: 0x0fc, load: () => 0 },
    ],
    onEvent: (tag, atNs) => serveQueue(tag, Math.max(atNs, services.timeNs())),
    onRestore: updateInterrupt,
  });

  return {
    ...word,
    /** The configuration space is read at any width (4.2.2.2); the registers before it are words. */
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (offset < configOffset) return word.load(offset, size, out);
      out.lo = readConfig(offset - configOffset, Math.min(size, 4));
      out.hi = size === 8 ? readConfig(offset - configOffset + 4, 4) : 0;
      return true;
    },
    store: (offset, size, lo, hi) => (offset < configOffset ? word.store(offset, size, lo, hi) : true),
  };

  function readConfig(offset: number, size: number): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (device?.config[offset + i] ?? 0) << (8 * i);
    return value;
  }
}
