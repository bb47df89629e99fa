/* Passkeys: fills the form that a page was made for (WebAuthn Level 3) and sends it. Nothing else is scripted.

   <form data-passkey="get|create" data-options="…" [data-autofill]> holds the options, a field `credential`, a part
   `data-passkey-only` that is shown where passkeys work, one `data-passkey-without` that is shown elsewhere, and a text
   `data-passkey-error` for when one did not work. */
"use strict";
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0)).buffer;
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const optionsOf = (form) => {
    const options = JSON.parse(form.dataset.options);
    options.challenge = bytes(options.challenge);
    if (options.user) options.user.id = bytes(options.user.id);
    if (options.allowCredentials) options.allowCredentials = named(options.allowCredentials);
    if (options.excludeCredentials) options.excludeCredentials = named(options.excludeCredentials);
    return options;
  };

  const written = (credential) => {
    const answer = credential.response;
    const response = { clientDataJSON: text(answer.clientDataJSON) };
    if (answer.attestationObject) {
      response.attestationObject = text(answer.attestationObject);
      response.transports = answer.getTransports ? answer.getTransports() : [];
    } else {
      response.authenticatorData = text(answer.authenticatorData);
      response.signature = text(answer.signature);
      if (answer.userHandle) response.userHandle = text(answer.userHandle);
    }
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
  };

  let waiting = null;
  const ask = async (form, mediation) => {
    if (waiting) waiting.abort();
    waiting = new AbortController();
    const request = { publicKey: optionsOf(form), signal: waiting.signal };
    if (mediation) request.mediation = mediation;
    const kind = form.dataset.passkey === "create" ? "create" : "get";
    form.elements.credential.value = written(await navigator.credentials[kind](request));
    form.submit();
  };

  const failed = (form, error) => {
    if (error.name === "AbortError") return;
    const shown = form.querySelector("[data-passkey-error]");
    if (shown) shown.hidden = false;
  };

  if (!window.PublicKeyCredential) return;
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    for (const part of form.querySelectorAll("[data-passkey-only]")) part.hidden = false;
    for (const part of form.querySelectorAll("[data-passkey-without]")) part.hidden = true;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(form, null).catch((error) => failed(form, error));
    });
    if ("autofill" in form.dataset && PublicKeyCredential.isConditionalMediationAvailable) {
      PublicKeyCredential.isConditionalMediationAvailable()
        .then((able) => (able ? ask(form, "conditional") : null))
        .catch(() => null);
    }
  }
})();
