import type { Answer, NoAnswer } from './answer.js';
import type { Code, Layer } from './codes.js';
import { finding, timeText, type Finding } from './finding.js';
import type { Patient } from './patient.js';

/** Of a server that did not answer. */
export function unanswered(
  code: Code,
  layer: Layer,
  what: string,
  url: string,
  { failure, isCertificate }: NoAnswer,
): Finding {
  if (!isCertificate) {
    const todo = `see whether it runs, and whether ${new URL(url).host} can be reached from here`;
    return finding(code, `${what} at ${url} does not answer (${failure})`, todo, layer);
  }
  return finding(
    'certificate-refused',
    `${what} at ${url} shows a certificate that is not accepted here (${failure})`,
    'renew it, or give Node the authority that signed it (NODE_EXTRA_CA_CERTS)',
    layer,
  );
}

/** Of a server that answered: its clock and its certificate. */
export function clockAndCertificate(
  code: Code,
  layer: Layer,
  what: string,
  { date, at, certificateUntil }: Answer,
  { limits }: Patient,
): Finding[] {
  const found: Finding[] = [];
  const off = date === undefined ? 0 : date - at;
  if (Math.abs(off) > limits.clockMs) {
    const seen = `the clock of ${what} is ${timeText(off)} ${off > 0 ? 'ahead of' : 'behind'} this machine's`;
    found.push(finding(code, seen, 'set both by NTP: times order what people did', layer));
  }
  if (certificateUntil !== undefined && certificateUntil - at < limits.certificateMs) {
    const seen = `the certificate of ${what} ends in ${timeText(certificateUntil - at)}, on ${new Date(certificateUntil).toISOString()}`;
    found.push(finding('certificate-expiring', seen, 'renew it; a relay reads it again at SIGHUP', layer));
  }
  return found;
}
