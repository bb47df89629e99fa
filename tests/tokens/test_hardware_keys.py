"""Signing keys in a PKCS#11 token (SoftHSM), behind the same seam as those sealed in the database."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from kronborg.clients.model import ApiDraft, Scope
from kronborg.clients.register import save_api
from kronborg.clients.settings import ApiSettings
from kronborg.core.crypto import KeyProblem, Vault
from kronborg.core.db import Database
from kronborg.core.hardware import Token
from kronborg.core.jose import parse, public_key, verify
from kronborg.core.token_address import HeldAlgorithm, TokenAddress
from kronborg.tokens.keys import KeyRing
from kronborg.tokens.model import KEY_AGE
from token_site import CATALOGUE, Site, token_site

pytestmark = pytest.mark.anyio

PIN = "a-pin-of-the-test"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenAddress]:
    """A fresh token of SoftHSM. Where it cannot be installed the test is left out; never in CI."""
    module = next((path for path in MODULES if Path(path).exists()), None)
    program = shutil.which("softhsm2-util")
    if module is None or program is None:
        if os.environ.get("CI"):
            pytest.fail("softhsm2 is not installed")
        pytest.skip("softhsm2 is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        label = f"kronborg-{os.getpid()}"
        wishes = ["--init-token", "--free", "--label", label, "--so-pin", "a-pin-of-the-officer", "--pin", PIN]
        subprocess.run([program, *wishes], check=True, capture_output=True)
        yield TokenAddress(module, label, PIN)


@pytest.fixture
def held(vault: Vault, address: TokenAddress) -> Vault:
    return Vault(bytes(range(32)), held=address)


async def token_of(site: Site) -> str:
    answer = await site.token("batch", grant_type="client_credentials", scope="catalogue:read")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def signed_with(site: Site, algorithm: HeldAlgorithm) -> None:
    """The catalogue with another algorithm, and a client for it."""
    scopes = (Scope("catalogue:read", "Read"), Scope("catalogue:write", "Write"))
    settings = ApiSettings(signing_alg=algorithm)
    async with site.engine.database.write() as session:
        draft = ApiDraft(CATALOGUE, "Catalogue", scopes, settings=settings)
        await save_api(session, draft, actor="test", now=site.clock.now)
    if "batch" not in site.secrets:
        await site.client("batch")


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "RS256"])
async def test_tokens_are_signed_by_keys_that_never_leave_the_token(
    database: Database, held: Vault, now: datetime, algorithm: HeldAlgorithm
) -> None:
    async with token_site(database, held, now) as site:
        await signed_with(site, algorithm)

        tokens: list[str] = []

        async def ask() -> None:
            tokens.append(await token_of(site))

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(ask)

        keys = (await site.http.get("/oauth/jwks")).json()["keys"]
        for token in tokens:
            [key] = [key for key in keys if key["kid"] == parse(token).header["kid"]]
            verify(parse(token), [public_key(key)], types=("at+jwt",))
            assert (await site.introspect(token))["active"] is True
        stored = [key for key in await site.engine.keys.stored() if key.line == algorithm]
        assert all(key.sealed.startswith("pkcs11:") for key in stored)


async def test_keys_in_the_token_rotate_like_all_others_and_the_old_one_is_destroyed(
    database: Database, held: Vault, address: TokenAddress, now: datetime
) -> None:
    async with token_site(database, held, now) as site:
        await signed_with(site, "ES256")
        old = parse(await token_of(site)).header["kid"]
        [gone] = [key for key in await site.engine.keys.stored() if key.id == old]

        site.clock.pass_by(days=KEY_AGE.days)
        await site.engine.keys.rotate(now=site.clock.now)
        fresh = parse(await token_of(site)).header["kid"]
        await site.engine.keys.revoke(str(old), actor="test", now=site.clock.now)

        assert fresh != old
        with pytest.raises(KeyProblem):
            Token(address).sign(bytes.fromhex(gone.sealed.removeprefix("pkcs11:")), "ES256", b"message")


async def test_another_process_signs_with_the_same_key(
    database: Database, held: Vault, address: TokenAddress, now: datetime
) -> None:
    async with token_site(database, held, now) as site:
        other = KeyRing(database, Vault(bytes(range(32)), held=address))

        one = (await site.engine.keys.current(now=site.clock.now)).active
        two = (await other.current(now=site.clock.now + timedelta(seconds=1))).active

        assert one.kid == two.kid
        assert two.signer.slow


async def test_moving_to_a_token_happens_by_rotation(
    database: Database, vault: Vault, held: Vault, now: datetime
) -> None:
    async with token_site(database, vault, now) as site:
        await site.client("batch")
        before = await token_of(site)
    async with token_site(database, held, now) as moved:
        await moved.client("batch")
        for _ in range(2):
            await moved.engine.keys.rotate(now=moved.clock.now, force=True)

        after = await token_of(moved)

        sealed = {key.id: key.sealed for key in await moved.engine.keys.stored()}
        assert sealed[str(parse(after).header["kid"])].startswith("pkcs11:")
        assert (await moved.introspect(before))["active"] is True


async def test_without_its_token_a_key_is_not_silently_replaced(
    database: Database, vault: Vault, held: Vault, now: datetime
) -> None:
    async with token_site(database, held, now) as site:
        moment = site.clock.now

    with pytest.raises(KeyProblem, match="PKCS#11"):
        await KeyRing(database, vault).current(now=moment)


async def test_nothing_starts_on_keys_that_cannot_be_reached(
    database: Database, vault: Vault, held: Vault, address: TokenAddress, now: datetime
) -> None:
    async with token_site(database, held, now):
        pass
    elsewhere = Vault(bytes(range(32)), held=TokenAddress(address.module, "no-such-token", PIN))

    with pytest.raises(KeyProblem):
        async with token_site(database, elsewhere, now):
            pass


def test_a_wrong_pin_is_said_plainly_and_never_shown(address: TokenAddress) -> None:
    wrong = TokenAddress(address.module, "no-such-token", "secret-pin")

    with pytest.raises(KeyProblem) as refused:
        Token(wrong).sign(b"id", "ES256", b"message")

    assert "secret-pin" not in str(refused.value)
    assert "secret-pin" not in repr(wrong)
