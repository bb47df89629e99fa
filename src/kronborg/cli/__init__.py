"""The command line: thin functions over the same verbs the admin API uses.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage or settings, 3 changes are pending, 4 not reachable.
"""

from __future__ import annotations

import sys

import typer

from kronborg.core.crypto import KeyProblem
from kronborg.core.errors import Invalid, Refusal
from kronborg.supervise import Stopped

app = typer.Typer(
    name="kronborg",
    help="Identity platform, OAuth 2.0 / OpenID Connect server and API gateway in one product.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run one command; a refusal is a message and an exit code, never a traceback."""
    import psycopg
    from sqlalchemy.exc import DBAPIError

    import kronborg.cli.demo
    import kronborg.cli.doctor
    import kronborg.cli.objects
    import kronborg.cli.plan
    import kronborg.cli.up  # noqa: F401  # each registers its commands
    from kronborg.cli.store_access import NOT_REACHABLE
    from kronborg.gateway.deliver import Refused
    from kronborg.gateway.envoy.process import EnvoyMissing

    try:
        app()
    except Invalid as invalid:
        for problem in invalid.problems:
            typer.echo(
                f"{problem.where}: {problem.detail}" + (f"\n    {problem.mend}" if problem.mend else ""), err=True
            )
        sys.exit(1)
    except (Refusal, KeyProblem, Stopped, EnvoyMissing) as refusal:
        typer.echo(str(refusal), err=True)
        sys.exit(1)
    except Refused as refused:
        typer.echo(f"Envoy does not take the configuration: {refused}", err=True)
        sys.exit(1)
    except (DBAPIError, psycopg.OperationalError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        typer.echo(f"The database does not answer: {reason}", err=True)
        sys.exit(NOT_REACHABLE)
    except OSError as error:
        if error.filename is None:
            raise
        typer.echo(f"{error.filename}: {error.strerror}", err=True)
        sys.exit(1)
