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
 * @property {(take: Take) => void} begins it begins to sound
 * @property {(message: string) => void} say
 */

const LEAD_IN_BARS = 2; // of the prompt are heard before what is new

export class Take {
  isKept = false;
  isDone = false;
  #known = 0; // notes that are sent again after a lost connection
  #stopFollowing = () => {};

  /**
   * @param {string} id
   * @param {{number: number, label: string, barSteps: number, plays: boolean}} how plays: it sounds as soon as it can
   * @param {Actions} actions
   */
  constructor(id, { number, label, barSteps, plays }, actions) {
    this.id = id;
    this.title = `Take ${number}`;
    this.label = label;
    this.barSteps = barSteps;
    this.plays = plays;
    this.actions = actions;
    const template = /** @type {HTMLTemplateElement} */ (document.querySelector("#take"));
    const card = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = /** @type {HTMLElement} */ (card.firstElementChild);
    this.find("h3").textContent = this.title;
    this.element.setAttribute("aria-label", this.title);
    this.player = new Player(this.find(".player"), this.title);
    this.player.button.addEventListener("click", () => { if (this.player.playback.isPlaying) actions.begins(this); });
    this.#nameButtons();
    /** When it is finished, failed or stopped. */
    this.finished = new Promise((resolve) => { this.resolve = resolve; });
    this.follow();
  }

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

  async follow() {
    try {
      this.piece = await api.piece(this.id);
      this.#describe(this.piece);
      this.#stopFollowing = api.follow(this.id, {
        open: () => { this.#known = this.player.roll.notes.length; },
        queued: ({ position }) => this.#state(`waits; ${position} before it`),
        notes: ({ notes, prompt }) => this.#add(notes, prompt),
        done: () => this.#end(""),
        failed: ({ error }) => this.#end(error),
      });
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  #describe(/** @type {Piece} */ piece) {
    this.find(".facts").textContent = [piece.model, this.label, ...settingsOf(piece)].join(" · ");
    this.player.setGrid({
      secondsPerStep: piece.seconds_per_step, barSteps: this.barSteps, promptSteps: piece.prompt_steps,
    });
    this.find(".legend").hidden = !piece.prompt_steps;
  }

  #add(/** @type {Note[]} */ notes, /** @type {boolean} */ isPrompt) {
    const unknown = notes.slice(this.#known);
    this.#known -= notes.length - unknown.length;
    this.player.add(unknown, { isPrompt, grows: true });
    const { playback, roll } = this.player;
    this.#state(`${roll.notes.length - roll.numPrompt} new notes so far`);
    if (!this.plays) return;
    this.plays = false;
    this.player.seek(Math.max(0, roll.promptSteps - LEAD_IN_BARS * this.barSteps));
    playback.play();
    this.actions.begins(this);
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
      link.href = api.pieceUrl(this.id, link.dataset.suffix);
    }
    if (notes.length > numPrompt) this.actions.say(`${this.title} is finished: ${notes.length - numPrompt} new notes`);
    this.resolve?.();
  }

  #state(/** @type {string} */ text) { this.find(".state").textContent = text; }

  /** Make no more of it; what there is stays. */
  stop() {
    this.#stopFollowing();
    if (!this.find("[data-act=stop]").hidden) api.stop(this.id).catch(() => {}); // it may just have ended
    this.#end("stopped");
  }

  async #copyLink() {
    const field = /** @type {HTMLInputElement} */ (this.find(".link"));
    field.value = api.linkTo(this.id);
    field.hidden = false;
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      this.actions.say("The link is copied. It gives the same piece again.");
    } catch {
      this.actions.say("Copy the link from the field: this browser does not let the page do it.");
    }
  }

  /** The notes that begin before a step. */
  notesBefore(/** @type {number} */ step) { return this.player.roll.notes.filter(([start]) => start < step); }

  /** @param {boolean} isKept */
  mark(isKept) {
    this.isKept = isKept;
    this.element.classList.toggle("kept", isKept);
    this.find("[data-act=keep]").setAttribute("aria-pressed", String(isKept));
  }
}

function settingsOf(/** @type {Piece} */ piece) {
  const { temperature, duration_temperature: lengths, top_p: topP, seed } = piece.settings;
  return [
    `temperature ${temperature}`, ...(lengths ? [`of lengths ${lengths}`] : []), ...(topP && topP < 1 ? [`top-p ${topP}`] : []),
    `seed ${seed}`,
  ];
}
