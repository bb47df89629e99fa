"""Hashes of other systems: their own test vectors, their spellings, their bounds, and what becomes of them."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timedelta

import bcrypt
import pytest
from argon2 import PasswordHasher, Type
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kronborg.sessions.model import Origin
from kronborg.signin.finish import SignedIn
from kronborg.signin.foreign import NotTaken, keycloak_hash, matches_foreign, read_hash
from kronborg.signin.model import ThrottleSettings
from kronborg.signin.sign_in import Attempt, Outcome, WrongCredentials, sign_in
from kronborg.signin.store import read_password, write_password
from people_site import PeopleSite

GOOD = "Ærlig rødgrød med fløde"


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def pbkdf2(algorithm: HashAlgorithm, salt: bytes, rounds: int, length: int) -> bytes:
    return PBKDF2HMAC(algorithm, length, salt, rounds).derive(GOOD.encode())


def bare(raw: bytes) -> str:
    return b64(raw).rstrip("=").replace("+", ".")


SALT = b"NaCl is salt"
SCRYPT = Scrypt(SALT, 32, 1024, 8, 1).derive(GOOD.encode())
BCRYPT = bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(4)).decode()
SPELLINGS = {
    "bcrypt 2b": BCRYPT,
    "bcrypt 2y (PHP)": BCRYPT.replace("$2b$", "$2y$"),
    "bcrypt 2a": BCRYPT.replace("$2b$", "$2a$"),
    "Django bcrypt": f"bcrypt${BCRYPT}",
    "Django bcrypt_sha256": "bcrypt_sha256$"
    + bcrypt.hashpw(hashlib.sha256(GOOD.encode()).hexdigest().encode(), bcrypt.gensalt(4)).decode(),
    "Django pbkdf2_sha256": f"pbkdf2_sha256$1000$NaCl is salt${b64(pbkdf2(SHA256(), SALT, 1000, 32))}",
    "Django pbkdf2_sha1": f"pbkdf2_sha1$1000$NaCl is salt${b64(pbkdf2(SHA1(), SALT, 1000, 20))}",
    "Django scrypt": f"scrypt$NaCl is salt$1024$8$1${b64(SCRYPT)}",
    "passlib pbkdf2": f"$pbkdf2$1000${bare(SALT)}${bare(pbkdf2(SHA1(), SALT, 1000, 20))}",
    "passlib pbkdf2-sha256": f"$pbkdf2-sha256$1000${bare(SALT)}${bare(pbkdf2(SHA256(), SALT, 1000, 32))}",
    "passlib pbkdf2-sha512": f"$pbkdf2-sha512$1000${bare(SALT)}${bare(pbkdf2(SHA512(), SALT, 1000, 64))}",
    "passlib scrypt": f"$scrypt$ln=10,r=8,p=1${bare(SALT)}${bare(SCRYPT)}",
    "Werkzeug pbkdf2": f"pbkdf2:sha256:1000$NaCl is salt${pbkdf2(SHA256(), SALT, 1000, 32).hex()}",
    "Werkzeug scrypt": f"scrypt:1024:8:1$NaCl is salt${SCRYPT.hex()}",
    **{f"Argon2{kind.name.lower()}": PasswordHasher(1, 64, 1, type=kind).hash(GOOD) for kind in Type},
    "Django argon2": "argon2" + PasswordHasher(1, 64, 1).hash(GOOD),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_each_spelling_is_read_and_compared(name: str) -> None:
    kept = read_hash(SPELLINGS[name])

    assert matches_foreign(kept, GOOD)
    assert not matches_foreign(kept, GOOD + "!")
    assert read_hash(kept) == kept


@pytest.mark.spec("RFC 6070 §2")
@pytest.mark.spec("RFC 7914 §12")
def test_the_vectors_of_the_specifications_are_compared() -> None:
    sha1 = bytes.fromhex("4b007901b765489abead49d926f721d065a429c1")
    scrypt = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    )

    by_sha1 = matches_foreign(read_hash(f"pbkdf2_sha1$4096$salt${b64(sha1)}"), "password")
    by_scrypt = matches_foreign(read_hash(f"scrypt:16384:8:1$SodiumChloride${scrypt.hex()}"), "pleaseletmein")
    by_bcrypt = matches_foreign(read_hash("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"), "U*U")

    assert (by_sha1, by_scrypt, by_bcrypt) == (True, True, True)


def test_keycloak_tells_a_hash_in_two_parts() -> None:
    value = pbkdf2(SHA256(), SALT, 1000, 64)
    argon = PasswordHasher(2, 64, 1, salt_len=16).hash(GOOD).split("$")

    by_pbkdf2 = keycloak_hash(
        {"hashIterations": 1000, "algorithm": "pbkdf2-sha256", "additionalParameters": {}},
        {"value": b64(value), "salt": b64(SALT), "additionalParameters": {}},
    )
    parameters = {"hashLength": ["32"], "memory": ["64"], "type": ["id"], "version": ["1.3"], "parallelism": ["1"]}
    by_argon = keycloak_hash(
        {"hashIterations": 2, "algorithm": "argon2", "additionalParameters": parameters},
        {"salt": argon[4] + "==", "value": argon[5] + "="},
    )

    assert matches_foreign(by_pbkdf2, GOOD)
    assert matches_foreign(by_argon, GOOD)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain text",
        "5f4dcc3b5aa765d61d8327deb882cf99",  # MD5
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
        "$2b$14$" + "a" * 53,
        "$2b$03$" + "a" * 53,
        "$2b$10$" + "a" * 52,
        "$2x$10$" + "a" * 53,
        "pbkdf2_sha256$3000000$salt$" + "a" * 43 + "=",
        "pbkdf2_sha256$0$salt$" + "a" * 43 + "=",
        "pbkdf2_sha256$400000$salt$" + "a" * 400,
        "$scrypt$ln=20,r=8,p=1$c2FsdA$" + "a" * 43,
        "$scrypt$ln=0,r=8,p=1$c2FsdA$" + "a" * 43,
        "scrypt:1000:8:1$salt$" + "ab" * 32,
        "$argon2id$v=19$m=4194304,t=1,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=0,t=1,p=1$c2FsdHNhbHQ$" + "a" * 43,
        "$argon2id$v=19$m=64,t=1,p=1$$" + "a" * 43,
        "$pbkdf2-sha256$1000$c2FsdA$" + "a" * 2000,
        "$pbkdf2-md5$1000$c2FsdA$" + "a" * 43,
        "$pbkdf2-sha256$1000$c2FsdA$" + "a" * 41,
        "\0" * 30,
    ],
)
def test_what_is_unknown_broken_or_too_dear_is_refused_and_never_compared(text: str) -> None:
    with pytest.raises(NotTaken) as refusal:
        read_hash(text)

    assert str(refusal.value).isascii()
    assert not matches_foreign(text, GOOD)


async def _with_hash(site: PeopleSite, encoded: str, now: datetime) -> str:
    hamlet = await site.person("hamlet")
    async with site.parts.database.write() as session:
        await write_password(session, hamlet.id, encoded, now=now)
    return hamlet.id


async def _attempt(site: PeopleSite, password: str, now: datetime) -> Outcome:
    return await sign_in(
        site.parts.database,
        site.parts.vault,
        site.signin.passwords,
        ThrottleSettings(),
        Attempt("hamlet", password, Origin("203.0.113.7", "test")),
        session_lifetime=timedelta(days=1),
        now=now,
    )


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["bcrypt 2b", "Django pbkdf2_sha256", "passlib scrypt", "Argon2i"])
async def test_a_foreign_hash_lets_its_owner_in_and_is_replaced_by_ours(
    site: PeopleSite, now: datetime, name: str
) -> None:
    user_id = await _with_hash(site, read_hash(SPELLINGS[name]), now)

    wrong = await _attempt(site, "something else", now)
    right = await _attempt(site, GOOD, now)
    again = await _attempt(site, GOOD, now)

    async with site.parts.database.read() as session:
        encoded = await read_password(session, user_id)
    assert isinstance(wrong, WrongCredentials)
    assert isinstance(right, SignedIn)
    assert isinstance(again, SignedIn)
    assert (encoded or "").startswith("$argon2id$v=19$m=64,t=1")
