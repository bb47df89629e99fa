// Placed orders.

import { day, h, link, moment, money, show, waiting } from "../dom.js";

export async function ordersPage({ shop, isCurrent }) {
  show("Orders", waiting());
  const orders = await shop.api.get("/cart/orders");
  if (!isCurrent()) return;
  if (orders.length === 0) {
    show("Orders", h("div", { class: "empty" }, h("h1", {}, "No orders yet"),
      h("p", {}, "What you order will be listed here."), link("/shop/", { class: "button" }, "See everything")));
    return;
  }
  show("Orders", h("h1", {}, "Your orders"),
    h("ul", { class: "orders" }, orders.map((order) => h("li", {},
      link(`/shop/orders/${order.id}`, { class: "order-link" },
        h("div", { class: "thumbs", "aria-hidden": "true" }, order.quote.lines.slice(0, 4).map((line) =>
          h("img", { src: `/shop/pictures/${line.product_id}.svg`, alt: "", width: 64, height: 64 }))),
        h("div", {}, h("strong", {}, `Order ${order.id}`), h("p", { class: "small" }, moment(order.placed_at))),
        h("span", { class: "price" }, money(order.quote.total, order.quote.currency)))))));
}

export async function orderPage({ shop, isCurrent }, id) {
  show("Order", waiting());
  const order = await shop.api.get(`/cart/orders/${id}`);
  if (!isCurrent()) return;
  const { quote, delivery } = order;
  show(`Order ${order.id}`,
    h("div", { class: "receipt" },
      h("p", { class: "eyebrow" }, "Thank you"),
      h("h1", {}, `Order ${order.id}`),
      h("p", {}, `Placed ${moment(order.placed_at)}`),
      h("ul", { class: "lines" }, quote.lines.map((line) => h("li", { class: "line" },
        h("img", { src: `/shop/pictures/${line.product_id}.svg`, alt: "", width: 72, height: 72 }),
        h("div", { class: "line-text" }, link(`/shop/products/${line.product_id}`, {}, line.name),
          h("p", { class: "maker" }, `${line.quantity} × ${money(line.unit_price, quote.currency)}`)),
        h("span", { class: "price" }, money(line.amount, quote.currency))))),
      h("dl", { class: "totals" },
        quote.discounts.map((discount) => h("div", { class: "less" }, h("dt", {}, discount.reason),
          h("dd", {}, money(-discount.amount, quote.currency)))),
        h("div", {}, h("dt", {}, "Delivery"), h("dd", {}, quote.delivery ? money(quote.delivery, quote.currency) : "free")),
        h("div", { class: "total" }, h("dt", {}, "Total"), h("dd", {}, money(quote.total, quote.currency)))),
      h("section", { class: "delivery" },
        h("h2", {}, "Delivery"),
        h("p", {}, `${day(delivery.slot_id.slice(0, 10))}, ${delivery.hours}`),
        h("p", {}, `${order.name}, ${order.address}`),
        h("p", {}, "Tracking number ", h("code", { id: "tracking-number" }, delivery.tracking_number))),
      link("/shop/orders", {}, "All orders")));
}
