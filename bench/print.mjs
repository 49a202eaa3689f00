import { cpus, loadavg, platform, release, totalmem } from 'node:os';

export function machine() {
  return {
    node: process.version,
    system: `${platform()} ${release()}`,
    cpus: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    loadBefore: Number(loadavg()[0].toFixed(2)),
  };
}

const write = (text = '') => process.stdout.write(`${text}\n`);

/** A name, the median over the runs, and the least and greatest of them. */
function row([what, { median, min, max }, unit, digits]) {
  const [middle, least, most] = [median, min, max].map((value) => value.toFixed(digits));
  return `  ${what.padEnd(44)} ${`${middle} ${unit}`.padStart(16)}   ${least}–${most}`;
}

export const print = {
  result(name, lines, { runs }) {
    write(`\n${name}${runs === undefined ? '' : ` (median of ${runs} runs, least–greatest)`}`);
    for (const line of lines) write(typeof line === 'string' ? `  ${line}` : row(line));
  },

  aims({ machine: here, quick, results, failures }) {
    write('\naims');
    for (const { aims } of Object.values(results)) {
      for (const { aim, measured, met } of aims) {
        write(`  ${met ? 'met        ' : 'FALLS SHORT'}  ${aim}: ${measured}`);
      }
    }
    for (const [name, why] of Object.entries(failures))
      write(`  NOT MEASURED ${name}: ${why.split('\n')[0]}`);
    write(
      `\n${here.cpus}, ${here.memoryGb} GB, ${here.system}, Node ${here.node}, load ${here.loadBefore} at the start`,
    );
    if (quick) write('--quick: short runs and few rooms, not comparable with the aims or with other runs');
  },
};
