// Three ways to play notes: keys on the screen, keys of the computer, and a MIDI keyboard.
import { open, press } from "./sound.js";

const NAMES = ["C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B"];
const BLACK = new Set([1, 3, 6, 8, 10]);
const NUM_KEYS = 25; // two octaves and a C; a narrow page shows one
const LOWEST_C = 24, HIGHEST_C = 84;
// by position, so that the keyboard's language does not matter; named as on a US keyboard
const COMPUTER_KEYS = [
  ..."KeyA KeyW KeyS KeyE KeyD KeyF KeyT KeyG KeyY KeyH KeyU KeyJ KeyK KeyO KeyL KeyP Semicolon Quote".split(" "),
];
const OCTAVE_KEYS = { KeyZ: -12, KeyX: 12 };
const TEXT = "select, textarea, input:not([type=radio], [type=range], [type=checkbox])";
const NOTE_ON = 0x90, NOTE_OFF = 0x80;

/** @typedef {{start: (pitch: number) => void, end: (pitch: number) => void}} Listener */

export class Keyboard {
  isActive = false; // whether keys of the computer are notes
  #lowest = 60;
  #sounding = /** @type {Map<number, () => void>} */ (new Map()); // pitch -> what ends it
  #held = /** @type {Map<string, number>} */ (new Map()); // key of the computer or pointer -> pitch

  /**
   * @param {HTMLElement} element where the keys go
   * @param {Listener} listener
   */
  constructor(element, listener) {
    this.element = element;
    this.listener = listener;
    this.keys = Array.from({ length: NUM_KEYS }, (_, index) => this.#makeKey(index));
    element.replaceChildren(...this.keys);
    this.#listenToPointers();
    this.#listenToKeys();
    this.shift(0);
  }

  #makeKey(/** @type {number} */ index) {
    const key = document.createElement("button");
    key.type = "button";
    key.className = BLACK.has(index % 12) ? "key black" : "key";
    key.tabIndex = index === 0 ? 0 : -1; // the arrows move between keys
    key.dataset.index = String(index);
    return key;
  }

  /** @param {number} semitones to move the keys up */
  shift(semitones) {
    this.endAll();
    this.#lowest = Math.min(Math.max(this.#lowest + semitones, LOWEST_C), HIGHEST_C);
    this.keys.forEach((key, index) => {
      const pitch = this.#lowest + index;
      key.setAttribute("aria-label", `${NAMES[pitch % 12]} ${Math.floor(pitch / 12) - 1}`);
      key.textContent = index % 12 === 0 ? `C${Math.floor(pitch / 12) - 1}` : "";
    });
  }

  /** @param {number} pitch */
  start(pitch) {
    if (this.#sounding.has(pitch)) return;
    this.#sounding.set(pitch, press(pitch));
    this.keys[pitch - this.#lowest]?.classList.add("down");
    this.listener.start(pitch);
  }

  /** @param {number} pitch */
  end(pitch) {
    this.#sounding.get(pitch)?.();
    if (!this.#sounding.delete(pitch)) return;
    this.keys[pitch - this.#lowest]?.classList.remove("down");
    this.listener.end(pitch);
  }

  endAll() {
    [...this.#sounding.keys()].forEach((pitch) => this.end(pitch));
    this.#held.clear();
  }

  #hold(/** @type {string} */ what, /** @type {number} */ pitch) {
    if (this.#held.get(what) === pitch) return;
    this.#release(what);
    this.#held.set(what, pitch);
    this.start(pitch);
  }

  #release(/** @type {string} */ what) {
    const pitch = this.#held.get(what);
    this.#held.delete(what);
    if (pitch !== undefined && ![...this.#held.values()].includes(pitch)) this.end(pitch);
  }

  #listenToPointers() {
    const pitchAt = (/** @type {PointerEvent} */ event) => {
      const key = document.elementFromPoint(event.clientX, event.clientY);
      const index = key instanceof HTMLElement && key.parentElement === this.element ? key.dataset.index : undefined;
      return index === undefined ? undefined : this.#lowest + Number(index);
    };
    const hold = (/** @type {PointerEvent} */ event) => {
      const pitch = pitchAt(event);
      if (pitch !== undefined) this.#hold(`pointer ${event.pointerId}`, pitch);
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId); // its end is seen wherever it is
      hold(event);
    });
    this.element.addEventListener("pointermove", (event) => { if (event.buttons) hold(event); });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel", "lostpointercapture"])) {
      this.element.addEventListener(name, (event) => this.#release(`pointer ${event.pointerId}`));
    }
    // a screen reader's press has no pointer
    this.element.addEventListener("click", (event) => {
      if (event.detail !== 0 || !(event.target instanceof HTMLElement)) return;
      const pitch = this.#lowest + Number(event.target.dataset.index);
      this.start(pitch);
      setTimeout(() => this.end(pitch), 300);
    });
  }

  #listenToKeys() {
    document.addEventListener("keydown", (event) => {
      if (!this.isActive || event.ctrlKey || event.metaKey || event.altKey || isText(event.target)) return;
      const index = COMPUTER_KEYS.indexOf(event.code), octave = Reflect.get(OCTAVE_KEYS, event.code);
      if (index >= 0 && !event.repeat) this.#hold(event.code, this.#lowest + index);
      else if (octave && !event.repeat) this.shift(octave);
    });
    document.addEventListener("keyup", (event) => this.#release(event.code));
    addEventListener("blur", () => this.endAll());
    this.element.addEventListener("keydown", (event) => {
      const focused = this.keys.findIndex((key) => key === document.activeElement);
      const to = this.keys[focused + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0)];
      if (focused < 0 || !to || !event.key.startsWith("Arrow")) return;
      event.preventDefault();
      this.keys[focused].tabIndex = -1;
      to.tabIndex = 0;
      to.focus();
    });
  }

  /**
   * Listen to all MIDI keyboards, also those that are plugged in later.
   * @returns {Promise<string[]>} their names
   */
  async connect() {
    if (!navigator.requestMIDIAccess) throw new Error("this browser has no Web MIDI; Chrome, Edge and Firefox have it");
    open();
    const access = await navigator.requestMIDIAccess().catch(() => {
      throw new Error("the browser does not permit this page to use MIDI; permit it in the settings of the page");
    });
    const listen = () => access.inputs.forEach((input) => { input.onmidimessage = (message) => this.#read(message); });
    access.onstatechange = listen;
    listen();
    return [...access.inputs.values()].map((input) => input.name ?? "a keyboard without a name");
  }

  #read(/** @type {MIDIMessageEvent} */ { data }) {
    if (!this.isActive || !data) return;
    const [status, pitch, velocity] = data;
    if ((status & 0xf0) === NOTE_ON && velocity) this.start(pitch);
    else if ([NOTE_ON, NOTE_OFF].includes(status & 0xf0)) this.end(pitch);
  }
}

function isText(/** @type {EventTarget | null} */ target) {
  return target instanceof HTMLElement && target.matches(TEXT);
}
