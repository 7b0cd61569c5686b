"use strict";
// A small piano for pages, and the clock that plays notes on it; one piece sounds at a time. It is a classic script, so
// that pages on disk can contain it: globalThis.pianogenPiano.
globalThis.pianogenPiano = (() => {
  const AHEAD_S = 1.5; // notes handed to the sound card in advance: timers of a hidden page tick once a second
  const START_S = 0.06; // from a press to the first note
  const HARMONICS = [0, 1, 0.5, 0.3, 0.18, 0.12, 0.07, 0.04, 0.02];
  const FIRST_SAMPLE = 21, LAST_SAMPLE = 108, SAMPLE_STEP = 3; // pitches in sound.js
  const samples = new Map(); // pitch -> recording; empty without sound.js, and until all of it is decoded
  let audio = null, wave = null, out = null, playing = null;

  // whether the browser can decode them; otherwise it keeps the oscillator
  async function decodeSamples(files) {
    try {
      const decoder = new OfflineAudioContext(1, 1, 44100); // needs no press of a button
      const decoded = await Promise.all(Object.entries(files).map(async ([pitch, text]) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        return [Number(pitch), await decoder.decodeAudioData(bytes.buffer)];
      }));
      decoded.forEach(([pitch, recording]) => samples.set(pitch, recording));
      document.documentElement.dataset.sound = "samples";
    } catch {
      samples.clear();
    }
    return samples.size > 0;
  }

  // browsers permit sound only after a press, for which on a touchscreen its end counts
  function open() {
    if (!audio) {
      audio = new AudioContext();
      wave = audio.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS));
      out = audio.createDynamicsCompressor();
      out.connect(audio.destination);
      for (const press of ["pointerup", "touchend", "click"]) addEventListener(press, () => audio.resume(), true);
    }
    audio.resume();
    return audio;
  }

  function channel() {
    const gain = new GainNode(audio);
    gain.connect(out);
    return gain;
  }

  function silence(gain, fade) {
    gain.gain.setTargetAtTime(0, audio.currentTime, fade);
    setTimeout(() => gain.disconnect(), 10_000 * fade);
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

  // a key that is held until the function that this returns is called
  function press(pitch) {
    open();
    const gain = channel();
    strike(pitch, audio.currentTime, 8, gain);
    return () => silence(gain, 0.08);
  }

  // plays notes from a position; `show` is called whenever what a page shows of it changes
  class Playback {
    constructor(show) {
      this.show = show;
      this.notes = []; // start, length and pitch of each note, in one row; the first two in steps; may grow
      this.step = 0; // seconds
      this.length = 0; // seconds
      this.grows = false; // more notes come: at the end it waits for them
      this.position = 0; // seconds
    }

    get isPlaying() { return playing === this; }

    now() { return this.isPlaying ? Math.max(this.position, audio.currentTime - this.began) : this.position; }

    play() {
      playing?.pause();
      open();
      if (this.position >= this.length && !this.grows) this.position = 0;
      this.gain = channel();
      this.began = audio.currentTime + START_S - this.position;
      this.next = 0;
      while (this.next < this.notes.length && this.notes[this.next] * this.step < this.position) this.next += 3;
      playing = this;
      this.show();
      this.timer = setInterval(() => this.schedule(), 100);
      this.schedule();
      this.follow();
    }

    schedule() {
      if (this.grows && this.now() > this.length) this.began = audio.currentTime - this.length;
      const until = audio.currentTime + AHEAD_S - this.began;
      for (; this.next < this.notes.length && this.notes[this.next] * this.step < until; this.next += 3) {
        const [onset, duration, pitch] = this.notes.slice(this.next, this.next + 3);
        const at = Math.max(audio.currentTime, this.began + onset * this.step);
        strike(pitch, at, duration * this.step, this.gain);
      }
    }

    follow() {
      if (!this.isPlaying) return;
      if (!this.grows && this.now() >= this.length + 0.6) { this.pause(); this.position = this.length; return; }
      this.show();
      requestAnimationFrame(() => this.follow());
    }

    pause() {
      if (!this.isPlaying) return;
      this.position = Math.min(this.now(), this.length);
      playing = null;
      clearInterval(this.timer);
      silence(this.gain, 0.02);
      this.show();
    }

    toggle() { if (this.isPlaying) this.pause(); else this.play(); }

    seek(seconds) {
      const goesOn = this.isPlaying;
      if (goesOn) this.pause();
      this.position = Math.min(Math.max(0, seconds), this.length);
      if (goesOn) this.play();
      this.show();
    }
  }

  return { decodeSamples, open, press, Playback };
})();
