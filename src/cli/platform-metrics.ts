import type { Platform, PlatformOptions } from '../platform/service/start.js';
import type { Metrics } from '../telemetry/metrics.js';

/** Puts what a platform does on its metrics page; give what it returns to the platform. */
export function showPlatform(
  metrics: Metrics,
  platform: () => Pick<Platform, 'runsNow'> | undefined,
): Required<Pick<PlatformOptions, 'onCall' | 'onRun'>> {
  const calls = new Map<string, number>();
  const runs = { final: 0, failed: 0, 'taken-away': 0 };
  metrics.gauge(
    'platform_runs',
    'Agent runs that this process carries out now, those included that wait for an earlier one of their chat.',
    () => platform()?.runsNow(),
  );
  metrics.counter(
    'platform_runs_ended_total',
    'Agent runs that ended in this process, by outcome; taken-away: by another process, a cancel, or its own end.',
    () => runs,
    'outcome',
  );
  metrics.counter(
    'platform_calls_total',
    'Calls of the API that were answered, by HTTP status; broken: the caller went away.',
    () => calls,
    'code',
  );
  return {
    onRun({ outcome, ms }) {
      runs[outcome] += 1;
      metrics.took('run', ms);
    },
    onCall(code) {
      calls.set(code, (calls.get(code) ?? 0) + 1);
    },
  };
}
