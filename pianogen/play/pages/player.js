// A piano roll that sounds: the button, the roll and the time of an element with the class player.
import { Roll } from "./roll.js";
import { Playback } from "./sound.js";

/** @typedef {import("./api.js").Note} Note */

export class Player {
  /**
   * @param {HTMLElement} element
   * @param {string} label of the piece, for screen readers
   */
  constructor(element, label) {
    this.element = element;
    this.label = label;
    this.button = /** @type {HTMLButtonElement} */ (element.querySelector(".play"));
    this.time = /** @type {HTMLElement} */ (element.querySelector(".time"));
    this.roll = new Roll(/** @type {HTMLElement} */ (element.querySelector(".roll")));
    this.roll.element.setAttribute("aria-label", `Position in ${label}`);
    this.playback = new Playback(() => this.show());
    this.button.addEventListener("click", () => this.playback.toggle());
    this.roll.element.addEventListener("click", (event) => this.seek(this.roll.stepAt(event)));
    this.roll.element.addEventListener("keydown", (event) => this.#move(event));
    this.show();
  }

  /** @param {{secondsPerStep: number, barSteps: number, promptSteps?: number}} grid */
  setGrid({ secondsPerStep, barSteps, promptSteps = 0 }) {
    this.playback.step = secondsPerStep;
    Object.assign(this.roll, { barSteps, promptSteps });
    this.roll.draw();
  }

  /** @param {Note[]} notes by time @param {{isPrompt?: boolean, grows?: boolean}} how */
  add(notes, { isPrompt = false, grows = false } = {}) {
    for (const note of notes) { // not all in one call: a file may have more notes than a call has arguments
      this.roll.notes.push(note);
      this.playback.notes.push(...note);
    }
    if (isPrompt) this.roll.numPrompt += notes.length;
    this.playback.grows = grows;
    this.#measure();
  }

  /** No more notes come. */
  finish() {
    this.playback.grows = false;
    this.#measure();
  }

  clear() {
    this.playback.pause();
    Object.assign(this.playback, { notes: [], position: 0, length: 0 });
    Object.assign(this.roll, { notes: [], numPrompt: 0 });
    this.#measure();
  }

  // notes that are still to come may begin with the last one
  #measure() {
    const end = this.playback.grows ? this.roll.notes.at(-1)?.[0] ?? 0 : this.roll.end;
    this.playback.length = end * this.playback.step;
    this.roll.draw();
    this.show();
  }

  /** The playhead, in steps. */
  get step() {
    const { step, length } = this.playback;
    return step ? Math.min(this.playback.now(), length) / step : 0;
  }

  /** @param {number} step */
  seek(step) {
    this.playback.seek(step * this.playback.step);
    this.element.classList.add("started");
  }

  #move(/** @type {KeyboardEvent} */ event) {
    const bar = this.roll.barSteps;
    const to = {
      ArrowLeft: this.step - bar / 4, ArrowRight: this.step + bar / 4, Home: 0, End: this.roll.end,
      PageUp: this.step - 4 * bar, PageDown: this.step + 4 * bar,
    }[event.key];
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    if (to === undefined) this.playback.toggle();
    else this.seek(to);
    this.roll.moveHead(this.step, true);
  }

  show() {
    const { isPlaying } = this.playback, { barSteps, element } = this.roll;
    const clock = clockOf(this.step * this.playback.step), bars = Math.max(1, Math.ceil(this.roll.end / barSteps));
    this.element.classList.toggle("playing", isPlaying);
    if (isPlaying) this.element.classList.add("started");
    this.button.disabled = !this.roll.notes.length;
    this.button.setAttribute("aria-label", `${isPlaying ? "Pause" : "Play"} ${this.label}`);
    this.roll.moveHead(this.step, isPlaying);
    if (this.time.textContent === clock) return; // once a second is often enough for screen readers
    this.time.textContent = clock;
    element.setAttribute("aria-valuemax", String(Math.round(this.roll.end)));
    element.setAttribute("aria-valuenow", String(Math.round(this.step)));
    element.setAttribute("aria-valuetext", `bar ${Math.floor(this.step / barSteps) + 1} of ${bars}, ${clock}`);
  }
}

function clockOf(/** @type {number} */ seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
