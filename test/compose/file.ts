import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const composeText = readFileSync(`${root}docker-compose.yml`, 'utf8');

export interface Service {
  image: string;
  build?: object;
  command?: string[];
  environment?: Record<string, string | number>;
  depends_on?: Record<string, { condition: string }>;
  healthcheck?: { test?: string[]; disable?: boolean; start_period?: string };
  hostname?: string;
  networks?: string[];
  network_mode?: string;
  ports?: string[];
  profiles?: string[];
  restart?: string;
  stop_grace_period?: string;
  volumes?: string[];
  configs?: { source: string; target: string }[];
}

export interface ComposeFile {
  services: Record<string, Service>;
  networks: Record<string, object | null>;
  volumes: Record<string, object | null>;
  configs: Record<string, { file?: string; content?: string }>;
}

const variable = /\$\{(?<name>\w+):-(?<fallback>[^{}]*)\}/g;

/** Every variable that the file asks for, with what stands for it when it is not set. */
export function variables(): Map<string, string> {
  const found = [...composeText.matchAll(variable)].map(
    ({ groups }) => [groups?.['name'] ?? '', groups?.['fallback'] ?? ''] as const,
  );
  return new Map(found);
}

/** docker-compose.yml as Compose reads it: anchors merged, variables filled in from `env` alone. */
export function readCompose(env: Record<string, string> = {}): ComposeFile {
  const filled = composeText.replaceAll(variable, (...match) => {
    const { name, fallback } = match.at(-1) as { name: string; fallback: string };
    return env[name] || fallback;
  });
  const unknown = /\$\{?\w*/.exec(filled);
  if (unknown)
    throw new Error(`docker-compose.yml: ${unknown[0]} is written in a way that the tests do not read`);
  return parse(filled, { merge: true }) as ComposeFile;
}

/** The services that run our image, by name, in the order of the file. */
export function ownServices(file: ComposeFile): [string, Service][] {
  const image = file.services['secrets']?.image;
  return Object.entries(file.services).filter(([, service]) => service.image === image);
}
