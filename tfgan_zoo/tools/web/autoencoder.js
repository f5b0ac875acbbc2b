// Draw a digit, see the reconstruction of a VAE, and walk through the latent space from it.

import {toDigit} from "./drawn_digit.js";
import {latest, run} from "./engine.js";
import {drawImage, loadImage, onStroke} from "./images.js";
import {Explorer} from "./latent.js";
import {element, get, loadModel, showModel, showStatus, site, withoutControls} from "./page.js";

const PEN = 24;  // width in pixels of the canvas

const model = site.generate.find(({encoder}) => encoder);
const canvas = get("drawing"), context = canvas.getContext("2d", {willReadFrequently: true});
export const explorer = new Explorer();
export let drawn = null;  // the last drawing: {digit, code}
let last = null;  // last point of the stroke

function clear() {
  explorer.pause();
  context.fillStyle = "black";
  context.fillRect(0, 0, canvas.width, canvas.height);
}

function drawStroke(x, y, begins) {
  if (begins) last = [x, y];
  Object.assign(context, {strokeStyle: "white", lineWidth: PEN, lineCap: "round"});
  context.beginPath();
  context.moveTo(...last);
  context.lineTo(x, y);
  context.stroke();
  last = [x, y];
  reconstruct();
}

const reconstruct = latest(async () => {
  const {width, height} = canvas, {data} = context.getImageData(0, 0, width, height);
  const ink = Uint8Array.from({length: width * height}, (_, i) => data[4 * i]);
  const digit = toDigit(ink, height, width);
  if (!digit) return;
  const images = {type: "uint8", data: digit, dims: [1, ...model.shape]};
  const {outputs} = await run(model.encoder, {images});
  drawn = {digit, code: outputs.mean.data};
  drawImage(get("input"), digit, model.shape);
  await backToDrawing();
});

// Decode the mean of the code's distribution: the reconstruction.
async function backToDrawing() {
  explorer.pause();
  await explorer.setStart({z: drawn.code, weights: new Float32Array(0)});
  drawImage(get("reconstruction"), explorer.shown.data, model.shape);
}

async function showExample(file) {
  clear();
  const image = await loadImage(file);
  const side = canvas.width * 20 / 28;
  context.imageSmoothingEnabled = true;
  context.drawImage(image, (canvas.width - side) / 2, (canvas.height - side) / 2, side, side);
  await reconstruct();
}

clear();
get("examples").append(...site.examples.digits.map((file, i) => {
  const image = element("img", {src: file, alt: `example ${i}`});
  const button = element("button", {type: "button"}, image);
  button.onclick = () => showExample(file);
  return button;
}));
get("clear").onclick = () => { clear(); showStatus("Draw a digit."); };
get("back").onclick = backToDrawing;
await withoutControls(async () => {
  await loadModel(model.encoder);
  await loadModel(model.file);
  showModel(model);
  explorer.setModel(model);
  await showExample(site.examples.digits[3]);
});
onStroke(canvas, drawStroke);
