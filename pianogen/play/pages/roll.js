// A piano roll in SVG that can grow, with a playhead; page.css has its colours.

/** @typedef {import("./api.js").Note} Note */

const SVG = "http://www.w3.org/2000/svg";
const PIXELS_PER_STEP = 6;
const MIN_PITCHES = 36;
const MARGIN = 2; // semitones above the highest and below the lowest note
const NOTE_HEIGHT = 0.86; // of a semitone
const NOTE_GAP = 0.12; // steps; separates repeated notes
const MIN_STEPS = 64;
const HEAD = 0.3; // of the visible part is left of the playhead
const LOOK_AROUND_MS = 4000; // after someone has scrolled, the roll does not follow the sound

export class Roll {
  /** @type {Note[]} */
  notes = [];
  numPrompt = 0; // the first notes, in the colour of the prompt
  promptSteps = 0;
  barSteps = 16;
  #isDrawn = true;
  #looksAround = 0; // until this time in ms

  /** @param {HTMLElement} element with the class roll, in one with the class scroll */
  constructor(element) {
    this.element = element;
    this.scroller = /** @type {HTMLElement} */ (element.parentElement);
    this.head = element.appendChild(document.createElement("div"));
    this.head.className = "playhead";
    this.numbers = element.appendChild(document.createElement("div"));
    this.numbers.className = "numbers";
    this.svg = document.createElementNS(SVG, "svg");
    this.svg.setAttribute("preserveAspectRatio", "none");
    for (const decoration of [this.svg, this.numbers]) decoration.setAttribute("aria-hidden", "true");
    element.prepend(this.svg);
    this.ground = this.#shape("rect", "ground");
    const names = ["octave", "bar", "prompt", "note"];
    this.paths = Object.fromEntries(names.map((name) => [name, this.#shape("path", name)]));
    const lookAround = () => { this.#looksAround = performance.now() + LOOK_AROUND_MS; };
    for (const name of ["wheel", "touchmove", "pointerdown"]) {
      this.scroller.addEventListener(name, lookAround, { passive: true });
    }
  }

  #shape(/** @type {string} */ tag, /** @type {string} */ name) {
    const shape = document.createElementNS(SVG, tag);
    shape.classList.add(name);
    return this.svg.appendChild(shape);
  }

  /** Where the last note ends, in steps. */
  get end() { return this.notes.reduce((end, [start, length]) => Math.max(end, start + length), 0); }

  /** Length of the picture, in steps: whole bars. */
  get numSteps() { return Math.ceil(Math.max(this.end, MIN_STEPS) / this.barSteps) * this.barSteps; }

  /** Draw at the next frame, however often it is called before. */
  draw() {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    requestAnimationFrame(() => { this.#isDrawn = true; this.#draw(); });
  }

  #draw() {
    const steps = this.numSteps, [low, high] = pitchRange(this.notes);
    this.element.style.width = `${steps * PIXELS_PER_STEP}px`;
    this.svg.setAttribute("viewBox", `0 0 ${steps} ${high - low + 1}`);
    this.ground.setAttribute("width", String(Math.min(this.promptSteps, steps)));
    this.ground.setAttribute("height", "100%");
    const octaves = range(low, high + 1, 1).filter((pitch) => pitch % 12 === 0);
    const bars = range(this.barSteps, steps, this.barSteps);
    this.paths.octave.setAttribute("d", octaves.map((pitch) => `M0 ${high - pitch + 1}H${steps}`).join(""));
    this.paths.bar.setAttribute("d", bars.map((x) => `M${x} 0V${high - low + 1}`).join(""));
    this.paths.prompt.setAttribute("d", rectangles(this.notes.slice(0, this.numPrompt), high));
    this.paths.note.setAttribute("d", rectangles(this.notes.slice(this.numPrompt), high));
    this.#number(steps);
  }

  #number(/** @type {number} */ steps) {
    const starts = range(0, steps, 4 * this.barSteps);
    if (this.numbers.childElementCount === starts.length) return;
    this.numbers.replaceChildren(...starts.map((start) => {
      const number = document.createElement("span");
      number.textContent = String(start / this.barSteps + 1);
      number.style.left = `${start * PIXELS_PER_STEP}px`;
      return number;
    }));
  }

  /** @param {number} step @param {boolean} follows whether the roll moves along */
  moveHead(step, follows) {
    const x = step * PIXELS_PER_STEP, width = this.scroller.clientWidth;
    this.head.style.left = `${x}px`;
    if (!follows || performance.now() < this.#looksAround) return;
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.scroller.scrollLeft = x - HEAD * width;
    else if (x < this.scroller.scrollLeft || x > this.scroller.scrollLeft + width) this.scroller.scrollLeft = x;
  }

  /** @param {MouseEvent} event @returns {number} the step under the pointer */
  stepAt(event) { return (event.clientX - this.element.getBoundingClientRect().left) / PIXELS_PER_STEP; }
}

/** @param {number} start @param {number} stop @param {number} by */
const range = (start, stop, by) =>
  Array.from({ length: Math.max(0, Math.ceil((stop - start) / by)) }, (_, index) => start + index * by);

function pitchRange(/** @type {Note[]} */ notes) {
  let low = 60, high = 60;
  if (notes.length) [low, high] = [notes[0][2], notes[0][2]];
  for (const [, , pitch] of notes) [low, high] = [Math.min(low, pitch), Math.max(high, pitch)];
  const spare = Math.ceil(Math.max(0, MIN_PITCHES - (high - low)) / 2);
  return [low - MARGIN - spare, high + MARGIN + spare];
}

function rectangles(/** @type {Note[]} */ notes, /** @type {number} */ high) {
  const top = (1 - NOTE_HEIGHT) / 2;
  return notes.map(([start, length, pitch]) =>
    `M${start} ${(high - pitch + top).toFixed(2)}h${length - NOTE_GAP}v${NOTE_HEIGHT}h${NOTE_GAP - length}z`).join("");
}
