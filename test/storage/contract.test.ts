import { storageContract } from './contract.js';
import { onEveryStore } from './stores.js';

onEveryStore(storageContract);
