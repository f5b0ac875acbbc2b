// Draw the label map of a facade, and translate it to a photograph.

import {latest, run} from "./engine.js";
import {drawImage, loadImage, onStroke, readImage, saveImage} from "./images.js";
import {element, get, loadModel, showModel, showSpeed, site, withoutControls} from "./page.js";

const MAX_UNDO = 50;
const colors = site.classes.map(({color}) => color);
const canvas = get("labels");

let model = null;  // the loaded one
let side = 0;  // of the label map in pixels; each model has its own
export let labels = null;  // classes, (side, side)
export let photograph = null;  // the last translation, uint8 (side, side, 3)
let undoable = [], brushClass = 0;
let start = null, last = null, before = null;  // of the current stroke

const tool = () => document.querySelector("input[name=tool]:checked").value;

// --- drawing

function fillRectangle(top, bottom, left, right) {
  const clamp = value => Math.min(Math.max(Math.floor(value), 0), side - 1);
  for (let y = clamp(top); y <= clamp(bottom); y++) {
    labels.fill(brushClass, y * side + clamp(left), y * side + clamp(right) + 1);
  }
}

// Paint squares of the brush's size along a line.
function paintLine([x0, y0], [x1, y1]) {
  const half = (Number(get("size").value) - 1) / 2;
  const steps = Math.max(1, Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0))));
  for (let i = 0; i <= steps; i++) {
    const x = x0 + (x1 - x0) * i / steps, y = y0 + (y1 - y0) * i / steps;
    fillRectangle(y - half, y + half, x - half, x + half);
  }
}

// Fill the region of one class that contains a pixel.
function fillRegion(x, y) {
  const stack = [Math.floor(y) * side + Math.floor(x)], old = labels[stack[0]];
  if (old === brushClass) return;
  while (stack.length) {
    const i = stack.pop();
    if (labels[i] !== old) continue;
    labels[i] = brushClass;
    if (i % side > 0) stack.push(i - 1);
    if (i % side < side - 1) stack.push(i + 1);
    if (i >= side) stack.push(i - side);
    if (i < side * (side - 1)) stack.push(i + side);
  }
}

function drawStroke(x, y, begins) {
  [x, y] = [x, y].map(value => Math.min(Math.max(value, 0), side - 1e-3));
  if (begins) {
    remember();
    start = last = [x, y];
    before = labels.slice();
    if (tool() === "fill") fillRegion(x, y);
  } else if (!start) {  // another model was selected during the stroke
    return;
  }
  if (tool() === "brush") paintLine(last, [x, y]);
  if (tool() === "rectangle") {
    labels.set(before);
    const [left, top] = start;
    fillRectangle(Math.min(top, y), Math.max(top, y), Math.min(left, x), Math.max(left, x));
  }
  last = [x, y];
  show();
}

function remember() {
  undoable = [...undoable.slice(1 - MAX_UNDO), labels.slice()];
  showUndo();
}

function showUndo() { get("undo").disabled = !undoable.length; }

function undo() {
  labels = undoable.pop();
  showUndo();
  return show();
}

// --- translation

const colorImage = () => Uint8Array.from({length: 3 * labels.length},
  (_, i) => colors[labels[Math.floor(i / 3)]][i % 3]);

function show() {
  drawImage(canvas, colorImage(), [side, side, 3]);
  return translate();
}

const translate = latest(async () => {
  const images = {type: "uint8", data: colorImage(), dims: [1, side, side, 3]};
  const {outputs: {translated}, milliseconds} = await run(model.file, {images});
  photograph = translated.data;
  drawImage(get("photograph"), photograph, translated.dims.slice(1));
  showSpeed(milliseconds);
});

// Resize a square label map to `side`, by nearest neighbors.
function resize(map) {
  const from = Math.sqrt(map.length), nearest = i => Math.floor(i * from / side);
  return Uint8Array.from({length: side * side},
    (_, i) => map[nearest(Math.floor(i / side)) * from + nearest(i % side)]);
}

const selectModel = () => withoutControls(async () => {
  const selected = site.translate.find(({name}) => name === get("preset").value);
  await loadModel(selected.file);
  model = selected;
  showModel(model);
  side = model.size;
  start = null;
  if (labels) {
    labels = resize(labels);
    undoable = undoable.map(resize);
  } else {
    await loadLabels(site.examples.labels[3]);
  }
  await show();
}).then(showUndo);

// Load a label map. Its colors are those of the classes.
async function loadLabels(file) {
  const image = await loadImage(file), {naturalWidth: width, naturalHeight: height} = image;
  const copy = element("canvas", {width, height});
  copy.getContext("2d").drawImage(image, 0, 0);
  const pixels = readImage(copy), numbers = new Map(colors.map((color, i) => [String(color), i]));
  labels = resize(Uint8Array.from({length: width * height},
    (_, i) => numbers.get(String([...pixels.subarray(3 * i, 3 * i + 3)]))));
}

// --- controls

get("palette").append(...site.classes.map(({name, color}, i) => {
  const input = element("input",
    {type: "radio", name: "class", value: name, className: "hidden", checked: name === "window"});
  input.onchange = () => { brushClass = i; };
  if (input.checked) brushClass = i;
  const swatch = element("span", {className: "swatch"});
  swatch.style.background = `rgb(${color})`;
  return element("label", {}, input, swatch, name);
}));
get("examples").append(...site.examples.labels.map((file, i) => {
  const image = element("img", {src: file, alt: `facade ${i + 1}`});
  const button = element("button", {type: "button"}, image);
  button.onclick = async () => { remember(); await loadLabels(file); await show(); };
  return button;
}));
get("preset").replaceChildren(
  ...site.translate.map(({name, kind}) => element("option", {value: name}, kind)));
const first = site.translate.find(({kind}) => kind === "Pix2Pix") ?? site.translate[0];
get("preset").value = first.name;
get("preset").onchange = selectModel;
get("undo").onclick = undo;
get("save").onclick = () => saveImage(get("photograph"), "facade.png");
get("empty").onclick = () => { remember(); labels.fill(0); return show(); };
await selectModel();
onStroke(canvas, drawStroke);
