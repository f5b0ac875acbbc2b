// Start page: images and the list of models.

import {element, get, modelCard, prepareOfflineUse, showStatus, site} from "./page.js";

const {examples} = site;
const images = {
  digits: examples.digits.slice(3, 5),
  autoencoder: examples.digits.slice(5, 7),
  facade: [...examples.labels.slice(0, 1), ...examples.facades],
  style: [examples.photographs[0], ...site.stylize.slice(0, 1).map(({image}) => image)],
};
for (const [page, files] of Object.entries(images)) {
  get(`${page}-images`).append(
    ...files.filter(Boolean).map(src => element("img", {src, alt: ""})));
}

get("models").append(...[...site.generate, ...site.translate, ...site.stylize].map(
  ({name, kind, paper, arxiv}) => element("tr", {},
    element("td", {}, kind),
    element("td", {}, element("a", {href: modelCard(name)}, name)),
    element("td", {}, element("a", {href: `https://arxiv.org/abs/${arxiv}`}, paper)))));

showStatus("");
prepareOfflineUse();
