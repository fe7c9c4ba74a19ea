/**
 * The wires between a hart and its local APIC: what each asks of the other.
 *
 *     hart ── pendingVector, acknowledge, taskPriority, deadline ──> local APIC      (this interface)
 *     hart <── DeviceServices.setInterrupt(hart, REQUEST.…, level) ── local APIC      (bits of CELL.requests)
 *
 * INTR is a level: it is up while a vector is pending that the task priority lets through, and the APIC drives it again after each
 * change. NMI, INIT and SIPI are edges: the APIC sets the bit, the hart clears it when it takes them.
 *
 * Intel SDM volume 3, chapter on the advanced programmable interrupt controller: "Handling interrupts" and "Local APIC timer".
 */

/** Bits of CELL.requests, which are the interrupt lines of DeviceServices.setInterrupt. */
export const REQUEST = { INTR: 0, NMI: 1, INIT: 2, SIPI: 3 } as const;

export interface LocalApicPort {
  /** The vector that the hart would take now, or -1. */
  pendingVector(): number;
  /** The hart takes that vector: it is in service until end of interrupt. */
  acknowledge(vector: number): void;
  /** The vector of the start-up interrupt that REQUEST.SIPI tells of: the hart starts at this << 12. */
  startVector(): number;
  /** The task priority as CR8 has it: bits 7-4 of TPR. Writing it may change INTR. */
  taskPriority(): number;
  setTaskPriority(priority: number): void;
  /** IA32_TSC_DEADLINE as virtual time in nanoseconds; undefined while it is disarmed (0), which it is in other timer modes. */
  deadlineNs(): number | undefined;
  setDeadlineNs(atNs: number | undefined): void;
  /** IA32_APIC_BASE bit 11: a local APIC that is off takes and sends nothing, and its registers are not there. */
  setGlobalEnable(isEnabled: boolean): void;
}
