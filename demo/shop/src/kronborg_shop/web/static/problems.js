// What to tell a person when something did not work, and what they can do about it.

import { Refused } from "./api.js";
import { SignedOut, SignInFailed, Unavailable } from "./auth.js";
import { h } from "./dom.js";

function explain(error) {
  if (error instanceof SignedOut) return ["Your session has ended", "Sign in again to go on. Your cart is kept."];
  if (error instanceof SignInFailed) return ["You are not signed in", error.message];
  if (error instanceof Unavailable) return ["The shop cannot be reached", "Check your connection, or try again in a moment."];
  if (!(error instanceof Refused)) return ["Something went wrong", "This is our mistake. Please try again."];
  switch (error.status) {
    case 403:
      return ["You may not do this", "Your account does not have the right that this needs. An administrator can grant it."];
    case 404:
      return ["There is nothing here", "What you are looking for is gone, or never was."];
    case 409:
    case 422:
      return [error.problem.title ?? "That did not work", sentence(error.message)];
    case 429:
      return ["That was a little fast", `Too many requests. Please wait ${Math.max(1, error.retryAfter)} s.`];
    case 502:
    case 503:
    case 504:
      return ["Closed for a moment", "A part of the shop does not answer. Nothing was lost; please try again."];
    default:
      return ["Something went wrong", "This is our mistake. Please try again."];
  }
}

/** A box that says what happened, with a way on: signing in, or trying again. */
export function problemBox(error, { retry, signIn } = {}) {
  const [title, text] = explain(error);
  const box = h("div", { class: "problem", role: "alert" }, h("h2", {}, title), h("p", {}, text));
  if (error instanceof Refused && error.requestId) box.append(h("p", { class: "small" }, `Request ${error.requestId}`));
  if ((error instanceof SignedOut || error instanceof SignInFailed) && signIn) {
    box.append(h("button", { class: "button", onclick: signIn }, "Sign in"));
  } else if (retry) {
    const button = h("button", { class: "button", onclick: retry }, "Try again");
    if (error instanceof Refused && error.status === 429) {
      button.disabled = true;
      setTimeout(() => (button.disabled = false), Math.max(1, error.retryAfter) * 1000);
    }
    box.append(button);
  }
  return box;
}

function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : "";
}
