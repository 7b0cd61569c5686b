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
 * @property {(files: object) => Promise<boolean>} decodeSamples whether the browser can
 * @property {new (show: () => void) => Playback} Playback
 */

const piano = /** @type {Piano} */ (Reflect.get(globalThis, "pianogenPiano"));

export const { open, press, Playback } = piano;

/** Load the sampled notes, some 1 MB; an oscillator plays until they are there. */
export async function loadSamples() {
  const playsVorbis = new Audio().canPlayType('audio/ogg; codecs="vorbis"'); // it need not say how Web Audio decodes
  for (const format of playsVorbis ? ["ogg", "mp3"] : ["mp3"]) { // Safari before 18.4 has no Vorbis
    if (await load(format) && await piano.decodeSamples(Reflect.get(globalThis, "pianogenSamples"))) return;
  }
}

/** @param {string} format @returns {Promise<boolean>} whether the server has it */
function load(format) {
  const script = document.createElement("script");
  script.src = `/api/sound.js?${new URLSearchParams({ format })}`;
  document.head.append(script);
  return new Promise((resolve) => {
    script.addEventListener("load", () => resolve(true));
    script.addEventListener("error", () => resolve(false));
  });
}
