"""Settings of clients and APIs, and initial access tokens, on the command line."""

from __future__ import annotations

import pytest

from cli.shell import Shell

WEB = ("client", "create", "web", "--public", "--redirect-uri", "https://web.example/")


def test_settings_are_given_by_name_and_shown(shell: Shell) -> None:
    made = shell.json(
        *WEB,
        *("--set", "jwks_uri=https://web.example/jwks", "--set", "require_pushed_authorization_requests=true"),
        *("--set", "default_max_age=600", "--set", "contacts=a@web.example, b@web.example"),
        *(
            "--set",
            'default_acr_values=["urn:a"]',
            "--set",
            "software_version=12",
            "--set",
            "logo_uri=https://a.example/?b=c",
        ),
    )
    shown = shell.json("client", "show", "web")
    listed = shell.json("client", "list")
    table = shell.run("client", "show", "web")

    assert made["settings"] == {
        "jwks_uri": "https://web.example/jwks",
        "require_pushed_authorization_requests": True,
        "default_max_age": 600,
        "contacts": ["a@web.example", "b@web.example"],
        "default_acr_values": ["urn:a"],
        "software_version": "12",
        "logo_uri": "https://a.example/?b=c",
    }
    assert shown["settings"] == made["settings"]
    assert listed[0]["settings"] == made["settings"]
    assert "default_max_age: 600" in table


def test_settings_of_an_api_are_given_by_name(shell: Shell) -> None:
    made = shell.json("api", "create", "https://shop.example/cart", "--name", "Cart", "--set", "status_list=true")

    assert made["settings"] == {"status_list": True}
    assert shell.json("api", "list")[0]["settings"] == {"status_list": True}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("jwks_urii=https://web.example/", "settings.jwks_urii: is not a known setting\n    did you mean jwks_uri?"),
        ("default_max_age=soon", "settings.default_max_age: must be a whole number"),
        ("require_auth_time=yes", "settings.require_auth_time: must be true or false"),
        (
            "subject_type=secret",
            "settings.subject_type: is not one of the known values\n    use 'public' or 'pairwise'",
        ),
        ("response_types=code,tokens", "settings.response_types[1]: is not one of the known values"),
        ("jwks_uri=http://web.example/", "settings.jwks_uri: http only for the loopback"),
        ("contacts=[", "settings.contacts: must be a list"),
    ],
)
def test_a_setting_that_cannot_be_is_told_with_the_mend(shell: Shell, setting: str, said: str) -> None:
    done = shell.attempt(*WEB, "--set", setting)

    assert done.returncode == 1
    assert said in done.stderr


@pytest.mark.parametrize("settings", [("logo_uri",), ("logo_uri=https://a.example/", "logo_uri=https://b.example/")])
def test_a_setting_without_value_or_given_twice_is_wrong_usage(shell: Shell, settings: tuple[str, ...]) -> None:
    done = shell.attempt(*WEB, *(part for setting in settings for part in ("--set", setting)))

    assert done.returncode == 2


def test_a_client_is_disabled_and_enabled(shell: Shell) -> None:
    shell.run(*WEB)
    shell.run("client", "disable", "web")
    disabled = shell.json("client", "show", "web")["disabled"]
    shell.run("client", "enable", "web")
    enabled = shell.json("client", "show", "web")["disabled"]
    missing = shell.attempt("client", "disable", "https://app.example/client.json")

    assert (disabled, enabled) == (True, False)
    assert missing.returncode == 1


def test_an_initial_access_token_is_made_listed_and_revoked(shell: Shell) -> None:
    made = shell.json(
        *("registration", "create", "pipeline", "--max-uses", "5", "--lifetime", "2h", "--scope", "openid"),
        *("--redirect-host", "*.shop.example", "--unused", "7d", "--auth-method", "none"),
    )
    [listed] = shell.json("registration", "list")
    table = shell.run("registration", "list")
    shell.run("registration", "revoke", made["id"], "--yes")
    missing = shell.attempt("registration", "revoke", made["id"], "--yes")

    assert made["token"].startswith("kro_ia_")
    assert listed == {name: value for name, value in made.items() if name != "token"}
    assert (listed["max_uses"], listed["uses"], listed["unused"]) == (5, 0, 7 * 86_400)
    assert (listed["scopes"], listed["redirect_hosts"]) == (["openid"], ["*.shop.example"])
    assert "pipeline" in table
    assert made["token"] not in table
    assert shell.json("registration", "list") == []
    assert missing.returncode == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ("--grant", "magic"),
        ("--auth-method", "magic"),
        ("--lifetime", "5000d"),
        ("--unused", "1s"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(shell: Shell, wrong: tuple[str, ...]) -> None:
    done = shell.attempt("registration", "create", "pipeline", *wrong)

    assert done.returncode == 1
    assert shell.json("registration", "list") == []
