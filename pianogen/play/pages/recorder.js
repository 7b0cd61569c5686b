// What someone plays, as notes on the grid of the model.

/** @typedef {import("./api.js").Note} Note */

const LONGEST_NOTE = 128, LONGEST_WAIT = 160; // steps; what a token can say
const LOWEST_PITCH = 21, HIGHEST_PITCH = 108;

export class Recorder {
  /** @type {{pitch: number, start: number, end: number | null}[]} in ms */
  #played = [];

  /** @param {number} pitch @param {number} now in ms */
  start(pitch, now = performance.now()) {
    if (pitch >= LOWEST_PITCH && pitch <= HIGHEST_PITCH) this.#played.push({ pitch, start: now, end: null });
  }

  /** @param {number} pitch @param {number} now in ms */
  end(pitch, now = performance.now()) {
    const note = this.#played.findLast((one) => one.pitch === pitch && one.end === null);
    if (note) note.end = now;
  }

  clear() { this.#played = []; }

  /**
   * The notes that have ended, the first at step 0, each start and length rounded to the nearest step.
   * @param {number} secondsPerStep
   * @returns {Note[]}
   */
  notes(secondsPerStep) {
    const stepMs = 1000 * secondsPerStep, began = this.#played[0]?.start ?? 0;
    const notes = /** @type {Map<string, Note>} */ (new Map()); // a pitch is struck once in a step
    for (const { pitch, start, end } of this.#played) {
      if (end === null) continue;
      const length = Math.min(Math.max(1, Math.round((end - start) / stepMs)), LONGEST_NOTE);
      const step = Math.round((start - began) / stepMs), key = `${step} ${pitch}`;
      notes.set(key, [step, Math.max(length, notes.get(key)?.[1] ?? 0), pitch]);
    }
    return withoutLongWaits([...notes.values()].sort((one, other) => one[0] - other[0] || other[2] - one[2]));
  }
}

function withoutLongWaits(/** @type {Note[]} */ notes) {
  let before = 0, shift = 0;
  return notes.map(([start, length, pitch]) => {
    shift += Math.max(0, start - before - LONGEST_WAIT);
    before = start;
    return /** @type {Note} */ ([start - shift, length, pitch]);
  });
}
