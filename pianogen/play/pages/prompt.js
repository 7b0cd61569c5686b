// What a piece starts from: nothing, a piece of the corpus, a file, or what someone plays.
import * as api from "./api.js";
import { Keyboard } from "./keyboard.js";
import { Player } from "./player.js";
import { Recorder } from "./recorder.js";

/** @typedef {import("./api.js").Note} Note */
/** @typedef {import("./api.js").Prompt} Prompt */
/** @typedef {{title: string, notes: Note[]}} Played */

const DEFAULT_BARS = 4;
const TEMPO = { quarters_per_minute: 120, time_signature: /** @type {[number, number]} */ ([4, 4]) }; // of playing

const find = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
const input = (/** @type {string} */ selector) => /** @type {HTMLInputElement} */ (document.querySelector(selector));

export class PromptChooser {
  /** @type {Prompt | Played | null} */
  #chosen = null;
  #recorder = new Recorder();
  #latest = 0; // number of the latest request: an earlier answer may come later
  loading = Promise.resolve(); // when what was asked for is there
  #model = { name: "", steps_per_quarter: 4 };

  /** @param {(error: unknown) => void} fail shows an error */
  constructor(fail) {
    this.fail = fail;
    this.player = new Player(find("#prompt .player"), "the prompt");
    this.bars = input("#prompt-bars");
    this.corpus = /** @type {HTMLSelectElement} */ (find("#corpus"));
    const note = (/** @type {"start" | "end"} */ name) => (/** @type {number} */ pitch) => this.#play(name, pitch);
    this.keyboard = new Keyboard(find("#keys"), { start: note("start"), end: note("end") });
    for (const one of [...document.querySelectorAll("input[name=source]"), this.corpus]) {
      one.addEventListener("change", () => this.choose());
    }
    this.bars.addEventListener("input", () => this.#mark());
    this.#listenToKeyboard();
    this.#listenToFiles();
  }

  /** @param {{name: string, steps_per_quarter: number}} model */
  use(model) {
    this.#model = model;
    this.choose();
  }

  get source() { return input("input[name=source]:checked").value; }

  /** Show the panel of the chosen source, and load what it has. */
  choose() {
    document.querySelectorAll("[data-source]").forEach((panel) => {
      if (panel instanceof HTMLElement) panel.hidden = panel.dataset.source !== this.source;
    });
    this.keyboard.isActive = this.source === "keyboard";
    this.keyboard.endAll();
    this.#latest += 1; // what is on its way is not wanted any more
    find("#reading").hidden = true;
    this.#show(null);
    const { value } = this.corpus;
    if (this.source === "corpus" && value) this.loading = this.#load(api.prompt(value, this.#model.name));
    if (this.source === "file") this.#upload(input("#file").files?.[0]);
    if (this.source === "keyboard") this.#showPlayed();
  }

  async fillCorpus() {
    const pieces = await api.corpus();
    const nameOf = (/** @type {api.CorpusPiece} */ { title, composer }) => (composer ? `${composer}: ${title}` : title);
    this.corpus.replaceChildren(...pieces.map((one) => new Option(nameOf(one), one.id)));
    if (this.source === "corpus") this.choose();
  }

  /** What the server is told; nothing without a prompt. */
  get from() {
    const chosen = this.#chosen;
    if (!chosen?.notes.length) return undefined;
    return "id" in chosen ? { id: chosen.id, end_step: this.#endStep } : { notes: chosen.notes };
  }

  /** Whether a score or file is to be continued, and there is none. */
  get isMissing() { return ["corpus", "file"].includes(this.source) && !this.#chosen; }

  /** What the page says about it. */
  get label() { return this.#chosen?.notes.length ? `continues ${this.#chosen.title}` : "from nothing"; }

  get #grid() {
    const chosen = this.#chosen;
    const played = { ...TEMPO, steps_per_quarter: this.#model.steps_per_quarter };
    return api.gridOf(chosen && "id" in chosen ? chosen : played);
  }

  get #endStep() { return Math.round(Number(this.bars.value) * this.#grid.barSteps); }

  async #load(/** @type {Promise<Prompt>} */ answer) {
    const number = ++this.#latest;
    this.fail("");
    find("#reading").hidden = false;
    try {
      const prompt = await answer;
      if (number === this.#latest) this.#show(prompt);
    } catch (error) {
      if (number === this.#latest) this.fail(error);
    }
    if (number === this.#latest) find("#reading").hidden = true;
  }

  #show(/** @type {Prompt | Played | null} */ prompt) {
    this.#chosen = prompt;
    this.player.clear();
    find("#prompt").hidden = !prompt?.notes.length;
    if (!prompt) return;
    const isFile = "id" in prompt, bars = isFile ? Math.max(1, Math.ceil(prompt.num_steps / this.#grid.barSteps)) : 1;
    find("#prompt-length").hidden = !isFile;
    find("#prompt-title").textContent = prompt.title;
    this.bars.max = String(bars);
    this.bars.value = String(Math.min(bars, DEFAULT_BARS));
    this.#mark();
    this.player.add(prompt.notes);
    this.#mark();
  }

  #mark() {
    const { roll } = this.player, end = this.#chosen && "id" in this.#chosen ? this.#endStep : roll.numSteps;
    roll.numPrompt = roll.notes.filter(([start]) => start < end).length;
    this.player.setGrid({ ...this.#grid, promptSteps: end });
    this.bars.setAttribute("aria-valuetext", `${this.bars.value} of ${this.bars.max} bars`);
    find("#prompt-bars-value").textContent = `${this.bars.value} of ${this.bars.max} bars`;
  }

  #listenToFiles() {
    const file = input("#file"), whole = document.documentElement;
    file.addEventListener("change", () => this.#upload(file.files?.[0]));
    whole.addEventListener("dragover", (event) => { event.preventDefault(); whole.classList.add("dropping"); });
    whole.addEventListener("dragleave", (event) => { if (!event.relatedTarget) whole.classList.remove("dropping"); });
    whole.addEventListener("drop", (event) => {
      event.preventDefault();
      whole.classList.remove("dropping");
      if (!event.dataTransfer?.files.length) return;
      file.files = event.dataTransfer.files;
      input("input[name=source][value=file]").checked = true;
      this.choose();
    });
  }

  #upload(/** @type {File | undefined} */ file) {
    this.#show(null);
    if (file) this.loading = this.#load(api.upload(file, this.#model.name));
  }

  #listenToKeyboard() {
    const press = (/** @type {string} */ id, /** @type {() => void} */ act) => find(id).addEventListener("click", act);
    press("#octave-down", () => this.keyboard.shift(-12));
    press("#octave-up", () => this.keyboard.shift(12));
    press("#clear-played", () => { this.#recorder.clear(); this.#showPlayed(); });
    press("#connect-midi", () => this.keyboard.connect().then((names) => {
      const connected = names.length ? `Connected: ${names.join(", ")}` : "No MIDI keyboard yet; plug one in.";
      find("#midi-state").textContent = connected;
    }, this.fail));
  }

  #play(/** @type {"start" | "end"} */ name, /** @type {number} */ pitch) {
    this.#recorder[name](pitch);
    if (name === "end") this.#showPlayed();
  }

  #showPlayed() {
    const notes = this.#recorder.notes(60 / TEMPO.quarters_per_minute / this.#model.steps_per_quarter);
    this.#show({ title: "what you played", notes });
    find("#played").textContent = notes.length
      ? `${notes.length} notes played.`
      : "Play something for the model to continue; without it, it begins by itself.";
  }
}
