"use strict";
// Every .player of a page plays its notes on the piano of piano.js.
(() => {
  const { decodeSamples, Playback } = globalThis.pianogenPiano;
  if (globalThis.pianogenSamples) decodeSamples(globalThis.pianogenSamples);

  class Player {
    constructor(element) {
      this.element = element;
      this.button = element.querySelector(".play");
      this.roll = element.querySelector(".roll");
      this.head = element.querySelector(".playhead");
      this.time = element.querySelector(".time");
      this.playback = new Playback(() => this.show());
      this.playback.step = Number(element.dataset.step);
      this.playback.length = Number(element.dataset.end) * this.playback.step;
      this.width = Number(element.dataset.steps) * this.playback.step; // seconds that the roll is wide
      this.button.addEventListener("click", () => {
        this.playback.notes = JSON.parse(element.querySelector("script").textContent);
        this.playback.toggle();
      });
      this.roll.addEventListener("click", (event) => {
        const box = this.roll.getBoundingClientRect();
        this.playback.seek(((event.clientX - box.left) / box.width) * this.width);
      });
      this.roll.addEventListener("keydown", (event) => {
        const seconds = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
        if (seconds) { event.preventDefault(); this.playback.seek(this.playback.now() + seconds); }
      });
    }

    show() {
      const { isPlaying, length } = this.playback, seconds = Math.min(this.playback.now(), length);
      this.element.classList.toggle("playing", isPlaying);
      this.element.classList.add("started");
      this.button.setAttribute("aria-label", (isPlaying ? "Pause " : "Play ") + this.button.dataset.label);
      this.head.style.left = `${(100 * seconds) / this.width}%`;
      this.roll.setAttribute("aria-valuenow", Math.round((100 * seconds) / length));
      this.time.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    }
  }

  document.querySelectorAll(".player").forEach((element) => new Player(element));
})();
