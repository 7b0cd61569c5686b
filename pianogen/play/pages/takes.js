// The takes on the page: which are kept in this browser, and which one sounds.
import { Take } from "./take.js";

/** @typedef {import("./take.js").Actions} Actions */
/** @typedef {{id: string, label: string, barSteps: number}} Kept */

const KEPT = "pianogen.kept";

export class Takes {
  /** @type {Take[]} */
  #takes = [];
  #number = 0;
  /** @type {Take | null} */
  #latest = null; // the one that began to sound last

  /**
   * @param {HTMLElement} element where the cards go, the newest first
   * @param {Pick<Actions, "goOn" | "another" | "say">} actions
   */
  constructor(element, actions) {
    this.element = element;
    this.actions = {
      ...actions,
      keep: (/** @type {Take} */ take) => this.#keep(take),
      remove: (/** @type {Take} */ take) => this.#remove(take),
      begins: (/** @type {Take} */ take) => this.#compare(take),
    };
  }

  /** @param {string} id @param {{label: string, barSteps: number, plays: boolean}} how */
  add(id, how) {
    this.#number += 1;
    const take = new Take(id, { ...how, number: this.#number }, this.actions);
    this.#takes.unshift(take);
    this.element.prepend(take.element);
    this.#count();
    return take;
  }

  /** Make the kept takes again, one after another, so that other visitors need not wait. */
  async restore() {
    for (const { id, ...how } of read()) {
      const take = this.add(id, { ...how, plays: false });
      take.mark(true);
      await take.finished;
    }
  }

  #keep(/** @type {Take} */ take) {
    take.mark(!take.isKept);
    this.#write();
    this.actions.say(`${take.title} is ${take.isKept ? "kept in this browser" : "no longer kept"}.`);
  }

  #remove(/** @type {Take} */ take) {
    take.player.playback.pause();
    if (!take.isDone) take.stop();
    const next = /** @type {HTMLElement | null} */ (take.element.nextElementSibling ?? take.element.previousElementSibling);
    take.element.remove();
    this.#takes = this.#takes.filter((one) => one !== take);
    if (take.isKept) this.#write();
    this.#count();
    (next ?? this.element).focus();
  }

  // where the box is ticked, a take begins where the one before it was left
  #compare(/** @type {Take} */ take) {
    const before = this.#latest, box = /** @type {HTMLInputElement} */ (document.querySelector("#same-place"));
    this.#latest = take;
    if (box.checked && before && before !== take && before.player.step > 0) take.player.seek(before.player.step);
  }

  #count() {
    const section = /** @type {HTMLElement} */ (document.querySelector("#takes-section"));
    section.hidden = !this.#takes.length;
    /** @type {HTMLElement} */ (document.querySelector("#compare")).hidden = this.#takes.length < 2;
  }

  #write() {
    const kept = this.#takes.filter((one) => one.isKept).reverse();
    try {
      localStorage.setItem(KEPT, JSON.stringify(kept.map(({ id, label, barSteps }) => ({ id, label, barSteps }))));
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
