// epoll: a set of files, and which of them are ready. Linux man-pages: epoll(7).
//
// The set holds no reference to its files: a file that was closed everywhere drops out at the next look. Readiness is computed when it
// is asked for; edge-triggered interests compare with what was last reported.

import { EPOLLET, EPOLLONESHOT, POLLERR, POLLHUP, POLLIN, POLLRDNORM } from "../../abi/linux/poll.ts";
import type { Kernel } from "../kernel.ts";
import type { WaitKey } from "../wait.ts";
import { defaultOperations } from "./default-operations.ts";
import type { EpollInterest, FileOperations, OpenFile } from "./types.ts";

/** How epoll asks another file; handed in, because the table of files holds epoll itself. */
export type AskFile = (k: Kernel, file: OpenFile) => { events: number; keys: readonly WaitKey[]; news: number };

export function createEpollOperations(ask: AskFile): FileOperations {
  return {
    ...defaultOperations,
    poll: (k, file) =>
      once(look.polled, file, () => (readyInterests(k, file, ask).length > 0 ? POLLIN | POLLRDNORM : 0)),
    pollKeys: (k, file) => once(look.keyed, file, () => epollKeys(k, file, ask)),
  };
}

/** What the look under way has found out about instances inside others: empty outside of `once`. */
const look = { depth: 0, polled: new Map<OpenFile, number>(), keyed: new Map<OpenFile, readonly WaitKey[]>() };

/** Looks at each instance once: a hundred that each watch the same hundred others, five deep, make ten thousand million paths. */
function once<T>(found: Map<OpenFile, T>, file: OpenFile, work: () => T): T {
  const known = found.get(file);
  if (known !== undefined) return known;
  return asOneLook(() => {
    const result = work();
    found.set(file, result);
    return result;
  });
}

function asOneLook<T>(work: () => T): T {
  look.depth += 1;
  try {
    return work();
  } finally {
    look.depth -= 1;
    if (look.depth === 0) {
      look.polled.clear();
      look.keyed.clear();
    }
  }
}

/** The key that epoll_ctl wakes, and every key of every interest. */
export function epollKeys(k: Kernel, epoll: OpenFile, ask: AskFile): WaitKey[] {
  const keys = new Set<WaitKey>([epollChangeKey(epoll)]);
  return asOneLook(() => {
    for (const { file } of liveInterests(epoll)) for (const key of ask(k, file).keys) keys.add(key);
    return [...keys];
  });
}

export const epollChangeKey = (epoll: OpenFile): WaitKey => `epoll:${epoll.id}`;

/** Interests with something to report, in the order in which they were added. Changes nothing. */
export function readyInterests(k: Kernel, epoll: OpenFile, ask: AskFile): ReadyInterest[] {
  return asOneLook(() => findReady(k, epoll, ask));
}

function findReady(k: Kernel, epoll: OpenFile, ask: AskFile): ReadyInterest[] {
  const ready: ReadyInterest[] = [];
  for (const interest of liveInterests(epoll)) {
    if (interest.disabled) continue;
    const { events: all, news } = ask(k, interest.file);
    const events = all & (interest.events | POLLERR | POLLHUP);
    const isEdge = (events & ~interest.reported) !== 0 || news !== interest.reportedNews;
    if (events !== 0 && (isEdge || (interest.events & EPOLLET) === 0)) ready.push({ interest, events, news });
    else if ((interest.events & EPOLLET) !== 0) interest.reported = events;
  }
  return ready;
}

export interface ReadyInterest {
  readonly interest: EpollInterest;
  readonly events: number;
  readonly news: number;
}

/** Records that these events were handed to the caller. */
export function markReported({ interest, events, news }: ReadyInterest): void {
  interest.reported = events;
  interest.reportedNews = news;
  if ((interest.events & EPOLLONESHOT) !== 0) interest.disabled = true;
}

function liveInterests(epoll: OpenFile): EpollInterest[] {
  const { interests } = epoll;
  if (interests === undefined) return [];
  for (const [fd, interest] of interests) if (interest.file.references <= 0) interests.delete(fd);
  return [...interests.values()];
}
