// What visitors see before they sign in.

import { h, money, show } from "../dom.js";
import { problemBox } from "../problems.js";

export async function landingPage(shop, error) {
  const grid = h("ul", { class: "grid", "aria-label": "A selection" });
  show("",
    error && problemBox(error, { signIn: shop.signIn, retry: shop.signIn }),
    h("section", { class: "hero" },
      h("p", { class: "eyebrow" }, "Danish design goods"),
      h("h1", {}, "Made well, kept long."),
      h("p", { class: "lead" }, "Lamps, chairs and ceramics from small workshops on both sides of the sound. ",
        "Sign in to see what is in stock today and have it brought to your door."),
      h("button", { class: "button large", onclick: shop.signIn }, "Sign in to shop")),
    h("h2", { class: "section" }, "From the workshops"), grid);
  const products = await (await fetch("/shop/showcase.json", { credentials: "omit" })).json().catch(() => []);
  grid.append(...products.map((product) =>
    h("li", { class: "card" },
      h("img", { src: product.picture, alt: "", width: 400, height: 400 }),
      h("div", { class: "card-text" },
        h("p", { class: "maker" }, product.maker),
        h("h3", {}, product.name),
        h("p", { class: "price" }, money(product.price, product.currency))))));
}
