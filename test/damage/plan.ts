/** What a child does. */
export interface Plan {
  dir: string;
  cluster: string;
  relays: { url: string; token?: string }[];
  /** The operator says go: no relay is waited for. */
  found: boolean;
  /** Writes something of everything first. */
  fill?: boolean;
}

/** What a replica holds, to be compared. */
export interface Holds {
  replica: string;
  rooms: string[];
  tasks: string[];
  votes: string[];
  order: string;
  journal: { position: string | undefined; sources: string[] };
  /** By the document's name. */
  heads: Record<string, string[]>;
  /** Document ids, by name. */
  ids: Record<string, string>;
}
