"use strict";
// Every .player of a page plays its notes through one small synthesizer; one sounds at a time.
(() => {
  const AHEAD_S = 1.5; // notes handed to the sound card in advance: timers of a hidden page tick once a second
  const HARMONICS = [0, 1, 0.5, 0.3, 0.18, 0.12, 0.07, 0.04, 0.02];
  const FIRST_SAMPLE = 21, LAST_SAMPLE = 108, SAMPLE_STEP = 3; // pitches in sound.js
  const samples = new Map(); // pitch -> recording; empty without sound.js, and until all of it is decoded
  let audio = null, wave = null, out = null, playing = null;

  async function decodeSamples(files) {
    const decoder = new OfflineAudioContext(1, 1, 44100); // needs no press of a button
    const decoded = await Promise.all(Object.entries(files).map(async ([pitch, text]) => {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      return [Number(pitch), await decoder.decodeAudioData(bytes.buffer)];
    }));
    decoded.forEach(([pitch, recording]) => samples.set(pitch, recording));
    document.documentElement.dataset.sound = "samples";
  }
  // a browser that cannot decode Vorbis keeps the oscillator
  if (globalThis.pianogenSamples) decodeSamples(globalThis.pianogenSamples).catch(() => samples.clear());

  function open() {
    if (!audio) {
      audio = new AudioContext();
      wave = audio.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
      out = audio.createDynamicsCompressor();
      out.connect(audio.destination);
    }
    audio.resume();
  }

  function strike(...note) { (samples.size ? strikeSampled : strikeOscillator)(...note); }

  function strikeSampled(pitch, at, seconds, target) {
    const steps = Math.round((Math.min(pitch, LAST_SAMPLE) - FIRST_SAMPLE) / SAMPLE_STEP);
    const nearest = FIRST_SAMPLE + SAMPLE_STEP * Math.max(0, steps);
    const playbackRate = 2 ** ((pitch - nearest) / 12);
    const string = new AudioBufferSourceNode(audio, { buffer: samples.get(nearest), playbackRate });
    const level = new GainNode(audio, { gain: 1 });
    level.gain.setValueAtTime(1, at);
    level.gain.setTargetAtTime(0, at + Math.max(seconds, 0.05), 0.12);
    string.connect(level).connect(target);
    string.start(at);
    string.stop(at + seconds + 1);
  }

  // a string that is struck: it rises at once, dies away, the higher the faster, and is damped at its end
  function strikeOscillator(pitch, at, seconds, target) {
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const string = new OscillatorNode(audio, { frequency, periodicWave: wave });
    const dull = new BiquadFilterNode(audio, { type: "lowpass", frequency: Math.min(9000, 800 + 4 * frequency) });
    const level = new GainNode(audio, { gain: 0 });
    level.gain.setValueAtTime(0, at);
    level.gain.linearRampToValueAtTime(0.2 * 2 ** ((60 - pitch) / 60), at + 0.004);
    level.gain.setTargetAtTime(0, at + 0.004, Math.min(2.5, 1.1 * 2 ** ((60 - pitch) / 24)));
    level.gain.setTargetAtTime(0, at + Math.max(seconds, 0.05), 0.07);
    string.connect(dull).connect(level).connect(target);
    string.start(at);
    string.stop(at + seconds + 0.6);
  }

  class Player {
    constructor(element) {
      this.element = element;
      this.button = element.querySelector(".play");
      this.roll = element.querySelector(".roll");
      this.head = element.querySelector(".playhead");
      this.time = element.querySelector(".time");
      this.step = Number(element.dataset.step);
      this.width = Number(element.dataset.steps) * this.step; // seconds that the roll is wide
      this.length = Number(element.dataset.end) * this.step;
      this.position = 0; // seconds
      this.button.addEventListener("click", () => (playing === this ? this.pause() : this.play()));
      this.roll.addEventListener("click", (event) => {
        const box = this.roll.getBoundingClientRect();
        this.seek(((event.clientX - box.left) / box.width) * this.width);
      });
      this.roll.addEventListener("keydown", (event) => {
        const seconds = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
        if (seconds) { event.preventDefault(); this.seek(this.now() + seconds); }
      });
    }

    now() { return playing === this ? Math.max(this.position, audio.currentTime - this.began) : this.position; }

    play() {
      playing?.pause();
      open();
      if (this.position >= this.length) this.position = 0;
      const notes = JSON.parse(this.element.querySelector("script").textContent);
      this.gain = new GainNode(audio);
      this.gain.connect(out);
      this.began = audio.currentTime + 0.06 - this.position;
      this.next = 0;
      while (this.next < notes.length && notes[this.next] * this.step < this.position) this.next += 3;
      playing = this;
      this.show();
      this.timer = setInterval(() => this.schedule(notes), 100);
      this.schedule(notes);
      this.follow();
    }

    schedule(notes) {
      const until = audio.currentTime + AHEAD_S - this.began;
      for (; this.next < notes.length && notes[this.next] * this.step < until; this.next += 3) {
        const [onset, duration, pitch] = notes.slice(this.next, this.next + 3);
        const at = Math.max(audio.currentTime, this.began + onset * this.step);
        strike(pitch, at, duration * this.step, this.gain);
      }
    }

    follow() {
      if (playing !== this) return;
      if (this.now() >= this.length + 0.6) { this.pause(); this.position = this.length; return; }
      this.show();
      requestAnimationFrame(() => this.follow());
    }

    pause() {
      this.position = Math.min(this.now(), this.length);
      playing = null;
      clearInterval(this.timer);
      const gain = this.gain;
      gain.gain.setTargetAtTime(0, audio.currentTime, 0.02);
      setTimeout(() => gain.disconnect(), 200);
      this.show();
    }

    seek(seconds) {
      const goesOn = playing === this;
      if (goesOn) this.pause();
      this.position = Math.min(Math.max(0, seconds), this.length);
      if (goesOn) this.play();
      this.show();
    }

    show() {
      const seconds = Math.min(this.now(), this.length);
      this.element.classList.toggle("playing", playing === this);
      this.element.classList.add("started");
      this.button.setAttribute("aria-label", (playing === this ? "Pause " : "Play ") + this.button.dataset.label);
      this.head.style.left = `${(100 * seconds) / this.width}%`;
      this.roll.setAttribute("aria-valuenow", Math.round((100 * seconds) / this.length));
      this.time.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
    }
  }

  document.querySelectorAll(".player").forEach((element) => new Player(element));
})();
