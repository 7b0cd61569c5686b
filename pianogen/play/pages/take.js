// One piece: its card follows it while it is made, plays it, and has what one can do with it.
import * as api from "./api.js";
import { Player } from "./player.js";

/** @typedef {import("./api.js").Note} Note */
/** @typedef {import("./api.js").Piece} Piece */
/**
 * @typedef {object} Actions
 * @property {(take: Take, step: number) => void} goOn continue it from a step
 * @property {(take: Take) => void} another make one with the same settings and another seed
 * @property {(take: Take) => void} keep
 * @property {(take: Take) => void} remove
 * @property {(take: Take, isChosen: boolean) => void} begins it sounds, by a press or by itself
 * @property {(message: string) => void} say
 */

const LEAD_IN_BARS = 2; // of the prompt are heard before what is new

export class Take {
  isKept = false;
  isDone = false;
  #known = 0; // notes that are sent again after a lost connection
  #stopFollowing = () => {};
  #finish = () => {};

  /**
   * @param {Piece} piece
   * @param {{number: number, label: string, plays: boolean}} how plays: it sounds as soon as it can
   * @param {Actions} actions
   */
  constructor(piece, { number, label, plays }, actions) {
    this.piece = piece;
    this.title = `Take ${number}`;
    this.label = label;
    this.plays = plays;
    this.actions = actions;
    const template = /** @type {HTMLTemplateElement} */ (document.querySelector("#take"));
    const card = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (card.firstElementChild);
    this.find("h3").textContent = this.title;
    this.element.setAttribute("aria-label", this.title);
    this.player = new Player(this.find(".player"), this.title);
    this.player.button.addEventListener("click", () => {
      if (this.player.playback.isPlaying) actions.begins(this, true);
    });
    this.#nameButtons();
    this.#describe();
    /** When it is finished, failed or stopped. */
    this.finished = new Promise((resolve) => { this.#finish = () => resolve(undefined); });
    this.#follow();
  }

  get barSteps() { return this.player.roll.barSteps; }

  /** @param {string} selector */
  find(selector) { return /** @type {HTMLElement} */ (this.element.querySelector(selector)); }

  #nameButtons() {
    const { actions } = this, goOn = () => actions.goOn(this, Math.round(this.player.step));
    const acts = {
      continue: goOn, another: () => actions.another(this), keep: () => actions.keep(this),
      copy: () => this.#copyLink(), stop: () => this.stop(), remove: () => actions.remove(this),
    };
    for (const [name, act] of Object.entries(acts)) {
      const button = this.find(`[data-act=${name}]`);
      button.setAttribute("aria-label", `${button.textContent?.trim()}: ${this.title}`);
      button.addEventListener("click", act);
    }
    this.player.roll.element.addEventListener("dblclick", goOn);
    this.player.roll.element.addEventListener("keydown", (event) => { if (event.key === "Enter") goOn(); });
  }

  #describe() {
    const { piece } = this, grid = api.gridOf(piece);
    this.find(".facts").textContent = [piece.model, this.label, ...settingsOf(piece)].join(" · ");
    this.player.setGrid({ ...grid, promptSteps: piece.prompt_steps });
    this.find(".legend").hidden = !piece.prompt_steps;
  }

  #follow() {
    this.#stopFollowing = api.follow(this.piece.id, {
      open: () => { this.#known = this.player.roll.notes.length; },
      queued: ({ position }) => this.#state(`waits; ${position} before it`),
      notes: ({ notes, prompt }) => this.#add(notes, prompt),
      done: () => this.#end(""),
      failed: ({ error }) => this.#end(error),
    });
  }

  #add(/** @type {Note[]} */ notes, /** @type {boolean} */ isPrompt) {
    const unknown = notes.slice(this.#known);
    this.#known -= notes.length - unknown.length;
    this.player.add(unknown, { isPrompt, grows: true });
    const { playback, roll } = this.player;
    this.#state(`${roll.notes.length - roll.numPrompt} new notes so far`);
    const from = roll.promptSteps - LEAD_IN_BARS * this.barSteps; // pieces begin with a rest that nobody waits for
    const first = this.plays && roll.notes.find(([start]) => start >= from);
    if (!first) return;
    this.plays = false;
    this.player.seek(first[0]);
    playback.play();
    this.actions.begins(this, false);
  }

  #end(/** @type {string} */ error) {
    this.player.finish();
    this.isDone = !error;
    const { notes, numPrompt, end } = this.player.roll, bars = Math.ceil(end / this.barSteps);
    this.#state(error || `${notes.length - numPrompt} new notes, ${bars} bars`);
    this.find(".state").classList.toggle("error", Boolean(error));
    this.find("[data-act=stop]").hidden = true;
    for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (this.element.querySelectorAll("[data-suffix]"))) {
      link.hidden = !this.isDone;
      link.href = api.pieceUrl(this.piece.id, link.dataset.suffix);
    }
    if (notes.length > numPrompt) this.actions.say(`${this.title} is finished: ${notes.length - numPrompt} new notes`);
    this.#finish();
  }

  #state(/** @type {string} */ text) { this.find(".state").textContent = text; }

  /** Make no more of it; what there is stays. */
  stop() {
    this.#stopFollowing();
    if (!this.find("[data-act=stop]").hidden) api.stop(this.piece.id).catch(() => {}); // it may just have ended
    this.#end("stopped");
  }

  async #copyLink() {
    const field = /** @type {HTMLInputElement} */ (this.find(".link"));
    field.value = api.linkTo(this.piece.id);
    field.hidden = false;
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      this.actions.say("The link is copied. It gives the same piece again.");
    } catch {
      this.actions.say("Copy the link from the field: this browser does not let the page do it.");
    }
  }

  /** What it continues; nothing if it has no prompt. */
  get prompt() {
    return this.#asPrompt(this.piece.notes.slice(0, this.piece.num_prompt_notes), this.piece.prompt_steps);
  }

  /** Its notes that begin before a step, to be continued. */
  until(/** @type {number} */ step) {
    return this.#asPrompt(this.player.roll.notes.filter(([start]) => start < step), step);
  }

  #asPrompt(/** @type {Note[]} */ notes, /** @type {number} */ step) {
    const { quarters_per_minute, time_signature } = this.piece;
    return notes.length ? { notes, end_step: step, quarters_per_minute, time_signature } : undefined;
  }

  /** @param {boolean} isKept */
  mark(isKept) {
    this.isKept = isKept;
    this.element.classList.toggle("kept", isKept);
    this.find("[data-act=keep]").setAttribute("aria-pressed", String(isKept));
  }
}

function settingsOf(/** @type {Piece} */ piece) {
  const { temperature, duration_temperature: lengths, top_p: topP } = piece.settings;
  return [
    `temperature ${temperature ?? 1}`,
    ...(lengths ? [`of lengths ${lengths}`] : []),
    ...(topP ? [`top-p ${topP}`] : []),
    `seed ${piece.seed}`,
  ];
}
