// Browsing, searching, and one product's own page.

import { h, link, money, say, show, waiting } from "../dom.js";
import { problemBox } from "../problems.js";

export async function productsPage({ shop, isCurrent }) {
  const query = new URLSearchParams(location.search);
  const asked = new URLSearchParams();
  for (const name of ["q", "category", "sort"]) if (query.get(name)) asked.set(name, query.get(name));
  if (!document.querySelector(".grid.products")) show("", waiting("Bringing out the goods …"));
  const [page, stock, offers] = await Promise.all([
    shop.api.get(`/catalogue/products?${asked}`),
    stockByProduct(shop),
    shop.api.get("/pricing/offers").catch(() => []),
  ]);
  if (!isCurrent()) return;
  const words = query.get("q");
  show(words ? `Search: ${words}` : "",
    !words && offers.length > 0 && offersBanner(offers),
    h("div", { class: "headline" },
      h("h1", {}, words ? `“${words}”` : query.get("category") ?? "Everything"),
      h("p", { class: "count", role: "status" }, `${page.total} ${page.total === 1 ? "product" : "products"}`)),
    filters(shop, page.categories, query),
    page.items.length > 0
      ? h("ul", { class: "grid products" }, page.items.map((product) => card(shop, product, stock.get(product.id))))
      : h("div", { class: "empty" }, h("p", {}, "Nothing fits. Try fewer words."), link("/shop/", { class: "button" }, "See everything")));
}

export async function productPage({ shop, isCurrent }, id) {
  show("", waiting());
  const [product, stock] = await Promise.all([
    shop.api.get(`/catalogue/products/${id}`),
    shop.api.get(`/inventory/stock/${id}`).catch(() => null),
  ]);
  if (!isCurrent()) return;
  const quantity = h("input", { id: "quantity", type: "number", min: 1, max: Math.min(99, stock?.available || 99), value: 1,
    inputmode: "numeric", required: true });
  const trouble = h("div", { class: "trouble" });
  const form = h("form", { class: "buy", onsubmit: async (event) => {
    event.preventDefault();
    trouble.replaceChildren();
    await add(shop, product, Number(quantity.value), event.submitter, trouble);
  } },
    h("label", { for: "quantity" }, "Quantity"), quantity,
    h("button", { class: "button large", type: "submit", disabled: stock?.available === 0 }, "Add to cart"));
  show(product.name,
    h("nav", { class: "crumbs", "aria-label": "You are here" }, link("/shop/", {}, "Everything"), " / ",
      link(`/shop/?${new URLSearchParams({ category: product.category })}`, {}, product.category)),
    h("article", { class: "product" },
      h("img", { src: product.picture, alt: `Drawing of ${product.name}`, width: 400, height: 400 }),
      h("div", {},
        h("p", { class: "maker" }, product.maker),
        h("h1", {}, product.name),
        h("p", { class: "price big" }, money(product.price, product.currency)),
        h("p", { class: "lead" }, product.description),
        availability(stock?.available), form, trouble,
        h("ul", { class: "facts" },
          h("li", {}, "Brought by our own van, in the part of the day you choose"),
          h("li", {}, "Free delivery above 2,000 kr"),
          h("li", {}, "100 days to change your mind")))));
}

function card(shop, product, available) {
  const trouble = h("div", { class: "trouble" });
  return h("li", { class: "card" },
    link(`/shop/products/${product.id}`, { class: "card-link" },
      h("img", { src: product.picture, alt: "", width: 400, height: 400 }),
      h("div", { class: "card-text" },
        h("p", { class: "maker" }, product.maker),
        h("h2", {}, product.name),
        h("p", { class: "price" }, money(product.price, product.currency)))),
    h("div", { class: "card-foot" }, availability(available),
      h("button", { class: "quiet", "aria-label": `Add ${product.name} to cart`, disabled: available === 0,
        onclick: (event) => add(shop, product, 1, event.currentTarget, trouble) }, "Add to cart")),
    trouble);
}

async function add(shop, product, quantity, button, trouble) {
  button.disabled = true;
  trouble.replaceChildren();
  try {
    await shop.api.send("POST", "/cart/items", { product_id: product.id, quantity });
    shop.setCount(shop.cartCount + quantity);
    say(`${product.name} is in your cart`);
  } catch (error) {
    trouble.append(problemBox(error, { signIn: shop.signIn }));
  } finally {
    button.disabled = false;
  }
}

function availability(available) {
  if (available === undefined) return h("p", { class: "stock" }, "");
  if (available === 0) return h("p", { class: "stock none" }, "Sold out");
  return available <= 5
    ? h("p", { class: "stock few" }, `Only ${available} left`)
    : h("p", { class: "stock" }, "In stock");
}

function filters(shop, categories, query) {
  const to = (changes) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) value ? next.set(name, value) : next.delete(name);
    return `/shop/${next.size ? `?${next}` : ""}`;
  };
  const current = query.get("category") ?? "";
  const sorts = { "": "Featured", price: "Price, low first", "-price": "Price, high first", name: "Name" };
  return h("div", { class: "filters" },
    h("nav", { "aria-label": "Categories" }, ["", ...categories].map((category) =>
      link(to({ category }), { class: "chip", "aria-current": category === current ? "page" : null }, category || "Everything"))),
    h("label", { class: "sort" }, h("span", {}, "Sort by"),
      h("select", { onchange: (event) => shop.go(to({ sort: event.target.value })) },
        Object.entries(sorts).map(([value, text]) =>
          h("option", { value, selected: value === (query.get("sort") ?? "") }, text)))));
}

function offersBanner(offers) {
  return h("ul", { class: "offers", "aria-label": "Offers" },
    offers.map((offer) => h("li", {}, h("strong", {}, offer.title), ` ${offer.detail}`)));
}

async function stockByProduct(shop) {
  const list = await shop.api.get("/inventory/stock").catch(() => ({ items: [] }));
  return new Map(list.items.map((stock) => [stock.product_id, stock.available]));
}
