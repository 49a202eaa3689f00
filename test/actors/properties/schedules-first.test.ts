import { HALF, testSchedules } from './schedules.js';

testSchedules(0, HALF);
