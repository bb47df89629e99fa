"""Private keys in a PKCS#11 token: a hardware module, or a key service with a PKCS#11 library.

A key is made in the token and never leaves it; what we keep is its `CKA_ID`. Needs the extra `kronborg[pkcs11]`,
imported at the first use. Everything here waits for the token: call it in a thread.
"""

from __future__ import annotations

import hashlib
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cryptography.hazmat.primitives.serialization import load_der_public_key

from kronborg.core.crypto import KeyProblem
from kronborg.core.jws import Line
from kronborg.core.token_address import TokenAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    import pkcs11

T = TypeVar("T")

LABEL: Final = "kronborg"


class Token:
    """One token, with one session that is opened at the first use, and once more after the token was away."""

    def __init__(self, address: TokenAddress) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._session: pkcs11.Session | None = None
        self._private: dict[bytes, pkcs11.PrivateKey] = {}

    def make(self, line: Line) -> tuple[bytes, object]:
        """A new key pair: its id, and its public key. Raises `KeyProblem`."""
        key_id = os.urandom(16)
        return key_id, self._with_session(lambda session: self._generate(session, line, key_id))

    def sign(self, key_id: bytes, line: Line, message: bytes) -> bytes:
        """A signature as JOSE writes it (RFC 7518 §3). Raises `KeyProblem`."""
        return self._with_session(lambda session: self._signature(session, key_id, line, message))

    def check(self, key_id: bytes) -> None:
        """Raise `KeyProblem` unless the token is there, takes the PIN, and holds this key."""
        self._with_session(lambda session: self._key(session, key_id))

    def forget(self, key_id: bytes) -> None:
        """Destroy a key pair; silent when it is gone already. Raises `KeyProblem`."""

        def destroy(session: pkcs11.Session) -> None:
            import pkcs11

            self._private.pop(key_id, None)
            for found in list(session.get_objects({pkcs11.Attribute.ID: key_id})):
                found.destroy()

        self._with_session(destroy)

    def _with_session(self, work: Callable[[pkcs11.Session], T]) -> T:
        import pkcs11

        with self._lock:
            fresh = self._session is None
            try:
                return work(self._opened())
            except pkcs11.PKCS11Error as error:
                # A token that was restarted knows neither the session nor its handles: once more from the beginning.
                self._session = None
                self._private.clear()
                if fresh:
                    raise KeyProblem("the PKCS#11 token does not do what it is asked to") from error
            try:
                return work(self._opened())
            except pkcs11.PKCS11Error as error:
                self._session = None
                raise KeyProblem("the PKCS#11 token does not do what it is asked to") from error

    def _opened(self) -> pkcs11.Session:
        import pkcs11

        if self._session is None:
            token = pkcs11.lib(self._address.module).get_token(token_label=self._address.token)
            try:
                self._session = token.open(rw=True, user_pin=self._address.pin)
            except pkcs11.UserAlreadyLoggedIn:
                self._session = token.open(rw=True)
        return self._session

    def _generate(self, session: pkcs11.Session, line: Line, key_id: bytes) -> object:
        import pkcs11
        from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
        from pkcs11.util.rsa import encode_rsa_public_key

        private = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
        wishes: dict[str, Any] = {
            "id": key_id,
            "label": f"{LABEL} {line}",
            "store": True,
            "capabilities": pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
            "private_template": private,
        }
        if line == "ES256":
            curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
            parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
            public, _ = parameters.generate_keypair(**wishes)
            return load_der_public_key(encode_ec_public_key(public))
        public, _ = session.generate_keypair(pkcs11.KeyType.RSA, 2048, **wishes)
        return load_der_public_key(encode_rsa_public_key(public))

    def _key(self, session: pkcs11.Session, key_id: bytes) -> pkcs11.PrivateKey:
        import pkcs11

        key = self._private.get(key_id)
        if key is None:
            found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
            if not isinstance(found, pkcs11.PrivateKey):
                raise KeyProblem("the PKCS#11 token does not hold this key")
            key = self._private[key_id] = found
        return key

    def _signature(self, session: pkcs11.Session, key_id: bytes, line: Line, message: bytes) -> bytes:
        import pkcs11

        key = self._key(session, key_id)
        match line:
            case "ES256":
                # CKM_ECDSA signs the digest, and answers with r and s one after the other.
                return _signed(key, hashlib.sha256(message).digest(), mechanism=pkcs11.Mechanism.ECDSA)
            case "PS256":
                salted = (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, 32)
                pss = pkcs11.Mechanism.SHA256_RSA_PKCS_PSS
                return _signed(key, message, mechanism=pss, mechanism_param=salted)
            case _:
                return _signed(key, message, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS)


def _signed(key: pkcs11.PrivateKey, message: bytes, **mechanism: object) -> bytes:
    import pkcs11

    if not isinstance(key, pkcs11.SignMixin):
        raise KeyProblem("the key in the PKCS#11 token is not for signatures")
    return key.sign(message, **mechanism)


@cache
def token_at(address: TokenAddress) -> Token:
    """The token of an address, one for each process: a second login of the same process would be refused."""
    return Token(address)
