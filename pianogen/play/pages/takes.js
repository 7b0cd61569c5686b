// The takes on the page: which are kept in this browser, and which one sounds.
import * as api from "./api.js";
import { Take } from "./take.js";

/** @typedef {import("./take.js").Actions} Actions */
/** @typedef {{id: string, label: string}} Kept */

const KEPT = "pianogen.kept";

export class Takes {
  /** @type {Take[]} */
  #takes = [];
  #number = 0;
  /** @type {Take | null} */
  #latest = null; // the one that began to sound last

  /**
   * @param {HTMLElement} element where the cards go, the newest first
   * @param {Pick<Actions, "goOn" | "another" | "say"> & {fail: (error: unknown) => void}} actions
   */
  constructor(element, actions) {
    this.element = element;
    this.actions = {
      ...actions,
      keep: (/** @type {Take} */ take) => this.#keep(take),
      remove: (/** @type {Take} */ take) => this.#remove(take),
      begins: (/** @type {Take} */ take, /** @type {boolean} */ isChosen) => this.#compare(take, isChosen),
    };
  }

  /** @param {api.Piece} piece @param {{label: string, plays: boolean}} how */
  add(piece, how) {
    this.#number += 1;
    const take = new Take(piece, { ...how, number: this.#number }, this.actions);
    this.#takes.unshift(take);
    this.element.prepend(take.element);
    this.#count();
    return take;
  }

  /** Make a piece again. @param {string} id @param {string} label */
  async open(id, label) {
    try {
      return this.add(await api.piece(id), { label, plays: false });
    } catch (error) {
      this.actions.fail(error);
    }
  }

  /** Make the kept takes again, one after another, so that other visitors need not wait. */
  async restore() {
    for (const { id, label } of read()) {
      const shown = this.#takes.find((one) => one.piece.id === id);
      const take = shown ?? await this.open(id, label);
      take?.mark(true);
      await take?.finished;
    }
  }

  #keep(/** @type {Take} */ take) {
    this.actions.say(`${take.title} is ${take.isKept ? "no longer kept" : "kept in this browser"}.`);
    this.#mark(take, !take.isKept); // it says so if it cannot
  }

  #remove(/** @type {Take} */ take) {
    take.player.playback.pause();
    if (!take.isDone) take.stop();
    const place = this.#takes.indexOf(take);
    take.element.remove();
    this.#takes.splice(place, 1);
    if (take.isKept) this.#mark(take, false);
    this.#count();
    (this.#takes[place] ?? this.#takes.at(-1) ?? this).element.focus();
  }

  // where the box is ticked, a take begins where the one before it was left
  #compare(/** @type {Take} */ take, /** @type {boolean} */ isChosen) {
    const before = this.#latest, box = /** @type {HTMLInputElement} */ (document.querySelector("#same-place"));
    this.#latest = take;
    if (box.checked && isChosen && before && before !== take) take.player.seek(before.player.step);
  }

  #count() {
    const section = /** @type {HTMLElement} */ (document.querySelector("#takes-section"));
    section.hidden = !this.#takes.length;
    /** @type {HTMLElement} */ (document.querySelector("#compare")).hidden = this.#takes.length < 2;
  }

  // the others in storage stay: they may not be on the page yet, or the server may not have their model today
  #mark(/** @type {Take} */ take, /** @type {boolean} */ isKept) {
    take.mark(isKept);
    const { piece: { id }, label } = take, others = read().filter((one) => one.id !== id);
    try {
      localStorage.setItem(KEPT, JSON.stringify(isKept ? [...others, { id, label }] : others));
    } catch {
      this.actions.say("This browser does not let the page keep takes; copy their links.");
    }
  }
}

/** @returns {Kept[]} */
function read() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "[]");
  } catch {
    return [];
  }
}
