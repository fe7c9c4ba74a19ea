/**
 * The pending events of a machine: plain data, at most one for each device and tag.
 *
 * Few are ever pending, so the queue is an array in order of time; equal times keep the order in which they were asked for.
 */
export interface PendingEvent {
  readonly atNs: number;
  readonly device: string;
  readonly tag: number;
}

/** Adds an event, in place of one of the same device and tag. */
export function scheduleEvent(queue: PendingEvent[], event: PendingEvent): void {
  cancelEvent(queue, event.device, event.tag);
  let index = queue.length;
  while (index > 0 && (queue[index - 1]?.atNs ?? 0) > event.atNs) index--;
  queue.splice(index, 0, event);
}

export function cancelEvent(queue: PendingEvent[], device: string, tag: number): void {
  const index = queue.findIndex((event) => event.device === device && event.tag === tag);
  if (index >= 0) queue.splice(index, 1);
}
