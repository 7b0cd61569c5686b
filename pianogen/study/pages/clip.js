// One clip with its button. A clip is loaded whole before it can be played, so that nothing interrupts it, and sounds
// only by a press, as browsers demand. A jump, as by a keyboard's media keys, does not count as heard.

let sounding; // one clip at a time

export class Clip {
  /** root: an element of the template `player`; heard: called each time the end is reached. */
  constructor(root, { clip, seconds }, heard = () => {}) {
    this.heardSeconds = 0;
    this.address = `/clips/${encodeURIComponent(clip)}`;
    this.button = root.querySelector("button");
    this.label = root.querySelector(".label");
    this.bar = root.querySelector("progress");
    this.time = root.querySelector(".time");
    this.bar.max = seconds;
    this.bar.setAttribute("aria-label", "Position in the clip");
    this.seconds = seconds;
    this.audio = new Audio();
    this.last = 0;
    this.audio.addEventListener("timeupdate", () => this.moved());
    this.audio.addEventListener("seeking", () => (this.last = this.audio.currentTime));
    this.audio.addEventListener("play", () => {
      if (sounding !== this.audio) sounding?.pause();
      sounding = this.audio;
      this.show("Pause", "playing");
    });
    this.audio.addEventListener("pause", () => this.audio.ended || this.show("Play", "ready"));
    this.audio.addEventListener("ended", () => {
      this.moved();
      this.show("Play again", "ready");
      heard();
    });
    this.button.addEventListener("click", () => this.pressed());
    this.load();
  }

  async load() {
    this.show("Loading", "loading");
    try {
      const answer = await fetch(this.address);
      if (!answer.ok) throw new Error(answer.statusText);
      this.audio.src = URL.createObjectURL(await answer.blob());
      this.show("Play", "ready");
      this.moved();
    } catch {
      this.show("Could not be loaded: try again", "failed");
    }
  }

  async pressed() {
    const { state } = this.button.dataset;
    if (state === "failed") this.load();
    else if (state === "playing") this.audio.pause();
    else if (state === "ready") {
      try {
        await this.audio.play();
      } catch (error) {
        if (error.name !== "AbortError") this.show("This browser cannot play it: try again", "failed");
      }
    }
  }

  moved() {
    const now = this.audio.currentTime;
    if (!this.audio.seeking) this.heardSeconds += now - this.last;
    this.last = now;
    this.bar.value = now;
    this.time.textContent = `${Math.round(now)} / ${Math.round(this.seconds)} s`;
  }

  show(label, state) {
    this.label.textContent = label;
    this.button.dataset.state = state;
    this.button.setAttribute("aria-disabled", String(state === "loading"));
  }

  /** Stop for good. */
  end() {
    this.audio.pause();
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
  }
}
