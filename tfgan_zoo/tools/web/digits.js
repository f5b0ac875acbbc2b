// Generate images with the GANs and the VAE: classes, sliders, interpolation.

import {drawImage} from "./images.js";
import {Explorer, generate, oneHot, randomCode} from "./latent.js";
import {element, get, loadModel, showModel, site, withoutControls} from "./page.js";

const COLUMNS = 10;  // images to choose from, for a model without classes

export const explorer = new Explorer(point => markClass(point.weights));
let choices = [];  // the points that the small images show

// Class that a new target of the interpolation gets: random, or the current one.
explorer.nextLabel = () => get("change-class").checked ? null : strongest(explorer.start.weights);

const strongest = weights => weights.indexOf(Math.max(...weights));

function markClass(weights) {
  if (!weights.length) return;
  const label = strongest(weights);
  get("choices").querySelectorAll("button").forEach((button, i) =>
    button.setAttribute("aria-pressed", String(i === label)));
}

// Show small images: all classes of one code, or several codes of a model without classes.
async function showChoices(z) {
  const {model} = explorer, classes = model.classes.length, n = classes || COLUMNS;
  const codes = Array.from({length: n}, (_, i) => classes || !i ? z : randomCode(model.latentDim));
  choices = codes.map((code, i) => ({z: code, weights: oneHot(i, classes)}));
  const join = arrays => Float32Array.from(arrays.flatMap(array => [...array]));
  const {data, dims: [, ...shape]} =
    await generate(model, join(codes), join(choices.map(({weights}) => weights)));
  const size = data.length / n;
  get("choices").replaceChildren(
    element("legend", {}, classes ? "Class" : "Other codes"),
    ...choices.map((point, i) => {
      const canvas = element("canvas"), name = classes ? model.classes[i] : `Code ${i + 1}`;
      drawImage(canvas, data.subarray(i * size, (i + 1) * size), shape);
      const button = element("button", {type: "button", title: name}, canvas);
      button.setAttribute("aria-label", classes ? `class ${name}` : name);
      button.onclick = () => choose(i);
      return button;
    }),
  );
}

function choose(i) {
  explorer.pause();
  // A class is chosen for the current code.
  const {z} = explorer.model.classes.length ? explorer.current : choices[i];
  return explorer.setStart({z, weights: choices[i].weights});
}

async function randomize() {
  explorer.pause();
  const {model} = explorer, z = randomCode(model.latentDim);
  const label = explorer.start?.weights.length ? strongest(explorer.start.weights) : 0;
  const weights = oneHot(label, model.classes.length);
  await explorer.setStart({z, weights});
  await showChoices(z);
  markClass(weights);
}

const selectModel = () => withoutControls(async () => {
  const model = site.generate.find(({name}) => name === get("preset").value);
  await loadModel(model.file);
  showModel(model);
  explorer.start = null;
  explorer.setModel(model);
  get("change-class").parentElement.hidden = !model.classes.length;
  await randomize();
});

// The conditional model comes first.
const models = site.generate.toSorted((a, b) => b.classes.length - a.classes.length);
get("preset").replaceChildren(
  ...models.map(({name, kind}) => element("option", {value: name}, `${kind} (${name})`)));
get("preset").onchange = selectModel;
get("random").onclick = randomize;
await selectModel();
