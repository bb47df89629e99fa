// Calls to the services through the gateway, each with a token made for that service, and what their refusals mean.

import { SignedOut, Unavailable } from "./auth.js";

export class Refused extends Error {
  constructor(status, problem, retryAfter, requestId) {
    super(problem.detail ?? problem.title ?? "The request was refused.");
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

export class Api {
  #auth;

  constructor(auth) {
    this.#auth = auth;
  }

  get(path) {
    return this.#call("GET", path);
  }

  send(method, path, body, headers = {}) {
    return this.#call(method, path, body, headers);
  }

  async #call(method, path, body, headers = {}) {
    const api = path.split("/")[1];
    let response = await this.#fetch(api, method, path, body, headers);
    if (response.status === 401) {
      // The token may have been revoked or its key withdrawn: once more with a new one.
      this.#auth.forget(api);
      response = await this.#fetch(api, method, path, body, headers);
      if (response.status === 401) throw new SignedOut();
    }
    if (response.status === 204) return null;
    const content = await response.json().catch(() => ({}));
    if (!response.ok) {
      const requestId = content.request_id ?? response.headers.get("x-request-id");
      throw new Refused(response.status, content, Number(response.headers.get("retry-after")) || 0, requestId);
    }
    return content;
  }

  async #fetch(api, method, path, body, headers) {
    const token = await this.#auth.token(api);
    const init = { method, headers: { Authorization: `Bearer ${token}`, ...headers }, credentials: "omit" };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers["Content-Type"] = "application/json";
    }
    try {
      return await fetch(path, init);
    } catch {
      throw new Unavailable();
    }
  }
}
