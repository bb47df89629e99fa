// The shop's entry: configuration, the header, and which address shows which page.

import { Api } from "./api.js";
import { Auth, SignedOut } from "./auth.js";
import { h, icon, link, show, waiting } from "./dom.js";
import { problemBox } from "./problems.js";
import { cartPage } from "./views/cart.js";
import { landingPage } from "./views/landing.js";
import { orderPage, ordersPage } from "./views/orders.js";
import { productPage, productsPage } from "./views/products.js";

const ROUTES = [
  [/^\/shop\/$/, productsPage],
  [/^\/shop\/products\/([a-z0-9-]+)$/, productPage],
  [/^\/shop\/cart$/, cartPage],
  [/^\/shop\/orders$/, ordersPage],
  [/^\/shop\/orders\/([A-Z0-9]+)$/, orderPage],
];

class Shop {
  cartCount = 0;
  #navigations = 0;

  constructor(config) {
    this.config = config;
    this.auth = new Auth(config);
    this.api = new Api(this.auth);
    this.signIn = () => this.auth.signIn({ returnTo: this.#here() }).catch((error) => this.fail(error));
  }

  async start() {
    addEventListener("popstate", () => this.render());
    document.addEventListener("click", (event) => this.#follow(event));
    this.header();
    try {
      await this.#resume();
    } catch (error) {
      history.replaceState(null, "", "/shop/");
      this.header();
      this.landing(error);
      return;
    }
    this.header();
    if (this.auth.isSignedIn) {
      this.auth.loadPerson().then(() => this.header(), () => {});
      this.countCart();
    }
    await this.render();
  }

  /** Go to another page of the shop. */
  go(path) {
    history.pushState(null, "", path);
    this.render().then(() => document.getElementById("main").focus({ preventScroll: true }));
    scrollTo(0, 0);
  }

  async render() {
    const navigation = ++this.#navigations;
    if (!this.auth.isSignedIn) return this.landing();
    for (const [pattern, page] of ROUTES) {
      const match = pattern.exec(location.pathname);
      if (match === null) continue;
      try {
        // A page that arrives after the visitor has moved on is not shown.
        await page({ shop: this, isCurrent: () => navigation === this.#navigations }, ...match.slice(1));
      } catch (error) {
        if (navigation === this.#navigations) this.fail(error);
      }
      return;
    }
    show("Not found", h("div", { class: "problem" }, h("h1", {}, "There is nothing here"),
      h("p", {}, "The address leads nowhere."), link("/shop/", { class: "button" }, "Back to the shop")));
  }

  /** Show what went wrong in place of the page. */
  fail(error) {
    if (error instanceof SignedOut) this.header();
    if (!(error instanceof Error)) throw error;
    show("", problemBox(error, { retry: () => this.render(), signIn: this.signIn }));
  }

  landing(error = null) {
    return landingPage(this, error);
  }

  async countCart() {
    try {
      const cart = await this.api.get("/cart/items");
      this.setCount(cart.items.reduce((sum, item) => sum + item.quantity, 0));
    } catch {
      // the number is a nicety
    }
  }

  setCount(count) {
    this.cartCount = count;
    this.header();
  }

  header() {
    const { person } = this.auth;
    const search = h("form", { class: "search", role: "search", onsubmit: (event) => this.#search(event) },
      h("label", { class: "visually-hidden", for: "q" }, "Search products"),
      h("input", { id: "q", name: "q", type: "search", placeholder: "Search lamps, chairs, vases …", maxlength: 100,
        autocomplete: "off", value: new URLSearchParams(location.search).get("q") ?? "" }),
      h("button", { type: "submit", "aria-label": "Search" }, icon("search")));
    const cartLabel = `Cart, ${this.cartCount} ${this.cartCount === 1 ? "piece" : "pieces"}`;
    document.getElementById("header").replaceChildren(h("div", { class: "bar" },
      link("/shop/", { class: "brand" }, icon("wave"), "Sundet"),
      person && search,
      h("nav", { "aria-label": "Shop" },
        person && link("/shop/orders", {}, "Orders"),
        person && link("/shop/cart", { class: "cart-link", "aria-label": cartLabel }, icon("cart"),
          this.cartCount > 0 && h("span", { class: "badge", "aria-hidden": "true" }, String(this.cartCount))),
        person
          ? h("div", { class: "person" }, h("span", { class: "name", id: "person" }, person.name),
            h("button", { id: "sign-out", class: "quiet", onclick: () => this.#signOut() }, "Sign out"))
          : h("button", { id: "sign-in", class: "button", onclick: this.signIn }, "Sign in"))));
  }

  #here() {
    const path = location.pathname + location.search;
    return path.startsWith("/shop/callback") ? "/shop/" : path;
  }

  async #signOut() {
    show("", waiting("Signing out …"));
    await this.auth.signOut().catch((error) => this.fail(error));
  }

  async #resume() {
    const parameters = new URLSearchParams(location.search);
    if (location.pathname === "/shop/callback") {
      // The code leaves the address bar and the history before anything else happens.
      history.replaceState(null, "", "/shop/");
      const returnTo = await this.auth.finish(parameters);
      if (returnTo.startsWith("/shop/")) history.replaceState(null, "", returnTo);
      return;
    }
    // A reload or a deep link: whoever is still signed in at the issuer comes back without being asked.
    const [entry] = performance.getEntriesByType("navigation");
    if (entry?.type === "reload" || location.pathname !== "/shop/") {
      await this.auth.signIn({ returnTo: this.#here(), silent: true });
    }
  }

  #search(event) {
    event.preventDefault();
    const words = new FormData(event.target).get("q").trim();
    this.go(words ? `/shop/?${new URLSearchParams({ q: words })}` : "/shop/");
  }

  #follow(event) {
    const anchor = event.target.closest?.("a[data-inside]");
    if (!anchor || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    this.go(anchor.getAttribute("href"));
  }
}

async function open() {
  let config;
  try {
    config = await (await fetch("/shop/config.json", { credentials: "omit" })).json();
  } catch (error) {
    show("", problemBox(error, { retry: () => location.reload() }));
    return;
  }
  // Another name of this machine would be another origin, which the issuer does not know.
  if (location.origin !== new URL(config.gateway).origin) {
    location.replace(config.gateway + location.pathname + location.search);
    return;
  }
  await new Shop(config).start();
}

open();
