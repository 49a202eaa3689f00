import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { sizeText } from '../backup/progress.js';
import { counted, finding, timeText, type Finding } from './finding.js';
import { checkRights } from './folder-rights.js';
import { checkJournal } from './journal-look.js';
import { checkLeftovers, checkQuarantine } from './leftovers.js';
import type { Patient } from './patient.js';
import { checkSmallFiles } from './small-files.js';
import { probeWrite } from './write-probe.js';

/** Is the folder there, private, writable, roomy, and held by whom it should be? */
export async function checkDisk(patient: Patient): Promise<Finding[]> {
  const { dir, holder } = patient;
  if (!existsSync(dir)) {
    const todo = 'name the data folder with --data or UNDERSTUDY_DATA_DIR, or mount its volume';
    return [finding('folder-missing', `there is no folder ${dir}`, todo)];
  }
  const rights = await checkRights(patient);
  const write = await probeWrite(patient);
  const space = await checkSpace(patient);
  const isFree = holder.state === 'nobody' || holder.state === 'gone';
  const latency = write.ms === undefined ? '' : `, one durable write ${timeText(write.ms)}`;
  return [
    finding('disk', `${dir}: ${counted(rights.files, 'file')}, ${space.words}${latency}; ${held(patient)}`),
    ...write.found,
    ...rights.found,
    ...space.found,
    ...holderFindings(patient),
    ...(isFree ? await checkLeftovers(patient) : []),
    ...(await checkQuarantine(patient)),
    ...(await checkSmallFiles(patient)),
    ...(await checkJournal(patient)),
  ];
}

async function checkSpace({ dir, limits }: Patient): Promise<{ words: string; found: Finding[] }> {
  const { bavail, bsize, files, ffree } = await statfs(dir);
  const free = bavail * bsize;
  const words = `${sizeText(free)} free`;
  const found: Finding[] = [];
  if (free < limits.leastBytes) {
    found.push(
      finding(
        'disk-full',
        `only ${words} on the disk of ${dir}`,
        'make room now: soon nothing can be written',
      ),
    );
  } else if (free < limits.freeBytes) {
    found.push(finding('disk-low', `${words} on the disk of ${dir}`, 'make room, or keep fewer backups'));
  }
  // Some file systems make inodes as they go and say 0 of 0.
  if (files > 0 && ffree / files < limits.freeInodes) {
    const seen = `${ffree} of ${files} inodes are free on the disk of ${dir}`;
    found.push(finding('inodes-low', seen, 'remove small files on that disk'));
  }
  return { words, found };
}

function held({ holder }: Patient): string {
  return 'pid' in holder && holder.state !== 'gone'
    ? `process ${holder.pid} holds it`
    : 'no process holds it';
}

function holderFindings({ holder, dir, role }: Patient): Finding[] {
  switch (holder.state) {
    case 'nobody':
    case 'answers':
      return [];
    case 'gone':
      return [
        finding(
          'lock-stale',
          `process ${holder.pid} held ${dir} and is gone`,
          'nothing: the next start takes it over',
        ),
      ];
    case 'elsewhere': {
      const seen = `process ${holder.pid} on another machine or in another container holds ${dir}`;
      return [
        finding('lock-elsewhere', seen, 'run the doctor there; no folder may be shared by two processes'),
      ];
    }
    case 'unreadable':
      return [
        finding(
          'lock-unreadable',
          `${dir}/lock is not a lock of ours, and no replica starts with it`,
          `if no process works in ${dir}, remove it`,
        ),
      ];
    case 'silent':
      // A relay has no control socket to answer on.
      if (role === 'relay') return [];
      return [
        finding(
          'holder-silent',
          `process ${holder.pid} holds ${dir} and does not answer (${holder.reason})`,
          'if it has just been started wait a little; else look at its log, and restart it',
        ),
      ];
  }
}
