import { HALF, testSchedules } from './schedules.js';

testSchedules(1, HALF);
