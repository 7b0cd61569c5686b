// The piano of pianogen/render/piano.js, a classic script that the pages on disk contain too.

/**
 * @typedef {object} Playback
 * @property {number[]} notes start and length in steps, and pitch, of each note in one row
 * @property {number} step seconds
 * @property {number} length seconds
 * @property {boolean} grows whether more notes come
 * @property {boolean} isPlaying
 * @property {() => number} now seconds
 * @property {() => void} play
 * @property {() => void} pause
 * @property {() => void} toggle
 * @property {(seconds: number) => void} seek
 */
/**
 * @typedef {object} Piano
 * @property {() => AudioContext} open to be called in the handler of a press, or browsers keep silent
 * @property {(pitch: number) => () => void} press sounds until the returned function is called
 * @property {(files: object) => Promise<void>} decodeSamples
 * @property {new (show: () => void) => Playback} Playback
 */

const piano = /** @type {Piano} */ (Reflect.get(globalThis, "pianogenPiano"));

export const { open, press, Playback } = piano;

/** Load the sampled notes, some 1 MB; an oscillator plays until they are there. */
export function loadSamples() {
  const script = document.createElement("script");
  script.src = "/api/sound.js";
  script.addEventListener("load", () => piano.decodeSamples(Reflect.get(globalThis, "pianogenSamples")));
  document.head.append(script);
}
