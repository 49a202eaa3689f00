/** A state node that backs itself up while it runs, and a process that verifies and restores. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { BackupFile } from '../../dist/backup/backup-file.js';
import { openNode, silentLog } from '../../dist/index.js';
import { restoreFolder } from '../../dist/node/backup/restore-folder.js';
import { serve, sharedNow } from './serve.mjs';

let node;

async function timed(work) {
  const start = sharedNow();
  const value = await work();
  return { value, ms: sharedNow() - start, peakMb: process.resourceUsage().maxRSS / 1024 };
}

serve(
  {
    async create({ dir, clusterId }) {
      const backups = { everyMs: 0, keep: 1 };
      node = await openNode({ clusterId, dataDir: dir, relays: [], found: true, backups });
      const openMb = process.resourceUsage().maxRSS / 1024;
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const { value, ms, peakMb } = await timed(() => node.backups.create('asked'));
      delay.disable();
      const { path, size, manifest } = value;
      const longestMs = delay.max / 1e6;
      return {
        path,
        mb: size / 1024 ** 2,
        documents: manifest.documents.length,
        ms,
        longestMs,
        moreMb: peakMb - openMb,
      };
    },
    async verify({ path }) {
      const { ms } = await timed(async () => {
        const file = await BackupFile.open(path);
        await file.check({ load: true });
        await file.close();
      });
      return { ms };
    },
    async restore({ path, dir, clusterId }) {
      const options = { path, dataDir: dir, dryRun: false, clusterId, log: silentLog };
      const { value, ms, peakMb } = await timed(() => restoreFolder(options));
      return { outcomes: [...new Set(value.documents.map(({ outcome }) => outcome))], ms, peakMb };
    },
  },
  () => node?.close(),
);
