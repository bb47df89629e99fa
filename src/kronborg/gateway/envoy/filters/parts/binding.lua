-- Whether the caller holds the key or the certificate that the token is bound to (RFC 9449 section 7, RFC 8705
-- section 3). A certificate is compared here; a proof is signed with a key that it brings along, which Envoy cannot
-- verify, so the control process is asked: only requests with the scheme DPoP pay for that.

local LONGEST_PROOF = 4096
local DPOP_CHALLENGE = @DPOP_CHALLENGE@

local function challenged(reason, error_, nonce)
  return reason, { ["www-authenticate"] = DPOP_CHALLENGE:gsub("@ERROR@", error_), ["dpop-nonce"] = nonce }
end

-- The token as the caller sent it: a reference token was exchanged by now, and the proof is for that one.
local function presented_token(handle, headers)
  local kept = handle:streamInfo():dynamicMetadata():get("kronborg.presented")
  return kept and kept.token or headers:get("authorization"):match("^%a+ (.+)$")
end

local function check_proof(request, jkt)
  local handle, headers, client = request.handle, request.headers, request.claims.client_id
  local proof = headers:get("dpop")
  if proof == nil then
    return challenged("proof_missing", "invalid_dpop_proof")
  end
  -- RFC 9449 section 4.3: one DPoP header.
  local fit = headers:getNumValues("dpop") == 1 and #proof <= LONGEST_PROOF
  if not fit or type(jkt) ~= "string" or jkt:find("^[%w_-]+$") == nil then
    return challenged("proof_invalid", "invalid_dpop_proof")
  end
  local answer = handle:httpCall(BINDING_CLUSTER, {
    [":method"] = "POST",
    [":path"] = "/binding",
    [":authority"] = "binding",
    ["x-kronborg-exchange"] = binding_secret(),
    ["x-kronborg-method"] = headers:get(":method"),
    ["x-kronborg-scheme"] = headers:get(":scheme"),
    ["x-kronborg-authority"] = headers:get(":authority"),
    ["x-kronborg-path"] = headers:get(":path"),
    ["x-kronborg-jkt"] = jkt,
    ["x-kronborg-client"] = type(client) == "string" and client:match("^[%w%p]+$") or "",
    ["dpop"] = proof,
  }, presented_token(handle, headers), BINDING_TIMEOUT_MS)
  request.headers = handle:headers()
  local status, reason = answer[":status"], answer["x-kronborg-reason"]
  if status == "204" then
    local nonce = answer["dpop-nonce"]
    if nonce ~= nil then
      handle:streamInfo():dynamicMetadata():set("kronborg.binding", "nonce", nonce)
    end
    return nil
  elseif status == "401" and reason == "proof_needs_nonce" then
    -- RFC 9449 section 9
    return challenged(reason, "use_dpop_nonce", answer["dpop-nonce"])
  elseif status == "401" then
    return challenged("proof_invalid", "invalid_dpop_proof")
  end
  return "binding_unknown"
end

local function check_binding(request)
  local token = request.token
  if token == nil then
    return nil
  end
  local confirmation = token.claims.cnf
  if confirmation == nil then
    -- RFC 9449 section 7.1: only a bound token is presented with that scheme.
    if token.scheme == "dpop" then
      return challenged("not_bound", "invalid_token")
    end
    return request.settings.bound and "not_bound" or nil
  end
  local certificate, jkt = confirmation["x5t#S256"], confirmation.jkt
  if certificate == nil and jkt == nil then
    return "not_bound" -- bound in a way that we cannot check: RFC 7800 section 3.1
  end
  if certificate ~= nil then
    local shown, unknown = thumbprint_of(request)
    if certificate ~= shown then
      return unknown or "wrong_certificate"
    end
  end
  if jkt == nil then
    if token.scheme == "dpop" then
      return challenged("not_bound", "invalid_token")
    end
    return nil
  end
  -- RFC 9449 section 7.2: a bound token must not be taken as a bearer token.
  if token.scheme ~= "dpop" then
    return challenged("proof_missing", "invalid_token")
  end
  return check_proof(request, jkt)
end
