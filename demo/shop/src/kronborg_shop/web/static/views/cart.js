// The cart and the checkout.

import { day, h, link, money, say, show, waiting } from "../dom.js";
import { problemBox } from "../problems.js";

export async function cartPage({ shop, isCurrent }) {
  show("Cart", waiting());
  const state = { code: "", attempt: null, key: null };
  const [cart, names, slots] = await Promise.all([
    shop.api.get("/cart/items"),
    shop.api.get("/catalogue/products").then((page) => new Map(page.items.map((item) => [item.id, item]))),
    shop.api.get("/delivery/slots").catch(() => []),
  ]);
  if (!isCurrent()) return;
  const count = cart.items.reduce((sum, item) => sum + item.quantity, 0);
  shop.setCount(count);
  if (count === 0) {
    show("Cart", h("div", { class: "empty" }, h("h1", {}, "Your cart is empty"),
      h("p", {}, "It would like a lamp."), link("/shop/", { class: "button" }, "See everything")));
    return;
  }
  const totals = h("div", { class: "totals" });
  const trouble = h("div", { class: "trouble" });
  const context = { shop, state, cart, totals, trouble };
  show("Cart", h("h1", {}, "Your cart"),
    h("div", { class: "checkout" },
      h("section", { "aria-label": "Products in the cart" },
        h("ul", { class: "lines" }, cart.items.map((item) => line(context, item, names.get(item.product_id))))),
      h("form", { class: "summary", onsubmit: (event) => placeOrder(event, context) },
        h("h2", {}, "Delivery"),
        h("label", { for: "name" }, "Name"),
        h("input", { id: "name", name: "name", required: true, maxlength: 120, autocomplete: "name", value: shop.auth.person?.name ?? "" }),
        h("label", { for: "address" }, "Address"),
        h("textarea", { id: "address", name: "address", required: true, maxlength: 300, rows: 2, autocomplete: "street-address" }),
        slotChoice(slots),
        codeField(context), totals, trouble,
        h("button", { class: "button large wide", type: "submit", id: "place-order" }, "Place order"))));
  showTotals(context);
}

function line(context, item, product) {
  const { shop, trouble } = context;
  const name = product?.name ?? item.product_id;
  const change = async (quantity) => {
    try {
      if (quantity < 1) await shop.api.send("DELETE", `/cart/items/${item.product_id}`);
      else await shop.api.send("PUT", `/cart/items/${item.product_id}`, { quantity });
      say(quantity < 1 ? `${name} was taken out` : `${name}: ${quantity}`);
      await refresh(context, item, quantity, element);
    } catch (error) {
      trouble.replaceChildren(problemBox(error, { signIn: shop.signIn }));
    }
  };
  const input = h("input", { type: "number", min: 1, max: 99, value: item.quantity, "aria-label": `Quantity of ${name}`,
    onchange: (event) => change(Math.max(1, Math.min(99, Number(event.target.value) || 1))) });
  const element = h("li", { class: "line" },
    product && h("img", { src: product.picture, alt: "", width: 96, height: 96 }),
    h("div", { class: "line-text" }, link(`/shop/products/${item.product_id}`, {}, name),
      product && h("p", { class: "maker" }, `${money(product.price, product.currency)} each`)),
    input,
    h("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`, onclick: () => change(0) }, "Remove"));
  return element;
}

async function refresh(context, item, quantity, element) {
  const { shop } = context;
  context.cart = await shop.api.get(`/cart/items?${new URLSearchParams({ code: context.state.code })}`);
  shop.setCount(context.cart.items.reduce((sum, each) => sum + each.quantity, 0));
  if (quantity < 1) element.remove();
  if (context.cart.items.length === 0) return shop.render();
  showTotals(context);
}

function codeField(context) {
  const input = h("input", { id: "code", name: "code", maxlength: 40, autocomplete: "off", placeholder: "KRONBORG" });
  const note = h("p", { class: "small", role: "status" });
  const apply = async () => {
    context.state.code = input.value.trim();
    try {
      context.cart = await context.shop.api.get(`/cart/items?${new URLSearchParams({ code: context.state.code })}`);
      const accepted = context.cart.quote?.code_accepted;
      note.textContent = context.state.code && !accepted ? "This code is not known." : accepted ? "The code is accepted." : "";
      showTotals(context);
    } catch (error) {
      context.trouble.replaceChildren(problemBox(error, { signIn: context.shop.signIn }));
    }
  };
  return h("div", {}, h("label", { for: "code" }, "Discount code"),
    h("div", { class: "row" }, input, h("button", { type: "button", class: "quiet", onclick: apply }, "Apply")), note);
}

function slotChoice(slots) {
  const days = Map.groupBy ? Map.groupBy(slots, (slot) => slot.date) : groupByDate(slots);
  if (slots.length === 0) return h("p", { class: "notice" }, "Delivery times cannot be shown right now. Please try again soon.");
  let isFirst = true;
  return h("fieldset", { class: "slots" }, h("legend", {}, "When may we come?"),
    [...days].map(([date, parts]) => h("div", { class: "slot-day" }, h("p", { id: `day-${date}` }, day(date)),
      h("div", { role: "group", "aria-labelledby": `day-${date}` }, parts.map((slot) => {
        const checked = isFirst && slot.free > 0;
        if (checked) isFirst = false;
        return h("label", { class: "slot" },
          h("input", { type: "radio", name: "slot_id", value: slot.id, required: true, disabled: slot.free === 0, checked }),
          h("span", {}, slot.hours));
      })))));
}

function groupByDate(slots) {
  const days = new Map();
  for (const slot of slots) days.set(slot.date, [...(days.get(slot.date) ?? []), slot]);
  return days;
}

function showTotals({ cart, totals }) {
  const { quote } = cart;
  if (!quote) {
    totals.replaceChildren(h("p", { class: "notice" }, "The price cannot be worked out right now."));
    return;
  }
  const row = (name, amount, kind = "") =>
    h("div", { class: kind }, h("dt", {}, name), h("dd", {}, money(amount, quote.currency)));
  totals.replaceChildren(h("dl", {},
    row("Products", quote.subtotal),
    quote.discounts.map((discount) => row(discount.reason, -discount.amount, "less")),
    quote.delivery ? row("Delivery", quote.delivery) : h("div", {}, h("dt", {}, "Delivery"), h("dd", {}, "free")),
    row("Total", quote.total, "total")));
}

async function placeOrder(event, context) {
  event.preventDefault();
  const { shop, state, trouble } = context;
  const form = new FormData(event.target);
  const order = { slot_id: form.get("slot_id"), name: form.get("name").trim(), address: form.get("address").trim(), code: form.get("code").trim() };
  if (!order.slot_id || !order.name || !order.address) return;
  // Pressing again after a lost answer must not order twice: the same order keeps its key.
  const attempt = JSON.stringify(order);
  if (attempt !== state.attempt) {
    state.attempt = attempt;
    state.key = base64urlKey();
  }
  const button = event.target.querySelector("#place-order");
  button.disabled = true;
  button.textContent = "Placing your order …";
  trouble.replaceChildren();
  try {
    const placed = await shop.api.send("POST", "/cart/orders", order, { "Idempotency-Key": state.key });
    shop.setCount(0);
    say("Thank you. Your order is placed.");
    shop.go(`/shop/orders/${placed.id}`);
  } catch (error) {
    trouble.replaceChildren(problemBox(error, { signIn: shop.signIn }));
  } finally {
    button.disabled = false;
    button.textContent = "Place order";
  }
}

function base64urlKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
