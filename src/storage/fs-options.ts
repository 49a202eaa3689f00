import type { Log } from '../telemetry/log.js';
import type { Clock } from '../time/clock.js';
import type { Durability } from './atomic-write.js';
import type { FileLayer } from './file-layer.js';

export interface FsChunksOptions {
  /** Made with mode 0700 when missing. One process per folder: hold `lockFolder` around it. */
  dir: string;
  files: FileLayer;
  durability: Durability;
  log: Log;
  clock: Clock;
}
