// Builds elements, formats values, and speaks to people who do not see the page.

/** An element: attributes, `on…` listeners, and children (text is always text, never markup). */
export function h(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(4).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Minor units as money, in the visitor's own notation. */
export function money(minor, currency) {
  return new Intl.NumberFormat(undefined, { style: "currency", currency, minimumFractionDigits: minor % 100 ? 2 : 0 })
    .format(minor / 100);
}

/** A date without a time, such as 2026-11-24, in words. */
export function day(text) {
  return new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", timeZone: "UTC" })
    .format(new Date(`${text}T00:00:00Z`));
}

export function moment(text) {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" }).format(new Date(text));
}

let hiding;

/** Say something briefly, on the screen and to screen readers. */
export function say(text) {
  document.getElementById("live").textContent = text;
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(hiding);
  hiding = setTimeout(() => toast.classList.remove("shown"), 3200);
}

/** Replace what the page shows. */
export function show(title, ...children) {
  document.title = title ? `${title} · Sundet` : "Sundet";
  document.getElementById("main").replaceChildren(...children.flat(4).filter(Boolean));
}

export function waiting(text = "One moment …") {
  return h("div", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), ` ${text}`);
}

/** A link within the shop; the router listens for clicks on these. */
export function link(href, attributes, ...children) {
  return h("a", { href, "data-inside": true, ...attributes }, ...children);
}

export function icon(name) {
  const paths = {
    cart: "M3 4h2.5l2.2 11h10.2l2.1-8H6.3M9 20a1 1 0 1 0 .01 0M17 20a1 1 0 1 0 .01 0",
    search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 21 21",
    wave: "M2 9c3.5-4.5 6.5-4.5 10 0s6.500 4.500 10 0M2 16c3.500-4.500 6.500-4.500 10 0s6.500 4.500 10 0",
  };
  return h("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" }, h("path", { d: paths[name] }));
}
