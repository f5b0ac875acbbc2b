// Explore the latent space of a generator: sliders, random codes, and an interpolation that plays.

import {latest, run} from "./engine.js";
import {drawImage} from "./images.js";
import {element, get, showSpeed} from "./page.js";

const SECONDS = 2;  // from one code to the next
const RANGE = 3;  // of the sliders, in standard deviations

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

// Return n numbers from N(0, 1) (Box-Muller).
export function randomCode(n) {
  return Float32Array.from({length: n}, () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}

// Spherical interpolation between two codes (Shoemake 1985), as in `tfgan-zoo interpolate`.
export function interpolate(a, b, t) {
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const angle = Math.acos(Math.min(Math.max(cosine || 0, -1), 1)), sine = Math.sin(angle);
  const [first, second] = sine < 1e-3
    ? [1 - t, t]
    : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return a.map((value, i) => first * value + second * b[i]);
}

// Weights of the classes for one class, or no weights for an unconditional model.
export function oneHot(label, count) {
  return Float32Array.from({length: count}, (_, i) => Number(i === label));
}

// Run a generator. z: float32 (n, d), weights: float32 (n, classes). Returns {data, dims,
// milliseconds} with uint8 data (n, h, w, c).
export async function generate(model, z, weights) {
  const n = z.length / model.latentDim;
  const inputs = {z: {type: "float32", data: z, dims: [n, model.latentDim]}};
  if (model.classes.length) {
    inputs.labels = {type: "float32", data: weights, dims: [n, model.classes.length]};
  }
  const {outputs: {images}, milliseconds} = await run(model.file, inputs);
  return {...images, milliseconds};
}

// The current image lies on a path between two codes. Each has a code z and weights of the classes.
//
// The page has a canvas #image, a fieldset #sliders, a button #play and a slider #position.
export class Explorer {
  constructor(onChange = () => {}) {
    this.onChange = onChange;  // called with the current {z, weights} before its image is computed
    this.draw = latest(() => this.drawCurrent());
    get("play").onclick = () => this.playing ? this.pause() : this.play();
    get("position").oninput = () => {
      this.pause();
      this.move(Number(get("position").value));
    };
  }

  // Start with another model.
  setModel(model) {
    this.pause();
    this.model = model;
    this.sliders = model.directions.map((_, i) => {
      const input = element("input", {type: "range", min: -RANGE, max: RANGE, step: 0.01});
      input.oninput = () => this.moveAlong(i, Number(input.value));
      return input;
    });
    get("sliders").replaceChildren(
      element("legend", {}, get("sliders").dataset.legend),
      ...this.sliders.map((input, i) => element("label", {}, `Direction ${i + 1}`, input)),
    );
  }

  randomPoint(label = null) {
    const count = this.model.classes.length;
    label ??= Math.floor(Math.random() * count);
    return {z: randomCode(this.model.latentDim), weights: oneHot(label, count)};
  }

  // The current point of the path.
  get current() {
    const {start, target, position} = this;
    return {
      z: interpolate(start.z, target.z, position),
      weights: start.weights.map((w, i) => (1 - position) * w + position * target.weights[i]),
    };
  }

  // Begin a new path at a point. Its target is random.
  setStart(point) {
    this.start = point;
    this.target = this.randomPoint(this.nextLabel?.());
    return this.move(0);
  }

  // Go to a position of the path, from 0 to 1.
  move(position) {
    this.position = position;
    get("position").value = position;
    return this.draw();
  }

  // Move the current code along a direction, so that its coordinate there has a value.
  moveAlong(i, value) {
    this.pause();
    const {z, weights} = this.current, direction = this.model.directions[i];
    const change = value - dot(z, direction);
    return this.setStart({z: z.map((x, k) => x + change * direction[k]), weights});
  }

  async drawCurrent() {
    const point = this.current;
    this.onChange(point);
    this.model.directions.forEach((direction, i) => {
      const value = dot(point.z, direction);
      if (document.activeElement !== this.sliders[i] || this.playing) this.sliders[i].value = value;
    });
    const {data, dims, milliseconds} = await generate(this.model, point.z, point.weights);
    drawImage(get("image"), data, dims.slice(1));
    this.shown = {...point, data};
    showSpeed(milliseconds);
  }

  // Play: go from code to code until `pause`.
  async play() {
    const token = this.playing = {};  // another call of play or pause replaces it
    get("play").textContent = "Pause";
    let last = await new Promise(requestAnimationFrame);
    while (this.playing === token) {
      const now = await new Promise(requestAnimationFrame);
      if (this.playing !== token) return;  // paused meanwhile
      const position = this.position + (now - last) / 1000 / SECONDS;
      last = now;
      if (position < 1) {
        await this.move(position);
      } else {
        await this.setStart(this.target);
      }
    }
  }

  pause() {
    this.playing = null;
    get("play").textContent = "Play";
  }
}
