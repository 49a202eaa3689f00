import { startPlatform, type PlatformOptions } from '../../../src/platform/service/start.js';
import { silentLog } from '../../../src/telemetry/log.js';

/** A platform process; its options come as JSON in the first argument, its URL goes out as the first line. */
const options = JSON.parse(process.argv[2] ?? '') as Omit<PlatformOptions, 'log'>;
const platform = await startPlatform({ ...options, log: silentLog, env: {} });
process.stdout.write(`${platform.url}\n`);
