import { Redactor } from '../../telemetry/redact.js';
import { layers, type Layer } from '../doctor/codes.js';
import { examine } from '../doctor/examine.js';
import { exitCodeOf } from '../doctor/exit-code.js';
import { openPatient } from '../doctor/open-patient.js';
import { jsonReport, textReport } from '../doctor/report.js';
import type { Invocation } from '../process.js';
import { UserError } from '../user-error.js';

/** As a shell says it of a process that Ctrl-C ended. */
const INTERRUPTED = 130;

/** `understudy doctor`: looks at every layer, changes nothing, and ends with what to do. */
export async function run(invocation: Invocation, options: Record<string, unknown>): Promise<number> {
  const only = layersOf(options['only']);
  const probe = options['probeHomeserver'] === true;
  const offline = options['offline'] === true;
  if (probe && offline)
    throw new UserError(2, '--probe-homeserver asks the homeserver, and --offline does not');
  const abort = new AbortController();
  const interrupt = (): void => abort.abort(new Error('interrupted'));
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  const isShown = process.stderr.isTTY === true || probe;
  const say = (line: string): void => void (isShown && process.stderr.write(`… ${line}\n`));
  try {
    const patient = await openPatient(invocation, { signal: abort.signal });
    const examined = await examine(patient, { only, offline, probe, say });
    const redactor = new Redactor(patient.settings.secrets);
    const text =
      options['json'] === true
        ? JSON.stringify(jsonReport(patient, examined), undefined, 2)
        : textReport(patient, examined).join('\n');
    process.stdout.write(`${redactor.text(text)}\n`);
    return exitCodeOf(examined.flatMap(({ findings }) => findings));
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    process.stderr.write('understudy: interrupted\n');
    return INTERRUPTED;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
  }
}

function layersOf(given: unknown): Layer[] {
  if (typeof given !== 'string') return [];
  return given.split(',').map((name) => {
    const layer = layers.find((one) => one === name.trim());
    if (layer !== undefined) return layer;
    throw new UserError(
      2,
      `--only: there is no layer ${JSON.stringify(name)}; there are ${layers.join(', ')}`,
    );
  });
}
