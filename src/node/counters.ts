import type { CountMalformed, Malformed } from '../documents/errors.js';
import { ClaimCounters } from '../keyed/claim-counters.js';
import { KeyedCounters } from '../keyed/counters.js';
import { OnceCounters } from './once/once-counters.js';

/** What went wrong outside this node, counted: a peer's bytes, a caller's handler. */
export class NodeCounters {
  readonly malformed: Record<Malformed, number> = { value: 0, json: 0, size: 0, field: 0, map: 0 };
  /** Change bytes from the fast path that Automerge refused, or for a document that is not open here. */
  refusedChanges = 0;
  /** Handlers of `onChange` that threw, what followed from changes, and timers. */
  failedHandlers = 0;

  /** Of the generations of actors shards (PROTOCOL A6), since the start. */
  readonly generations = {
    /** Cuts made here. */
    cuts: 0,
    /** Cuts that failed, of an error: each is tried again. */
    cutsFailed: 0,
    /** Cuts that were due and not made: a machine is not known here, no relay stored it in time, another was first. */
    cutsNotMade: 0,
    /** Changes to another generation, not those at the start. */
    moves: 0,
    /** Records taken over from an earlier or losing generation. */
    late: 0,
    /** Events that came late and count already, although their ids were dropped. */
    belowHorizon: 0,
    /** First bytes made here that were not those of the cut, or could not be made: taken from a peer instead. */
    notComputed: 0,
    /** Cut records that say no cut. */
    malformedCuts: 0,
    /** Attempts to change or tidy generations that failed; each is tried again. */
    failures: 0,
  };

  /** Of documents that had lost changes on this disk, since the start. */
  readonly recovery = {
    /** Merged with what a backup has of them. */
    fromBackup: 0,
    /** In no good backup. */
    notInBackup: 0,
    /** Brought further by a relay. */
    fromPeers: 0,
    /** Times that the backups could not be read. */
    failures: 0,
  };

  /** Of persons who were forgotten: what went from this disk, since the start. */
  readonly forgotten = {
    /** Records of routing documents. */
    records: 0,
    /** Session log files, or lines of them. */
    sessionLogs: 0,
  };

  /** Of the keyed stores, since the start. */
  readonly keyed = new KeyedCounters();

  /** Of claims, since the start. */
  readonly claims = new ClaimCounters();

  /** Of events handed to `once`, since the start. */
  readonly once = new OnceCounters();

  readonly countMalformed: CountMalformed = (what) => {
    this.malformed[what] += 1;
  };
}
