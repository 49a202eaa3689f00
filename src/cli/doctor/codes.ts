import type { ExitCode } from '../user-error.js';

/** In the order in which they are looked at: what is wrong below is often why something above it is. */
export const layers = [
  'config',
  'disk',
  'documents',
  'schema',
  'backups',
  'relay',
  'homeserver',
  'platform',
  'cluster',
] as const;
export type Layer = (typeof layers)[number];

/** What only the network can say. */
export const networkLayers: ReadonlySet<Layer> = new Set(['relay', 'homeserver', 'platform']);

/** From harmless to the worst. `ok` and `note` ask for nothing. */
export const severities = ['ok', 'note', 'warning', 'error', 'fatal'] as const;
export type Severity = (typeof severities)[number];

interface CodeTable {
  layer: Layer;
  severity: Severity;
  /** The exit code that it stands for: 1 data, 2 settings, 3 unreachable. Of no weight below `warning`. */
  exit: ExitCode;
}

const of =
  (layer: Layer) =>
  (severity: Severity, exit: ExitCode = 1): CodeTable => ({ layer, severity, exit });

const [config, disk, documents, schema] = [of('config'), of('disk'), of('documents'), of('schema')];
const [backups, relay, homeserver] = [of('backups'), of('relay'), of('homeserver')];
const [platform, cluster] = [of('platform'), of('cluster')];

/** Every finding there is. docs/doctor.md says of each what it means and what to do; a test holds the two together. */
export const codes = {
  config: config('ok'),
  'settings-file': config('error', 2),
  'setting-wrong': config('error', 2),
  'setting-missing': config('error', 2),
  'settings-contradict': config('error', 2),
  'secret-readable': config('warning', 2),
  'secret-in-clear': config('note', 2),
  'node-version': config('error', 2),

  disk: disk('ok'),
  'folder-missing': disk('fatal', 2),
  'folder-unwritable': disk('fatal'),
  'folder-slow': disk('warning'),
  'folder-modes': disk('warning'),
  'folder-owner': disk('warning'),
  'disk-low': disk('warning'),
  'disk-full': disk('error'),
  'inodes-low': disk('warning'),
  'lock-stale': disk('note'),
  'lock-elsewhere': disk('warning'),
  'lock-unreadable': disk('error'),
  'holder-silent': disk('error', 3),
  leftovers: disk('note'),
  quarantine: disk('warning'),
  'file-damaged': disk('error'),
  'journal-damaged': disk('error'),
  'journal-newer': disk('error'),
  'journal-torn': disk('note'),

  documents: documents('ok'),
  'documents-none': documents('error', 2),
  'storage-key': documents('error', 2),
  'chunk-damaged': documents('error'),
  'chunk-unreadable': documents('error'),
  'document-unreadable': documents('error'),
  'cluster-id-differs': documents('error', 2),
  'cluster-record-missing': documents('error'),
  'document-missing': documents('error'),
  'record-malformed': documents('warning'),
  'reference-dangling': documents('warning'),
  'source-unsettled': documents('warning'),
  'run-open': documents('warning'),
  'document-grown': documents('note'),
  'generation-behind': documents('note'),
  'generation-left': documents('note'),

  schema: schema('ok'),
  'schema-newer': schema('error'),
  'schema-older': schema('note'),

  backups: backups('ok'),
  'backups-off': backups('note'),
  'backup-none': backups('warning'),
  'backup-old': backups('warning'),
  'backup-damaged': backups('error'),

  relay: relay('ok'),
  'relay-unreachable': relay('error', 3),
  'relay-token': relay('error', 2),
  'relay-role': relay('error', 2),
  'relay-protocol': relay('error', 2),
  'relay-other-cluster': relay('error', 2),
  'relay-busy': relay('warning', 3),
  'relay-clock': relay('warning'),
  'certificate-expiring': relay('warning'),
  'certificate-refused': relay('error', 3),
  'heads-unanswered': relay('warning', 3),
  'heads-ahead': relay('warning'),
  'heads-behind': relay('note'),
  'heads-unknown': relay('warning'),

  homeserver: homeserver('ok'),
  'homeserver-unreachable': homeserver('error', 3),
  'homeserver-not-matrix': homeserver('error', 2),
  'homeserver-clock': homeserver('warning'),
  'homeserver-limited': homeserver('warning', 3),
  'homeserver-token': homeserver('error', 2),
  'homeserver-account': homeserver('error', 2),
  'homeserver-device': homeserver('error', 2),
  'homeserver-no-session': homeserver('note'),
  'rooms-left': homeserver('warning'),
  'rooms-unrecorded': homeserver('note'),
  'judge-untested': homeserver('note'),
  'judge-not-atomic': homeserver('warning'),
  'judge-unfinished': homeserver('error', 3),
  'judge-not-recorded': homeserver('error'),
  'tokens-revoked': homeserver('error', 2),

  platform: platform('ok'),
  'platform-unreachable': platform('error', 3),
  'platform-token': platform('error', 2),
  'platform-version': platform('error', 2),
  'platform-clock': platform('warning'),
  'agents-none': platform('warning'),
  'agent-gone': platform('warning'),

  cluster: cluster('ok'),
  'replica-alone': cluster('warning'),
  'member-absent': cluster('warning'),
  'identity-twice': cluster('error'),
  'identity-copied': cluster('error'),
  'holder-not-ready': cluster('warning'),

  // Of whichever layer it happened in.
  'check-failed': config('error'),
  'check-cut': config('warning', 3),
} as const satisfies Record<string, CodeTable>;

export type Code = keyof typeof codes;
