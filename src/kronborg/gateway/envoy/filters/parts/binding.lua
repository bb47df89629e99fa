-- Whether the caller holds the key or the certificate that the token is bound to (RFC 9449 section 7, RFC 8705 section 3).

local function check_binding(request)
  return nil
end
