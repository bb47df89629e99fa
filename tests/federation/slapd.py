"""A real directory for the tests: OpenLDAP's slapd on a free port, with its own folder, certificate and people."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

import pytest

from certificates import certificate
from ports import free_ports

SUFFIX = "dc=corp,dc=example"
ADMIN = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD = "the castle on the sound"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
SECRET = "words words words"
HOST = "127.0.0.1"
"""What its certificate is for. The LDAP library takes `localhost` for the name of the machine."""

_CONF = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
{schema}
pidfile {folder}/slapd.pid
modulepath {modules}
moduleload back_mdb
moduleload memberof
moduleload ppolicy
sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited
TLSCertificateFile {folder}/ca.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "{suffix}"
rootdn "{admin}"
rootpw "{password}"
directory {folder}/db
maxsize 104857600
index objectClass eq
index uid,mail,entryUUID eq
overlay memberof
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous auth
"""

_MICROSOFT = """
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.782 NAME 'objectCategory' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP organizationalPerson STRUCTURAL
  MAY ( sAMAccountName $ userPrincipalName $ objectCategory $ userAccountControl $ objectGUID $ displayName $ mail ) )
"""
"""What Active Directory adds, as far as signing in looks at it."""

_PEOPLE = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups
"""


def find_slapd() -> str:
    """The program; in CI its absence fails the run."""
    found = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("slapd is missing: apt-get install slapd")
        pytest.skip("slapd is not installed: apt-get install slapd")
    return found


def modules() -> str:
    for folder in ("/usr/lib/ldap", "/usr/lib/openldap", "/usr/lib64/openldap"):
        if Path(folder, "back_mdb.so").exists() or Path(folder, "back_mdb.la").exists():
            return folder
    raise FileNotFoundError("the modules of slapd")


@dataclass
class Slapd:
    """One server and its folder; `start` and `stop` as often as a test likes."""

    folder: Path
    port: int
    tls_port: int
    ca_file: Path
    process: subprocess.Popen[bytes] | None = None
    count: int = field(default=0)

    @property
    def url(self) -> str:
        return f"ldap://{HOST}:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://{HOST}:{self.tls_port}"

    def start(self) -> None:
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        log = (self.folder / "slapd.log").open("ab")
        self.process = subprocess.Popen(
            [find_slapd(), "-f", str(self.folder / "slapd.conf"), "-h", urls, "-d", "0"], stdout=log, stderr=log
        )
        log.close()
        for _ in range(500):
            found = subprocess.run(
                ["ldapwhoami", "-x", "-H", f"ldap://127.0.0.1:{self.port}"], capture_output=True, check=False
            )
            if found.returncode == 0:
                return
            assert self.process.poll() is None, (self.folder / "slapd.log").read_text()
            time.sleep(0.02)
        raise TimeoutError("slapd did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def _tool(self, program: str, *arguments: str, given: str = "") -> None:
        done = subprocess.run(
            [program, "-x", "-H", f"ldap://127.0.0.1:{self.port}", "-D", ADMIN, "-w", ADMIN_PASSWORD, *arguments],
            input=given.encode(),
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def load(self, ldif: str) -> None:
        self._tool("ldapadd", given=ldif)

    def change(self, ldif: str) -> None:
        self._tool("ldapmodify", "-e", "relax", given=ldif)

    def remove(self, dn: str) -> None:
        self._tool("ldapdelete", dn)

    def rename(self, dn: str, rdn: str) -> None:
        self._tool("ldapmodrdn", "-r", dn, rdn)

    def sweep(self, *units: str) -> None:
        """Take away everything below these units."""
        for dn in units:
            self._tool("ldapdelete", "-r", dn)
            self.load(f"dn: {dn}\nobjectClass: organizationalUnit\nou: {dn.partition(',')[0][3:]}\n")

    def person(self, uid: str, *, name: str = "", mail: str = "", more: str = "", password: str = SECRET) -> str:
        """A person of the company; the DN."""
        dn = f"uid={uid},{PEOPLE}"
        mail_line = f"mail: {mail or f'{uid}@corp.example'}\n"
        shown = name or uid.title()
        self.load(
            f"dn: {dn}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {shown}\nsn: {shown}\n{mail_line}"
            f"userPassword: {password}\n{more}"
        )
        return dn

    def microsoft_person(self, name: str, *, upn: str, control: int) -> str:
        """A person as Active Directory would have it."""
        dn = f"cn={name},{PEOPLE}"
        self.load(
            f"dn: {dn}\nobjectClass: user\ncn: {name}\nsn: {name}\nsAMAccountName: {name}\n"
            f"objectCategory: person\nuserPrincipalName: {upn}\n"
            f"userAccountControl: {control}\ndisplayName: {name}\n"
            f"objectGUID:: {base64.b64encode(uuid5(NAMESPACE_DNS, name).bytes_le).decode()}\nuserPassword: {SECRET}\n"
        )
        return dn

    def group(self, name: str, *members: str) -> str:
        """A group of people and groups; the DN."""
        dn = f"cn={name},{GROUPS}"
        lines = "".join(f"member: {member}\n" for member in members)
        self.load(f"dn: {dn}\nobjectClass: groupOfNames\ncn: {name}\n{lines}")
        return dn


@contextmanager
def running_slapd(folder: Path) -> Iterator[Slapd]:
    """A directory with a suffix and two units, without people."""
    program = find_slapd()
    _, ca_file = certificate(folder, HOST)
    (folder / "db").mkdir()
    port, tls_port = free_ports(2)
    conf = _CONF.format(
        folder=folder,
        modules=modules(),
        suffix=SUFFIX,
        admin=ADMIN,
        password=ADMIN_PASSWORD,
        schema=_MICROSOFT,
    )
    (folder / "slapd.conf").write_text(conf)
    slapd = Slapd(folder, port, tls_port, ca_file)
    adding = [program, "-T", "add", "-f", str(folder / "slapd.conf")]
    made = subprocess.run(adding, input=_PEOPLE.encode(), capture_output=True, check=False)
    assert made.returncode == 0, made.stderr.decode()
    slapd.start()
    try:
        yield slapd
    finally:
        slapd.stop()
