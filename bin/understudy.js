#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';

// Automerge is WebAssembly, and V8 optimises of it what runs for some milliseconds: at a start nearly all of it, for a
// quarter of the start's processor time. What goes on to run is optimised as before, ten times as late.
setFlagsFromString('--wasm-tiering-budget=20000000');

const { main } = await import('../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
