import type { FieldMap } from '../../documents/record.js';
import type { FileLayer } from '../../storage/file-layer.js';
import type { Keyring } from '../../storage/sealed-chunks.js';
import type { Clock } from '../../time/clock.js';
import type { ClusterView } from './cluster-view.js';
import type { Finding } from './finding.js';
import type { Holder } from './holder.js';
import type { Limits } from './limits.js';
import type { GivenSettings } from './settings.js';
import type { Stored } from './stored.js';

/** What the checks look at. They change nothing of it but for a file that is written and removed again. */
export interface Patient {
  dir: string;
  /** Whose folder it is, by what lies in it. */
  role: 'replica' | 'relay' | 'nothing';
  settings: GivenSettings;
  /** The settings are those of `understudy up`, which keeps no password. */
  isOfUp: boolean;
  clusterId: string | undefined;
  keys: Keyring;
  relays: { url: string; token?: string }[];
  holder: Holder;
  files: FileLayer;
  clock: Clock;
  limits: Limits;
  /** Aborted by Ctrl-C, or when a layer takes too long. */
  signal: AbortSignal;
  /** The documents, read once. Rejects with a `SealError`. */
  stored(): Promise<Stored>;
  /** What they say of the cluster; undefined when they cannot be read, which the layer of the documents reports. */
  view(): Promise<ClusterView | undefined>;
}

export type Check = (patient: Patient) => Promise<Finding[]>;

/** A field of a record as text; undefined for anything else. */
export function textIn(record: FieldMap | undefined, field: string): string | undefined {
  const value = record?.get(field)?.value;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numberIn(record: FieldMap | undefined, field: string): number | undefined {
  const value = record?.get(field)?.value;
  return typeof value === 'number' ? value : undefined;
}
