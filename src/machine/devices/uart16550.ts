/**
 * A 16550A UART: the serial console.
 *
 *   offset   read                write                 with LCR.DLAB
 *   0        RBR received byte   THR byte to send      DLL divisor, low
 *   1        IER interrupt enable                      DLM divisor, high
 *   2        IIR which interrupt FCR FIFO control
 *   3        LCR line control
 *   4        MCR modem control (bit 4: loopback)
 *   5        LSR line status
 *   6        MSR modem status
 *   7        SCR scratch
 *
 * National Semiconductor PC16550D data sheet (1995), sections 8.1 to 8.7. Registers are bytes; wider accesses are access
 * faults. Transmission takes no time: a byte written to THR is at the host at once, and THR is always empty.
 *
 * What the host sends waits outside, without limit, and enters the receive FIFO when there is room, at the speed of the
 * line: at most one FIFO of bytes in the time that they take at the programmed divisor. So nothing from the host is ever
 * lost, and pasted text does not swamp the guest's line buffer. The line counts as silent once it has delivered, so a
 * FIFO below its trigger level raises the time-out interrupt without a wait.
 *
 * The interrupt of an empty THR is an edge, all others are levels. A driver that takes it without reading IIR (older xv6
 * does) would be interrupted for ever by a level; register for register the chip is the same.
 */
import type { AccessSize, BusWord, Device, DeviceServices } from "../bus.ts";
import type { InterruptLine } from "./registers.ts";

/** The input clock of the baud generator; the line runs at clock / (16 * divisor) bits per second. */
export const uartClockHz = 3_686_400;

const fifoSize = 16;
const bitsPerCharacter = 10;
/** The divisor assumed while none is set: 115200 bits per second. */
const defaultDivisor = 2;
const receiveEvent = 0;

const IER = { received: 1, transmitEmpty: 2, lineStatus: 4, modemStatus: 8, mask: 0x0f } as const;
const IIR = {
  none: 0x01,
  modemStatus: 0x00,
  transmitEmpty: 0x02,
  received: 0x04,
  lineStatus: 0x06,
  timeout: 0x0c,
  fifos: 0xc0,
} as const;
const FCR = { enable: 0x01, clearReceive: 0x02 } as const;
const LCR = { divisorLatch: 0x80 } as const;
const MCR = { dtr: 0x01, rts: 0x02, out1: 0x04, out2: 0x08, loopback: 0x10, mask: 0x1f } as const;
const LSR = { dataReady: 0x01, overrun: 0x02, transmitEmpty: 0x20, idle: 0x40 } as const;
const MSR = { cts: 0x10, dsr: 0x20, ring: 0x40, carrier: 0x80, deltas: 0x0f, ringEnded: 0x04 } as const;
/** Receive trigger levels by FCR bits 7..6. */
const triggerLevels = [1, 4, 8, 14] as const;

export interface UartState {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  scr: number;
  divisor: number;
  /** The FIFO, or the one holding register while FIFOs are off; oldest first. */
  receive: number[];
  overrun: boolean;
  /** THR has become empty since the guest last asked or wrote. */
  transmitEmptyPending: boolean;
  /** Whether that is still to be signalled when it becomes the highest cause. */
  transmitEmptyEdge: boolean;
  /** MSR as last seen, without deltas, and the deltas since it was read. */
  modem: number;
  modemDeltas: number;
  /** Input from the host not yet on the line: bytes from `inputHead` on. */
  input: Uint8Array;
  inputHead: number;
  /** When the line can carry the next byte from the host. */
  lineFreeNs: number;
}

export interface Uart extends Device {
  readonly state: UartState;
  /** Bytes from the host to the guest; all are delivered, in order, as fast as the guest and the line take them. */
  pushInput(bytes: Uint8Array): void;
  /** Bytes pushed that have not yet entered the receive FIFO. */
  inputQueued(): number;
}

export interface UartOptions {
  readonly base: number;
  /** Of the window, whose first 8 bytes are registers; 8 by default, which is all that there is in a port space. */
  readonly size?: number;
  readonly services: DeviceServices;
  readonly interrupt: InterruptLine;
  /** An edge on the same wire. */
  readonly interruptOnce: () => void;
  /** Takes each byte that the guest sends. */
  readonly transmit: (byte: number) => void;
}

export function createUart({ base, size = 8, services, interrupt, interruptOnce, transmit }: UartOptions): Uart {
  const name = "uart";
  const connected = MSR.carrier | MSR.dsr | MSR.cts;
  const state: UartState = {
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: MCR.out2,
    scr: 0,
    divisor: 0,
    receive: [],
    overrun: false,
    transmitEmptyPending: false,
    transmitEmptyEdge: true,
    modem: connected,
    modemDeltas: 0,
    input: new Uint8Array(0),
    inputHead: 0,
    lineFreeNs: 0,
  };

  const fifoOn = (): boolean => (state.fcr & FCR.enable) !== 0;
  const capacity = (): number => (fifoOn() ? fifoSize : 1);
  const inLoopback = (): boolean => (state.mcr & MCR.loopback) !== 0;

  /** The interrupt of highest priority that is enabled and pending (table 4 of the data sheet). */
  const interruptId = (): number => {
    if ((state.ier & IER.lineStatus) !== 0 && state.overrun) return IIR.lineStatus;
    if ((state.ier & IER.received) !== 0 && state.receive.length > 0) {
      const trigger = fifoOn() ? (triggerLevels[state.fcr >> 6] ?? 1) : 1;
      return state.receive.length >= trigger ? IIR.received : IIR.timeout;
    }
    if ((state.ier & IER.transmitEmpty) !== 0 && state.transmitEmptyPending) return IIR.transmitEmpty;
    if ((state.ier & IER.modemStatus) !== 0 && state.modemDeltas !== 0) return IIR.modemStatus;
    return IIR.none;
  };
  /** Drives the wire, after a register access that may have sent a byte or cleared a cause above that of an empty THR. */
  const updateInterrupt = (): void => {
    const id = interruptId();
    interrupt(id !== IIR.none && id !== IIR.transmitEmpty);
    if (id === IIR.transmitEmpty && state.transmitEmptyEdge) interruptOnce();
    state.transmitEmptyEdge = id !== IIR.transmitEmpty;
  };

  /** Moves host input onto the line and into the FIFO, or asks to be called when the line is free. */
  const receiveFromHost = (nowNs: number): void => {
    const queued = state.input.length - state.inputHead;
    const room = capacity() - state.receive.length;
    if (queued === 0 || room === 0 || inLoopback()) return;
    if (nowNs < state.lineFreeNs) {
      services.schedule(state.lineFreeNs, name, receiveEvent);
      return;
    }
    const count = Math.min(queued, room);
    for (let i = 0; i < count; i++) state.receive.push(state.input[state.inputHead + i] ?? 0);
    state.inputHead += count;
    if (state.inputHead === state.input.length) dropDelivered();
    state.lineFreeNs = nowNs + count * characterNs();
  };
  const characterNs = (): number => {
    const divisor = state.divisor === 0 ? defaultDivisor : state.divisor;
    return Math.ceil((1e9 * bitsPerCharacter * 16 * divisor) / uartClockHz);
  };
  const dropDelivered = (): void => {
    state.input = state.input.slice(state.inputHead);
    state.inputHead = 0;
  };

  const readReceived = (): number => {
    const byte = state.receive.shift() ?? 0;
    receiveFromHost(services.timeNs());
    return byte;
  };

  const send = (byte: number): void => {
    if (!inLoopback()) transmit(byte);
    else if (state.receive.length < capacity()) state.receive.push(byte);
    else state.overrun = true;
    state.transmitEmptyPending = true;
    state.transmitEmptyEdge = true;
  };

  const readInterruptId = (): number => {
    const id = interruptId();
    if (id === IIR.transmitEmpty) state.transmitEmptyPending = false;
    return id | (fifoOn() ? IIR.fifos : 0);
  };

  const readLineStatus = (): number => {
    const status =
      LSR.transmitEmpty | LSR.idle | (state.receive.length > 0 ? LSR.dataReady : 0) | (state.overrun ? LSR.overrun : 0);
    state.overrun = false;
    return status;
  };

  const readModemStatus = (): number => {
    const status = state.modem | state.modemDeltas;
    state.modemDeltas = 0;
    return status;
  };

  /** What the guest has not read goes back onto the line: a driver that clears the FIFO as it starts loses no input. */
  const clearReceiver = (): void => {
    if (!inLoopback()) prependInput(state.receive);
    state.receive = [];
  };
  const prependInput = (bytes: ArrayLike<number>): void => {
    const queued = state.input.subarray(state.inputHead);
    state.input = new Uint8Array(bytes.length + queued.length);
    state.input.set(bytes);
    state.input.set(queued, bytes.length);
    state.inputHead = 0;
  };

  const writeFifoControl = (value: number): void => {
    const toggled = ((value ^ state.fcr) & FCR.enable) !== 0;
    if (toggled || (value & FCR.clearReceive) !== 0) clearReceiver();
    // Section 8.4: bit 0 must be set when other bits are written, or they are not programmed.
    state.fcr = (value & FCR.enable) !== 0 ? value & 0xc9 : 0;
    receiveFromHost(services.timeNs());
  };

  const writeInterruptEnable = (value: number): void => {
    if ((value & ~state.ier & IER.transmitEmpty) !== 0) state.transmitEmptyPending = true;
    state.ier = value & IER.mask;
  };

  /** In loopback the modem outputs are wired to the modem inputs (section 8.6); else the far end is there and ready. */
  const writeModemControl = (value: number): void => {
    state.mcr = value & MCR.mask;
    const modem = inLoopback()
      ? ((value & MCR.rts) !== 0 ? MSR.cts : 0) |
        ((value & MCR.dtr) !== 0 ? MSR.dsr : 0) |
        ((value & MCR.out1) !== 0 ? MSR.ring : 0) |
        ((value & MCR.out2) !== 0 ? MSR.carrier : 0)
      : connected;
    // Deltas are the same bits four places lower; that of the ring indicator reports only its end.
    const changed = (modem ^ state.modem) >> 4;
    const ringEnded = (state.modem & MSR.ring) !== 0 && (modem & MSR.ring) === 0 ? MSR.ringEnded : 0;
    state.modemDeltas |= (changed & MSR.deltas & ~MSR.ringEnded) | ringEnded;
    state.modem = modem;
    receiveFromHost(services.timeNs());
  };

  const registers: readonly { name: string; load: () => number; store: (value: number) => void }[] = [
    {
      name: "RBR/THR/DLL",
      load: () => (dlab() ? state.divisor & 0xff : readReceived()),
      store: (value) => (dlab() ? (state.divisor = (state.divisor & 0xff00) | value) : send(value)),
    },
    {
      name: "IER/DLM",
      load: () => (dlab() ? state.divisor >> 8 : state.ier),
      store: (value) =>
        dlab() ? (state.divisor = (state.divisor & 0xff) | (value << 8)) : writeInterruptEnable(value),
    },
    { name: "IIR/FCR", load: readInterruptId, store: writeFifoControl },
    { name: "LCR", load: () => state.lcr, store: (value) => (state.lcr = value) },
    { name: "MCR", load: () => state.mcr, store: writeModemControl },
    { name: "LSR", load: readLineStatus, store: () => {} },
    { name: "MSR", load: readModemStatus, store: () => {} },
    { name: "SCR", load: () => state.scr, store: (value) => (state.scr = value) },
  ];
  const dlab = (): boolean => (state.lcr & LCR.divisorLatch) !== 0;

  return {
    name,
    base,
    size,
    state,
    load(offset: number, size: AccessSize, out: BusWord): boolean {
      if (size !== 1) return false;
      out.lo = registers[offset]?.load() ?? 0;
      out.hi = 0;
      updateInterrupt();
      return true;
    },
    store(offset: number, size: AccessSize, lo: number): boolean {
      if (size !== 1) return false;
      registers[offset]?.store(lo & 0xff);
      updateInterrupt();
      return true;
    },
    onEvent(_tag: number, atNs: number): void {
      receiveFromHost(Math.max(atNs, services.timeNs()));
      updateInterrupt();
    },
    onRestore: updateInterrupt,
    pushInput(bytes: Uint8Array): void {
      const queued = state.input.subarray(state.inputHead);
      const joined = new Uint8Array(queued.length + bytes.length);
      joined.set(queued);
      joined.set(bytes, queued.length);
      state.input = joined;
      state.inputHead = 0;
      receiveFromHost(services.timeNs());
      updateInterrupt();
    },
    inputQueued: () => state.input.length - state.inputHead,
  };
}
